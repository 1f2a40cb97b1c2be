"""What every engine in the comparison can do, and how its time is taken."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geofences.model import Floats
    from lbs.bench.engine_answers import Answers
    from lbs.bench.engine_workload import Fences, Workload

EXACT_M: Final = 0.01
"""What a verdict about a circle may be off on WGS 84."""
ROUNDING_M: Final = 1e-6
"""What a verdict about a polygon may be off: its edges are straight in lon/lat for all, only the last digits differ."""


ROUND_S: Final = 0.3
"""How long a round takes at least."""


class Timed(Protocol):
    """Work on the first positions of a workload whose time can be taken."""

    name: str
    """Its key in `rates`."""
    sample: int
    """How many positions a round is about: what keeps the run short."""

    def ready(self) -> None:
        """Before every round, not timed."""
        return

    def run(self, n: int) -> None:
        """The work whose time is taken: about the first n positions."""


class Peer(Timed, Protocol):
    """One engine with all fences of a workload in it, asked about its first positions."""

    def prepare(self, workload: Workload) -> None:
        """Take in the fences; whatever is made once is made here."""

    def answers(self, n: int) -> Answers:
        """About the first n positions."""

    def tolerance_m(self, fences: Fences) -> Floats:
        """How near to each fence's border a verdict may be another, shape (fences,); NaN where it gives none."""

    def explain(self) -> str:
        """How it goes about it, in its own words."""

    def close(self) -> None:
        """Give back what it took."""


def exact_tolerance_m(fences: Fences) -> Floats:
    return np.where(fences.is_circle, EXACT_M, ROUNDING_M)


def rate(work: Timed, positions: int) -> float:
    """Positions a second of one round, in which the work is done as often as fits into ROUND_S, and once at least.

    What takes a hundredth of a second would slip between two time slices of a busy machine, and look faster beside what
    takes a second than it is.
    """
    n = min(work.sample, positions)
    done, took_s = 0, 0.0
    with undisturbed():
        while took_s < ROUND_S:
            work.ready()
            begin = time.perf_counter()
            work.run(n)
            took_s += time.perf_counter() - begin
            done += n
    return done / took_s


def in_turns(works: Sequence[Timed], positions: int, *, rounds: int) -> dict[str, list[float]]:
    """Positions a second by name, one a round: what disturbs the machine disturbs all."""
    turns = [[rate(work, positions) for work in works] for _ in range(rounds)]
    return {work.name: [turn[i] for turn in turns] for i, work in enumerate(works)}


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without Python's garbage collector, whose pauses grow with what other engines hold in memory."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
