"""The console's fixtures: a browser gets to the real API, as somebody of any role, and offers come to a living one."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lbs.tables import Role
from tests.support.api import HELSINKI, position, wait_for
from tests.support.live import COFFEE, CONSENTS

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser import OpenPage
    from tests.support.console import Console

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize("role", Role)
def test_a_browser_is_signed_in_as_somebody_of_each_role(page: Page, console: Console, role: Role) -> None:
    console.sign_in(page, role)
    told = seen(page, console, "/v1/sessions")
    assert (told["role"], told["email"]) == (role, console.person(role).email)


def seen(page: Page, console: Console, path: str) -> Any:
    """What the browser shows of an answer in JSON."""
    page.goto(f"{console.site.url}{path}")
    return json.loads(page.locator("pre").inner_text())


def test_two_people_look_at_one_tenant(open_page: OpenPage, console: Console) -> None:
    for role in (Role.MARKETER, Role.APPROVER):
        page = open_page()
        console.sign_in(page, role)
        assert [store["store_id"] for store in seen(page, console, "/v1/stores")["items"]] == [console.store_id]


def test_who_did_not_sign_in_is_nobody(open_page: OpenPage, console: Console) -> None:
    page = open_page(expected=("status of 401",))
    assert seen(page, console, "/v1/sessions")["status"] == 401


def test_an_offer_comes_to_a_living_console(living_console: Console) -> None:
    server = living_console.server
    fence = {"external_id": "door", "store_id": living_console.store_id, "profile": "plain", "center": HELSINKI}
    assert server.post("/v1/fences", json={**fence, "radius_m": 100}).status_code == 201
    campaign = {**COFFEE, "stores": [living_console.store_id]}
    campaign_id = server.post("/v1/campaigns", json=campaign).json()["campaign_id"]
    for move in ("submit", "approve"):
        assert server.post(f"/v1/campaigns/{campaign_id}/{move}").status_code == 200
    assert server.post("/v1/devices", json={"device_id": "phone", "consents": CONSENTS}).status_code == 201
    time.sleep(0.5)  # a position is judged by the fence in force when it was recorded
    long_ago = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
    walk = [position(lat=60.2, recorded_at=long_ago), position(accuracy_m=5)]
    body = {"device_id": "phone", "positions": walk}
    assert server.post("/v1/positions", json=body).json()["rejected"] == []
    (message,) = wait_for(lambda: server.get("/v1/devices/phone/inbox").json()["items"])
    assert message["title"] == "Coffee at Shop"
