"""Scheduled offers at a store's own time, and the scheduler's other jobs, over real PostgreSQL and Redis."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from geofences.model import Kept, LatLng
from geofences.store import set_retention
from geofences.tables import visits
from offers.scheduler import Scheduler
from tests.support.road import HELSINKI, MovableClock, Road, open_road

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers

NEAR = LatLng(lat=60.1735, lng=24.9384)  # 400 m north
FAR = LatLng(lat=60.25, lng=24.9384)
LUNCH = {"type": "scheduled", "at": "12:00", "days": ["mo"], "radius_m": 600, "seen_within_s": 900}


@pytest.fixture
def clock() -> MovableClock:
    made = MovableClock()
    made.forward(minutes=-5)  # 11:55 in Helsinki
    return made


@pytest.fixture
def road(fresh_database_url: str, redis_url: str, redis_prefix: str, clock: MovableClock) -> Iterator[Road]:
    with open_road(fresh_database_url, redis_url, redis_prefix, clock=clock) as opened:
        yield opened


@pytest.fixture
def scheduler(road: Road, clock: MovableClock) -> Scheduler:
    return Scheduler(database=road.database, now=clock, beat=lambda: None, retention=timedelta(days=7))


def _seen(road: Road, **devices: LatLng) -> None:
    for name, place in devices.items():
        road.report(road.device(name), place)
    road.eventually("SELECT count(*) FROM geofences.device_last", [(len(devices),)])


def test_lunch_comes_at_twelve_to_those_who_are_near(road: Road, scheduler: Scheduler, clock: MovableClock) -> None:
    road.store("s1")
    road.campaign(trigger=LUNCH)
    _seen(road, inside=HELSINKI, near=NEAR, far=FAR)
    scheduler.begin_occasions()
    assert road.rows("SELECT 1 FROM offers.occasions") == []
    clock.forward(minutes=5, seconds=1)
    scheduler.begin_occasions()
    road.eventually(
        "SELECT v.external_id, d.outcome, d.trigger_type FROM offers.decisions d"
        " JOIN geofences.devices v USING (device_id) ORDER BY 1",
        [("inside", "offered", "scheduled"), ("near", "offered", "scheduled")],
    )


def test_looking_twice_or_from_a_second_scheduler_brings_no_second_offer(
    road: Road, scheduler: Scheduler, clock: MovableClock
) -> None:
    road.store("s1")
    road.campaign(trigger=LUNCH, caps=[])
    _seen(road, near=NEAR)
    clock.forward(minutes=6)
    other = Scheduler(database=road.database, now=clock, beat=lambda: None, retention=timedelta(days=7))
    for _ in range(2):
        scheduler.begin_occasions()
        other.begin_occasions()
    road.eventually("SELECT count(*) FROM offers.decisions", [(1,)])


def test_a_store_in_another_zone_has_its_own_noon(road: Road, scheduler: Scheduler, clock: MovableClock) -> None:
    road.store("s1", timezone="Europe/London")
    road.campaign(trigger=LUNCH)
    _seen(road, near=NEAR)
    clock.forward(minutes=6)
    scheduler.begin_occasions()
    assert road.rows("SELECT 1 FROM offers.occasions") == []


def test_a_scheduler_that_was_dead_delays_and_never_sends_too_late(
    road: Road, scheduler: Scheduler, clock: MovableClock
) -> None:
    road.store("s1")
    road.campaign(trigger={**LUNCH, "seen_within_s": 7200})
    _seen(road, near=NEAR)
    clock.forward(minutes=5 + 20)
    scheduler.begin_occasions()
    road.eventually("SELECT outcome, reason FROM offers.decisions", [("suppressed", "staleness")])


def test_what_was_due_before_it_went_live_is_over(road: Road, clock: MovableClock) -> None:
    """Whatever a scheduler that takes over looks back at."""
    road.store("s1")
    _seen(road, near=NEAR)
    clock.forward(minutes=8)
    road.campaign(trigger=LUNCH, staleness_s=86_400)
    clock.forward(minutes=2)
    late = Scheduler(database=road.database, now=clock, beat=lambda: None, retention=timedelta(days=7))
    late.begin_occasions()
    assert road.rows("SELECT 1 FROM offers.occasions") == []


def test_what_was_held_too_long_goes_back_to_the_stock(road: Road, scheduler: Scheduler, clock: MovableClock) -> None:
    road.store("s1")
    road.campaign(stock=5, reservation_ttl_s=600)
    road.report(road.device("anna"), HELSINKI)
    road.eventually("SELECT reserved FROM offers.campaigns", [(1,)])
    clock.forward(minutes=9)
    scheduler.release_expired()
    assert road.rows("SELECT state FROM offers.reservations") == [("held",)]
    clock.forward(minutes=2)
    scheduler.release_expired()
    scheduler.release_expired()
    assert road.rows("SELECT state, release_reason FROM offers.reservations") == [("released", "expired")]
    assert road.rows("SELECT reserved FROM offers.campaigns") == [(0,)]


COUNTS = (
    "SELECT (SELECT count(*) FROM geofences.positions), (SELECT count(*) FROM geofences.visits),"
    " (SELECT count(*) FROM geofences.events), (SELECT count(*) FROM offers.decisions),"
    " (SELECT count(*) FROM offers.notifications)"
)


def test_a_tenant_that_wants_less_keeps_less(road: Road, scheduler: Scheduler, clock: MovableClock) -> None:
    """Anna's day is over; Bert is still there, and has come three days later."""
    road.store("s1")
    road.campaign(caps=[])
    anna, bert = road.device("anna"), road.device("bert")
    road.report(anna, HELSINKI, FAR, every_s=600)
    road.eventually("SELECT status FROM geofences.visits", [("closed",)])
    road.eventually("SELECT state FROM offers.notifications", [("sent",)])
    with road.database.begin() as connection:
        # a retraction of consent, say, has ended what a position could change
        connection.execute(sa.update(visits).values(settled_at=clock()))
        make = sa.text("SELECT geofences.make_partitions(:day, :day)")
        connection.execute(make, {"day": (clock() + timedelta(days=3)).date()})
    clock.forward(days=3)
    road.report(bert, HELSINKI)
    road.eventually("SELECT count(*) FROM offers.notifications WHERE state = 'sent'", [(2,)])
    events = road.rows("SELECT count(*) FROM geofences.events")[0][0]

    scheduler.forget_old()
    assert road.rows(COUNTS) == [(3, 2, events, 2, 2)], "nobody asked for less"
    with road.database.begin() as connection:
        set_retention(connection, road.tenant_id, {Kept.POSITIONS: 2, Kept.DECISIONS: 4, Kept.NOTIFICATIONS: 2})
    scheduler.forget_old()
    assert road.rows(COUNTS) == [(1, 2, events, 2, 1)]
    with road.database.begin() as connection:
        days = {Kept.POSITIONS: None, Kept.DECISIONS: 2, Kept.VISITS: 2, Kept.EVENTS: 2}
        assert set_retention(connection, road.tenant_id, days) == {
            "decisions": 2,
            "notifications": 2,
            "visits": 2,
            "events": 2,
        }
    scheduler.forget_old()
    assert road.rows(COUNTS) == [(1, 1, 1, 1, 1)]
    assert road.rows("SELECT DISTINCT device_id FROM geofences.events") == [(bert,)]


def test_partitions_come_ahead_and_old_positions_go(road: Road, scheduler: Scheduler, clock: MovableClock) -> None:
    road.store("s1")
    road.report(road.device("anna"), HELSINKI)
    road.eventually("SELECT count(*) FROM geofences.positions", [(1,)])
    clock.forward(days=9)
    scheduler.keep_partitions()
    assert road.rows("SELECT 1 FROM geofences.positions") == []
    assert len(road.rows("SELECT 1 FROM geofences.visits")) == 1
    with road.database.connect() as connection:
        ahead = f"positions_p{clock() + timedelta(days=7):%Y%m%d}"
        assert connection.execute(sa.text("SELECT to_regclass(:name)"), {"name": f"geofences.{ahead}"}).scalar()
