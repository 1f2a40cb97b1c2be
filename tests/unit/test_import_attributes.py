"""Rows of an upload of attributes: whom they are about, types, what is refused and why."""

from __future__ import annotations

import io
from typing import Any

import pytest

from geofences.import_attributes import parse_types, read_attributes
from geofences.import_columns import MapError
from geofences.import_files import read_records
from geofences.import_rows import UnreadableFileError


def read(text: str, types: str = "") -> tuple[str | None, dict[str, dict[str, Any]], list[tuple[int, str]]]:
    key, upload = read_attributes(read_records(io.StringIO(text)), types=parse_types(types))
    said = {known_as: value for known_as, (_, value) in upload.accepted.items()}
    return key, said, [(refusal.row, refusal.reason) for refusal in upload.refused]


def test_a_column_of_numbers_holds_numbers_and_a_mixed_one_text() -> None:
    key, said, refused = read(
        "external_user_id,age,zip,vip,visits\nanna,41,00100,true,1.5\nbert,7,00200,FALSE,\ncarl,,,,-2e3\n"
    )
    assert (key, refused) == ("external_user_id", [])
    assert said == {
        "anna": {"age": 41, "zip": "00100", "vip": True, "visits": 1.5},
        "bert": {"age": 7, "zip": "00200", "vip": False, "visits": None},
        "carl": {"age": None, "zip": None, "vip": None, "visits": -2000},
    }


def test_types_that_are_given_count_and_what_does_not_fit_them_is_refused() -> None:
    _, said, refused = read("device_id,age,phone\na,41,358\nb,old,359\n", "age=number,phone=text")
    assert said == {"a": {"age": 41, "phone": "358"}}
    assert refused == [(2, "age is not a number: 'old'")]


def test_json_keeps_the_types_it_has_and_null_takes_away() -> None:
    lines = [
        '{"external_user_id": "anna", "age": 41, "zip": "00100", "likes": ["tea", 1], "gone": null}',
        '{"type": "Feature", "properties": {"external_user_id": "bert", "age": "41"}}',
    ]
    _, said, _ = read("\n".join(lines))
    assert said == {
        "anna": {"age": 41, "zip": "00100", "likes": ["tea", 1], "gone": None},
        "bert": {"age": "41"},
    }


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("nonsense", "not JSON"),
        ("[1]", "not an object"),
        ('{"age": 1}', "names one of"),
        ('{"external_user_id": "a", "device_id": "b"}', "names one of"),
        ('{"device_id": "b"}', "names one of"),
        ('{"external_user_id": ""}', "is empty"),
        ('{"external_user_id": null}', "is empty"),
        ('{"external_user_id": "a", "x": {"y": 1}}', "x is neither a value nor a list"),
        ('{"external_user_id": "a", "x": [[1]]}', "x is neither a value nor a list"),
        ('{"external_user_id": "a", "x": NaN}', "x is not a finite number"),
        ('{"external_user_id": "a", "x": "\\u0000"}', "NUL"),
        ('{"external_user_id": "a", "x": "%s"}' % ("y" * 1000), "longer than 1000"),
    ],
)
def test_a_row_that_cannot_be_taken_is_refused_alone(row: str, reason: str) -> None:
    good = '{"external_user_id": "anna", "age": 41}'
    _, said, refused = read(f"{good}\n{row}\n{good.replace('anna', 'zoe')}")
    assert sorted(said) == ["anna", "zoe"]
    ((number, why),) = refused
    assert number == 2
    assert reason in why


def test_the_last_of_two_rows_about_one_person_wins() -> None:
    key, upload = read_attributes(read_records(io.StringIO("device_id,tier\na,gold\na,silver\n")), types={})
    assert (key, upload.duplicates) == ("device_id", 1)
    assert upload.accepted["a"] == (2, {"tier": "silver"})


@pytest.mark.parametrize("wrong", ["age", "age=int", "=text", "age=text,age=number"])
def test_types_that_cannot_be_meant_are_refused(wrong: str) -> None:
    with pytest.raises(MapError, match="--types"):
        parse_types(wrong)


def test_a_json_array_is_no_list_of_lines() -> None:
    with pytest.raises(UnreadableFileError, match="one object a line"):
        read('[{"device_id": "a"}]')
