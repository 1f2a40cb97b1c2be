"""Files that people upload, as numbered rows: CSV, GeoJSON and newline- or RS-separated GeoJSON, gzip or not.

A row that cannot be read is a `Broken` one and the rest goes on; only a file that is not what it seems is an error.
What is remembered is a row at a time, whatever the size of the file (of a GeoJSON: a feature).
"""

from __future__ import annotations

import gzip
import io
import json
import zlib
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

from geofences.import_csv import read_csv
from geofences.import_geojson import JSON_SPACE, RS, read_geojson
from geofences.import_rows import CHUNK, Broken, Row, UnreadableFileError, split_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAMAGE: Final = (OSError, EOFError, zlib.error)
"""What reading a broken gzip file, or disk, raises."""
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


@contextmanager
def open_upload(path: Path, *, on_read: Callable[[int], None] = lambda _: None) -> Iterator[TextIO]:
    """The text of a file: gzip by its magic bytes, a BOM dropped, bytes that are not UTF-8 kept as lone surrogates.

    `on_read(n)` is told of bytes read from the disk, for progress bars. Raises UnreadableFileError.
    """
    with ExitStack() as opened:
        try:
            raw = opened.enter_context(path.open("rb"))
        except OSError as error:
            raise UnreadableFileError(f"{path}: {error.strerror}") from error
        source: Any = io.BufferedReader(_Counted(raw, on_read), CHUNK)
        if source.peek(2)[:2] == _GZIP:
            # a GzipFile does not close what it reads from, hence the stack
            source = io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=source)), CHUNK)
        try:
            head = source.peek(3)[:3]
        except DAMAGE as error:
            raise UnreadableFileError(f"{path}: the file is damaged: {error}") from error
        if head[:2] in _UTF16:
            raise UnreadableFileError(f"{path}: UTF-16 is not read; save it as UTF-8")
        if head == _BOM:
            source.read(3)
        yield opened.enter_context(io.TextIOWrapper(source, encoding="utf-8", errors="surrogateescape", newline=""))


class _Counted(io.RawIOBase):
    def __init__(self, raw: Any, on_read: Callable[[int], None]) -> None:
        self._raw, self._on_read = raw, on_read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        n = self._raw.readinto(buffer)
        self._on_read(n)
        return int(n)


def read_rows(text: TextIO) -> Iterator[Row | Broken]:
    """The rows of a CSV or GeoJSON file, whichever it is by its first character. Raises UnreadableFileError."""
    try:
        head = text.read(CHUNK)
        first = head.lstrip(JSON_SPACE)[:1]
        if not first:
            raise UnreadableFileError("the file is empty")
        if first in {"{", "[", RS}:
            yield from read_geojson(head, text)
        else:
            yield from read_csv(split_lines(head, text))
    except DAMAGE as error:
        raise UnreadableFileError(f"the file is damaged: {error}") from error


def read_records(text: TextIO) -> Iterator[Row | Broken]:
    """The rows of a CSV, or of JSON objects one a line; of a feature, its properties. Raises UnreadableFileError."""
    try:
        head = text.read(CHUNK)
        first = head.lstrip(JSON_SPACE)[:1]
        if not first:
            raise UnreadableFileError("the file is empty")
        if first == "[":
            raise UnreadableFileError("a JSON array is not read: write one object a line")
        if first in {"{", RS}:
            yield from _objects(split_lines(head, text))
        else:
            yield from read_csv(split_lines(head, text))
    except DAMAGE as error:
        raise UnreadableFileError(f"the file is damaged: {error}") from error


def _objects(lines: Iterator[str]) -> Iterator[Row | Broken]:
    texts = (stripped for line in lines if (stripped := line.strip(JSON_SPACE + RS)))
    for number, source in enumerate(texts, 1):
        try:
            value = json.loads(source)
        except (ValueError, RecursionError) as error:
            yield Broken(row=number, reason=f"not JSON: {error}")
            continue
        if isinstance(value, dict) and value.get("type") == "Feature":
            value = value.get("properties")
        if isinstance(value, dict):
            yield Row(row=number, values=value, source=source)
        else:
            yield Broken(row=number, reason="not an object")
