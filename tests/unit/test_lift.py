"""Lift is not claimed: intervals hold the known truth as often as they say, and a lot that fails is noticed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from offers.lift import LEAST_P, Measure, Sample, difference_of_means, difference_of_shares, lift_of, sample_ratio_p

TRIALS = 4_000


@pytest.mark.parametrize(("base", "lift"), [(0.02, 0.01), (0.1, 0.05), (0.3, 0.0), (0.5, -0.1)])
@pytest.mark.parametrize(("n", "held_out"), [(900, 100), (400, 400), (5_000, 250)])
def test_the_interval_of_shares_holds_a_known_lift(n: int, held_out: int, base: float, lift: float) -> None:
    rng = np.random.default_rng(7)
    ones, others = rng.binomial(n, base + lift, TRIALS), rng.binomial(held_out, base, TRIALS)
    held = 0
    for one, other in zip(ones, others, strict=True):
        low, high = difference_of_shares(Sample(n=n, total=int(one)), Sample(n=held_out, total=int(other)))
        held += low <= lift <= high
    assert 0.93 <= held / TRIALS <= 0.97


@pytest.mark.parametrize("lift", [0.0, 1.5])
def test_the_interval_of_revenue_holds_a_known_lift(lift: float) -> None:
    """One in five spends something, some a lot."""
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(TRIALS):
        samples = []
        for n, more in ((900, lift), (300, 0.0)):
            spent = (rng.random(n) < 0.2) * (rng.gamma(2.0, 10.0, n) + more / 0.2)
            samples.append(Sample(n=n, total=float(spent.sum()), squares=float((spent**2).sum())))
        low, high = difference_of_means(*samples)
        held += low <= lift <= high
    assert 0.93 <= held / TRIALS <= 0.97


def test_fair_lots_seldom_look_unfair_and_unfair_ones_do() -> None:
    rng = np.random.default_rng(9)
    people, share = 20_000, 0.1
    fair = [
        sample_ratio_p(int(n), expected=people * share, variance=people * share * (1 - share))
        for n in rng.binomial(people, share, TRIALS)
    ]
    assert np.mean(np.array(fair) < 0.05) == pytest.approx(0.05, abs=0.015)
    # a tenth of the held out are lost on their way to the ledger
    lost = people * share * 0.9
    assert sample_ratio_p(round(lost), expected=(people - 200) * share, variance=people * share * 0.9) < LEAST_P


def test_no_interval_is_told_of_few_people() -> None:
    [visited, *_] = lift_of(_rows(offered=1_000, held_out=29, visited=(100, 1))).effects
    assert (visited.measure, visited.low, visited.high) == (Measure.VISITED, None, None)
    [visited, *_] = lift_of(_rows(offered=1_000, held_out=30, visited=(100, 1))).effects
    assert visited.low is not None
    assert visited.low < visited.difference < (visited.high or 0)


def test_nobody_drawn_is_no_lift() -> None:
    found = lift_of([])
    assert (found.offered, found.held_out, found.waiting, found.sample_ratio_p) == (0, 0, 0, 1.0)
    assert [effect.difference for effect in found.effects] == [0.0, 0.0]


def test_those_who_spend_nothing_count_for_the_mean() -> None:
    rows = _rows(offered=100, held_out=100, visited=(0, 0))
    rows.append(_row("revenue", side=False, n=10, total=500.0, squares=25_000.0, currency="EUR"))
    revenue = lift_of(rows).effects[-1]
    assert (revenue.currency, revenue.offered, revenue.held_out) == ("EUR", 5.0, 0.0)
    assert revenue.low is not None
    assert revenue.low > 0


def _rows(*, offered: int, held_out: int, visited: tuple[int, int]) -> list[Any]:
    share = held_out / (offered + held_out)
    rows = []
    for side, n, came in ((False, offered, visited[0]), (True, held_out, visited[1])):
        rows.append(_row("drawn", side=side, n=n, total=n * share, squares=n * share * (1 - share)))
        rows.append(_row("assigned", side=side, n=n))
        rows.append(_row("visited", side=side, n=came))
    return rows


def _row(
    what: str,
    *,
    side: bool,
    n: int,
    total: float | None = None,
    squares: float | None = None,
    currency: str | None = None,
) -> Any:
    return SimpleNamespace(what=what, held_out=side, n=n, total=total, squares=squares, currency=currency)
