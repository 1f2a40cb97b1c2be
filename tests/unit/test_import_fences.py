"""Rows to fences and positions."""

from __future__ import annotations

import contextlib
import io
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.import_columns import POSITION_FIELDS, ColumnMap
from geofences.import_files import read_rows
from geofences.import_rows import Broken, Row, UnreadableFileError
from geofences.model import Circle, FenceKind
from geofences.position_rows import NoPosition, read_places, read_positions, time_us
from tests.support.uploads import collection, feature, fences, only

SQUARE = [[24.9, 60.1], [25.0, 60.1], [25.0, 60.2], [24.9, 60.2], [24.9, 60.1]]


def test_a_point_with_a_radius_is_a_circle() -> None:
    for name in ("radius_m", "radius"):
        row = only(fences(collection(feature(external_id="1", **{name: 50}))))
        assert row.fence.kind is FenceKind.CIRCLE
        assert isinstance(row.fence.shape, Circle)
        assert row.fence.shape.radius_m == 50
    assert only(fences("external_id,lat,lng,radius_m\n1,60,24,50\n")).fence.shape.radius_m == 50


def test_polygons_and_multipolygons_are_fences() -> None:
    one = only(fences(collection(feature({"type": "Polygon", "coordinates": [SQUARE]}, external_id="1"))))
    assert one.fence.kind is FenceKind.POLYGON
    far = [[lng + 1, lat] for lng, lat in SQUARE]
    two = feature({"type": "MultiPolygon", "coordinates": [[SQUARE], [far]]}, external_id="1")
    assert only(fences(collection(two))).fence.kind is FenceKind.MULTIPOLYGON


def test_a_fence_names_its_store_profile_and_settings() -> None:
    row = only(
        fences(collection(feature(external_id="1", radius_m=9, store_id="s", profile="plain", dwell_s=60, other="x")))
    )
    assert row.store_external_id == "s"
    assert row.fence.profile == "plain"
    assert row.fence.settings == {"dwell_s": 60.0}


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        (feature(), "a point needs radius_m to be a fence"),
        (feature(radius_m=0.5), "radius_m"),
        (feature(radius_m="wide"), "radius_m is not a number: 'wide'"),
        (feature(radius_m=9, profile="fancy"), "no profile 'fancy'"),
        (feature(radius_m=9, dwell_s=-1), "dwell_s -1.0 is out of range"),
        (feature(radius_m=9, min_confidence=2), "min_confidence 2.0 is out of range"),
        (feature({"type": "Polygon", "coordinates": [SQUARE[:-1]]}), "not closed"),
        (feature({"type": "Polygon", "coordinates": [SQUARE]}, radius_m=5), None),
        (feature({"type": "LineString", "coordinates": SQUARE}), "Polygon or MultiPolygon"),
        (feature({"type": "Point", "coordinates": []}, radius_m=9), "expected [lng, lat]"),
    ],
)
def test_fences_are_refused_with_their_reason(thing: Any, reason: str | None) -> None:
    upload = fences(collection(thing))
    if reason is None:
        assert not upload.refused
    else:
        assert reason in upload.refused[0].reason


def test_a_fence_without_an_id_gets_one_of_its_shape() -> None:
    text = collection(feature(radius_m=9), feature(radius_m=10), feature(radius_m=9))
    upload = fences(text)
    assert len(upload.accepted) == 2
    assert upload.duplicates == 1


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("2013-07-01T00:00:53Z", 1_372_636_853_000_000),
        ("2013-07-01T02:00:53.25+02:00", 1_372_636_853_250_000),
        ("1372636853", 1_372_636_853_000_000),
        (" 1372636853.000001 ", 1_372_636_853_000_001),
        ("-1", -1_000_000),
    ],
)
def test_times_are_exact(text: str, us: int) -> None:
    assert time_us(text) == us


@pytest.mark.parametrize("text", ["", "2013-07-01T00:00:53", "yesterday", "1e9", "1372636853000000", "NaN"])
def test_other_times_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        time_us(text)


def test_positions_that_are_none_say_why() -> None:
    text = (
        "device_id,recorded_at,lat,lng,accuracy_m,mocked\n"
        "007,0,60,24,-5,TRUE\n,0,60,24,,\na,noon,60,24,,\na,0,91,24,,\na,0,0,0,,\na,0,,24,,\na,0\n"
    )
    first, *others = read_positions(read_rows(io.StringIO(text)), ColumnMap(fields=POSITION_FIELDS))
    assert not isinstance(first, NoPosition)
    assert (first.device_id, first.recorded_us, first.mocked) == ("007", 0, True)
    assert first.accuracy_m != first.accuracy_m
    assert others == [
        NoPosition(reason)
        for reason in ("no_device_id", "not_a_time", "out_of_range", "null_island", "not_finite", "broken_row")
    ]


def test_a_file_without_a_column_that_is_needed_is_an_error() -> None:
    rows = read_rows(io.StringIO("trip,recorded_at,lat,lng\n1,0,60,24\n"))
    with pytest.raises(
        UnreadableFileError, match="no column holds device_id; the file has trip, recorded_at, lat, lng"
    ):
        list(read_positions(rows, ColumnMap(fields=POSITION_FIELDS)))


def test_places_need_no_device_and_no_time() -> None:
    (place,) = read_places(read_rows(io.StringIO("lat,lon\n60,24\n")), ColumnMap(fields=POSITION_FIELDS))
    assert not isinstance(place, NoPosition)
    assert (place.lat, place.lng) == (60, 24)


@settings(deadline=None)
@given(st.text(st.sampled_from(string.printable), max_size=40))
def test_no_text_breaks_the_readers(text: str) -> None:
    with contextlib.suppress(UnreadableFileError):
        for row in read_rows(io.StringIO(text)):
            assert isinstance(row, Row | Broken)
