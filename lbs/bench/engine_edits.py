"""Fences that change while the index is full: how long one edit takes, and what many edits cost matching.

Every edit is of one fence, as the snapshot of a running process makes it: a change adds the next version and closes the
one before, a removal closes, an addition adds. The cells are worked out before, as they are in a service, where they
come with the fence. Afterwards every fence is what it was, and so must the answers be.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from lbs.bench.engine_answers import MismatchError
from lbs.bench.engine_ours import OurIndex, as_fence, covers_of
from lbs.bench.engine_peer import rate, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from geofences.model import Fence, Floats
    from lbs.bench.engine_workload import Workload

CHURN = 0.1
"""Share of all fences that are edited, each three times."""
SEED = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """Microseconds of single edits, and positions a second without and with all of them, one a round."""

    change_us: Floats
    remove_us: Floats
    add_us: Floats
    forget_us: float
    """For each version that went for good, on average."""
    untouched: list[float]
    edited: list[float]

    def report(self) -> dict[str, Any]:
        kinds = {"change": self.change_us, "remove": self.remove_us, "add": self.add_us}
        every = np.concatenate(list(kinds.values()))
        return {
            "edit_p50_us": float(np.percentile(every, 50)),
            "edit_p99_us": float(np.percentile(every, 99)),
            "edits": {
                kind: {"p50_us": float(np.percentile(us, 50)), "p99_us": float(np.percentile(us, 99)), "n": len(us)}
                for kind, us in kinds.items()
            },
            "forget_us": self.forget_us,
            "churn": CHURN,
            "after_churn": median(self.edited) / median(self.untouched),
        }


def measure_edits(ours: OurIndex, workload: Workload, *, rounds: int) -> Edits:
    """Edit a tenth of the fences of a second index; MismatchError if it answers otherwise than the one that is given.

    The two are timed in turns, the given one untouched.
    """
    positions = len(workload.lat)
    edited = OurIndex()
    edited.prepare(workload)
    versions = _Versions(edited, workload)
    with undisturbed():
        change_us = versions.each(versions.change)
    forgotten_s = versions.forget()
    with undisturbed():
        remove_us = versions.each(versions.remove)
    forgotten_s += versions.forget()
    with undisturbed():
        add_us = versions.each(versions.add)
    found, expected = (index.answers(positions).packed(len(workload.fences)) for index in (edited, ours))
    if not np.array_equal(found, expected):
        raise MismatchError(f"lbs answers otherwise after edits, at {len(workload.fences)} fences")
    rates = [(rate(ours, positions), rate(edited, positions)) for _ in range(rounds)]
    edited.close()
    return Edits(
        change_us=change_us,
        remove_us=remove_us,
        add_us=add_us,
        forget_us=forgotten_s / versions.forgotten * 1e6,
        untouched=[own for own, _ in rates],
        edited=[after for _, after in rates],
    )


class _Versions:
    """Two more versions of the chosen fences, in force for every position of the workload."""

    def __init__(self, ours: OurIndex, workload: Workload) -> None:
        self._ours = ours
        self._at_us = int(workload.at_us[0])
        n = len(workload.fences)
        self._chosen = np.random.default_rng(SEED).choice(n, max(1, int(n * CHURN)), replace=False).tolist()
        shapes = [next(workload.fences.shapes(i, i + 1)) for i in self._chosen]
        covers = covers_of(shapes)
        self._by_version = {
            version: [
                as_fence(i, shape, cells, version=version, from_us=self._at_us)
                for i, shape, cells in zip(self._chosen, shapes, covers, strict=True)
            ]
            for version in (2, 3)
        }
        self.forgotten = 0

    def change(self, k: int) -> int:
        """Version 2 follows version 1."""
        index, fence = self._ours.index, self._by_version[2][k]
        slot = index.add(fence)
        index.close(fence.fence_id, 1, self._at_us)
        return slot

    def remove(self, k: int) -> int:
        fence: Fence = self._by_version[2][k]
        self._ours.index.close(fence.fence_id, fence.version, self._at_us)
        return -1

    def add(self, k: int) -> int:
        return self._ours.index.add(self._by_version[3][k])

    def each(self, edit: Callable[[int], int]) -> Floats:
        """Microseconds of the edit of each chosen fence."""
        took_s = np.empty(len(self._chosen))
        slots: list[int] = []
        for k in range(len(self._chosen)):
            begin = time.perf_counter()
            slots.append(edit(k))
            took_s[k] = time.perf_counter() - begin
        self._note(slots)
        return took_s * 1e6

    def forget(self) -> float:
        """Give up the versions that are closed; seconds."""
        begin = time.perf_counter()
        self.forgotten += self._ours.index.forget_before(self._at_us)
        return time.perf_counter() - begin

    def _note(self, slots: Sequence[int]) -> None:
        if slots[0] >= 0:
            self._ours.note(slots, self._chosen)
