"""From visits of one store to its exact figures, period by period. Pure: arrays in, rows out.

What is told of these figures is decided when they are read (`geofences.withholding`), but for two things that need to
know who the visitors are: which visits count in which sums, and which quantiles have k devices on either side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from geofences.withholding import counted, people

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geofences.model import Bools, Floats, Int64s
    from geofences.periods import Calendar, Grain, Period

MIN_VISIT_S: Final = 120.0
DWELL_S: Final = (120, 300, 600, 900, 1_200, 1_800, 2_700, 3_600, 5_400, 7_200, 14_400)
"""Where the bars of the dwell histogram begin, in seconds; the last has no end."""
STEP_S: Final = 10
"""Quantiles of dwell are told to 10 s: when somebody entered and left is known no better."""
NEVER_US: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Stays:
    """Closed visits of one store as columns of shape (n,), also those too short to count: they pass by."""

    device_id: Int64s
    entered_us: Int64s
    dwell_s: Floats
    counts: Bools
    first_us: Int64s
    """When the first visit of the device at the store began that counts; NEVER_US if none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one period, exact: for the store's own tables, never to be told as they are."""

    period: Period
    visits: int
    """Those that count in the sum of the period (`withholding.Counted`)."""
    visitors: int
    new_visitors: int
    passers_by: int
    median_dwell_s: float | None
    p90_dwell_s: float | None
    dwell: tuple[int, ...]
    """For each bar of the histogram, devices with a visit of that length."""


def figures(stays: Stays, calendar: Calendar, grains: Iterable[Grain], k: int) -> Iterator[tuple[Grain, Figures]]:
    """Every period in which somebody came or passed by. Weeks and months must lie in the calendar's days as a whole."""
    hour = calendar.hour_numbers(stays.entered_us)
    who = np.unique(stays.device_id, return_inverse=True)[1].astype(np.int64)
    came = stays.counts
    told = counted(hour[came], who[came], calendar, k)
    for grain in grains:
        group = calendar.numbers(grain)[hour]
        spans = calendar.periods(grain)
        newcomer = stays.first_us >= calendar.new_since_us(grain)[group]
        size = len(spans)
        visits = np.bincount(group[came], weights=told.of(grain), minlength=size).astype(np.int64)
        visitors = people(group[came], who[came], at_least=size)
        new = people(group[came & newcomer], who[came & newcomer], at_least=size)
        # whoever came in is no passer-by, however often they also passed
        passers = people(group, who, at_least=size) - visitors
        dwell = _histograms(group[came], who[came], stays.dwell_s[came], size)
        quantiles = _quantiles(group[came], who[came], stays.dwell_s[came], visitors, k)
        for number in np.flatnonzero(visitors + passers).tolist():
            median, p90 = quantiles.get(number, (None, None))
            yield (
                grain,
                Figures(
                    period=spans[number],
                    visits=int(visits[number]),
                    visitors=int(visitors[number]),
                    new_visitors=int(new[number]),
                    passers_by=int(passers[number]),
                    median_dwell_s=median,
                    p90_dwell_s=p90,
                    dwell=tuple(dwell[number].tolist()),
                ),
            )


def _histograms(group: Int64s, who: Int64s, dwell_s: Floats, size: int) -> Int64s:
    """Shape (size, bars)."""
    bar = np.searchsorted(DWELL_S, dwell_s, side="right") - 1
    bars = len(DWELL_S)
    return people(group * bars + bar, who, at_least=size * bars).reshape(size, bars)


def _quantiles(
    group: Int64s, who: Int64s, dwell_s: Floats, visitors: Int64s, k: int
) -> dict[int, tuple[float | None, float | None]]:
    """Median and p90 of the groups that have enough visitors."""
    order = np.lexsort((dwell_s, group))
    edges = np.searchsorted(group[order], np.arange(len(visitors) + 1))
    found = {}
    for number in np.flatnonzero(visitors >= k).tolist():
        own = order[edges[number] : edges[number + 1]]
        stays = dwell_s[own]
        found[number] = _quantile(stays, who[own], 0.5, k), _quantile(stays, who[own], 0.9, k)
    return found


def _quantile(dwell_s: Floats, who: Int64s, share: float, k: int) -> float | None:
    """Of sorted lengths; None where fewer than k devices have one at least as long, or at most."""
    at = float(np.quantile(dwell_s, share))
    sides = (who[dwell_s <= at], who[dwell_s >= at])
    if any(len(side) < k or len(np.unique(side)) < k for side in sides):
        return None
    return float(round(at / STEP_S) * STEP_S)
