"""The shopper's app on a phone: somebody walks up to a shop, gets its offer, claims it and uses it; pushes are shown
once; who tells no position finds offers too; and what is held goes when it is asked to go.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import expect

from geofences.model import LatLng
from tests.support.api import HELSINKI, wait_for
from tests.support.browser import PHONE, check_accessible, screenshot
from tests.support.live import COFFEE

if TYPE_CHECKING:
    from playwright.sync_api import CDPSession, Page

    from tests.support.browser import OpenPage
    from tests.support.console import Console

pytestmark = pytest.mark.servers

FAR = LatLng(lat=HELSINKI["lat"] + 0.0018, lng=HELSINKI["lng"])
NEARER = LatLng(lat=HELSINKI["lat"] + 0.0014, lng=HELSINKI["lng"])
SHOP = LatLng(**HELSINKI)
DEVICE = """() => new Promise((done, failed) => {
  const opening = indexedDB.open('lbs')
  opening.onerror = () => failed(opening.error)
  opening.onsuccess = () => {
    const asked = opening.result.transaction('values').objectStore('values').get('device')
    asked.onsuccess = () => { opening.result.close(); done(asked.result ?? null) }
  }
})"""
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
  .map(one => [one.title, one.body, one.data.id])"""


def shop(console: Console, **more: Any) -> str:
    """A fence round the store and a live campaign; its number."""
    fence = {"external_id": "door", "store_id": console.store_id, "profile": "plain", "center": HELSINKI}
    assert console.server.post("/v1/fences", json={**fence, "radius_m": 100}).status_code == httpx.codes.CREATED
    campaign = {**COFFEE, "stores": [console.store_id], **more}
    campaign_id = str(console.server.post("/v1/campaigns", json=campaign).json()["campaign_id"])
    for move in ("submit", "approve"):
        assert console.server.post(f"/v1/campaigns/{campaign_id}/{move}").status_code == httpx.codes.OK
    return campaign_id


def begin(page: Page, console: Console, *purposes: str) -> dict[str, str]:
    """Opens the app for the first time and agrees to what is named; the device as the app keeps it."""
    page.goto(console.app_url())
    for purpose in purposes:
        page.get_by_role("switch", name=purpose).check()
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("heading", name="Offers nearby").wait_for()
    assert "lbs_pk_" not in page.url
    return dict(page.evaluate(DEVICE))


def move(page: Page, place: LatLng) -> None:
    page.context.set_geolocation({"latitude": place.lat, "longitude": place.lng, "accuracy": 5})


def test_a_shopper_walks_up_to_a_shop_and_uses_its_offer(open_page: OpenPage, living_console: Console) -> None:
    console = living_console
    shop(console, offer={"kind": "percentage", "value": 20, "terms": "One a person"})
    page = open_page(PHONE, at=FAR)
    device = begin(page, console, "Use my position", "Send me offers")
    expect(page.get_by_text(re.compile("Your position is shared"))).to_be_visible()
    move(page, NEARER)  # what a browser knew before the consent is not stored
    wait_for(lambda: console.server.get(f"/v1/devices/{device['id']}/export").json()["positions"])
    check_accessible(page)
    page.wait_for_timeout(3_000)  # nobody runs faster than 70 m/s
    move(page, SHOP)
    page.get_by_role("alert").get_by_text("Coffee at Shop").wait_for()
    expect(page.get_by_role("link", name="Inbox, 1 new")).to_be_visible()
    screenshot(page, "app-offer-arrives")
    page.get_by_role("button", name="Look at it").click()
    page.get_by_role("button", name="Get this offer").click()
    expect(page.get_by_alt_text("QR code of your offer")).to_be_visible()
    check_accessible(page)
    screenshot(page, "app-claim")
    (claimed,) = console.server.get("/v1/claims", params={"device_id": device["id"]}).json()["items"]
    expect(page.get_by_text(claimed["code"])).to_be_visible()
    used = {"code": claimed["code"], "store_id": console.store_id, "order_id": "1"}
    assert console.server.post("/v1/redemptions/verify", json=used).status_code == httpx.codes.OK
    expect(page.get_by_text("Used at the till")).to_be_visible()
    expect(page.get_by_role("link", name="Inbox", exact=True)).to_be_visible()
    held = console.server.get(f"/v1/devices/{device['id']}/export").json()
    (message,) = held["notifications"]
    assert all(message[f"{event}_at"] for event in ("delivered", "displayed", "opened"))


def test_a_push_is_shown_once(open_page: OpenPage, console: Console) -> None:
    page = open_page(PHONE, permissions=("notifications",))
    begin(page, console)
    worker, registration = push_target(page)
    payload = {"id": "AAAAAAAAAAE", "title": "Coffee at Shop", "body": "20 %", "data": {"campaign_id": "1"}}
    for _ in range(2):
        deliver_push(page, worker, registration, json.dumps(payload))
    wait_for(lambda: page.evaluate(SHOWN) == [["Coffee at Shop", "20 %", "AAAAAAAAAAE"]])
    deliver_push(page, worker, registration, json.dumps({**payload, "id": "AAAAAAAAAAI", "title": "Tea"}))
    wait_for(lambda: len(page.evaluate(SHOWN)) == 2)
    kept = page.evaluate(RECEIPTS)
    assert sorted(kept) == sorted(f"AAAAAAAAAA{one} {event}" for one in "EI" for event in ("delivered", "displayed"))


RECEIPTS = """() => new Promise(done => {
  const opening = indexedDB.open('lbs')
  opening.onsuccess = () => {
    const asked = opening.result.transaction('receipts').objectStore('receipts').getAllKeys()
    asked.onsuccess = () => { opening.result.close(); done(asked.result) }
  }
})"""


def push_target(page: Page) -> tuple[CDPSession, str]:
    page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
    session = page.context.new_cdp_session(page)
    found: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda told: found.extend(one["registrationId"] for one in told["registrations"] if not one["isDeleted"]),
    )
    session.send("ServiceWorker.enable")
    for _ in range(100):
        if found:
            break
        page.wait_for_timeout(50)
    return session, found[0]


def deliver_push(page: Page, session: CDPSession, registration: str, payload: str) -> None:
    origin = page.evaluate("() => location.origin")
    given = {"origin": origin, "registrationId": registration, "data": payload}
    session.send("ServiceWorker.deliverPushMessage", given)


def test_offers_are_found_without_a_position_and_the_app_opens_without_a_network(
    open_page: OpenPage, living_console: Console
) -> None:
    console = living_console
    shop(console)
    page = open_page(PHONE, expected=("ERR_INTERNET_DISCONNECTED", "Failed to load resource"))
    device = begin(page, console)
    page.get_by_role("button", name="Choose a place").first.click()
    page.get_by_label("A shop, street or town").fill("shop")
    page.get_by_role("button", name="Shop", exact=True).click()
    page.get_by_role("link", name="Coffee at Shop").wait_for()
    assert console.server.get(f"/v1/devices/{device['id']}/export").json()["positions"] == []
    page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")
    page.context.set_offline(True)
    page.goto(f"{console.site.url}/app/me")
    page.get_by_role("heading", name="Me", exact=True).wait_for()
    expect(page.get_by_text(re.compile("No network"))).to_be_visible()
    page.context.set_offline(False)


def test_what_is_held_goes_when_it_is_asked_to_go(open_page: OpenPage, console: Console) -> None:
    page = open_page(PHONE)
    device = begin(page, console, "Count my visits")
    (consent,) = (
        one
        for one in console.server.get(f"/v1/devices/{device['id']}").json()["consents"]
        if one["purpose"] == "analytics"
    )
    assert (consent["granted"], consent["source"]) == (True, "app")
    page.goto(f"{console.site.url}/app/me/data")
    page.get_by_role("cell", name=re.compile("What you agreed to")).wait_for()
    check_accessible(page)
    page.get_by_role("button", name="Erase …").click()
    page.get_by_role("button", name="Erase", exact=True).click()
    page.get_by_role("button", name="Begin").wait_for()
    assert console.server.get(f"/v1/devices/{device['id']}").status_code == httpx.codes.NOT_FOUND
    assert page.evaluate(DEVICE) is None
