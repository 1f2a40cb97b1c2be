"""Columns of rows on their way to PostgreSQL: its binary COPY format, without a Python object a row, or plain values.

Source: https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geofences.model import Int64s

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
TRAILER: Final = struct.pack(">h", -1)
PG_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
PG_EPOCH_US: Final = 946_684_800_000_000
"""PostgreSQL counts microseconds from 2000."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `null` (shape (n,)) says where it is NULL, `words` what its numbers stand for."""

    name: str
    kind: str
    """As numpy writes it, big endian: >i2, >i4, >i8, >f4, >f8; >i1 is a boolean."""
    values: NDArray[Any]
    null: NDArray[np.bool_] | None = None
    words: tuple[bytes, ...] | None = None
    is_time: bool = False

    def python(self) -> list[Any]:
        """The values as psycopg2 takes them."""
        values: list[Any] = self.values.tolist()
        if self.words is not None:
            values = [self.words[int(code)].decode() for code in values]
        elif self.is_time:
            values = [PG_EPOCH + timedelta(microseconds=us) for us in values]
        elif self.kind == ">i1":
            values = list(map(bool, values))
        if self.null is None:
            return values
        return [None if null else value for value, null in zip(values, self.null.tolist(), strict=True)]


def times(name: str, us: Int64s, *, none_us: int | None = None) -> Column:
    """A timestamptz column of microseconds since 1970; `none_us` stands for NULL."""
    null = None if none_us is None else us == none_us
    return Column(name, ">i8", np.where(us == none_us, 0, us - PG_EPOCH_US), null, is_time=True)


def words(name: str, codes: NDArray[Any], names: Sequence[str | None]) -> Column:
    """A text column of few different words, by their places in `names`; None stands for NULL."""
    null = np.isin(codes, [code for code, word in enumerate(names) if word is None])
    return Column(name, "S", codes, null, tuple((word or "").encode() for word in names))


def binary_copy(columns: Sequence[Column]) -> bytes:
    """What COPY ... FROM STDIN (FORMAT binary) reads. The order of rows is not kept."""
    n = len(columns[0].values)
    shape = np.zeros(n, dtype=np.int64)
    for column in columns:
        if column.words is not None:
            shape = shape * (len(column.words) + 1) + np.asarray(column.values, dtype=np.int64)
        if column.null is not None:
            shape = shape * 2 + column.null
    parts = [HEADER]
    shapes = np.unique(shape)
    for one in shapes:
        rows = slice(None) if len(shapes) == 1 else np.flatnonzero(shape == one)
        parts.append(_alike(columns, rows))
    return b"".join((*parts, TRAILER))


def _alike(columns: Sequence[Column], rows: slice | Int64s) -> bytes:
    """Rows whose NULLs and words are the same: each takes the same number of bytes."""
    fields: list[tuple[str, str]] = [("fields", ">i2")]
    filled: list[tuple[str, Any]] = [("fields", len(columns))]
    n = 0
    for column in columns:
        values = column.values[rows]
        n = len(values)
        size, value = f"{column.name}_size", f"{column.name}_value"
        fields.append((size, ">i4"))
        if column.null is not None and column.null[rows][0]:
            filled.append((size, -1))
            continue
        if column.words is not None:
            word = column.words[int(values[0])]
            fields.append((value, f"S{len(word)}"))
            filled += [(size, len(word)), (value, word)]
            continue
        fields.append((value, column.kind))
        filled += [(size, np.dtype(column.kind).itemsize), (value, values)]
    packed = np.empty(n, dtype=np.dtype(fields))
    for name, values in filled:
        packed[name] = values
    return packed.tobytes()
