"""Rows of a file of positions, as `lbs replay` and `lbs match` read them. Pure.

A row that holds no position is a `NoPosition` with the reason as a machine word, the same words as the API answers.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from geofences.import_columns import RowRefusedError, number_of, text_of
from geofences.import_rows import Broken, UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from geofences.import_columns import ColumnMap
    from geofences.import_rows import Row

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)
_SECONDS: Final = re.compile(r"[+-]?\d{1,12}(\.\d+)?", re.ASCII)
_MAX_TIME_S: Final = 100_000_000_000
"""Beyond the year 5000."""
_TRUE: Final = frozenset({"true", "t", "yes", "1"})
_POLE_DEG: Final = 90.0
_HALF_TURN_DEG: Final = 180.0


class PositionRow(NamedTuple):
    """One position; NaN where accuracy or speed was not said, 0 for a time that nobody wants."""

    device_id: str
    recorded_us: int
    lat: float
    lng: float
    accuracy_m: float
    speed_mps: float
    mocked: bool


class NoPosition(NamedTuple):
    """A row that was refused."""

    reason: str


def read_positions(rows: Iterable[Row | Broken], columns: ColumnMap) -> Iterator[PositionRow | NoPosition]:
    """Every row with its device and time. Raises UnreadableFileError if a column that is needed is not there."""
    needed = ("device_id", "recorded_at", "lat", "lng")
    return _read(rows, columns, needed, lambda fields: (_device(fields), _recorded_us(fields.get("recorded_at"))))


def read_places(rows: Iterable[Row | Broken], columns: ColumnMap) -> Iterator[PositionRow | NoPosition]:
    """Every row as a mere place. Raises UnreadableFileError if a column that is needed is not there."""
    return _read(rows, columns, ("lat", "lng"), lambda _: ("", 0))


def _read(
    rows: Iterable[Row | Broken],
    columns: ColumnMap,
    needed: Sequence[str],
    who_and_when: Callable[[dict[str, Any]], tuple[str, int]],
) -> Iterator[PositionRow | NoPosition]:
    checked = False
    for row in rows:
        if isinstance(row, Broken):
            yield NoPosition("broken_row")
            continue
        if not checked:
            _check_columns(tuple(row.values), columns, needed)
            checked = True
        try:
            yield _position(columns.pick(row.values)[0], who_and_when)
        except RowRefusedError as error:
            yield NoPosition(str(error))
    columns.check_seen()


def _check_columns(present: tuple[str, ...], columns: ColumnMap, needed: Sequence[str]) -> None:
    used, _ = columns.plan(present)
    for name in needed:
        if name not in used:
            raise UnreadableFileError(
                f"no column holds {name}; the file has {', '.join(present)}: give --map {name}=COLUMN"
            )


def _position(fields: dict[str, Any], who_and_when: Callable[[dict[str, Any]], tuple[str, int]]) -> PositionRow:
    lat, lng = _degrees(fields.get("lat")), _degrees(fields.get("lng"))
    if abs(lat) > _POLE_DEG or abs(lng) > _HALF_TURN_DEG:
        raise RowRefusedError("out_of_range")
    if lat == 0 and lng == 0:
        raise RowRefusedError("null_island")
    device_id, recorded_us = who_and_when(fields)
    return PositionRow(
        device_id=device_id,
        recorded_us=recorded_us,
        lat=lat,
        lng=lng,
        accuracy_m=_said(fields.get("accuracy_m")),
        speed_mps=_said(fields.get("speed_mps")),
        mocked=str(fields.get("mocked", "")).strip().lower() in _TRUE,
    )


def _degrees(value: Any) -> float:
    try:
        number = number_of("", value)
    except RowRefusedError:
        number = None
    if number is None:
        raise RowRefusedError("not_finite")
    return number


def _said(value: Any) -> float:
    """A negative accuracy or speed counts as not said: that is how phones say so."""
    try:
        number = number_of("", value)
    except RowRefusedError:
        number = None
    return math.nan if number is None or number < 0 else number


def _device(fields: dict[str, Any]) -> str:
    try:
        device_id = text_of("device_id", fields.get("device_id"))
    except RowRefusedError:
        device_id = None
    if device_id is None:
        raise RowRefusedError("no_device_id")
    return device_id


def _recorded_us(value: Any) -> int:
    try:
        us = time_us(str(value)) if value is not None else None
    except ValueError:
        us = None
    if us is None:
        raise RowRefusedError("not_a_time")
    return us


def time_us(text: str) -> int:
    """ISO 8601 with an offset, or seconds since 1970, as exact microseconds; ValueError.

    >>> time_us("2013-07-01T00:00:53Z"), time_us("1372636853.000001")
    (1372636853000000, 1372636853000001)
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        us = int(Decimal(text).scaleb(6).to_integral_value())
    else:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("a time needs an offset")
        us = (at - _EPOCH) // _US
    if abs(us) > _MAX_TIME_S * 1_000_000:
        raise ValueError("out of range")
    return us
