"""How much memory an index takes: by how much a process grows that builds one. `python -m lbs.bench.engine_memory N`.

The cells are worked out before; fences are handed over a few at a time and dropped, so that what stays is the index's.
An index just like it is built first and kept: what Python had free already is in that one. Small ones are built many
times, because a process grows by pages.
"""

from __future__ import annotations

import ctypes
import gc
import json
import subprocess
import sys
from itertools import accumulate, chain
from typing import TYPE_CHECKING

import numpy as np

from geofences.index import FenceIndex
from lbs.bench.engine_ours import as_fence, covers_of
from lbs.bench.engine_workload import Fences, make
from lbs.bench.extras import extra
from lbs.runtime import CommandError

if TYPE_CHECKING:
    from geofences.model import Cell

AT_ONCE = 2_000
FENCES_IN_ALL = 50_000


def measure_bytes(fences: int) -> int:
    """Of an index with so many fences of the workload, in a process of its own."""
    extra("psutil")
    arguments = [sys.executable, "-m", "lbs.bench.engine_memory", str(fences)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        raise CommandError(f"the memory of {fences} fences could not be measured: {done.stderr.strip()[-300:]}")
    return int(json.loads(done.stdout)["bytes"])


class _Covers:
    """The cells of all fences in two arrays."""

    def __init__(self, fences: Fences) -> None:
        parts, counts = [], [0]
        for start in range(0, len(fences), AT_ONCE):
            covers = covers_of(list(fences.shapes(start, min(start + AT_ONCE, len(fences)))))
            parts.append(np.fromiter(chain.from_iterable(covers), dtype=np.int64))
            counts += [len(cells) for cells in covers]
        self._cells = np.concatenate(parts)
        self._first = list(accumulate(counts))

    def of(self, i: int) -> list[Cell]:
        cells: list[Cell] = self._cells[self._first[i] : self._first[i + 1]].tolist()
        return cells


def _fill(index: FenceIndex, fences: Fences, covers: _Covers) -> None:
    for start in range(0, len(fences), AT_ONCE):
        shapes = fences.shapes(start, min(start + AT_ONCE, len(fences)))
        index.add_all([as_fence(i, shape, covers.of(i)) for i, shape in enumerate(shapes, start=start)])
    index.finish()  # as an engine does that has loaded its fences


def _resident_bytes() -> int:
    """Of this process, after what is free was given back to the system."""
    gc.collect()
    library = ctypes.CDLL(None)
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
    return int(extra("psutil").Process().memory_info().rss)


def main(n: int) -> None:
    fences = make(n, devices=1, reports=1).fences
    covers = _Covers(fences)
    copies = max(1, FENCES_IN_ALL // n)
    indexes = [FenceIndex() for _ in range(copies + 1)]
    _fill(indexes[0], fences, covers)
    before = _resident_bytes()
    for index in indexes[1:]:
        _fill(index, fences, covers)
    grown = (_resident_bytes() - before) // copies
    assert all(len(index) == n for index in indexes)
    sys.stdout.write(json.dumps({"fences": n, "bytes": grown}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
