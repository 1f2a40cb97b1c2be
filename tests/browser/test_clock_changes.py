"""A day on which the clocks change has 23 or 25 hours, and so many bars, in the table too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from lbs.tables import Role
from tests.support.browser import screenshot

if TYPE_CHECKING:
    from tests.support.browser import OpenPage
    from tests.support.console import Console

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize(
    ("day", "bars", "told"),
    [
        ("2026-03-29", 23, "this day has 23 hours"),
        ("2026-10-25", 25, "this day has 25 hours"),
        ("2026-10-24", 24, None),
    ],
)
def test_a_day_has_as_many_bars_as_hours(
    open_page: OpenPage, console: Console, day: str, bars: int, told: str | None
) -> None:
    page = open_page()
    console.sign_in(page, Role.STORE_MANAGER)
    page.goto(console.url(f"dashboard/{console.store_id}?period=day&date={day}"))
    panel = page.get_by_role("region", name="Visits by hour")
    expect(panel.locator("[data-bars]")).to_have_attribute("data-bars", str(bars))
    if told is None:
        expect(panel.get_by_role("alert")).to_have_count(0)
    else:
        expect(panel.get_by_role("alert")).to_contain_text(told)
    screenshot(page, f"day-of-{bars}-hours")
    panel.get_by_role("button", name="As a table").click()
    hours = [row.inner_text() for row in panel.locator("tbody th").all()]
    assert len(hours) == bars
    # Helsinki goes from 3 to 4 in spring, and from 4 back to 3 in autumn
    assert ("03:00" in hours) is (bars == 24)
    assert [hour for hour in hours if hour.startswith("03:00 (")] == (
        ["03:00 (+03:00)", "03:00 (+02:00)"] if bars == 25 else []
    )
