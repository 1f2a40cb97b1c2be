"""From a position in the log to an offer in the inbox, over real PostgreSQL and Redis."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from geofences.model import LatLng
from geofences.places import delete_fences
from geofences.tables import Purpose
from tests.support.road import HELSINKI, MovableClock, Road, open_road

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers

INSIDE = HELSINKI
AWAY = LatLng(lat=60.19, lng=24.95)


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def road(fresh_database_url: str, redis_url: str, redis_prefix: str, clock: MovableClock) -> Iterator[Road]:
    with open_road(fresh_database_url, redis_url, redis_prefix, clock=clock) as opened:
        yield opened


def test_walking_in_brings_the_offer_to_the_inbox(road: Road) -> None:
    road.store("s1")
    road.campaign()
    road.report(road.device("anna"), AWAY, INSIDE, every_s=600)
    road.eventually("SELECT type FROM geofences.events", [("visit.entered",)])
    road.eventually("SELECT outcome, reason FROM offers.decisions", [("offered", None)])
    road.eventually(
        "SELECT channel, state, payload->>'title' FROM offers.notifications", [("inbox", "sent", "Coffee at Shop s1")]
    )


def test_leaving_ends_the_visit(road: Road) -> None:
    road.store("s1")
    road.report(road.device("anna"), AWAY, INSIDE, AWAY, every_s=600)
    road.eventually("SELECT status, ended_by, dwell_s FROM geofences.visits", [("closed", "exit", 600.0)])


def test_who_drives_through_between_two_reports_leaves_a_visit_that_says_so(road: Road) -> None:
    road.store("s1", settings={"crossed_within_s": 120})
    road.campaign(trigger={"type": "crossed"})
    before, after = LatLng(lat=60.165, lng=24.9384), LatLng(lat=60.175, lng=24.9384)
    road.report(road.device("anna"), before, after, every_s=100)
    road.eventually(
        "SELECT status, ended_by, positions, round(dwell_s) FROM geofences.visits", [("closed", "crossed", 0, 18)]
    )
    assert road.rows("SELECT type FROM geofences.events") == [("visit.crossed",)]
    road.eventually("SELECT trigger_type, outcome FROM offers.decisions", [("crossed", "offered")])


def test_without_push_consent_the_decision_says_so(road: Road) -> None:
    road.store("s1")
    road.campaign()
    road.report(road.device("anna", purposes=(Purpose.LOCATION,)), INSIDE)
    road.eventually("SELECT outcome, reason FROM offers.decisions", [("suppressed", "consent")])
    assert road.rows("SELECT 1 FROM offers.notifications") == []


def test_without_location_consent_nothing_is_stored(road: Road) -> None:
    road.store("s1")
    road.report(road.device("anna", purposes=(Purpose.PUSH,)), INSIDE)
    road.report(road.device("bert"), INSIDE)
    road.eventually(
        "SELECT d.external_id FROM geofences.positions JOIN geofences.devices d USING (device_id)", [("bert",)]
    )


def test_a_dwell_offer_comes_by_timer_without_a_further_position(road: Road, clock: MovableClock) -> None:
    road.store("s1", profile="standard")
    road.campaign(trigger={"type": "dwell"})
    road.report(road.device("anna"), INSIDE)
    road.eventually("SELECT status FROM geofences.visits", [("candidate",)])
    clock.forward(seconds=33)  # timers wait two seconds for positions under way
    road.eventually("SELECT status FROM geofences.visits", [("open",)])
    clock.forward(seconds=90)
    road.eventually("SELECT trigger_type, outcome FROM offers.decisions", [("dwell", "offered")])
    road.eventually("SELECT extract(epoch FROM dwelled_at - entered_at)::int FROM geofences.visits", [(120,)])


def test_a_timer_of_a_quiet_shard_fires_while_another_one_never_rests(road: Road, clock: MovableClock) -> None:
    road.store("s1", profile="standard")
    anna, bert = road.device("anna"), road.device("bert")
    assert anna % 64 != bert % 64
    road.report(anna, INSIDE)
    road.eventually("SELECT status FROM geofences.visits", [("candidate",)])
    clock.forward(seconds=200)
    deadline = time.monotonic() + 15
    while road.rows("SELECT status FROM geofences.visits") == [("candidate",)]:
        road.report(bert, AWAY)
        assert time.monotonic() < deadline, "nobody told the quiet shard the time"
        time.sleep(0.02)


def test_outside_the_stores_lunch_hours_nothing_is_offered(road: Road, clock: MovableClock) -> None:
    road.store("s1")
    weekly = [{"days": ["mo"], "start": "11:30", "end": "13:00"}]
    road.campaign(windows={"weekly": weekly})
    anna = road.device("anna")
    road.report(anna, INSIDE, AWAY, every_s=600)
    road.eventually("SELECT outcome FROM offers.decisions", [("offered",)])
    clock.forward(hours=2)
    road.report(road.device("bert"), INSIDE)
    road.eventually(
        "SELECT outcome, reason FROM offers.decisions ORDER BY decided_at",
        [("offered", None), ("suppressed", "window")],
    )


def test_only_while_open_follows_opening_hours(road: Road) -> None:
    road.store("open", opening_hours="Mo-Fr 08:00-20:00")
    road.store("closed", AWAY, opening_hours="Sa 08:00-20:00")
    road.campaign(windows={"only_while_open": True}, caps=[])
    road.report(road.device("anna"), INSIDE, AWAY, every_s=600)
    road.eventually(
        "SELECT outcome, reason FROM offers.decisions ORDER BY event_at", [("offered", None), ("suppressed", "open")]
    )


def test_stock_is_never_overdrawn(road: Road) -> None:
    road.store("s1")
    road.campaign(stock=3)
    for i in range(8):
        road.report(road.device(f"d{i}"), INSIDE)
    road.eventually(
        "SELECT outcome, reason, count(*) FROM offers.decisions GROUP BY 1, 2 ORDER BY 1",
        [("offered", None, 3), ("suppressed", "stock", 5)],
    )
    assert road.rows("SELECT reserved FROM offers.campaigns") == [(3,)]


def test_the_cap_counts_every_offer_to_a_device(road: Road, clock: MovableClock) -> None:
    road.store("s1")
    road.campaign(caps=[{"count": 2, "window_s": 7200}])
    anna = road.device("anna")
    for _ in range(3):
        road.report(anna, INSIDE, AWAY, every_s=300)
        clock.forward(minutes=20)
    road.eventually(
        "SELECT outcome, reason FROM offers.decisions ORDER BY decided_at",
        [("offered", None), ("offered", None), ("suppressed", "cap")],
    )


def test_a_stale_event_brings_no_offer(road: Road, clock: MovableClock) -> None:
    road.store("s1")
    road.campaign()
    earlier = clock()
    clock.forward(minutes=20)
    road.report(road.device("anna"), INSIDE, start=earlier)
    road.eventually("SELECT outcome, reason FROM offers.decisions", [("suppressed", "staleness")])


def test_a_repeated_batch_changes_nothing(road: Road) -> None:
    road.store("s1")
    anna = road.device("anna")
    for _ in range(3):
        road.report(anna, AWAY, INSIDE, every_s=600)
    road.report(road.device("bert"), AWAY)
    road.eventually("SELECT count(*) FROM geofences.positions", [(3,)])
    assert road.rows("SELECT type FROM geofences.events") == [("visit.entered",)]


def test_a_removed_fence_ends_the_visit(road: Road, clock: MovableClock) -> None:
    road.store("s1")
    road.report(road.device("anna"), INSIDE)
    road.eventually("SELECT status FROM geofences.visits", [("open",)])
    fence_id = road.rows("SELECT fence_id FROM geofences.fences")[0][0]
    with road.database.begin() as connection:
        delete_fences(
            connection,
            tenant_id=road.tenant_id,
            fence_ids=[fence_id],
            now=clock(),
            effective_at=clock() + timedelta(seconds=2),
        )
    clock.forward(seconds=5)
    road.eventually("SELECT status, ended_by, dwell_s FROM geofences.visits", [("closed", "fence_changed", 2.0)])


def test_a_poison_entry_is_buried_and_the_shard_goes_on(road: Road) -> None:
    road.store("s1")
    anna = road.device("anna")
    key = f"{road.log._prefix}:{{{anna % 64}}}:positions"
    road.log._redis.xadd(key, {b"k": b"p", b"c": b"nonsense"})
    road.report(anna, INSIDE)
    road.eventually("SELECT shard FROM geofences.dead_letters", [(anna % 64,)])
    road.eventually("SELECT status FROM geofences.visits", [("open",)])
