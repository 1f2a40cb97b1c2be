"""A tenant with all that its pages can show: shops, fences, campaigns in every state, eight weeks of visits, claims."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa

from geofences.traffic_tables import traffic_seen
from tests.support.api import wait_for
from tests.support.console import new_tenant
from tests.support.footfall import Visit, put_visits
from tests.support.live import COFFEE
from tests.support.town import ALL

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from tests.support.console import Console, Site

SHOPS: Final = (
    ("Kahvila Esplanadi", 60.1675, 24.9455, "Pohjoisesplanadi 21", "Mo-Fr 07:30-20:00; Sa-Su 09:00-18:00"),
    ("Kahvila Kamppi", 60.1688, 24.9320, "Urho Kekkosen katu 1", "Mo-Sa 08:00-21:00; Su 11:00-18:00"),
    ("Kahvila Kallio", 60.1841, 24.9497, "Fleminginkatu 15", "Mo-Su 00:00-24:00"),
)
BUSY: Final = (0, 0, 0, 0, 0, 0, 0, 2, 5, 6, 5, 7, 11, 10, 7, 6, 7, 9, 8, 5, 3, 1, 0, 0)
"""How the visits of a day lie in its hours, in the shops' time."""
WEEKS: Final = 8
REGULARS: Final = 900
_numbers = count(700_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnished:
    console: Console
    ids: Mapping[str, str]
    """What addresses of pages name: store, fence, live, draft, submitted, webhook."""


def _made(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    assert answer.status_code in (statuses or (200, 201)), answer.text
    return dict(answer.json()) if answer.content else {}


def furnish(site: Site) -> Furnished:
    console = new_tenant(site)
    server = console.server
    stores, fences = [], []
    for number, (name, lat, lng, address, hours) in enumerate(SHOPS):
        body = {
            "external_id": f"cafe-{number}", "name": name, "lat": lat, "lng": lng, "address": address,
            "opening_hours": hours, "brand": "Kahvila", "categories": ["cafe"],
        }  # fmt: skip
        stores.append(str(_made(server.post("/v1/stores", json=body))["store_id"]))
        fence = {"external_id": f"cafe-{number}", "name": name, "store_id": stores[-1], "radius_m": 90 + 20 * number}
        fences.append(
            str(_made(server.post("/v1/fences", json={**fence, "center": {"lat": lat, "lng": lng}}))["fence_id"])
        )
    ids = {"store": stores[0], "fence": fences[0], **_campaigns(server, stores)}
    hook = _made(server.post("/v1/webhooks", json={"url": f"{site.url}/nobody", "events": ["visit.entered"]}))
    ids["webhook"] = str(hook["webhook_id"])
    with site.system.begin() as connection:
        _visits(connection, console, [int(store) for store in stores])
    _shoppers(server, ids["live"], stores[0])
    _made(server.delete(f"/v1/stores/{console.store_id}"), 204)
    return Furnished(console=replace(console, store_id=stores[0]), ids=ids)


def _campaigns(server: httpx.Client, stores: list[str]) -> dict[str, str]:
    wanted: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
        "live": ("Coffee and a bun", ("submit", "approve"), {"stock": 500}),
        "submitted": ("Lunch for regulars", ("submit",), {"holdout_share": 0.1}),
        "draft": ("Evening tea", (), {"stores": stores[:1]}),
        "paused": ("Winter soup", ("submit", "approve", "pause"), {}),
    }
    found = {}
    for state, (name, moves, more) in wanted.items():
        offer = {
            "kind": "percentage",
            "value": 20,
            "currency": "EUR",
            "terms": "One for each person. Not with other offers.",
        }
        creatives = [{"locale": "en", "title": "{price} off at {store}", "body": "A bun of today with your coffee."}]
        body = {**COFFEE, "name": name, "brand": "Kahvila", "offer": offer, "creatives": creatives, **more}
        found[state] = str(_made(server.post("/v1/campaigns", json=body))["campaign_id"])
        for move in moves:
            _made(server.post(f"/v1/campaigns/{found[state]}/{move}"))
    return found


def _visits(connection: sa.Connection, console: Console, stores: list[int]) -> None:
    chance = random.Random(3)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    now = datetime.now(UTC)
    for number, store in enumerate(stores):
        ledger: dict[tuple[int, datetime], Visit] = {}
        for day in range(7 * WEEKS + 1):
            date = midnight - timedelta(days=day)
            weekend = 0.7 if date.weekday() >= 5 else 1.0
            for hour, weight in enumerate(BUSY):
                for _ in range(round(weight * weekend * chance.uniform(0.7, 1.3) * (1.6 - 0.4 * number))):
                    device = 1_000_000 * number + min(int(chance.expovariate(4 / REGULARS)), REGULARS - 1)
                    # the hours are those of Helsinki in winter
                    at = date + timedelta(hours=hour - 2, seconds=chance.randrange(3_600))
                    length_s = 45.0 if chance.random() < 0.3 else 120 + chance.expovariate(1 / 900)
                    if at + timedelta(seconds=length_s) < now:
                        ledger[device, at] = Visit(device, at, length_s)
        put_visits(connection, console.tenant_id, store, list(ledger.values()), first_id=next(_numbers) * 10_000)
        lat, lng = SHOPS[number][1:3]
        door = h3.latlng_to_cell(lat, lng, 10)
        rows = [
            {
                "tenant_id": console.tenant_id,
                "cell_r10": cell,
                "day": midnight.date(),
                "device_id": 10_000 * number + one,
            }
            for cell in h3.grid_disk(door, 9)
            for one in range(int(chance.expovariate((1 + h3.grid_distance(cell, door)) / 60)))
        ]
        connection.execute(sa.insert(traffic_seen), rows)


def _shoppers(server: httpx.Client, campaign: str, store: str) -> None:
    """Twelve who claimed, eight of whom came to the till."""
    for number in range(12):
        device = f"shopper-{number}"
        _made(server.post("/v1/devices", json={"device_id": device, "consents": ALL}))
        claimed = _made(
            server.post("/v1/claims", json={"campaign_id": campaign, "device_id": device, "store_id": store})
        )
        if number < 8:
            used = {"code": claimed["code"], "store_id": store, "amount": f"{7 + number}.50", "currency": "EUR"}
            _made(server.post("/v1/redemptions/verify", json={**used, "order_id": f"A-{100 + number}"}))


@pytest.fixture(scope="session")
def furnished(console_site: Site, _console_processes: None) -> Furnished:
    made = furnish(console_site)
    weeks = f"/v1/traffic/stores/{made.ids['store']}/series"
    day = datetime.now(UTC).date() - timedelta(days=14)
    last = {"grain": "week", "from": str(day), "to": str(day + timedelta(days=1))}
    # the scheduler's roller has worked out the weeks
    wait_for(lambda: made.console.server.get(weeks, params=last).json()["items"][0]["visits"])
    return made
