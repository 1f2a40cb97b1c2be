from __future__ import annotations

import time as clock_time
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.zones import zone
from offers.hours import OpeningHours
from offers.schedule import (
    END_OF_DAY,
    RecurringWindow,
    Schedule,
    Weekday,
    WindowReason,
    intervals,
    is_live,
    next_windows,
    occurrences,
)
from tests.support.campaigns_at_random import cases, half_hours, live_minutes
from tests.support.wall_clock import DAY, MARGIN, ODD_DAYS, WallClock, wall_clock

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

LISBON = zone("Europe/Lisbon")
LUNCH = {"days": ["mo", "tu"], "start": "11:00", "end": "14:30"}
EVERY_DAY = list(Weekday)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _schedule(**text: Any) -> Schedule:
    return Schedule.from_json(text)


def _shown(found: list[tuple[datetime, datetime]]) -> list[tuple[str, str]]:
    return [(f"{begin:%d %H:%M}", f"{end:%d %H:%M}") for begin, end in found]


class TestIsLive:
    @pytest.mark.parametrize(
        ("at", "live", "reason", "change"),
        [
            ("2026-05-31 22:59", False, WindowReason.NOT_STARTED, "2026-06-01 10:00"),
            ("2026-06-01 09:59", False, WindowReason.OUTSIDE_WINDOWS, "2026-06-01 10:00"),
            ("2026-06-01 10:00", True, WindowReason.LIVE, "2026-06-01 13:30"),
            ("2026-06-01 13:30", False, WindowReason.OUTSIDE_WINDOWS, "2026-06-02 10:00"),
            ("2026-06-02 13:30", False, WindowReason.ENDED, None),
        ],
    )
    def test_it_says_why_and_until_when(self, at: str, live: bool, reason: WindowReason, change: str | None) -> None:  # noqa: FBT001
        schedule = _schedule(first_day="2026-06-01", last_day="2026-06-02", weekly=[LUNCH])
        answer = is_live(schedule, at=_utc(at), zone=LISBON)
        assert (answer.live, answer.reason, answer.next_change) == (live, reason, change and _utc(change))

    def test_nothing_said_is_always(self) -> None:
        answer = is_live(Schedule(), at=_utc("2026-06-01 10:00"), zone=LISBON)
        assert answer.live
        assert answer.next_change is None

    def test_the_last_day_is_included_to_its_local_end(self) -> None:
        schedule, tokyo = _schedule(last_day="2026-06-01"), zone("Asia/Tokyo")
        assert is_live(schedule, at=_utc("2026-06-01 14:59:59"), zone=tokyo).next_change == _utc("2026-06-01 15:00")
        assert is_live(schedule, at=_utc("2026-06-01 15:00"), zone=tokyo).reason is WindowReason.ENDED

    def test_the_last_day_is_over_at_the_first_midnight_where_midnight_is_repeated(self) -> None:
        schedule = _schedule(last_day="2026-10-24")
        answer = is_live(schedule, at=_utc("2026-10-24 12:00"), zone=zone("Atlantic/Azores"))
        assert answer.next_change == _utc("2026-10-25 00:00")

    def test_a_window_past_midnight_belongs_to_the_day_it_starts_on(self) -> None:
        night = {"days": ["sa"], "start": "22:00", "end": "02:00"}
        schedule = _schedule(weekly=[night], last_day="2026-06-06")  # a Saturday
        assert is_live(schedule, at=_utc("2026-06-07 00:59"), zone=LISBON).live  # 01:59 on Sunday
        assert not is_live(schedule, at=_utc("2026-06-06 00:30"), zone=LISBON).live  # 01:30 on Saturday

    def test_equal_start_and_end_are_a_whole_day(self) -> None:
        schedule = _schedule(weekly=[{"days": ["mo"], "start": "10:00", "end": "10:00"}])
        answer = is_live(schedule, at=_utc("2026-06-01 09:00"), zone=LISBON)
        assert answer.next_change == _utc("2026-06-02 09:00")

    @pytest.mark.parametrize("end", ["20:00", "21:00"])
    def test_a_pattern_without_a_hole_lasts_to_its_last_window(self, end: str) -> None:
        halves = [("20:00", end), (end, "20:00")]
        weekly = [{"days": EVERY_DAY, "start": start, "end": finish} for start, finish in halves]
        at = _utc("2026-01-05 12:00")
        assert is_live(_schedule(weekly=weekly), at=at, zone=LISBON).next_change is None
        answer = is_live(_schedule(weekly=weekly, last_day="2040-06-01"), at=at, zone=LISBON)
        assert answer.next_change == _utc("2040-06-02 19:00")

    def test_a_decade_ahead_is_as_quick_as_a_day(self) -> None:
        weekly = [{"days": EVERY_DAY, "start": "00:00", "end": "24:00"}]
        schedule = _schedule(weekly=weekly, first_day="2026-01-01", last_day="2926-01-01")
        at = _utc("2026-06-01 12:00")
        is_live(schedule, at=at, zone=LISBON)
        begin = clock_time.perf_counter()
        is_live(schedule, at=at, zone=LISBON)
        assert clock_time.perf_counter() - begin < 0.005


class TestOnlyWhileOpen:
    HOURS = OpeningHours.parse("Mo-Su 12:00-20:00; 2026 Jun 02 off", zone=LISBON)
    SCHEDULE = _schedule(weekly=[LUNCH], only_while_open=True)

    @pytest.mark.parametrize(
        ("at", "live", "reason", "change"),
        [
            ("2026-06-01 09:00", False, WindowReason.OUTSIDE_WINDOWS, "2026-06-01 11:00"),
            ("2026-06-01 10:30", False, WindowReason.STORE_CLOSED, "2026-06-01 11:00"),
            ("2026-06-01 11:00", True, WindowReason.LIVE, "2026-06-01 13:30"),
            ("2026-06-01 13:30", False, WindowReason.OUTSIDE_WINDOWS, "2026-06-08 11:00"),
            ("2026-06-02 11:00", False, WindowReason.STORE_CLOSED, "2026-06-08 11:00"),
        ],
    )
    def test_both_must_hold(self, at: str, live: bool, reason: WindowReason, change: str) -> None:  # noqa: FBT001
        answer = is_live(self.SCHEDULE, at=_utc(at), zone=LISBON, hours=self.HOURS)
        assert (answer.live, answer.reason, answer.next_change) == (live, reason, _utc(change))

    def test_a_store_without_hours_is_not_open(self) -> None:
        answer = is_live(self.SCHEDULE, at=_utc("2026-06-01 11:00"), zone=LISBON)
        assert (answer.live, answer.reason, answer.next_change) == (False, WindowReason.HOURS_UNKNOWN, None)
        assert next_windows(self.SCHEDULE, zone=LISBON, after=_utc("2026-06-01 11:00"), n=3) == []

    def test_a_store_whose_hours_are_unknown_is_not_open(self) -> None:
        hours = OpeningHours.parse("Mo-Su 12:00-13:00 unknown, Mo-Su 13:00-14:00", zone=LISBON)
        answer = is_live(self.SCHEDULE, at=_utc("2026-06-01 11:00"), zone=LISBON, hours=hours)
        assert (answer.live, answer.reason) == (False, WindowReason.HOURS_UNKNOWN)
        assert answer.next_change == _utc("2026-06-01 12:00")

    def test_hours_are_left_aside_if_not_asked_for(self) -> None:
        hours = OpeningHours.parse("off", zone=LISBON)
        assert is_live(_schedule(weekly=[LUNCH]), at=_utc("2026-06-01 11:00"), zone=LISBON, hours=hours).live

    @pytest.mark.parametrize("text", ["off", "2020 Mo-Su 10:00-12:00", "Mo-Su 18:00-20:00"])
    def test_a_store_that_never_opens_in_a_window_ends_the_search(self, text: str) -> None:
        hours = OpeningHours.parse(text, zone=LISBON)
        assert next_windows(self.SCHEDULE, zone=LISBON, after=_utc("2026-06-01 11:00"), n=3, hours=hours) == []

    def test_a_store_that_never_closes_changes_nothing(self) -> None:
        hours, after = OpeningHours.parse("24/7", zone=LISBON), _utc("2026-06-01 11:00")
        always = _schedule(only_while_open=True)
        assert next_windows(always, zone=LISBON, after=after, n=3, hours=hours) == [(after, None)]
        assert next_windows(self.SCHEDULE, zone=LISBON, after=after, n=9, hours=hours) == next_windows(
            _schedule(weekly=[LUNCH]), zone=LISBON, after=after, n=9
        )


class TestClockChanges:
    """In Lisbon 29 March 2026 has no 01:00 to 02:00, and 25 October has it twice."""

    @staticmethod
    def _on(day: str, start: str, end: str) -> list[tuple[str, str]]:
        window = {"days": ["su"], "start": start, "end": end}
        schedule = _schedule(first_day=day, last_day=day, weekly=[window])
        begin = _utc(day) - DAY
        return _shown(intervals(schedule, zone=LISBON, start=begin, end=begin + 3 * DAY))

    def test_a_window_that_starts_in_the_gap_starts_after_it(self) -> None:
        assert self._on("2026-03-29", "01:30", "03:00") == [("29 01:00", "29 02:00")]

    def test_a_window_that_ends_in_the_gap_ends_after_it(self) -> None:
        assert self._on("2026-03-29", "00:30", "01:30") == [("29 00:30", "29 01:00")]

    def test_a_window_inside_the_gap_is_none(self) -> None:
        assert self._on("2026-03-29", "01:15", "01:45") == []

    def test_a_window_that_starts_in_the_overlap_starts_at_the_first_occurrence(self) -> None:
        assert self._on("2026-10-25", "01:30", "03:00") == [("25 00:30", "25 03:00")]

    def test_a_window_that_ends_in_the_overlap_ends_at_the_last_occurrence(self) -> None:
        assert self._on("2026-10-25", "00:30", "01:30") == [("24 23:30", "25 01:30")]

    def test_a_whole_day_has_its_25_hours(self) -> None:
        assert self._on("2026-10-25", "00:00", "24:00") == [("24 23:00", "26 00:00")]


def test_a_window_that_begins_as_the_question_ends_is_none() -> None:
    begin = _utc("2026-06-01 10:00")  # as lunch begins
    assert intervals(_schedule(weekly=[LUNCH]), zone=LISBON, start=begin - DAY, end=begin) == []


class TestNextWindows:
    def test_the_one_that_runs_is_given_from_now_on(self) -> None:
        found = next_windows(_schedule(weekly=[LUNCH]), zone=LISBON, after=_utc("2026-06-01 12:00"), n=2)
        assert found == [
            (_utc("2026-06-01 12:00"), _utc("2026-06-01 13:30")),
            (_utc("2026-06-02 10:00"), _utc("2026-06-02 13:30")),
        ]

    def test_there_are_fewer_if_the_campaign_ends(self) -> None:
        schedule = _schedule(weekly=[LUNCH], last_day="2026-06-02")
        assert len(next_windows(schedule, zone=LISBON, after=_utc("2026-06-01 12:00"), n=9)) == 2


class TestOccurrences:
    @staticmethod
    def _daily(local: time, name: str, start: str, end: str) -> list[str]:
        found = occurrences(local, None, None, None, zone=zone(name), start=_utc(start), end=_utc(end))
        return [f"{instant:%d %H:%M}" for instant in found]

    def test_a_skipped_time_comes_at_the_first_instant_after_the_gap(self) -> None:
        assert self._daily(time(1, 30), "Europe/Lisbon", "2026-03-28", "2026-03-31") == [
            "28 01:30",
            "29 01:00",
            "30 00:30",
        ]

    def test_a_repeated_time_comes_once(self) -> None:
        assert self._daily(time(1, 30), "Europe/Lisbon", "2026-10-24", "2026-10-27") == [
            "24 00:30",
            "25 00:30",
            "26 01:30",
        ]

    def test_a_day_that_does_not_exist_has_none(self) -> None:
        assert self._daily(time(10), "Pacific/Apia", "2011-12-29", "2012-01-01") == ["29 20:00", "30 20:00", "31 20:00"]

    def test_a_gap_at_the_end_of_a_day_does_not_lose_its_occurrence(self) -> None:
        assert self._daily(time(23, 30), "America/Nuuk", "2026-03-28", "2026-03-30") == ["28 01:30", "29 01:00"]

    def test_the_end_of_the_day_is_an_occurrence_too(self) -> None:
        assert self._daily(END_OF_DAY, "Europe/Lisbon", "2026-06-01", "2026-06-03") == ["01 23:00", "02 23:00"]

    def test_the_start_is_included_and_the_end_is_not(self) -> None:
        assert self._daily(time(10), "Etc/UTC", "2026-06-01 10:00", "2026-06-02 10:00") == ["01 10:00"]

    def test_only_the_days_asked_for_count(self) -> None:
        found = occurrences(
            time(10),
            frozenset({Weekday.MO, Weekday.FR}),
            date(2026, 6, 2),
            date(2026, 6, 12),
            zone=LISBON,
            start=_utc("2026-05-01"),
            end=_utc("2026-07-01"),
        )
        assert [f"{instant:%a %d}" for instant in found] == ["Fri 05", "Mon 08", "Fri 12"]


@settings(deadline=None, max_examples=200)
@given(case=cases(), minutes=st.lists(st.integers(MARGIN, MARGIN + 10 * 1440), min_size=20, max_size=20))
def test_answers_agree_with_a_walk_through_the_minutes(
    case: tuple[WallClock, ZoneInfo, Schedule], minutes: list[int]
) -> None:
    clock, rules, schedule = case
    live = live_minutes(clock, schedule)
    for minute in minutes:
        answer = is_live(schedule, at=clock.instant(minute), zone=rules)
        now = minute in live
        assert answer.live == now
        change = next((m for m in range(minute + 1, MARGIN + 10 * 1440) if (m in live) != now), None)
        if change is not None:
            assert answer.next_change == clock.instant(change)


@settings(deadline=None, max_examples=200)
@given(case=cases(), start=st.integers(MARGIN, MARGIN + 10 * 1440), length=st.integers(0, 10 * 1440))
def test_intervals_agree_with_a_walk_through_the_minutes(
    case: tuple[WallClock, ZoneInfo, Schedule], start: int, length: int
) -> None:
    clock, rules, schedule = case
    end = min(start + length, MARGIN + 10 * 1440)
    found = intervals(schedule, zone=rules, start=clock.instant(start), end=clock.instant(end))
    assert all(one[1] < other[0] for one, other in pairwise(found))  # in order, and touching ones are joined
    minutes = {m for begin, finish in found for m in range(clock.minute(begin), clock.minute(finish))}
    assert minutes == {m for m in live_minutes(clock, schedule) if start <= m < end}


@settings(deadline=None, max_examples=200)
@given(odd=st.sampled_from(ODD_DAYS), local=half_hours)
def test_occurrences_agree_with_a_walk_through_the_minutes(odd: tuple[str, date], local: time) -> None:
    clock, days = wall_clock(*odd), [odd[1] + i * DAY for i in range(-7, 8)]
    there = {wall.date() for wall in clock.shown}
    expected = [clock.instant(clock.first(datetime.combine(d, local))) for d in days if d in there]
    start, end = clock.instant(MARGIN), clock.instant(MARGIN + 10 * 1440)
    found = occurrences(local, None, None, None, zone=zone(odd[0]), start=start, end=end)
    assert found == [instant for instant in expected if start <= instant < end]


def test_a_warm_answer_takes_some_microseconds() -> None:
    schedule, at = _schedule(weekly=[LUNCH]), _utc("2026-06-01 12:00")
    best = timedelta.max
    for _ in range(5):
        begin = clock_time.perf_counter()
        for _ in range(1_000):
            is_live(schedule, at=at, zone=LISBON)
        best = min(best, timedelta(seconds=clock_time.perf_counter() - begin) / 1_000)
    assert best < timedelta(microseconds=30)


def test_a_blackout_day_is_told_as_such() -> None:
    off = Schedule(blackout_days=(date(2026, 6, 1),))
    answer = is_live(off, at=datetime(2026, 6, 1, 9, 0, tzinfo=UTC), zone=zone("Europe/Helsinki"))
    assert (answer.live, answer.reason) == (False, WindowReason.BLACKOUT_DAY)
    assert answer.next_change == datetime(2026, 6, 1, 21, 0, tzinfo=UTC)


def test_a_long_window_is_remembered_beside_a_short_one() -> None:
    """A festival of five days a year, and an hour every Monday."""
    festival = RecurringWindow.parse("DTSTART:20260601T100000\nRRULE:FREQ=YEARLY", duration_min=5 * 1440)
    mondays = RecurringWindow.parse("DTSTART:20260601T100000\nRRULE:FREQ=WEEKLY;BYDAY=MO", duration_min=60)
    both = Schedule(recurring=(mondays, festival))
    fifth_day = datetime(2026, 6, 6, 6, 0, tzinfo=UTC)
    assert is_live(both, at=fifth_day, zone=zone("Europe/Helsinki")).live
    after = datetime(2026, 6, 6, 12, 0, tzinfo=UTC)
    [(begin, end)] = next_windows(both, zone=zone("Europe/Helsinki"), after=after, n=1)
    assert (begin, end) == (datetime(2026, 6, 8, 7, 0, tzinfo=UTC), datetime(2026, 6, 8, 8, 0, tzinfo=UTC))
