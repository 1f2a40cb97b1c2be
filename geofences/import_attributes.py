"""Rows of an upload to attributes of people or devices: which, and with what types. Pure.

A CSV knows only text: a column whose cells are all numbers, or all `true` and `false`, holds such, unless somebody says
otherwise. Null, and an empty cell, take an attribute away.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from geofences.import_columns import MapError, RowRefusedError, check_storable, number_of, text_of
from geofences.import_rows import Broken
from geofences.importing import Upload

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from geofences.import_rows import Row

KEYS: Final = ("external_user_id", "device_id")
"""Columns that say whom a row is about; a file has one of them."""
MAX_KEY: Final = 200
MAX_VALUE_CHARACTERS: Final = 1_000
# as JSON has it: 007 and +1 are somebody's text
_NUMBER: Final = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_WORDS: Final = {"true": True, "false": False}


class AttributeType(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"


def parse_types(text: str) -> dict[str, AttributeType]:
    """Of `zip=text,age=number`. Raises MapError.

    >>> parse_types("zip=text, age=number")
    {'zip': <AttributeType.TEXT: 'text'>, 'age': <AttributeType.NUMBER: 'number'>}
    """
    types: dict[str, AttributeType] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, word = (piece.strip() for piece in part.rpartition("="))
        if not name or word not in set(AttributeType) or name in types:
            raise MapError(f"--types: {part!r} is not of the form column={'|'.join(AttributeType)}, each column once")
        types[name] = AttributeType(word)
    return types


def read_attributes(
    rows: Iterable[Row | Broken], *, types: Mapping[str, AttributeType]
) -> tuple[str | None, Upload[dict[str, Any]]]:
    """Which of `KEYS` the file has (None: no row could be read), and the attributes by its values."""
    upload: Upload[dict[str, Any]] = Upload()
    key: str | None = None
    inferred = False
    for row in rows:
        upload.rows += 1
        if isinstance(row, Broken):
            upload.refuse(row.row, None, row.reason)
            continue
        named = [name for name in KEYS if name in row.values]
        key = key or (named[0] if len(named) == 1 else None)
        if key is None or named != [key]:
            upload.refuse(row.row, None, f"a row names one of {', '.join(KEYS)}, the same in all rows")
            continue
        known_as = row.values[key] if isinstance(row.values[key], str) and row.values[key] else None
        try:
            known_as = _known_as(key, row.values[key])
            said = {name: _value(name, value) for name, value in row.values.items() if name != key}
        except RowRefusedError as error:
            upload.refuse(row.row, known_as, str(error))
        else:
            upload.accept(row.row, known_as, said)
        inferred = not row.source
    _give_types(upload, dict(types), infer=inferred)
    return key, upload


def _known_as(key: str, value: Any) -> str:
    text = text_of(key, value)
    if not text or len(text) > MAX_KEY:
        raise RowRefusedError(f"{key} is empty, or longer than {MAX_KEY} characters")
    return text


def _value(name: str, value: Any) -> Any:
    check_storable(name, name)
    check_storable(name, value)
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(one, dict | list) for one in value)):
        raise RowRefusedError(f"{name} is neither a value nor a list of values")
    if len(json.dumps(value)) > MAX_VALUE_CHARACTERS:
        raise RowRefusedError(f"{name} is longer than {MAX_VALUE_CHARACTERS} characters")
    return None if isinstance(value, str) and not value.strip() else value


def _give_types(upload: Upload[dict[str, Any]], types: dict[str, AttributeType], *, infer: bool) -> None:
    """JSON has said what is a number; of a CSV the whole column says it."""
    texts: dict[str, list[str]] = {}
    for _, said in upload.accepted.values() if infer else ():
        for name, value in said.items():
            if value is not None:
                texts.setdefault(name, []).append(value)
    meant = {name: _meant(cells) for name, cells in texts.items()} | types
    for known_as, (number, said) in list(upload.accepted.items()):
        try:
            given = {name: _as_type(name, value, meant.get(name)) for name, value in said.items()}
        except RowRefusedError as error:
            del upload.accepted[known_as]
            upload.refuse(number, known_as, str(error))
        else:
            upload.accepted[known_as] = (number, given)


def _meant(cells: Iterable[str]) -> AttributeType:
    cells = list(cells)
    if all(cell.strip().lower() in _WORDS for cell in cells):
        return AttributeType.BOOLEAN
    return AttributeType.NUMBER if all(_NUMBER.fullmatch(cell.strip()) for cell in cells) else AttributeType.TEXT


def _as_type(name: str, value: Any, wanted: AttributeType | None) -> Any:
    if value is None or wanted is None:
        return value
    match wanted:
        case AttributeType.TEXT:
            return value if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)
        case AttributeType.NUMBER:
            number = number_of(name, value)
            return int(number) if number is not None and number.is_integer() and abs(number) < 2**53 else number
        case AttributeType.BOOLEAN:
            word = value if isinstance(value, bool) else _WORDS.get(str(value).strip().lower())
            if word is None:
                raise RowRefusedError(f"{name} is not true or false: {str(value)[:40]!r}")
            return word
