"""Webhooks are tried again in the rhythm of Standard Webhooks, never before the receiver asked, ten times at most."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offers.rhythm import ATTEMPTS, DELAYS_S, next_attempt_at

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def delay_s(attempt: int, *, after_s: float | None = None, jitter: float = 0.0) -> float | None:
    at = next_attempt_at(attempt, now=NOON, after_s=after_s, jitter=jitter)
    return None if at is None else (at - NOON).total_seconds()


def test_the_rhythm_is_that_of_the_specification() -> None:
    hours = [2, 5, 10, 14, 20, 24]
    assert [delay_s(n) for n in range(1, 11)] == [5, 300, 1800, *(3600 * hour for hour in hours), None]


def test_retry_after_is_a_floor_of_at_most_a_day() -> None:
    assert delay_s(1, after_s=60) == 60
    assert delay_s(2, after_s=60) == 300
    assert delay_s(1, after_s=999_999_999) == 86_400
    assert delay_s(ATTEMPTS, after_s=60) is None


@given(attempt=st.integers(1, ATTEMPTS - 1), jitter=st.floats(0, 1, exclude_max=True))
def test_jitter_only_delays_and_by_a_fifth_at_most(attempt: int, jitter: float) -> None:
    waited = delay_s(attempt, jitter=jitter)
    assert waited is not None
    assert DELAYS_S[attempt - 1] <= waited <= 1.2 * DELAYS_S[attempt - 1]


@pytest.mark.parametrize(("attempt", "jitter"), [(0, 0.0), (1, 1.0), (1, -0.1)])
def test_what_makes_no_sense_is_refused(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError, match=r"attempt|jitter"):
        next_attempt_at(attempt, now=NOON, after_s=None, jitter=jitter)
