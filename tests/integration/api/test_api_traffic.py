"""Foot traffic over HTTP: every route, as files too, and nobody sees stores that are not theirs."""

from __future__ import annotations

import csv
import importlib
import io
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from geofences.periods import day_of
from geofences.tables import visits
from offers.claim_tables import claims, redemptions
from tests.support.api import Api, TestTenant, problem
from tests.support.footfall import Visit, put_visits

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = pytest.mark.servers

NINE: Final = datetime(2026, 3, 10, 7, tzinfo=UTC)
"""A Tuesday, 9:00 in Helsinki, long ago."""
MARCH: Final = {"from": "2026-03-01", "to": "2026-04-01"}
_numbers = count(9_000)


@pytest.fixture
def shop(api: Api, tenant: TestTenant) -> str:
    """Twelve devices at nine o'clock and three an hour later; six passed by, one of whom had been inside."""
    store_id = str(tenant.store()["store_id"])
    ledger = [Visit(device, NINE + timedelta(minutes=device), 300.0 * (1 + device % 3)) for device in range(12)]
    ledger += [Visit(device, NINE + timedelta(minutes=70), 600) for device in (20, 21, 22)]
    ledger += [Visit(device, NINE + timedelta(minutes=80), 60) for device in (0, 31, 32, 33, 34, 35)]
    with api.system.begin() as connection:
        put_visits(connection, tenant.tenant_id, int(store_id), ledger, first_id=next(_numbers) * 1000)
    api.roll_traffic()
    return store_id


def _get(tenant: TestTenant, path: str, **params: Any) -> dict[str, Any]:
    answer = tenant.secret.get(f"/v1/traffic{path}", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_series_tells_visits_visitors_dwell_and_passers_by(tenant: TestTenant, shop: str) -> None:
    found = _get(tenant, f"/stores/{shop}/series", grain="day", **{"from": "2026-03-09", "to": "2026-03-12"})
    assert (found["grain"], found["k"], found["timezone"]) == ("day", 5, "Europe/Helsinki")
    before, day, after = found["items"]
    assert day == {
        "starts_at": "2026-03-10T00:00:00+02:00",
        "ends_at": "2026-03-11T00:00:00+02:00",
        # three devices in the hour after rest on fewer than five, and so they do in the sum
        "visits": 12,
        "visitors": 15,
        "new_visitors": 15,
        "returning_visitors": None,
        "median_dwell_s": 600.0,
        "p90_dwell_s": None,
        "passers_by": 5,
        "capture_rate": 0.75,
        "redemptions": None,
        "revenue": [],
        "conversion": None,
    }
    assert {day["visits"] for day in (before, after)} == {None}


@pytest.mark.parametrize(("grain", "starts", "n"), [("week", "2026-02-23", 6), ("month", "2026-03-01", 1)])
def test_edges_that_cut_a_period_are_moved_out(tenant: TestTenant, shop: str, grain: str, starts: str, n: int) -> None:
    found = _get(tenant, f"/stores/{shop}/series", grain=grain, **MARCH)["items"]
    assert (found[0]["starts_at"][:10], len(found)) == (starts, n)
    assert sum(one["visits"] or 0 for one in found) == 12


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_a_day_of_another_length_has_its_hours(tenant: TestTenant, shop: str, day: str) -> None:
    after = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
    found = _get(tenant, f"/stores/{shop}/series", grain="hour", **{"from": day, "to": after})["items"]
    assert len(found) == {"2026-03-29": 23, "2026-10-25": 25}[day]


def test_a_series_comes_as_files(tenant: TestTenant, shop: str) -> None:
    path = f"/v1/traffic/stores/{shop}/series"
    asked = {"grain": "day", "from": "2026-03-10", "to": "2026-03-12"}
    text = tenant.secret.get(path, params={**asked, "format": "csv"}).text
    day, empty = csv.DictReader(io.StringIO(text))
    assert (day["starts_at"], day["visits"], day["capture_rate"]) == ("2026-03-10T00:00:00+02:00", "12", "0.75")
    assert (empty["visits"], empty["visitors"]) == ("", "")
    answer = tenant.secret.get(path, params={**asked, "format": "parquet"})
    parquet: Any = importlib.import_module("pyarrow.parquet")
    rows = parquet.read_table(io.BytesIO(answer.content)).to_pylist()
    assert [row["visits"] for row in rows] == [12, None]
    assert rows[0]["starts_at"].isoformat() == "2026-03-10T00:00:00+02:00"


@pytest.mark.parametrize(("first", "last"), [("2026-03-02", "2026-03-02"), ("2020-01-01", "2026-01-01")])
def test_a_range_must_be_one(tenant: TestTenant, shop: str, first: str, last: str) -> None:
    asked = {"grain": "hour", "from": first, "to": last}
    problem(tenant.secret.get(f"/v1/traffic/stores/{shop}/series", params=asked), 422, "malformed")


def test_dwell_is_a_histogram_of_visitors(tenant: TestTenant, shop: str) -> None:
    found = _get(tenant, f"/stores/{shop}/dwell", grain="week", date="2026-03-12")
    assert (found["date"], found["grain"]) == ("2026-03-09", "week")
    bars = {bar["from_s"]: bar["visits"] for bar in found["items"]}
    # four of 300 s, seven of 600 s, four of 900 s
    assert {begin: visits for begin, visits in bars.items() if visits is not None} == {600: 5}
    assert found["items"][-1]["to_s"] is None
    assert found["median_dwell_s"] == 600.0


def test_today_stands_beside_what_is_usual(api: Api, tenant: TestTenant) -> None:
    store_id = str(tenant.store(timezone="UTC")["store_id"])
    today = api.services.now().replace(hour=0, minute=0, second=0, microsecond=0)
    ledger = [
        Visit(device, today - timedelta(weeks=week) + timedelta(minutes=device), 600)
        for week in range(7)
        for device in range(6 + week)
    ]
    with api.system.begin() as connection:
        put_visits(connection, tenant.tenant_id, int(store_id), ledger, first_id=next(_numbers) * 1000)
    api.roll_traffic()
    found = _get(tenant, f"/stores/{store_id}/today")
    assert found["date"] == today.date().isoformat()
    assert (found["day"]["visits"], found["day"]["returning_visitors"]) == (5, 5), "until it is over, multiples of k"
    # the weeks before had 7, 8, 9, 10, 11 and 12 visits; visitors as they are told: 5, 5, 5, 10, 10, 10
    assert found["usual"] == {"visits": 9.5, "visitors": 7.5}
    assert (found["hours"][0]["visits"], found["hours"][0]["usual_visits"]) == (5, 9.5)
    assert (found["hours"][3]["visits"], found["hours"][3]["usual_visits"]) == (None, None)
    assert len(found["hours"]) == 24


def test_who_is_inside_is_told_in_steps_of_five(api: Api, tenant: TestTenant) -> None:
    store_id = str(tenant.store()["store_id"])
    body = {"type": "Point", "coordinates": [24.9384, 60.1699]}
    given = {"external_id": "f", "geometry": body, "radius_m": 100, "store_id": store_id}
    fence = tenant.secret.post("/v1/fences", json=given)
    assert fence.status_code == 201, fence.text
    now = api.services.now()
    told = []
    for device in range(11):
        with api.system.begin() as connection:
            number = next(iter(put_visits(connection, tenant.tenant_id, int(store_id), [Visit(device, now, 1)],
                                          first_id=next(_numbers) * 1000).values()))  # fmt: skip
            mine = {"status": "open", "fence_id": int(fence.json()["fence_id"]), "exited_at": None, "ended_by": None}
            connection.execute(sa.update(visits).where(visits.c.visit_id == number).values(**mine))
        told.append(_get(tenant, f"/stores/{store_id}/live")["inside"])
    assert told == [0, 0, 0, 0, 5, 5, 5, 5, 5, 10, 10]


def test_stores_come_in_pages(tenant: TestTenant, shop: str) -> None:
    other = str(tenant.store("store-2")["store_id"])
    first = _get(tenant, "/stores", date="2026-03-10", limit=1)
    assert [(one["store_id"], one["visits"], one["visitors"]) for one in first["items"]] == [(shop, 12, 15)]
    second = _get(tenant, "/stores", date="2026-03-10", limit=1, cursor=first["next_cursor"])
    assert [(one["store_id"], one["visits"]) for one in second["items"]] == [(other, None)]
    assert second["next_cursor"] is None
    month = _get(tenant, "/stores", date="2026-03-31", grain="month")
    assert (month["date"], month["items"][0]["visitors"]) == ("2026-03-01", 15)


def test_redemptions_count_once_five_people_redeemed(api: Api, tenant: TestTenant, shop: str) -> None:
    campaign = {
        "name": "Coffee",
        "offer": {"kind": "percentage", "value": 20},
        "creatives": [{"title": "Coffee"}],
        "stores": [shop],
    }
    made = tenant.secret.post("/v1/campaigns", json=campaign)
    campaign_id = int(made.json()["campaign_id"])

    def redeem(people: Iterable[int], currency: str) -> None:
        with api.system.begin() as connection:
            connection.execute(sa.text("SET LOCAL ROLE NONE"))
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
            for person in people:
                number = next(_numbers)
                about = {"tenant_id": tenant.tenant_id, "campaign_id": campaign_id, "decision_id": number}
                claim = {
                    **about, "campaign_version": 1, "person": person, "device_id": person, "source": "push",
                    "code_hash": str(number).encode(), "code_tail": "0000", "created_at": NINE, "expires_at": NINE,
                    "state": "redeemed",
                }  # fmt: skip
                made = sa.insert(claims).values(**claim).returning(claims.c.claim_id)
                redemption = {
                    **about, "claim_id": connection.execute(made).scalar_one(), "store_id": int(shop), "person": person,
                    "amount": 12.5, "currency": currency, "attributed_to": "push", "visited": True, "redeemed_at": NINE,
                }  # fmt: skip
                connection.execute(sa.insert(redemptions).values(**redemption))

    def day() -> dict[str, Any]:
        asked = {"grain": "day", "from": "2026-03-10", "to": "2026-03-11"}
        (found,) = _get(tenant, f"/stores/{shop}/series", **asked)["items"]
        return {name: found[name] for name in ("redemptions", "revenue", "conversion")}

    redeem((0, 1, 2, 3, 3), "EUR")  # five times four people
    assert day() == {"redemptions": None, "revenue": [], "conversion": None}
    redeem(range(10, 11), "USD")
    assert day() == {"redemptions": 6, "revenue": [], "conversion": 0.4}
    redeem(range(4, 6), "EUR")
    assert day() == {"redemptions": 8, "revenue": [{"currency": "EUR", "amount": "87.5"}], "conversion": 0.533}


def test_nobody_sees_the_stores_of_others(api: Api, tenant: TestTenant, shop: str) -> None:
    stranger = api.tenant().secret
    asked: dict[str, dict[str, Any]] = {
        "series": {"grain": "day", **MARCH},
        "today": {},
        "dwell": {"grain": "day", "date": "2026-03-10"},
        "live": {},
        "heat": {"grain": "day", "date": "2026-03-10"},
    }
    for name, params in asked.items():
        path = f"/v1/traffic/stores/{shop}/{name}"
        assert tenant.secret.get(path, params=params).status_code == 200
        problem(stranger.get(path, params=params), 404, "not-found")
    assert stranger.get("/v1/traffic/stores", params={"date": "2026-03-10"}).json()["items"] == []


def test_today_is_each_stores_own(api: Api, tenant: TestTenant) -> None:
    now = datetime.now(UTC)
    came_at = now - timedelta(minutes=10)
    days = {}
    for number, zone in enumerate(("Pacific/Kiritimati", "Pacific/Niue", "Pacific/Apia")):  # 25 hours apart
        store_id = int(tenant.store(external_id=zone, timezone=zone)["store_id"])
        ledger = [Visit(device, came_at, 300) for device in range(5 + 5 * number)]
        with api.system.begin() as connection:
            put_visits(connection, tenant.tenant_id, store_id, ledger, first_id=next(_numbers) * 1000)
        days[zone] = day_of(came_at, ZoneInfo(zone))
    api.roll_traffic()
    found = _get(tenant, "/stores")
    assert (found["date"], found["grain"]) == (None, "day")
    told = {one["timezone"]: (one["date"], one["visits"]) for one in found["items"]}
    assert told == {zone: (day.isoformat(), 5 + 5 * number) for number, (zone, day) in enumerate(days.items())}
    other = days["Pacific/Niue"]
    assert other != days["Pacific/Kiritimati"]
    found = _get(tenant, "/stores", date=other)
    assert [one["visits"] for one in found["items"]][:2] == [None, 10]
    months = _get(tenant, "/stores", grain="month")["items"]
    assert [one["date"] for one in months] == [day.replace(day=1).isoformat() for day in days.values()]


def test_a_day_that_a_zone_leaves_out_is_empty(tenant: TestTenant) -> None:
    store_id = tenant.store(timezone="Pacific/Apia")["store_id"]
    day = {"grain": "day", "date": "2011-12-30"}
    (found,) = _get(tenant, "/stores", **day)["items"]
    assert found["starts_at"] == found["ends_at"] == "2011-12-31T00:00:00+14:00"
    assert found["visits"] is None
    assert _get(tenant, f"/stores/{store_id}/heat", **day)["items"] == []
    assert {bar["visits"] for bar in _get(tenant, f"/stores/{store_id}/dwell", **day)["items"]} == {None}
    asked = {"grain": "day", "from": "2011-12-30", "to": "2011-12-31"}
    problem(tenant.secret.get(f"/v1/traffic/stores/{store_id}/series", params=asked), 422, "malformed")
