"""Our own engine under the same protocol as its peers: the very index that the engine process matches with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from geofences.cover import cover
from geofences.index import FenceIndex
from geofences.model import PLAIN, Fence, FenceId, Floats, Int64s, TenantId
from lbs.bench.engine_answers import Answers
from lbs.bench.engine_peer import Peer, exact_tolerance_m

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geofences.model import Area, Cell, Circle, Pairs
    from lbs.bench.engine_workload import Fences, Workload

TENANT = TenantId(1)
BATCH = 16_384
"""Positions that are matched at once, as the engine process does when it has that many."""
TAKEN_AT_ONCE = 50_000
"""Fences that are read, covered and taken in at once: no second copy of all of them is ever held."""


class OurIndex(Peer):
    """Match only: which positions lie in which fences."""

    name = "lbs"
    sample = 1_000_000

    def __init__(self) -> None:
        self.index = FenceIndex()
        self.cover_s = 0.0
        self.index_s = 0.0
        self.fence_of_slot: Int64s = np.empty(0, dtype=np.int64)
        self._workload: Workload | None = None

    def prepare(self, workload: Workload) -> None:
        self._workload = workload
        self.take_in(workload.fences)

    def take_in(self, fences: Fences) -> None:
        """Build the index, and note how long cover and index took."""
        for start in range(0, len(fences), TAKEN_AT_ONCE):
            shapes = list(fences.shapes(start, min(start + TAKEN_AT_ONCE, len(fences))))
            begin = time.perf_counter()
            covers = covers_of(shapes)
            covered = time.perf_counter()
            made = [as_fence(start + i, shape, covers[i]) for i, shape in enumerate(shapes)]
            ready = time.perf_counter()
            slots = self.index.add_all(made)
            self.index_s += time.perf_counter() - ready
            self.cover_s += covered - begin
            self.note(slots, range(start, start + len(made)))

    def note(self, slots: Sequence[int], fences: Sequence[int]) -> None:
        """Remember which fence is in which slot."""
        known = self.fence_of_slot
        if max(slots) >= len(known):
            self.fence_of_slot = np.full(max(2 * len(known), max(slots) + 1), -1, dtype=np.int64)
            self.fence_of_slot[: len(known)] = known
        self.fence_of_slot[np.array(slots)] = fences

    def answers(self, n: int) -> Answers:
        position: list[Int64s] = [np.empty(0, dtype=np.int64)]
        fence: list[Int64s] = [np.empty(0, dtype=np.int64)]
        for part in self._batches(n):
            pairs = self._match(part)
            position.append(pairs.position.astype(np.int64) + part.start)
            fence.append(self.fence_of_slot[pairs.slot])
        return Answers(position=np.concatenate(position), fence=np.concatenate(fence))

    def tolerance_m(self, fences: Fences) -> Floats:
        return exact_tolerance_m(fences)

    def run(self, n: int) -> None:
        for part in self._batches(n):
            self._match(part)

    def explain(self) -> str:
        return f"FenceIndex.match, batches of {BATCH} positions, one thread"

    def close(self) -> None:
        self.index = FenceIndex()
        self._workload = None

    def _batches(self, n: int) -> Iterator[slice]:
        return (slice(start, min(start + BATCH, n)) for start in range(0, n, BATCH))

    def _match(self, part: slice) -> Pairs:
        workload = self._workload
        assert workload is not None, "prepared first"
        return self.index.match(workload.tenant_id[part], workload.lat[part], workload.lng[part], workload.at_us[part])


def as_fence(i: int, shape: Circle | Area, cells: Sequence[Cell], *, version: int = 1, from_us: int = 0) -> Fence:
    return Fence(
        fence_id=FenceId(i + 1),
        version=version,
        tenant_id=TENANT,
        shape=shape,
        profile=PLAIN,
        cells=tuple(cells),
        valid_from_us=from_us,
    )


def covers_of(shapes: Sequence[Circle | Area]) -> list[tuple[Cell, ...]]:
    return [cover(shape) for shape in shapes]
