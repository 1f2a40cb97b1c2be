"""Uploads: what is accepted, what is refused and why, and that one bad row never costs another."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
import string
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.import_columns import FENCE_FIELDS, POSITION_FIELDS, STORE_FIELDS, ColumnMap, MapError
from geofences.import_csv import read_csv
from geofences.import_fences import read_fences
from geofences.import_files import open_upload, read_rows
from geofences.import_rows import CHUNK, Broken, Row, UnreadableFileError
from geofences.importing import read_stores
from geofences.model import Circle, FenceKind
from geofences.position_rows import NoPosition, read_places, read_positions, time_us

if TYPE_CHECKING:
    from pathlib import Path

    from geofences.import_fences import FenceRow
    from geofences.importing import Upload
    from geofences.places import StoreInput

AT = datetime(2026, 6, 1, tzinfo=UTC)
HEADER = "external_id,name,lat,lng"


def stores(text: str, column_map: str = "", **more: Any) -> Upload[StoreInput]:
    return read_stores(read_rows(io.StringIO(text)), columns=ColumnMap.parse(column_map, STORE_FIELDS), at=AT, **more)


def fences(text: str, profile: str = "standard") -> Upload[FenceRow]:
    return read_fences(read_rows(io.StringIO(text)), columns=ColumnMap(fields=FENCE_FIELDS), profile=profile)


def feature(geometry: Any = None, **properties: Any) -> dict[str, Any]:
    identity = {"id": properties.pop("feature_id")} if "feature_id" in properties else {}
    point = {"type": "Point", "coordinates": [24.94, 60.17]}
    return {"type": "Feature", **identity, "properties": properties, "geometry": geometry or point}


def collection(*features: Any) -> str:
    return json.dumps({"type": "FeatureCollection", "features": list(features)})


def only(upload: Upload[Any]) -> Any:
    assert not upload.refused
    ((_, value),) = upload.accepted.values()
    return value


# ---- files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrap", [lambda b: b, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["no bom", "bom"])
def test_reads_plain_and_gzip_with_and_without_bom(tmp_path: Path, wrap: Any, bom: bytes) -> None:
    path = tmp_path / "anything"
    path.write_bytes(wrap(bom + f"{HEADER}\nä,Café,60.17,24.94\n".encode()))
    with open_upload(path) as text:
        upload = read_stores(read_rows(text), columns=ColumnMap(fields=STORE_FIELDS), at=AT)
    assert only(upload).external_id == "ä"


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n".encode() + b"1,a,1,2\n" * 10_000)[:-20])
    with pytest.raises(UnreadableFileError, match="damaged"), open_upload(path) as text:
        list(read_rows(text))


def test_utf_16_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(HEADER.encode("utf-16"))
    with pytest.raises(UnreadableFileError, match="save it as UTF-8"), open_upload(path):
        pass


def test_progress_counts_the_bytes_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "stores.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n".encode() * 1000))
    seen: list[int] = []
    with open_upload(path, on_read=seen.append) as text:
        text.read()
    assert sum(seen) == path.stat().st_size


def test_an_empty_file_is_an_error() -> None:
    with pytest.raises(UnreadableFileError, match="empty"):
        stores("  \n ")


# ---- CSV --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("2,b,60", "3 fields, but the header has 4"),
        ("2,b,60,24,extra", "5 fields, but the header has 4"),
        ('2,"b,60,24', "a quote is out of place"),
        ('2,"b"x,60,24', "a quote is out of place"),
        ("2,b,sixty,24", "lat is not a number: 'sixty'"),
        ("2,b,1_0,24", "lat is not a number: '1_0'"),
        ("2,b,nan,24", "lat is not a number: 'nan'"),
        ("2,b,1e999,24", "lat is not a finite number"),
        ("2,b,,24", "lat is missing"),
        ("2,b,60,", "lng is missing"),
        ("2,b,91,24", "lat 91.0 is out of range"),
        ("2,b,60,181", "lng 181.0 is out of range"),
        ("2,b,0,0.0", "the position is (0, 0)"),
        ("2,b\0,60,24", "name holds a NUL character"),
    ],
)
def test_a_broken_row_is_refused_alone(broken: str, reason: str) -> None:
    upload = stores(f"{HEADER}\n1,a,60.1,24.1\n{broken}\n3,c,60.3,24.3\n")
    assert list(upload.accepted) == ["1", "3"]
    assert [(refusal.row, refusal.reason) for refusal in upload.refused] == [(2, reason)]
    assert upload.rows == 3


def test_bytes_that_are_not_utf_8_cost_one_row(tmp_path: Path) -> None:
    path = tmp_path / "latin1.csv"
    path.write_bytes(f"{HEADER}\n1,a,60,24\n".encode() + b"2,caf\xe9,60,24\n3,c,60,24\n")
    with open_upload(path) as text:
        upload = read_stores(read_rows(text), columns=ColumnMap(fields=STORE_FIELDS), at=AT)
    assert list(upload.accepted) == ["1", "3"]
    assert upload.refused[0].reason == "name is not UTF-8"


def test_quoted_fields_may_hold_lines_quotes_and_delimiters() -> None:
    upload = stores(f'{HEADER}\n1,"a ""b"", c\nd",60,24\n2,e,60,24\n')
    assert upload.accepted["1"][1].name == 'a "b", c\nd'
    assert [row for row, _ in upload.accepted.values()] == [1, 2]


def test_a_stray_quote_does_not_swallow_the_rows_after_it() -> None:
    rows = "".join(f"{i},s{i},60,24\n" for i in range(2, 400))
    upload = stores(f'{HEADER}\n1,"stray,60,24\n{rows}')
    assert [(refusal.row, refusal.reason) for refusal in upload.refused] == [(1, "a quote is out of place")]
    assert len(upload.accepted) == 398


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_header_tells_the_delimiter(delimiter: str, end: str) -> None:
    text = end.join([HEADER, "1,a,60,24", ""]).replace(",", delimiter)
    assert only(stores(text)).name == "a"


def test_empty_lines_are_no_rows() -> None:
    upload = stores(f"\n{HEADER}\n\n1,a,60,24\n   \n2,b,x,24\n\n")
    assert [refusal.row for refusal in upload.refused] == [2]


def test_a_header_that_names_a_column_twice_is_an_error() -> None:
    with pytest.raises(UnreadableFileError, match="lat"):
        stores("external_id,lat,lat,lng\n")


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8), min_size=3, max_size=3),
        max_size=8,
    ),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_whatever_a_csv_writer_writes_is_read_back(rows: list[list[str]], quoting: Any) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=quoting)
    writer.writerows([["a", "b", "c"], *rows])
    read = list(read_csv(iter(io.StringIO(buffer.getvalue(), newline="\n"))))
    # a line of blanks alone is no row
    written = [row for row in rows if not (quoting == csv.QUOTE_MINIMAL and ",".join(row).isspace())]
    assert [list(row.values.values()) if isinstance(row, Row) else row for row in read] == written


@settings(deadline=None)
@given(st.text(st.sampled_from('",\n\r;ab1 '), max_size=60))
def test_no_text_breaks_the_csv_reader(text: str) -> None:
    rows = list(read_csv(iter(io.StringIO("a,b\n" + text, newline="\n"))))
    assert [row.row for row in rows] == list(range(1, len(rows) + 1))


# ---- GeoJSON ----------------------------------------------------------------------------------------------------

FEATURES = [feature(external_id=str(i), name=f"Café {i}") for i in range(3)]


@pytest.mark.parametrize(
    "text",
    [
        collection(*FEATURES),
        json.dumps({"type": "FeatureCollection", "features": FEATURES}, indent=2),
        json.dumps({"features": FEATURES, "name": '"features":[', "type": "FeatureCollection", "bbox": [1, 2, 3, 4]}),
        json.dumps(FEATURES),
        "\n".join(map(json.dumps, FEATURES)),
        "\r\n".join(map(json.dumps, FEATURES)) + "\r\n\r\n",
        "".join(f"\x1e{json.dumps(f, indent=1)}\n" for f in FEATURES),
        '{"type":"FeatureCollection","features":[\n' + ",\n".join(map(json.dumps, FEATURES)) + "\n]}\n",
    ],
    ids=["collection", "indented", "members", "list", "lines", "crlf", "rs", "line each"],
)
def test_every_form_of_geojson_is_read(text: str) -> None:
    upload = stores(text)
    assert list(upload.accepted) == ["0", "1", "2"]
    assert not upload.refused


def test_a_single_feature_is_read() -> None:
    assert only(stores(json.dumps(FEATURES[0], indent=1))).external_id == "0"


def test_a_collection_larger_than_the_buffer_is_read_piece_by_piece() -> None:
    many = [feature(external_id=str(i), note="x" * 1000) for i in range(3 * CHUNK // 1000)]
    assert len(stores(collection(*many)).accepted) == len(many)


def test_a_broken_line_of_a_sequence_is_refused_alone() -> None:
    text = "\n".join(['{"type":"Feature",', *map(json.dumps, FEATURES), "[1]"])
    upload = stores(text)
    assert list(upload.accepted) == ["0", "1", "2"]
    assert [refusal.row for refusal in upload.refused] == [1, 5]


@pytest.mark.parametrize("cut", [10, 50, 120, -2])
def test_a_collection_that_ends_in_the_middle_is_an_error(cut: int) -> None:
    with pytest.raises(UnreadableFileError):
        stores(collection(*FEATURES)[:cut])


@pytest.mark.parametrize(
    ("thing", "reason"),
    [
        ({"type": "Point", "coordinates": [1, 2]}, "not a GeoJSON Feature"),
        (7, "not a GeoJSON Feature"),
        ({"type": "Feature", "properties": [], "geometry": None}, "properties and geometry must be objects"),
        ({"type": "Feature", "properties": {}, "geometry": None}, "lat is missing"),
        (feature({"type": "LineString", "coordinates": [[1, 2], [3, 4]]}), "a store needs a Point, not 'LineString'"),
        (feature({"type": "Point", "coordinates": ["1", True]}), "lat is not a number"),
        (feature({"type": "Point", "coordinates": [float("nan"), 1]}), "lng is not a finite number"),
        (feature(name=["a"]), "name is not text"),
        (feature(external_id=True), "external_id is not text"),
        (feature(external_id="1", note="\ud800"), "note is not UTF-8"),
        (feature(external_id="1", deep={"a": ["\0"]}), "deep holds a NUL character"),
    ],
)
def test_features_are_refused_with_their_reason(thing: Any, reason: str) -> None:
    upload = stores(collection(FEATURES[0], thing, FEATURES[2]))
    assert list(upload.accepted) == ["0", "2"]
    assert [(refusal.row, refusal.reason) for refusal in upload.refused] == [(2, reason)]


# ---- ids --------------------------------------------------------------------------------------------------------


def test_external_ids_are_kept_as_they_were_given() -> None:
    for text in ("007", "1e5", " 7 ", "1,5", "٣"):
        assert only(stores(f'{HEADER}\n"{text}",a,60,24\n')).external_id == text


@pytest.mark.parametrize("number", ["7", "1.50", "1E5", "12345678901234567890123", "0.10"])
def test_a_json_number_as_an_id_becomes_its_text(number: str) -> None:
    point = '"geometry":{"type":"Point","coordinates":[24.9,60.1]}'
    as_id = f'{{"type":"Feature","id":{number},"properties":{{}},{point}}}'
    as_property = f'{{"type":"Feature","properties":{{"external_id":{number}}},{point}}}'
    assert only(stores(as_id)).external_id == number
    assert only(stores(as_property)).external_id == number


def test_the_property_comes_before_the_features_id_and_that_before_a_column_id() -> None:
    assert only(stores(collection(feature(feature_id="f", external_id="p", id="c")))).external_id == "p"
    read = only(stores(collection(feature(feature_id="f", id="c"))))
    assert read.external_id == "f"
    assert only(stores(collection(feature(id="c")))).external_id == "c"


def test_a_row_without_an_id_gets_the_same_one_every_time() -> None:
    text = "name,brand,address,lat,lng\nA,B,C,60,24\nA,B,C,60,24\nA,B,C,60,24.000001\n"
    first, again = stores(text), stores(text)
    assert list(first.accepted) == list(again.accepted)
    assert first.duplicates == 1
    assert len(first.accepted) == 2
    assert all(name.startswith("auto:") for name in first.accepted)


def test_the_last_of_two_rows_with_one_id_wins_but_a_refused_one_does_not() -> None:
    upload = stores(f"{HEADER}\n1,first,60,24\n2,other,60,24\n1,last,60,24\n2,bad,x,24\n")
    assert {key: store.name for key, (_, store) in upload.accepted.items()} == {"1": "last", "2": "other"}
    assert upload.duplicates == 1
    assert upload.refused[0].external_id == "2"


# ---- columns ----------------------------------------------------------------------------------------------------


def test_known_columns_have_other_names_too() -> None:
    for lat, lng in (("lat", "lng"), ("latitude", "longitude"), ("Lat", "LON")):
        assert only(stores(f"id,name,{lat},{lng}\n1,a,60,24\n")).location.lat == 60


def test_other_columns_become_attributes() -> None:
    read = only(stores("id,name,lat,lng,floor,empty\n1,a,60,24,2,\n"))
    assert read.attributes == {"floor": "2"}


def test_mapped_names_win_and_an_empty_right_side_ignores_a_column() -> None:
    text = "id,name,title,lat,lng,timezone,junk\n1,a,b,60,24,Mars/Base,x\n"
    read = only(stores(text, "name=title,timezone=,junk="))
    assert read.name == "b"
    assert read.timezone == "Europe/Helsinki"
    assert read.attributes == {"name": "a"}


@pytest.mark.parametrize("wrong", ["name", "=x", "nonsense=x", "name=a,name=b"])
def test_a_map_that_cannot_be_meant_is_refused(wrong: str) -> None:
    with pytest.raises(MapError):
        ColumnMap.parse(wrong, STORE_FIELDS)


def test_a_mapped_column_that_no_row_has_is_an_error() -> None:
    with pytest.raises(UnreadableFileError, match="no row has a column 'idd'"):
        stores(f"{HEADER}\n1,a,60,24\n", "external_id=idd")


def test_addresses_of_openstreetmap_are_put_together() -> None:
    tags = {"addr:street": "Katu", "addr:housenumber": "3", "addr:postcode": "00530", "addr:city": "Helsinki"}
    assert only(stores(collection(feature(name="a", **tags)))).address == "Katu 3, 00530 Helsinki"
    assert only(stores(collection(feature(name="a", address="given", **tags)))).address == "given"


def test_a_store_without_a_name_is_called_by_what_it_has() -> None:
    assert only(stores(collection(feature(operator="BP")))).name == "BP"
    assert only(stores(collection(feature(feature_id="n/1")))).name == "n/1"


def test_categories_may_be_several() -> None:
    assert only(stores(collection(feature(category="cafe; bakery")))).categories == ("cafe", "bakery")
    assert only(stores(collection(feature(category=["cafe", "bakery"])))).categories == ("cafe", "bakery")


# ---- time zones and hours ---------------------------------------------------------------------------------------


def test_a_missing_zone_comes_from_the_coordinates() -> None:
    assert only(stores(f"{HEADER}\n1,a,40.71,-74.0\n")).timezone == "America/New_York"


def test_an_unknown_zone_is_refused() -> None:
    upload = stores(f"{HEADER},timezone\n1,a,60,24,Mars/Base\n")
    assert upload.refused[0].reason == "unknown time zone 'Mars/Base'"


def test_a_zone_that_is_hours_off_is_remarked() -> None:
    header = f"{HEADER},timezone"
    near = stores(f"{header}\n1,a,60.17,24.94,Europe/Stockholm\n")
    assert not near.remarks
    far = stores(f"{header}\n1,a,60.17,24.94,America/New_York\n")
    assert "hours away from Europe/Helsinki" in far.remarks[0].warning
    assert only(far).timezone == "America/New_York"


def test_opening_hours_that_cannot_be_read_are_kept_with_a_warning() -> None:
    upload = stores(f"{HEADER},opening_hours\n1,a,60,24,whenever\n", hours_error=lambda text: f"no: {text}")
    assert only(upload).opening_hours == "whenever"
    assert upload.remarks[0].warning == "opening_hours are kept but not understood: no: whenever"


# ---- fences -----------------------------------------------------------------------------------------------------

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


# ---- positions --------------------------------------------------------------------------------------------------


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
