"""GeoJSON as numbered rows: one document read feature by feature, or a sequence of features (RFC 8142, or a line each).

A broken feature of a sequence is a `Broken` row and the rest goes on; a document that breaks is an error as a whole.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, TextIO

from geofences.import_rows import CHUNK, Broken, Row, UnreadableFileError, split_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

RS: Final = "\x1e"
"""RFC 8142 puts one before every feature of a sequence."""
JSON_SPACE: Final = " \t\r\n"
"""To Python's own `strip` a record separator is space too."""
_SPACE: Final = re.compile(f"[{JSON_SPACE}]*")


def read_geojson(head: str, text: TextIO) -> Iterator[Row | Broken]:
    """One document (a FeatureCollection, a Feature, a list of them), or a sequence of features."""
    if head.lstrip(JSON_SPACE).startswith(RS) or _is_sequence(head):
        yield from _sequence_rows(head, text)
        return
    for row, (source, feature) in enumerate(_Document(head, text).features(), 1):
        yield _feature_row(row, feature, source)


def _is_sequence(head: str) -> bool:
    """Whether one of the first two lines is a whole feature, so that a broken first one does not hide the format."""
    lines = head.lstrip(JSON_SPACE).split("\n", 2)[:2]
    return '"features"' not in lines[0] and any(_is_feature(line) for line in lines)


def _is_feature(line: str) -> bool:
    try:
        value = json.loads(line)
    except ValueError:
        return False
    return isinstance(value, dict) and value.get("type") != "FeatureCollection"


def _sequence_rows(head: str, text: TextIO) -> Iterator[Row | Broken]:
    separated = head.lstrip(JSON_SPACE).startswith(RS)
    pieces = _pieces(head, text) if separated else split_lines(head, text)
    for row, source in enumerate((piece.strip() for piece in pieces if piece.strip()), 1):
        try:
            feature = json.loads(source)
        except ValueError as error:
            yield Broken(row=row, reason=f"not JSON: {error}")
        else:
            yield _feature_row(row, feature, source)


def _pieces(head: str, text: TextIO) -> Iterator[str]:
    while True:
        *pieces, rest = head.split(RS)
        yield from pieces
        more = text.read(CHUNK)
        if not more:
            yield rest
            return
        head = rest + more


def _feature_row(row: int, feature: Any, source: str) -> Row | Broken:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return Broken(row=row, reason="not a GeoJSON Feature")
    properties, geometry = feature.get("properties"), feature.get("geometry")
    if not isinstance(properties, dict | None) or not isinstance(geometry, dict | None):
        return Broken(row=row, reason="properties and geometry must be objects")
    return Row(row=row, values=properties or {}, geometry=geometry, feature_id=feature.get("id"), source=source)


class _Document:
    """Walks one JSON document and hands out its features as they come, so that its size does not matter."""

    def __init__(self, head: str, text: TextIO) -> None:
        self._buffer, self._text = head, text
        self._at = 0
        self._passed = 0
        self._decoder = json.JSONDecoder()

    def features(self) -> Iterator[tuple[str, Any]]:
        if self._peek() == "[":
            yield from self._elements()
            return
        self._take("{")
        members: dict[str, Any] = {}
        found = False
        while self._peek() != "}":
            name = self._value()[1]
            self._take(":")
            if name == "features" and self._peek() == "[":
                found = True
                yield from self._elements()
            else:
                members[str(name)] = self._value()[1]
            if self._peek() == ",":
                self._take(",")
        if not found:
            yield json.dumps(members), members

    def _elements(self) -> Iterator[tuple[str, Any]]:
        self._take("[")
        while self._peek() != "]":
            yield self._value()
            if self._peek() == ",":
                self._take(",")
        self._take("]")

    def _peek(self) -> str:
        while True:
            match = _SPACE.match(self._buffer, self._at)
            assert match is not None
            self._at = match.end()
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._more():
                raise UnreadableFileError("the GeoJSON ends in the middle")

    def _take(self, expected: str) -> None:
        if self._peek() != expected:
            raise UnreadableFileError(f"not GeoJSON: expected {expected!r} at character {self._passed + self._at + 1}")
        self._at += 1

    def _value(self) -> tuple[str, Any]:
        """The next value and its source; reads on until it is complete."""
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except ValueError as error:
                # reading twice as much each time keeps the repeated attempts cheap
                if not self._more(len(self._buffer) - self._at):
                    where = self._passed + self._at + 1
                    raise UnreadableFileError(f"not JSON in what starts at character {where}: {error}") from error
                continue
            # a number at the very end may go on in the next chunk
            if end == len(self._buffer) and self._more():
                continue
            source = self._buffer[self._at : end]
            self._at = end
            return source, value

    def _more(self, wanted: int = 0) -> bool:
        more = self._text.read(max(CHUNK, wanted))
        if not more:
            return False
        self._passed += self._at
        self._buffer = self._buffer[self._at :] + more
        self._at = 0
        return True
