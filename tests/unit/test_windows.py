from __future__ import annotations

from datetime import date, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offers.errors import InvalidScheduleError
from offers.schedule import END_OF_DAY, RecurringWindow, Schedule, Weekday, WeeklyWindow

SINCE = "DTSTART:20260601T100000\nRRULE:"
DAILY = {"rule": f"{SINCE}FREQ=DAILY", "duration_min": 60}
LUNCH = {"days": ["mo", "tu"], "start": "11:00", "end": "14:30"}

_minutes = st.times().map(lambda t: t.replace(second=0, microsecond=0))
_windows = st.builds(
    WeeklyWindow,
    days=st.frozensets(st.sampled_from(Weekday), min_size=1),
    start=_minutes,
    end=_minutes | st.just(END_OF_DAY),
)
_days = st.none() | st.dates(date(1970, 1, 1), date(2999, 12, 31))
_schedules = st.tuples(
    _days,
    _days,
    st.lists(_windows, max_size=5),
    st.booleans(),
    st.lists(st.sampled_from(["DAILY", "WEEKLY;BYDAY=MO,FR", "MONTHLY;BYMONTHDAY=-1"]), max_size=3),
    st.sets(st.dates(date(1970, 1, 1), date(2999, 12, 31)), max_size=5),
).map(
    lambda parts: Schedule(
        first_day=min(filter(None, parts[:2]), default=None) if all(parts[:2]) else parts[0],
        last_day=max(filter(None, parts[:2]), default=None) if all(parts[:2]) else parts[1],
        weekly=tuple(parts[2]),
        only_while_open=parts[3],
        recurring=tuple(
            RecurringWindow.parse(f"DTSTART:20260601T100000\nRRULE:FREQ={often}", duration_min=90) for often in parts[4]
        ),
        blackout_days=tuple(sorted(parts[5])),
    )
)


@given(schedule=_schedules)
def test_the_json_form_loses_nothing(schedule: Schedule) -> None:
    assert Schedule.from_json(schedule.to_json()) == schedule


def test_nothing_said_is_always() -> None:
    nulls = {"first_day": None, "last_day": None, "weekly": None, "only_while_open": None}
    assert Schedule.from_json({}) == Schedule.from_json(nulls) == Schedule()


def test_midnight_as_an_end_is_not_the_end_of_the_day() -> None:
    ends = [Schedule.from_json({"weekly": [LUNCH | {"end": end}]}).weekly[0].end for end in ("00:00", "24:00")]
    assert ends == [time(0), END_OF_DAY]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "windows: expected an object"),
        ([], "windows: expected an object"),
        (
            {"weeky": []},
            "windows.weeky: unknown; known are first_day, last_day, weekly, recurring, blackout_days, only_while_open",
        ),
        ({"first_day": "2026-6-1"}, "windows.first_day: expected a day"),
        ({"first_day": "20260601"}, "windows.first_day: expected a day"),
        ({"first_day": "2026-02-29"}, "windows.first_day: expected a day"),
        ({"first_day": 20260601}, "windows.first_day: expected a day"),
        ({"last_day": "9999-12-31"}, "windows.last_day: not in the years 1970 to 2999"),
        ({"first_day": "2026-06-02", "last_day": "2026-06-01"}, "windows.last_day: 2026-06-01 is before"),
        ({"only_while_open": 1}, "windows.only_while_open: expected true or false"),
        ({"blackout_days": ["2026-06-31"]}, r"windows.blackout_days\[0\]: expected a day"),
        (
            {"recurring": [{"rule": "FREQ=DAILY", "duration_min": 60}]},
            r"windows.recurring\[0\].rule: expected \"DTSTART",
        ),
        ({"recurring": [DAILY | {"duration_min": 0}]}, r"windows.recurring\[0\].duration_min: expected whole minutes"),
        ({"recurring": [DAILY | {"duration_min": 20_000}]}, r"windows.recurring\[0\].duration_min: expected whole"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=HOURLY"}]}, r"windows.recurring\[0\].rule: FREQ: DAILY, WEEKLY"),
        (
            {"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;X=1"}]},
            r"windows.recurring\[0\].rule: 'X=1' is not known",
        ),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;BYEASTER=258"}]}, r".*: 'BYEASTER=258' is not known here"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;BYHOUR=1,2"}]}, r".*: 'BYHOUR=1,2' is not known here"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;BYMONTH=13"}]}, r".*: 'BYMONTH=13' is not known here"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;COUNT=1;COUNT=2"}]}, r".*: a part comes twice"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;INTERVAL=0"}]}, r".*: INTERVAL: expected 1 or more"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY EXDATE:20260601T100000"}]}, r".*: expected \"DTSTART"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;UNTIL=20261399"}]}, r".*: cannot be read"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;UNTIL=20200101T000000"}]}, r".*: never begins"),
        ({"recurring": [DAILY | {"rule": f"{SINCE}FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"}]}, r".*: never begins"),
        ({"only_while_open": "yes"}, "windows.only_while_open: expected true or false"),
        ({"weekly": {}}, "windows.weekly: expected a list"),
        ({"weekly": [LUNCH] * 101}, "windows.weekly: more than 100"),
        ({"weekly": [LUNCH, "mo"]}, r"windows.weekly\[1\]: expected an object"),
        ({"weekly": [LUNCH | {"day": "mo"}]}, r"windows.weekly\[0\].day: unknown"),
        ({"weekly": [LUNCH | {"days": []}]}, r"windows.weekly\[0\].days: a weekly window needs at least one"),
        ({"weekly": [LUNCH | {"days": "mo"}]}, r"windows.weekly\[0\].days: expected a list"),
        ({"weekly": [LUNCH | {"days": ["mo", "Tu"]}]}, r"windows.weekly\[0\].days\[1\]: expected one of mo, tu"),
        ({"weekly": [LUNCH | {"days": [["mo"]]}]}, r"windows.weekly\[0\].days\[0\]: expected one of mo, tu"),
        ({"weekly": [LUNCH | {"start": "24:00"}]}, r"windows.weekly\[0\].start: 24:00 can only be an end"),
        ({"weekly": [LUNCH | {"start": "9:00"}]}, r"windows.weekly\[0\].start: expected a time"),
        ({"weekly": [LUNCH | {"start": None}]}, r"windows.weekly\[0\].start: expected a time"),
        ({"weekly": [LUNCH | {"end": "14:30:00"}]}, r"windows.weekly\[0\].end: expected a time"),
        ({"weekly": [LUNCH | {"end": "24:30"}]}, r"windows.weekly\[0\].end: expected a time"),
        ({"weekly": [LUNCH | {"end": 14}]}, r"windows.weekly\[0\].end: expected a time"),
    ],
)
def test_a_fault_is_named_by_its_path(text: Any, message: str) -> None:
    with pytest.raises(InvalidScheduleError, match=f"^{message}"):
        Schedule.from_json(text)


def test_a_leap_year_of_blackout_days_can_be_said_and_no_more() -> None:
    days = [f"{date(2028, 1, 1) + timedelta(days=i)}" for i in range(367)]
    assert len(Schedule.from_json({"blackout_days": days[:366]}).blackout_days) == 366
    with pytest.raises(InvalidScheduleError, match=r"^windows\.blackout_days: more than 366"):
        Schedule.from_json({"blackout_days": days})


def test_a_rule_ends_in_a_year_that_can_be_computed_or_never() -> None:
    with pytest.raises(InvalidScheduleError, match="UNTIL: not after the year 2999"):
        RecurringWindow.parse(f"{SINCE}FREQ=DAILY;UNTIL=99991231", duration_min=60)


def test_the_last_of_starts_that_are_centuries_away_is_not_looked_for() -> None:
    leap_days = RecurringWindow.parse(f"{SINCE}FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;COUNT=10000", duration_min=60)
    assert leap_days.over_at() is None
    few = RecurringWindow.parse(f"{SINCE}FREQ=DAILY;COUNT=3", duration_min=60)
    over_at = few.over_at()
    assert over_at is not None
    assert over_at == few.starts_in_week(over_at - timedelta(days=5))[-1] + timedelta(hours=1)
