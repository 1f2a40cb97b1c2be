"""What a campaign's messages changed: those who were offered it against those who were held out by lot.

Intention to treat: a person belongs to the side of their first lot, whether or not the message reached them or stock
was left, and is looked at for one attribution window after it. The visit that brought the lot does not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import erfc, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from geofences.sql import queries
from offers.model import Gate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import sqlalchemy as sa

    from offers.model import Campaign

LEAST_PEOPLE: Final = 30
"""On each side; of fewer no interval is told."""
LEAST_P: Final = 0.001
"""Lots that fall so unlikely are taken for a fault."""

_Z: Final = NormalDist().inv_cdf(0.975)
_GATES: Final = list(Gate)
_AFTER_DRAW: Final = [str(gate) for gate in _GATES[_GATES.index(Gate.HOLDOUT) + 1 :]]
"""What keeps a person from an offer although the lot was for it."""


class Measure(StrEnum):
    VISITED = "visited"
    """The share of people who came to one of the campaign's stores once more."""
    REDEEMED = "redeemed"
    """The share of people who used the offer at a till."""
    REVENUE = "revenue"
    """What a person's orders with the offer came to, on average."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One side: n people, and the sum and the sum of squares of what is measured of each."""

    n: int
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        return max(0.0, self.squares - self.n * self.mean**2) / (self.n - 1) if self.n > 1 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """`low` and `high` are the 95 % interval of offered less held out; None where too few people tell."""

    measure: Measure
    currency: str | None
    offered: float
    held_out: float
    low: float | None
    high: float | None

    @property
    def difference(self) -> float:
        return self.offered - self.held_out


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    offered: int
    """People whose window is over, by lot."""
    held_out: int
    waiting: int
    """People whose window is not over yet."""
    sample_ratio_p: float
    """How likely lots fall at least so unevenly, of all people; below LEAST_P something is wrong."""
    effects: list[Effect]


def difference_of_shares(one: Sample, other: Sample) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares, by Newcombe's score method (his number 10).

    Source: R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890.

    >>> low, high = difference_of_shares(Sample(n=70, total=56), Sample(n=80, total=48))
    >>> round(low, 4), round(high, 4)
    (0.0524, 0.3339)
    """
    (low, high), (other_low, other_high) = _wilson(one), _wilson(other)
    p, q = one.mean, other.mean
    return p - q - sqrt((p - low) ** 2 + (other_high - q) ** 2), p - q + sqrt((high - p) ** 2 + (q - other_low) ** 2)


def difference_of_means(one: Sample, other: Sample) -> tuple[float, float]:
    """The 95 % interval of the difference of two means, each with a variance of its own, by the normal distribution."""
    wide = _Z * sqrt(one.variance / one.n + other.variance / other.n)
    middle = one.mean - other.mean
    return middle - wide, middle + wide


def sample_ratio_p(held_out: int, *, expected: float, variance: float) -> float:
    """How likely so many or so few are held out by fair lots.

    >>> round(sample_ratio_p(120, expected=100.0, variance=90.0), 3)
    0.035
    """
    return 1.0 if variance <= 0 else erfc(abs(held_out - expected) / sqrt(2 * variance))


def measure_lift(connection: sa.Connection, campaign: Campaign, *, now: datetime) -> Lift:
    """Asks the ledger. What came late and what was corrected is in it."""
    rows = connection.execute(
        queries("offers")["lift"],
        {
            "tenant_id": campaign.tenant_id,
            "campaign_id": campaign.campaign_id,
            "after_draw": _AFTER_DRAW,
            "window_s": campaign.definition.attribution_s,
            "now": now,
        },
    )
    return lift_of(rows)


def lift_of(rows: Iterable[Any]) -> Lift:
    """Rows of the block `lift`."""
    found = {(row.what, row.currency, row.held_out): row for row in rows}
    drawn = [row for (what, _, _), row in found.items() if what == "drawn"]
    people = {side: _count(found, "assigned", side=side) for side in (False, True)}
    effects = [_effect_of_shares(measure, found, people) for measure in (Measure.VISITED, Measure.REDEEMED)]
    currencies = sorted({currency for what, currency, _ in found if what == Measure.REVENUE})
    effects += [_effect_of_means(currency, found, people) for currency in currencies]
    return Lift(
        offered=people[False],
        held_out=people[True],
        waiting=sum(row.n for row in drawn) - sum(people.values()),
        sample_ratio_p=sample_ratio_p(
            _count(found, "drawn", side=True),
            expected=sum(row.total for row in drawn),
            variance=sum(row.squares for row in drawn),
        ),
        effects=effects,
    )


def _effect_of_shares(measure: Measure, found: dict[Any, Any], people: dict[bool, int]) -> Effect:
    offered, held_out = (Sample(n=people[side], total=_count(found, measure, side=side)) for side in (False, True))
    interval = difference_of_shares(offered, held_out) if _enough(people) else (None, None)
    return _effect(measure, None, offered, held_out, interval)


def _effect_of_means(currency: str, found: dict[Any, Any], people: dict[bool, int]) -> Effect:
    def sample(*, side: bool) -> Sample:
        row = found.get((Measure.REVENUE, currency, side))
        total, squares = (0.0, 0.0) if row is None else (float(row.total), float(row.squares))
        return Sample(n=people[side], total=total, squares=squares)

    offered, held_out = sample(side=False), sample(side=True)
    interval = difference_of_means(offered, held_out) if _enough(people) else (None, None)
    return _effect(Measure.REVENUE, currency, offered, held_out, interval)


def _effect(
    measure: Measure,
    currency: str | None,
    offered: Sample,
    held_out: Sample,
    interval: tuple[float, float] | tuple[None, None],
) -> Effect:
    low, high = interval
    return Effect(measure=measure, currency=currency, offered=offered.mean, held_out=held_out.mean, low=low, high=high)


def _count(found: dict[Any, Any], what: str, *, side: bool) -> int:
    row = found.get((what, None, side))
    return 0 if row is None else int(row.n)


def _enough(people: dict[bool, int]) -> bool:
    return min(people.values()) >= LEAST_PEOPLE


def _wilson(sample: Sample) -> tuple[float, float]:
    """The 95 % interval of a share."""
    n, p = sample.n, sample.mean
    middle = p + _Z**2 / (2 * n)
    wide = _Z * sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    scale = 1 + _Z**2 / n
    return (middle - wide) / scale, (middle + wide) / scale
