"""Positions of one file against fences of another, offline: no server, no state; verdicts as the engine gives them."""

from __future__ import annotations

import csv
import sys
import time
from array import array
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from geofences.cover import cover
from geofences.import_columns import FENCE_FIELDS, POSITION_FIELDS, ColumnMap
from geofences.import_fences import read_fences
from geofences.import_files import open_upload, read_rows
from geofences.index import FenceIndex
from geofences.model import PROFILES, Fence, FenceId, TenantId
from geofences.position_rows import NoPosition, read_places
from lbs.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    from geofences.model import Floats, Int64s
    from geofences.places import FenceInput
    from lbs.uploads import Progress

BATCH: Final = 100_000
ANYONE: Final = TenantId(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """The rows that hold a position."""

    rows: int
    number: Int64s
    lat: Floats
    lng: Floats


def match(
    fences_file: Path,
    positions_file: Path,
    *,
    column_map: str,
    output: Path | None,
    to_stdout: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Writes `position,fence_external_id` (row numbers from 0) and answers the counts and times of INTERFACE."""
    with _reading(fences_file, progress) as text:
        upload = read_fences(read_rows(text), columns=ColumnMap(fields=FENCE_FIELDS), profile="plain")
    fences = [row.fence for _, row in upload.accepted.values()]
    started_s = time.perf_counter()
    with progress("Building the index", len(fences)) as advance:
        index = _index(fences, advance)
    build_s = time.perf_counter() - started_s
    with _reading(positions_file, progress) as text:
        places = _read_places(text, ColumnMap.parse(column_map, POSITION_FIELDS))
    with progress("Matching", len(places.number)) as advance:
        position, fence, match_s = _match(index, places, advance)
    if output is not None or to_stdout:
        names = [fence.external_id for fence in fences]
        with _writing(output) as sink:
            writer = csv.writer(sink, lineterminator="\n")
            writer.writerow(["position", "fence_external_id"])
            writer.writerows(zip(position.tolist(), (names[number] for number in fence.tolist()), strict=True))
    return {
        "positions": places.rows,
        "fences": len(fences),
        "pairs": len(position),
        "build_s": round(build_s, 6),
        "match_s": round(match_s, 6),
        "rate": round(len(places.number) / match_s, 1) if match_s else 0.0,
        "refused_positions": places.rows - len(places.number),
        "refused": [asdict(refusal) for refusal in upload.refused],
        "duplicates": upload.duplicates,
    }


def _read_places(text: TextIO, columns: ColumnMap) -> _Places:
    number, lat, lng = array("q"), array("d"), array("d")
    rows = 0
    for row in read_places(read_rows(text), columns):
        if not isinstance(row, NoPosition):
            number.append(rows)
            lat.append(row.lat)
            lng.append(row.lng)
        rows += 1
    return _Places(
        rows=rows,
        number=np.array(number, dtype=np.int64),
        lat=np.array(lat, dtype=np.float64),
        lng=np.array(lng, dtype=np.float64),
    )


def _index(fences: list[FenceInput], advance: Any) -> FenceIndex:
    """Fence ids are the places in the list."""
    index = FenceIndex()
    for number, fence in enumerate(fences):
        index.add(
            Fence(
                fence_id=FenceId(number),
                version=1,
                tenant_id=ANYONE,
                shape=fence.shape,
                profile=PROFILES[fence.profile],
                cells=cover(fence.shape),
                external_id=fence.external_id,
            )
        )
        advance(1)
    return index


def _match(index: FenceIndex, places: _Places, advance: Any) -> tuple[Int64s, Int64s, float]:
    """Row numbers and fence numbers of all pairs, and the seconds that finding them took."""
    positions: list[Int64s] = [np.empty(0, dtype=np.int64)]
    fences: list[Int64s] = [np.empty(0, dtype=np.int64)]
    seconds = 0.0
    for start in range(0, len(places.number), BATCH):
        part = slice(start, start + BATCH)
        lat, lng = places.lat[part], places.lng[part]
        anyone, always = np.full(len(lat), ANYONE, dtype=np.int32), np.zeros(len(lat), dtype=np.int64)
        started_s = time.perf_counter()
        pairs = index.match(anyone, lat, lng, always)
        seconds += time.perf_counter() - started_s
        positions.append(places.number[part][pairs.position])
        fences.append(index.fence_ids(pairs.slot))
        advance(len(lat))
    return np.concatenate(positions), np.concatenate(fences), seconds


@contextmanager
def _reading(file: Path, progress: Progress) -> Iterator[TextIO]:
    with (
        progress(f"Reading {file.name}", file.stat().st_size) as advance,
        open_upload(file, on_read=advance) as text,
    ):
        yield text


@contextmanager
def _writing(output: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears when it is complete."""
    if output is None:
        yield sys.stdout
        return
    with whole_file(output) as path, path.open("w", encoding="utf-8", newline="") as sink:
        yield sink
