from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.model import LatLng
from geofences.zones import zone
from offers.errors import InvalidHoursError
from offers.hours import MAX_TEXT, OpeningHours, State
from tests.support.wall_clock import MARGIN, MINUTE, ODD_DAYS, wall_clock

HELSINKI = zone("Europe/Helsinki")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestReading:
    @pytest.mark.parametrize("text", ["", "foo", "Mo-Fr 25:00-99:00", "24/7\0", "Mo 10:00-1", "1" * (MAX_TEXT + 1)])
    def test_what_cannot_be_read_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidHoursError):
            OpeningHours.parse(text, zone=HELSINKI)

    def test_the_refusal_shows_where(self) -> None:
        with pytest.raises(InvalidHoursError, match="at column 7: '25:00-99:00'"):
            OpeningHours.parse("Mo-Fr 25:00-99:00", zone=HELSINKI)

    def test_a_place_off_earth_is_refused_where_the_sun_matters(self) -> None:
        with pytest.raises(InvalidHoursError, match="coordinates"):
            OpeningHours.parse("sunrise-sunset", zone=HELSINKI, location=LatLng(lat=99, lng=0))

    def test_equal_words_make_equal_values(self) -> None:
        one, other = (OpeningHours.parse("24/7", zone=HELSINKI, country=country) for country in ("FI", "fi"))
        assert one == other
        assert hash(one) == hash(other)

    def test_what_is_odd_is_said(self) -> None:
        assert OpeningHours.parse("mo-fr 08:00-16:30", zone=HELSINKI).warnings
        assert not OpeningHours.parse("Mo-Fr 08:00-16:30", zone=HELSINKI).warnings


class TestState:
    def test_an_interval_is_half_open_to_the_minute(self) -> None:
        hours = OpeningHours.parse("10:00-18:00", zone=HELSINKI)
        instants = [
            "2026-01-05 07:59:59.999999",
            "2026-01-05 08:00:00",
            "2026-01-05 15:59:59.999999",
            "2026-01-05 16:00",
        ]
        assert [hours.is_open(_utc(text)) for text in instants] == [False, True, True, False]

    def test_the_instant_may_be_given_in_any_zone(self) -> None:
        hours = OpeningHours.parse("10:00-18:00", zone=HELSINKI)
        assert hours.is_open(datetime(2026, 1, 5, 0, 30, tzinfo=zone("America/Los_Angeles")))

    def test_unknown_is_not_open(self) -> None:
        hours = OpeningHours.parse("10:00-18:00 unknown", zone=HELSINKI)
        assert hours.state(_utc("2026-01-05 10:00")) is State.UNKNOWN
        assert not hours.is_open(_utc("2026-01-05 10:00"))

    @pytest.mark.parametrize(
        ("country", "location", "expected"),
        [
            ("FI", None, State.CLOSED),
            (None, LatLng(lat=60.17, lng=24.94), State.CLOSED),
            ("US", None, State.OPEN),
            (None, None, State.OPEN),
            ("AQ", None, State.OPEN),
        ],
    )
    def test_holidays_are_those_of_the_country_given_or_found(
        self, country: str | None, location: LatLng | None, expected: State
    ) -> None:
        hours = OpeningHours.parse("Mo-Su 08:00-20:00; PH off", zone=HELSINKI, country=country, location=location)
        assert hours.state(_utc("2026-12-26 10:00")) is expected  # St Stephen's Day

    def test_the_sun_rises_where_the_store_is(self) -> None:
        text, at = "sunrise-sunset", _utc("2026-06-05 19:00")  # 22:00 in Helsinki, where the sun sets at 22:34
        assert OpeningHours.parse(text, zone=HELSINKI, location=LatLng(lat=60.17, lng=24.94)).is_open(at)
        assert not OpeningHours.parse(text, zone=HELSINKI).is_open(at)

    def test_the_sun_rises_in_a_zone_that_the_library_lacks(self) -> None:
        hours = OpeningHours.parse("sunrise-sunset", zone=zone("Factory"), location=LatLng(lat=60.17, lng=24.94))
        assert hours.next_change(_utc("2026-06-05 12:00")) == _utc("2026-06-05 19:34")

    @pytest.mark.parametrize("name", ["Europe/Helsinki", "Asia/Kolkata", "America/St_Johns", "Antarctica/Troll", "UTC"])
    def test_the_sun_does_not_care_for_the_clock(self, name: str) -> None:
        """Over a year with both clock changes, sunrise and sunset are the same instants in every zone."""
        place = LatLng(lat=50, lng=15)
        hours = OpeningHours.parse("sunrise-sunset", zone=zone(name), location=place)
        plain = OpeningHours.parse("sunrise-sunset", zone=zone("Etc/GMT-1"), location=place)
        at = _utc("2026-01-01 12:00")
        for _ in range(2 * 366):
            change = hours.next_change(at)
            expected = plain.next_change(at)
            assert change is not None
            assert expected is not None
            assert abs(change - expected) <= MINUTE  # each engine day has its own date to reckon with
            assert hours.is_open(change) == plain.is_open(expected)
            at = max(change, expected)


class TestNextChange:
    def test_a_store_that_never_closes_has_none(self) -> None:
        assert OpeningHours.parse("24/7", zone=HELSINKI).next_change(_utc("2026-01-05 10:00")) is None

    def test_a_change_of_comment_is_none(self) -> None:
        hours = OpeningHours.parse('Mo-Fr open "a"; Sa-Su open "b"', zone=HELSINKI)
        assert hours.next_change(_utc("2026-01-05 10:00")) is None

    def test_a_text_that_costs_the_library_seconds_without_a_horizon_is_quick(self) -> None:
        hours = OpeningHours.parse("2020 Mo-Fr 10:00-12:00", zone=HELSINKI)
        assert hours.next_change(_utc("2026-01-05 10:00")) is None

    def test_the_bar_that_closes_in_the_repeated_hour_closes_in_its_second_pass(self) -> None:
        hours = OpeningHours.parse("22:00-03:30", zone=HELSINKI)
        at = _utc("2026-10-25 00:45")  # 03:45, for the first time
        assert hours.is_open(at)
        assert hours.next_change(at) == _utc("2026-10-25 01:30")

    def test_the_bar_that_closes_as_the_repeated_hour_begins_closes_as_it_begins_again(self) -> None:
        hours = OpeningHours.parse("22:00-03:00", zone=HELSINKI)
        at = _utc("2026-10-25 00:15")  # 03:15, for the first time
        assert hours.is_open(at)
        assert hours.next_change(at) == _utc("2026-10-25 01:00")

    def test_the_bakery_that_opens_in_the_repeated_hour_opens_in_its_first_pass(self) -> None:
        hours = OpeningHours.parse("03:30-12:00", zone=HELSINKI)
        assert hours.next_change(_utc("2026-10-25 00:15")) == _utc("2026-10-25 00:30")
        assert hours.is_open(_utc("2026-10-25 01:10"))  # 03:10, for the second time

    def test_the_shop_that_opens_in_the_skipped_hour_opens_after_it(self) -> None:
        hours = OpeningHours.parse("03:30-12:00", zone=HELSINKI)
        assert hours.next_change(_utc("2026-03-29 00:00")) == _utc("2026-03-29 01:00")

    @settings(deadline=None)
    @given(
        odd=st.sampled_from(ODD_DAYS),
        start=st.integers(0, 47),
        length=st.integers(1, 47),
        minute=st.integers(MARGIN, MARGIN + 8 * 1440),
    )
    def test_state_and_next_change_agree_with_a_walk_through_the_minutes(
        self, odd: tuple[str, date], start: int, length: int, minute: int
    ) -> None:
        clock = wall_clock(*odd)
        opens, closes = (time(half % 48 // 2, half % 2 * 30) for half in (start, start + length))
        hours = OpeningHours.parse(f"{opens:%H:%M}-{closes:%H:%M}", zone=zone(odd[0]))
        open_minutes = {m for d in range(-8, 8) for m in clock.window(odd[1] + timedelta(days=d), opens, closes)}
        at = clock.instant(minute)
        now = minute in open_minutes
        assert hours.is_open(at) == now
        change = next(m for m in range(minute + 1, len(clock.shown)) if (m in open_minutes) != now)
        assert hours.next_change(at) == clock.instant(change)
        assert hours.next_change(at + MINUTE / 2) == clock.instant(change)
