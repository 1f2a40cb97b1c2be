"""Two thousand triggers on a hundred coupons, with workers killed at random: exactly a hundred are held, none leaks."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from geofences.model import LatLng
from geofences.tables import devices
from lbs import clock
from offers import ledger
from tests.support.cli import command_environment
from tests.support.dying_workers import Workers, dying_workers
from tests.support.road import HELSINKI, Road, open_road

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

PEOPLE, PHONES = 1_000, 2
COUPONS, MONEY_EUR, COST_EUR = 100, 250, 5
KILLS, MOST_KILLS = 5, 30
"""At least and at most: on a slow machine workers that always die in their first second would never be done."""
OUTSIDE = LatLng(lat=HELSINKI.lat + 0.01, lng=HELSINKI.lng)


@pytest.fixture
def road(fresh_database_url: str, redis_url: str, redis_prefix: str) -> Iterator[Road]:
    with open_road(fresh_database_url, redis_url, redis_prefix, clock=clock.now, decides=False) as opened:
        yield opened


def _walk_in(road: Road, workers: Workers) -> None:
    """All phones walk in, forty at a time, so that workers die between, in and after their decisions."""
    names = [f"{person}/{phone}" for phone in range(PHONES) for person in range(PEOPLE)]
    ids = [road.device(name) for name in names]
    with road.database.begin() as connection:
        connection.execute(
            sa.update(devices).values(
                external_user_id=sa.func.split_part(devices.c.external_id, "/", 1), user_vouched=True
            )
        )
    for first in range(0, len(ids), 40):
        for device_id in ids[first : first + 40]:
            road.report(device_id, OUTSIDE, HELSINKI, every_s=60)
        time.sleep(0.1)  # else all is decided before a single worker dies
    decided = "SELECT count(*) FROM offers.decisions"
    give_up_s = time.monotonic() + 480
    while road.rows(decided)[0][0] < 2 * len(ids) or workers.killed < KILLS:
        assert time.monotonic() < give_up_s, f"{road.rows(decided)[0][0]} decided, {workers.killed} killed"
        time.sleep(0.1)  # between two looks at the table


def test_exactly_as_many_are_held_as_there_are_and_all_come_back(
    road: Road, fresh_database_url: str, redis_url: str, redis_prefix: str, tmp_path: Path
) -> None:
    road.store("shop")
    once = {"caps": [{"count": 1}], "reservation_ttl_s": 3_000, "staleness_s": 3_000}
    coupons = road.campaign(stock=COUPONS, **once)
    offer = {"kind": "amount", "value": COST_EUR, "currency": "EUR"}
    money = road.campaign(offer=offer, budget={"currency": "EUR", "total": MONEY_EUR, "per_day": 10_000}, **once)
    environment = command_environment(
        tmp_path, LBS_DATABASE_URL=fresh_database_url, LBS_REDIS_URL=redis_url, LBS_REDIS_PREFIX=redis_prefix
    )
    with dying_workers(environment, tmp_path, kills=MOST_KILLS) as workers:
        _walk_in(road, workers)
    assert workers.killed >= KILLS

    held = (
        "SELECT count(*), count(DISTINCT device_id) FROM offers.reservations WHERE campaign_id = :id AND state = 'held'"
    )
    assert road.rows(held, id=coupons) == [(COUPONS, COUPONS)]
    assert road.rows(held, id=money) == [(MONEY_EUR // COST_EUR, MONEY_EUR // COST_EUR)]
    persons = (
        "SELECT max(n) FROM (SELECT count(*) AS n FROM offers.reservations JOIN geofences.devices USING (device_id)"
        " GROUP BY campaign_id, external_user_id) AS each_person"
    )
    assert road.rows(persons) == [(1,)]
    reasons = "SELECT DISTINCT reason FROM offers.decisions WHERE outcome = 'suppressed' ORDER BY reason"
    assert road.rows(reasons) == [("budget",), ("cap",), ("stock",)]
    reserved = "SELECT reserved FROM offers.campaigns WHERE campaign_id = :id"
    budgets = "SELECT split_part(scope, ':', 1), reserved FROM offers.budgets WHERE campaign_id = :id ORDER BY 1"
    assert road.rows(reserved, id=coupons) == [(COUPONS,)]
    assert [(row[0], float(row[1])) for row in road.rows(budgets, id=money)] == [
        ("day", MONEY_EUR), ("store", MONEY_EUR), ("total", MONEY_EUR),
    ]  # fmt: skip

    _release_at_once(road)
    assert road.rows(held, id=coupons) == road.rows(held, id=money) == [(0, 0)]
    assert road.rows(reserved, id=coupons) == [(0,)]
    assert {float(row[1]) for row in road.rows(budgets, id=money)} == {0.0}


def _release_at_once(road: Road) -> None:
    """Four schedulers that all think they lead give back what has ended."""
    later = clock.now() + timedelta(hours=1)
    released = []

    def release() -> None:
        with road.database.begin() as connection:
            released.append(ledger.release_expired(connection, now=later))

    threads = [threading.Thread(target=release) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(released) == COUPONS + MONEY_EUR // COST_EUR
