"""Rows to stores: ids, columns, time zones, and why a row is refused."""

from __future__ import annotations

import pytest

from geofences.import_columns import STORE_FIELDS, ColumnMap, MapError
from geofences.import_rows import UnreadableFileError
from tests.support.uploads import HEADER, collection, feature, only, stores


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


def test_what_is_to_be_said_of_opening_hours_is_a_warning() -> None:
    upload = stores(f"{HEADER},opening_hours\n1,a,60,24,whenever\n", hours_remark=lambda text: f"odd: {text}")
    assert only(upload).opening_hours == "whenever"
    assert upload.remarks[0].warning == "opening_hours are odd: whenever"
