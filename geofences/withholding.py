"""What may be told of a few people: the whole definition of privacy in published figures. Pure.

1. A number of devices is told rounded down to a multiple of k, and not at all below k. Sums and differences of such
   numbers are multiples of k: none of them is 1..k-1.
2. Sums over visits (how many, what was paid) add up exactly, so each is made of whole parts that rest on k devices:
   an hour that has them; of a day what its other hours have together, if that has them; of the days in one week and
   one month what is left, if that has them. What is left after that is counted nowhere.
3. A quantile is told where k devices lie on either side of it. Rates are worked out from what was told.

An hour with nobody and one with fewer than k devices look alike. docs/adr/0048-foot-traffic-in-parts.md proves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geofences.periods import Grain

if TYPE_CHECKING:
    from geofences.model import Bools, Int64s
    from geofences.periods import Calendar


def rounded(count: int, k: int) -> int | None:
    """A number of devices as it is told.

    >>> rounded(4, 5), rounded(5, 5), rounded(13, 5)
    (None, 5, 10)
    """
    return count - count % k if count >= k else None


def rate(part: int | None, whole: int | None) -> float | None:
    """Of two figures that are told; None where one is not.

    >>> rate(5, 15), rate(None, 15)
    (0.333, None)
    """
    return None if part is None or not whole else round(part / whole, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Which of some visits count in the sums of periods; each of shape (n,). What counts in one counts in the next."""

    hour: Bools
    day: Bools
    longer: Bools
    """In weeks and months."""

    def of(self, grain: Grain) -> Bools:
        return {Grain.HOUR: self.hour, Grain.DAY: self.day}.get(grain, self.longer)


def counted(hour: Int64s, who: Int64s, calendar: Calendar, k: int) -> Counted:
    """By the hour of each visit, numbered by the calendar, and whose it is, numbered from 0."""
    day = calendar.numbers(Grain.DAY)[hour]
    in_hour = people(hour, who)[hour] >= k
    rest = ~in_hour
    in_day = in_hour | (people(day[rest], who[rest], at_least=_size(day))[day] >= k)
    stretch, rest = calendar.stretches[hour], ~in_day
    longer = in_day | (people(stretch[rest], who[rest], at_least=_size(stretch))[stretch] >= k)
    return Counted(hour=in_hour, day=in_day, longer=longer)


def people(group: Int64s, who: Int64s, *, at_least: int = 0) -> Int64s:
    """How many different ones are in each group, shape (at_least,) or more."""
    width = int(who.max()) + 1 if len(who) else 1
    return np.bincount(np.unique(group * width + who) // width, minlength=at_least)


def _size(group: Int64s) -> int:
    return int(group.max()) + 1 if len(group) else 0
