"""Three people do their whole jobs in a browser.

A marketer draws a fence and has a campaign approved by somebody else; a shopper walks in, is told by the open app and
by a push, and claims; the till redeems, and the figures of both the store and the campaign move.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect

from lbs.tables import Role
from tests.browser.test_app import FAR, NEARER, SHOP, SHOWN, begin, deliver_push, move, push_target
from tests.support.api import wait_for
from tests.support.browser import DESKTOP, PHONE, screenshot
from tests.support.receivers import WebPushReceiver
from tests.support.town import ALL

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from geofences.model import LatLng
    from tests.support.browser import OpenPage
    from tests.support.console import Console

pytestmark = [pytest.mark.servers, pytest.mark.slow]

CAMPAIGN = "Coffee for those who come in"
MESSAGE = "20% off at Shop"
OTHERS = [f"other-{n}" for n in range(9)]
"""Phones that come besides the shopper's: a dashboard says nothing of fewer than five."""
STAY_S = 125
"""Who stays less than two minutes only passes by; a visit counts once it has ended."""


def sign_in(page: Page, console: Console, role: Role) -> None:
    """By the form, as a person does."""
    person = console.person(role)
    page.goto(console.url())
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_role("textbox", name="Password").fill(person.password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Account").wait_for()


def draw_fence(page: Page, console: Console) -> None:
    """A circle about the store, with the mouse."""
    page.goto(console.url(f"stores/{console.store_id}"))
    page.get_by_role("link", name="New fence").click()
    page.get_by_role("button", name="Remove the shape").click()
    page.get_by_role("button", name="Draw a circle").click()
    around = page.locator("[data-map-ready=true] canvas").first
    around.wait_for()
    page.wait_for_timeout(1_000)  # until the map has come to rest over the store
    box = around.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.click(x, y)
    page.mouse.move(x + 60, y, steps=5)
    page.mouse.click(x + 120, y)
    expect(page.get_by_text(re.compile(r"\d cells? of resolution \d"))).to_be_visible()
    drawn_m = float(page.get_by_label("Radius").input_value().removesuffix(" m"))
    assert 40 < drawn_m < 140, "the walk below begins outside"
    page.get_by_label("Name", exact=True).fill("The door")
    page.get_by_role("button", name="When somebody counts as inside").click()
    page.get_by_text("Plain", exact=True).click()
    screenshot(page, "job-fence")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="The door").first.wait_for()
    (fence,) = console.server.get("/v1/fences").json()["items"]
    assert (fence["store_id"], fence["radius_m"]) == (console.store_id, drawn_m)


def write_campaign(page: Page) -> str:
    """Written and submitted; its number."""
    page.get_by_role("link", name="Campaigns").click()
    page.get_by_role("link", name="New campaign").click()
    page.get_by_label("Name").first.fill(CAMPAIGN)
    page.get_by_text("Fences", exact=True).last.click()
    page.get_by_role("checkbox", name="The door").check()
    page.get_by_role("textbox", name="Percent off").fill("20")
    page.get_by_role("textbox", name="Currency").fill("EUR")
    page.get_by_role("textbox", name="Title").fill("{price} off at {store}")
    page.get_by_role("textbox", name="Text", exact=True).fill("Until {ends}")
    page.get_by_role("button", name="When it is on").click()
    page.get_by_text("It is always on.").wait_for()
    screenshot(page, "job-campaign")
    page.get_by_role("button", name="Save and submit").last.click()
    page.get_by_text("You wrote or submitted it, so somebody else has to approve it.").wait_for()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)
    return page.url.rpartition("/")[2]


def approve(page: Page, console: Console) -> None:
    page.goto(console.url("campaigns"))
    page.get_by_role("link", name=CAMPAIGN).first.click()
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    page.get_by_text("Live", exact=True).wait_for()
    page.get_by_role("tab", name="Results").click()
    expect(step(page, "Offered")).to_contain_text("0")


def step(page: Page, name: str) -> Locator:
    """A row of the campaign's funnel."""
    return page.get_by_role("row", name=re.compile(f"^{name}"))


def others_come(console: Console) -> None:
    for name in OTHERS:
        made = console.server.post("/v1/devices", json={"device_id": name, "consents": ALL})
        assert made.status_code == httpx.codes.CREATED, made.text
    others_move(console, SHOP)


def others_move(console: Console, place: LatLng) -> None:
    for name in OTHERS:
        at = {"lat": place.lat, "lng": place.lng, "accuracy_m": 5, "recorded_at": datetime.now(UTC).isoformat()}
        answer = console.server.post("/v1/positions", json={"device_id": name, "positions": [at]})
        assert answer.json() == {"accepted": 1, "rejected": []}


def others_buy(console: Console, campaign_id: str) -> None:
    """Each for ten euros."""
    for name in OTHERS:
        claimed = console.server.post("/v1/claims", json={"campaign_id": campaign_id, "device_id": name}).json()
        used = {"code": claimed["code"], "store_id": console.store_id, "amount": "10", "currency": "EUR"}
        answer = console.server.post("/v1/redemptions/verify", json=used)
        assert answer.status_code == httpx.codes.OK, answer.text


def figure(page: Page, name: str) -> Locator:
    """A tile of the dashboard."""
    return page.get_by_role("group", name=name, exact=True)


def told_twice(page: Page, browser: WebPushReceiver) -> None:
    """By the stream of the open app, and by the push that our sender encrypted for this device."""
    page.get_by_role("alert").get_by_text(MESSAGE).wait_for()
    screenshot(page, "job-offer")
    wait_for(lambda: browser.received)
    assert browser.problems == []
    worker, registration = push_target(page)
    deliver_push(page, worker, registration, browser.received[0].raw.decode())
    wait_for(lambda: [title for title, *_ in page.evaluate(SHOWN)] == [MESSAGE])


def claim(page: Page, console: Console, device_id: str) -> str:
    """The code that the phone shows."""
    page.get_by_role("button", name="Look at it").click()
    page.get_by_role("button", name="Get this offer").click()
    page.get_by_alt_text("QR code of your offer").wait_for()
    screenshot(page, "job-claim")
    (claimed,) = console.server.get("/v1/claims", params={"device_id": device_id}).json()["items"]
    expect(page.get_by_text(claimed["code"])).to_be_visible()
    return str(claimed["code"])


def redeem(page: Page, console: Console, code: str) -> None:
    page.goto(console.url("till"))
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Look it up").click()
    page.get_by_label("Order total").fill("25")
    page.get_by_label("Order number").fill("A-17")
    page.get_by_role("button", name="Redeem").click()
    page.get_by_text("Redeemed", exact=True).wait_for()
    expect(page.get_by_text("to pay: €20.00")).to_be_visible()
    screenshot(page, "job-till")


def test_marketer_shopper_and_store_do_their_jobs(open_page: OpenPage, living_console: Console) -> None:
    console = living_console
    signed_out = {"expected": ("status of 401",)}  # so the API answers who asks whether anybody is signed in
    marketer, approver, store = (open_page(DESKTOP, **signed_out) for _ in range(3))
    sign_in(marketer, console, Role.MARKETER)
    draw_fence(marketer, console)
    campaign_id = write_campaign(marketer)
    sign_in(approver, console, Role.APPROVER)
    approve(approver, console)
    moves = console.server.get(f"/v1/campaigns/{campaign_id}/history").json()["moves"]
    assert [one["move"] for one in moves] == ["submit", "approve"]
    assert moves[0]["actor"] != moves[1]["actor"]

    sign_in(store, console, Role.STORE_MANAGER)
    store.goto(console.url(f"dashboard/{console.store_id}"))
    for name in ("Inside now", "Visitors", "Redemptions", "Revenue with offers"):
        expect(figure(store, name)).to_contain_text("fewer than 5")
    others_come(console)
    came_s = time.monotonic()
    expect(figure(store, "Inside now")).to_contain_text("5 or more")

    with WebPushReceiver() as browser:
        phone = open_page(PHONE, at=FAR, permissions=("notifications",))
        device = begin(phone, console, "Use my position", "Send me offers", "Count my visits")["id"]
        channel = {"channels": [{"type": "webpush", "address": browser.subscription()}]}
        assert console.server.patch(f"/v1/devices/{device}", json=channel).status_code == httpx.codes.OK
        move(phone, NEARER)
        wait_for(lambda: console.server.get(f"/v1/devices/{device}/export").json()["positions"])
        phone.wait_for_timeout(3_000)  # nobody runs faster than 70 m/s
        move(phone, SHOP)
        told_twice(phone, browser)
    expect(figure(store, "Inside now")).to_contain_text("10 or more")
    others_buy(console, campaign_id)
    redeem(store, console, claim(phone, console, device))
    phone.get_by_text("Used at the till").wait_for()

    for name, number in (("Offered", 10), ("Opened", 1), ("Claimed", 10), ("Redeemed", 10)):
        expect(step(approver, name)).to_contain_text(str(number))
    expect(approver.get_by_text("Revenue of those purchases: €115.00")).to_be_visible()
    screenshot(approver, "job-results")
    store.wait_for_timeout(max(0, 1_000 * (STAY_S - (time.monotonic() - came_s))))
    others_move(console, FAR)
    store.goto(console.url(f"dashboard/{console.store_id}"))
    for name, shown in (("Visitors", "5"), ("Redemptions", "10"), ("Revenue with offers", "€115.00")):
        expect(figure(store, name)).to_contain_text(shown)
    screenshot(store, "job-dashboard")
