"""CSV as numbered rows: a row that cannot be read is a `Broken` one, and the rest goes on. Pure."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Final

from geofences.import_rows import Broken, Row, UnreadableFileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DELIMITERS: Final = ",;\t|"
_LONGEST_RECORD_LINES: Final = 200
"""A quote that is still open after so many lines was never meant to open a field."""


def read_csv(lines: Iterator[str]) -> Iterator[Row | Broken]:
    """The rows of a CSV whose first line names the columns; comma, semicolon, tab or bar, whichever the header uses."""
    header_line = next((line for line in lines if line.strip()), "")
    delimiter = max(_DELIMITERS, key=header_line.count)
    header = [name.strip() for name in _record([header_line], delimiter) or []]
    named = [name for name in header if name]
    if len(set(named)) != len(named):
        twice = sorted({name for name in named if named.count(name) > 1})
        raise UnreadableFileError(f"the header names a column twice: {', '.join(twice)}")
    for row, fields in enumerate(_records(lines, delimiter, len(header)), 1):
        if isinstance(fields, str):
            yield Broken(row=row, reason=fields)
        else:
            cells = zip(header, fields, strict=True)
            yield Row(row=row, values={name: value for name, value in cells if name})


def _records(lines: Iterator[str], delimiter: str, width: int) -> Iterator[list[str] | str]:
    """The fields of each record, or what is wrong with it.

    A record may go on over several lines inside quotes. If that does not end well, only its first line is at fault:
    reading goes on with the second, so that one stray quote does not swallow its neighbours.
    """
    waiting: list[str] = []
    while True:
        line = waiting.pop(0) if waiting else next(lines, "")
        if not line:
            return
        if line.isspace():
            continue
        if '"' not in line:
            fields: list[str] | None = line.rstrip("\r\n").split(delimiter)
        else:
            taken = [line]
            fields = _record(taken, delimiter)
            while fields is None and len(taken) < _LONGEST_RECORD_LINES:
                more = waiting.pop(0) if waiting else next(lines, "")
                if not more:
                    break
                taken.append(more)
                fields = _record(taken, delimiter)
            if len(taken) > 1 and (fields is None or len(fields) != width):
                waiting[:0] = taken[1:]
                fields = None
        if fields is None:
            yield "a quote is out of place"
        elif len(fields) != width:
            yield f"{len(fields)} fields, but the header has {width}"
        else:
            yield fields


def _record(lines: Sequence[str], delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader(lines, delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None
