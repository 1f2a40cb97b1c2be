"""Told events against the truth: how many are right, how many visits are found, and how long after the fact.

An event is right if it names a time that fits a true one, as far as the phone let that be known: an enter lies in the
visit or up to 60 s before; a dwell likewise, from 120 s into the visit on; an exit within 60 s of the visit's end, or
of the first report after it. One event is right for one true visit; another one for the same is false, as is what was
taken back.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lbs.bench.traces_truth import TRUE_DWELL_S, US_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lbs.bench.traces_truth import Trace, TrueVisit

ENTER, DWELL, EXIT = "enter", "dwell", "exit"
KINDS: Final = (ENTER, DWELL, EXIT)
TOLERANCE_US: Final = 60 * US_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a rule tells; `clock_us` is when it does, `at_us` what it says of when that was."""

    kind: str
    trace: int
    fence_id: int
    at_us: int
    clock_us: int
    taken_back: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueEvent:
    fence_id: int
    at_us: int
    first_us: int
    last_us: int
    """An event that names a time from `first_us` to `last_us` is right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    told: int
    true: int
    right: int
    taken_back: int
    delays_s: tuple[float, ...]
    """Of the right ones, from the true time to the clock of the event."""

    @property
    def false(self) -> int:
        return self.told - self.right

    def as_dict(self) -> dict[str, Any]:
        """What the JSON shows; precision and recall are null where there is nothing to divide by."""
        delays = {"p50": _percentile(self.delays_s, 50), "p95": _percentile(self.delays_s, 95)}
        return {
            "told": self.told,
            "true": self.true,
            "right": self.right,
            "false": self.false,
            "taken_back": self.taken_back,
            "precision": self.right / self.told if self.told else None,
            "recall": self.right / self.true if self.true else None,
            "delay_s": delays,
        }


def score(kind: str, traces: Sequence[Trace], events: Iterable[Event]) -> Score:
    """Of one kind of event; `events` may hold others, and those of other traces."""
    numbers = {trace.trace for trace in traces}
    by_fence: defaultdict[int, list[Event]] = defaultdict(list)
    for event in events:
        if event.kind == kind and event.trace in numbers:
            by_fence[event.fence_id].append(event)
    true = [found for trace in traces for visit in trace.visits if (found := true_event(kind, trace, visit))]
    delays_s = []
    for wanted in true:
        told = by_fence[wanted.fence_id]
        right = [e for e in told if not e.taken_back and wanted.first_us <= e.at_us <= wanted.last_us]
        if right:
            first = min(right, key=lambda event: (event.clock_us, event.at_us))
            told.remove(first)
            delays_s.append((first.clock_us - wanted.at_us) / US_PER_S)
    left = [event for told in by_fence.values() for event in told]
    return Score(
        told=len(left) + len(delays_s),
        true=len(true),
        right=len(delays_s),
        taken_back=sum(event.taken_back for event in left),
        delays_s=tuple(delays_s),
    )


def true_event(kind: str, trace: Trace, visit: TrueVisit) -> TrueEvent | None:
    """None if the visit has none of this kind: it was too short to dwell."""
    at_us, last_us = visit.from_us, visit.until_us
    if kind == DWELL:
        at_us += round(TRUE_DWELL_S * US_PER_S)
        if at_us > last_us:
            return None
    if kind == EXIT:
        at_us = visit.until_us
        after = trace.positions["recorded_us"][trace.positions["recorded_us"] > at_us]
        last_us = int(after.min(initial=at_us if not len(after) else after[0])) + TOLERANCE_US
    return TrueEvent(fence_id=visit.fence_id, at_us=at_us, first_us=at_us - TOLERANCE_US, last_us=last_us)


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if len(values) else None
