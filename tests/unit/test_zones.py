from __future__ import annotations

import copy
import pickle
import threading
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.errors import InvalidPositionError, UnknownTimezoneError
from geofences.model import LatLng
from geofences.zones import (
    _finder,
    day_start,
    first_instant,
    last_instant,
    overlap,
    tzdata_version,
    zone,
    zone_at,
    zone_names,
    zones_at,
)
from tests.support.wall_clock import MARGIN, MINUTE, ODD_DAYS, wall_clock

LISBON = zone("Europe/Lisbon")


class TestNames:
    def test_every_listed_zone_can_be_loaded(self) -> None:
        assert all(zone(name).key == name for name in zone_names())

    def test_the_same_name_is_the_same_object(self) -> None:
        assert zone("Asia/Tehran") is zone("Asia/Tehran")

    @pytest.mark.parametrize(
        "name", ["", "Mars/Base", "europe/lisbon", "America", "../zones", "/etc/localtime", "zones", "Europe/Lisbon\0"]
    )
    def test_anything_else_is_refused(self, name: str) -> None:
        with pytest.raises(UnknownTimezoneError):
            zone(name)

    def test_the_rules_are_not_the_operating_systems(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(zoneinfo, "TZPATH", ("/nowhere",))
        zone.cache_clear()
        try:
            assert zone("America/Vancouver").utcoffset(datetime(2026, 12, 1)) == timedelta(hours=-7)  # noqa: DTZ001
        finally:
            zone.cache_clear()

    def test_the_version_is_an_iana_release(self) -> None:
        assert tzdata_version()[:4].isdigit()
        assert tzdata_version()[4:].isalpha()

    def test_a_zone_survives_pickle_and_copy_as_itself(self) -> None:
        assert pickle.loads(pickle.dumps(zone("Asia/Tehran"))) is zone("Asia/Tehran")  # noqa: S301
        assert copy.deepcopy(zone("Asia/Tehran")) is zone("Asia/Tehran")


class TestPlaces:
    def test_every_zone_that_a_place_can_have_is_known(self) -> None:
        assert set(_finder().timezone_names) <= zone_names()

    @pytest.mark.parametrize(
        ("lat", "lng", "name"),
        [
            (60.17, 24.94, "Europe/Helsinki"),
            (0.0, -30.0, "Etc/GMT+2"),
            (-90.0, 0.0, "Antarctica/McMurdo"),
            (0.0, 180.0, "Etc/GMT-12"),
            (0.0, -180.0, "Etc/GMT-12"),
        ],
    )
    def test_a_place_has_a_zone_even_at_sea(self, lat: float, lng: float, name: str) -> None:
        assert zone_at(LatLng(lat=lat, lng=lng)) == name
        assert name in zone_names()

    @given(lat=st.floats(-90, 90), lng=st.floats(-180, 180))
    def test_every_place_on_earth_has_a_zone(self, lat: float, lng: float) -> None:
        assert zone_at(LatLng(lat=lat, lng=lng)) in zone_names()

    @pytest.mark.parametrize(("lat", "lng"), [(91.0, 0.0), (0.0, 181.0), (float("nan"), 0.0), (0.0, float("inf"))])
    def test_a_place_off_earth_is_refused_with_its_index(self, lat: float, lng: float) -> None:
        with pytest.raises(InvalidPositionError, match="point 1 of 2"):
            zones_at([0.0, lat], [0.0, lng])

    def test_many_places_keep_their_order(self) -> None:
        assert zones_at([60.17, 38.7], [24.94, -9.1]) == ["Europe/Helsinki", "Europe/Lisbon"]
        assert zones_at([], []) == []

    def test_threads_get_the_same_answers(self) -> None:
        lats, lngs = [60.17, 38.7, 41.15, 0.0] * 200, [24.94, -9.1, -8.61, -30.0] * 200
        expected, answers = zones_at(lats, lngs), []
        threads = [threading.Thread(target=lambda: answers.append(zones_at(lats, lngs))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [expected] * 8


class TestWallTimes:
    def test_an_ordinary_wall_time_is_one_instant(self) -> None:
        noon = datetime(2026, 6, 1, 12)  # noqa: DTZ001
        assert first_instant(noon, LISBON) == last_instant(noon, LISBON) == datetime(2026, 6, 1, 11, tzinfo=UTC)

    def test_a_wall_time_in_a_gap_is_the_first_instant_after_it(self) -> None:
        gone = datetime(2026, 3, 29, 1, 59, 59, 999999)  # noqa: DTZ001
        assert first_instant(gone, LISBON) == last_instant(gone, LISBON) == datetime(2026, 3, 29, 1, tzinfo=UTC)

    def test_a_repeated_wall_time_is_two_instants(self) -> None:
        twice = datetime(2026, 10, 25, 1, 30)  # noqa: DTZ001
        assert last_instant(twice, LISBON) - first_instant(twice, LISBON) == timedelta(hours=1)

    def test_an_overlap_is_seen_from_both_its_passes_and_not_from_outside(self) -> None:
        begin = datetime(2026, 10, 25, tzinfo=UTC)
        seen = [overlap(begin + timedelta(minutes=m), LISBON) for m in (-1, 0, 59, 60, 119, 120)]
        hour = (datetime(2026, 10, 25, 1), datetime(2026, 10, 25, 2))  # noqa: DTZ001
        assert seen == [None, hour, hour, hour, hour, None]

    def test_a_day_can_have_23_24_25_or_no_hours(self) -> None:
        days = [
            ("Europe/Lisbon", date(2026, 3, 29)),
            ("Europe/Lisbon", date(2026, 6, 1)),
            ("Europe/Lisbon", date(2026, 10, 25)),
            ("Pacific/Apia", date(2011, 12, 30)),
        ]
        lengths = [day_start(day + timedelta(days=1), zone(name)) - day_start(day, zone(name)) for name, day in days]
        assert [length // timedelta(hours=1) for length in lengths] == [23, 24, 25, 0]

    @settings(deadline=None)
    @given(odd=st.sampled_from(ODD_DAYS), minute=st.integers(MARGIN, MARGIN + 10 * 1440))
    def test_instants_agree_with_a_walk_through_the_minutes(self, odd: tuple[str, date], minute: int) -> None:
        clock = wall_clock(*odd)
        wall = clock.shown[0] + minute * MINUTE  # shown or not
        assert first_instant(wall, zone(odd[0])) == clock.instant(clock.first(wall))
        assert last_instant(wall, zone(odd[0])) == clock.instant(clock.last(wall))

    @settings(deadline=None)
    @given(odd=st.sampled_from(ODD_DAYS), minute=st.integers(MARGIN, MARGIN + 10 * 1440))
    def test_overlaps_agree_with_a_walk_through_the_minutes(self, odd: tuple[str, date], minute: int) -> None:
        clock = wall_clock(*odd)
        wall = clock.shown[minute]
        found = overlap(clock.instant(minute), zone(odd[0]))
        assert (found is not None) == (clock.first(wall) != clock.last(wall))
        if found is not None:
            assert found[0] <= wall < found[1]
            assert all(clock.shown.count(w) == 2 for w in (found[0], found[1] - MINUTE))
            assert all(clock.shown.count(w) == 1 for w in (found[0] - MINUTE, found[1]))

    @settings(deadline=None)
    @given(odd=st.sampled_from(ODD_DAYS), offset=st.integers(-3, 3))
    def test_a_day_begins_when_the_one_before_is_over(self, odd: tuple[str, date], offset: int) -> None:
        clock = wall_clock(*odd)
        day = odd[1] + timedelta(days=offset)
        assert day_start(day, zone(odd[0])) == clock.instant(clock.over(day - timedelta(days=1)))

    def test_transitions_are_found_to_the_second_in_old_local_mean_time(self) -> None:
        monrovia = zone("Africa/Monrovia")  # -00:44:30 until 7 January 1972, then UTC
        gone = datetime.combine(date(1972, 1, 7), time(0, 10))
        assert first_instant(gone, monrovia) == datetime(1972, 1, 7, 0, 44, 30, tzinfo=UTC)
