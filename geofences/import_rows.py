"""What the readers of uploaded files share: numbered rows, broken rows, physical lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TextIO

from geofences.errors import GeofencesError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHUNK: Final = 1 << 20


class UnreadableFileError(GeofencesError):
    """The file as a whole cannot be read: says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One data row, numbered from 1; a header line is no row, and neither is an empty line."""

    row: int
    values: Mapping[str, Any]
    """CSV: text by column, empty for an empty cell. GeoJSON: the feature's properties."""
    geometry: Mapping[str, Any] | None = None
    feature_id: Any = None
    source: str = ""
    """The feature's JSON, for the few who need a number exactly as it was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A row that is none."""

    row: int
    reason: str


def split_lines(head: str, text: TextIO) -> Iterator[str]:
    """Physical lines: of what was read already, then of the rest. Line ends are kept, as quoted fields hold them."""
    while True:
        *lines, rest = head.split("\n")
        yield from (line + "\n" for line in lines)
        head = text.read(CHUNK)
        if not head:
            break
        head = rest + head
    if rest:
        yield rest
