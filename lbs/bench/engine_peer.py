"""What every engine in the comparison can do, and how its time is taken."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geofences.model import Floats
    from lbs.bench.engine_answers import Answers
    from lbs.bench.engine_workload import Fences, Workload

EXACT_M: Final = 0.01
"""What a verdict about a circle may be off on WGS 84."""
ROUNDING_M: Final = 1e-6
"""What a verdict about a polygon may be off: its edges are straight in lon/lat for all, only the last digits differ."""


class Peer(Protocol):
    """One engine with all fences of a workload in it, asked about its first positions."""

    name: str
    """Its key in `rates`."""
    sample: int
    """How many positions a round asks about: what keeps the run short."""

    def prepare(self, workload: Workload) -> None:
        """Take in the fences; whatever is made once is made here."""

    def answers(self, n: int) -> Answers:
        """About the first n positions."""

    def tolerance_m(self, fences: Fences) -> Floats:
        """How near to each fence's border a verdict may be another, shape (fences,); NaN where it gives none."""

    def run(self, n: int) -> None:
        """The work whose time is taken: about the first n positions."""

    def explain(self) -> str:
        """How it goes about it, in its own words."""

    def close(self) -> None:
        """Give back what it took."""


def exact_tolerance_m(fences: Fences) -> Floats:
    return np.where(fences.is_circle, EXACT_M, ROUNDING_M)


def rate(peer: Peer, positions: int) -> float:
    """Positions a second of one round."""
    n = min(peer.sample, positions)
    with undisturbed():
        begin = time.perf_counter()
        peer.run(n)
        return n / (time.perf_counter() - begin)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without Python's garbage collector, whose pauses grow with what other engines hold in memory."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
