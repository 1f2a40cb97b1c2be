"""Files that people upload: every form is read, and one bad row never costs another."""

from __future__ import annotations

import csv
import gzip
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.import_columns import STORE_FIELDS, ColumnMap
from geofences.import_csv import read_csv
from geofences.import_files import open_upload, read_rows
from geofences.import_rows import CHUNK, Row, UnreadableFileError
from geofences.importing import read_stores

if TYPE_CHECKING:
    from pathlib import Path


from tests.support.uploads import AT, HEADER, collection, feature, only, stores


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
