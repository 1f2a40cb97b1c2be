"""What is remembered is what would be worked out anew, whatever the zone, the text and the way time goes."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime, timedelta
from operator import itemgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.model import LatLng, StoreId, TenantId
from geofences.nearby import StoreRow
from geofences.zones import steady_offset, zone
from offers.hours import OpeningHours, State
from offers.schedule import Schedule, is_live
from offers.timetable import MAX_KEPT, Timetable, Timing, _keep
from tests.support.data import data_dir

ZONES = (
    "Europe/Helsinki",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
)
TEXTS = (
    "Mo-Fr 08:00-18:00; Sa 10:00-16:00", "24/7", "Mo-Su 00:00-03:00,22:00-24:00", "Mo-Fr 09:00-18:00; PH off",
    "sunrise-sunset", 'Mo-Fr 08:00-12:00 open "by appointment", 12:00-16:00', "Su 01:00-02:30", "nonsense", "off",
)  # fmt: skip
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
minutes = st.integers(0, 2 * 366 * 1440)


def store(text: str | None, zone_name: str, location: LatLng | None = None) -> StoreRow:
    return StoreRow(
        store_id=StoreId(1), tenant_id=TenantId(1), external_id="e", name="n", timezone=zone_name,
        location=location or LatLng(lat=60.17, lng=24.94), opening_hours=text,
    )  # fmt: skip


def by_hand(row: StoreRow) -> OpeningHours | None:
    if not row.opening_hours or row.opening_hours == "nonsense":
        return None
    return OpeningHours.parse(row.opening_hours, zone=zone(row.timezone), location=row.location)


@settings(max_examples=60)
@given(
    text=st.sampled_from(TEXTS),
    name=st.sampled_from(ZONES),
    start=minutes,
    steps=st.lists(st.integers(0, 3000), max_size=30),
)
def test_a_stores_state_is_what_its_hours_say(text: str, name: str, start: int, steps: list[int]) -> None:
    row, kept = store(text, name), Timetable()
    hours = by_hand(row)
    at = BEGIN + start * MINUTE
    for step in steps:
        at += step * MINUTE
        assert kept.spell(row, at).state is (State.UNKNOWN if hours is None else hours.state(at))
        assert kept.next_change(row, at) == (None if hours is None else hours.next_change(at))


@pytest.mark.parametrize("name", ["Europe/Helsinki", "Australia/Lord_Howe", "America/New_York"])
def test_minutes_around_a_change_of_the_clock_are_right(name: str) -> None:
    row = store("Mo-Su 00:30-01:45,02:15-03:10", name)
    hours = by_hand(row)
    assert hours is not None
    changes = [day for day in range(366) if _offset(name, day) != _offset(name, day + 1)]
    assert len(changes) == 2
    kept = Timetable()
    for day in changes:
        for minute in range(-600, 1440 + 600, 7):
            at = BEGIN + timedelta(days=day) + minute * MINUTE
            assert kept.spell(row, at).state is hours.state(at), at


def _offset(name: str, day: int) -> timedelta | None:
    return (BEGIN + timedelta(days=day)).astimezone(zone(name)).utcoffset()


@settings(max_examples=60)
@given(name=st.sampled_from(ZONES), start=minutes)
def test_within_a_steady_stretch_the_offset_is_one(name: str, start: int) -> None:
    at = BEGIN + start * MINUTE
    found = steady_offset(at, zone(name))
    if found is None:
        near = {(at + k * timedelta(hours=1)).astimezone(zone(name)).utcoffset() for k in range(-26, 27)}
        assert len(near) > 1
        return
    begin, end, offset = found
    assert begin <= at < end
    for part in range(50):
        instant = begin + part * (end - begin) / 50
        assert instant.astimezone(zone(name)).utcoffset() == offset


SCHEDULES = (
    Schedule(),
    Schedule.from_json({"weekly": [{"days": ["mo", "we", "su"], "start": "22:00", "end": "03:00"}]}),
    Schedule.from_json({"first_day": "2026-03-01", "last_day": "2026-11-01", "only_while_open": True}),
    Schedule.from_json(
        {"weekly": [{"days": ["sa", "su"], "start": "00:30", "end": "24:00"}], "only_while_open": True,
         "blackout_days": ["2026-10-25"]}
    ),
)  # fmt: skip


@settings(max_examples=100)
@given(
    schedule=st.sampled_from(SCHEDULES),
    text=st.sampled_from((*TEXTS, None)),
    name=st.sampled_from(ZONES),
    start=minutes,
    steps=st.lists(st.integers(0, 2000), max_size=20),
)
def test_a_campaign_is_on_as_its_schedule_says_and_nothing_changes_before_it_is_said_to(
    schedule: Schedule, text: str | None, name: str, start: int, steps: list[int]
) -> None:
    row, kept, timing = store(text, name), Timetable(), Timing.of(schedule)
    hours = by_hand(row)
    at = BEGIN + start * MINUTE
    held_until, held = at, False
    for step in steps:
        at += step * MINUTE
        expected = is_live(schedule, at=at, zone=zone(name), hours=hours)
        found = kept.live(timing, row, at)
        assert found.on is expected.live
        assert not found.on or found.ends_at == expected.next_change
        assert at >= held_until or found.on is held
        held_until, held = found.until, found.on


def test_what_is_kept_is_bounded() -> None:
    kept: dict[object, object] = dict.fromkeys(range(MAX_KEPT))
    _keep(kept, "one more", None)
    assert len(kept) == 1


def test_a_store_whose_hours_change_is_answered_by_the_new_ones() -> None:
    at = datetime(2026, 6, 3, 12, tzinfo=UTC)
    kept = Timetable()
    assert kept.is_open(store("Mo-Su 09:00-18:00", "Europe/Helsinki"), at)
    assert not kept.is_open(store("Mo-Su 19:00-20:00", "Europe/Helsinki"), at)
    assert not kept.is_open(store(None, "Europe/Helsinki"), at)


@pytest.mark.parametrize(
    ("city", "zone_name", "location"),
    [
        ("osm_helsinki", "Europe/Helsinki", LatLng(lat=60.17, lng=24.94)),
        ("osm_porto", "Europe/Lisbon", LatLng(lat=41.15, lng=-8.61)),
    ],
)
def test_real_hours_in_order_of_time_are_what_two_other_engines_say(
    city: str, zone_name: str, location: LatLng
) -> None:
    with gzip.open(data_dir(city) / "expected_open_state.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = sorted(csv.DictReader(file), key=itemgetter("utc"))
    kept = Timetable()
    for row in rows:
        found = kept.spell(store(row["opening_hours"], zone_name, location), datetime.fromisoformat(row["utc"]))
        assert found.state == row["state"], row
