"""Backoff grows, never comes early, and ends with the offer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offers.retry import MAX_DELAY_S, next_attempt_at, retry_after_s

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
NEXT_DAY = NOON + timedelta(days=1)


def delay_s(
    attempt: int, *, after_s: float | None = None, jitter: float = 0.0, expires_at: datetime = NEXT_DAY
) -> float | None:
    at = next_attempt_at(attempt, now=NOON, expires_at=expires_at, after_s=after_s, jitter=jitter)
    return None if at is None else (at - NOON).total_seconds()


def test_delays_triple_from_five_seconds_to_an_hour() -> None:
    assert [delay_s(n) for n in range(1, 10)] == [5, 15, 45, 135, 405, 1215, 3600, 3600, 3600]


def test_many_attempts_do_not_overflow() -> None:
    assert delay_s(10_000_000) == MAX_DELAY_S


def test_retry_after_is_a_floor_even_above_the_cap() -> None:
    assert delay_s(1, after_s=60) == 60
    assert delay_s(3, after_s=1) == 45
    assert delay_s(1, after_s=7200) == 7200


def test_nothing_is_tried_at_or_after_the_end_of_the_offer() -> None:
    assert delay_s(1, expires_at=NOON + timedelta(seconds=5)) is None
    assert delay_s(1, expires_at=NOON + timedelta(seconds=5, microseconds=1)) == 5
    assert delay_s(1, expires_at=NOON - timedelta(days=1)) is None
    assert delay_s(1, after_s=1e300) is None


@given(
    attempt=st.integers(1, 50),
    after_s=st.none() | st.floats(0, 1e9),
    jitter=st.floats(0, 1, exclude_max=True),
    left_s=st.floats(-1e6, 1e6),
)
def test_an_attempt_is_never_early_nor_late(attempt: int, after_s: float | None, jitter: float, left_s: float) -> None:
    expires_at = NOON + timedelta(seconds=left_s)
    at = next_attempt_at(attempt, now=NOON, expires_at=expires_at, after_s=after_s, jitter=jitter)
    if at is not None:
        waited_s = (at - NOON).total_seconds()
        assert waited_s >= 5
        assert waited_s >= (after_s or 0) - 1e-6
        assert waited_s <= max(after_s or 0, MAX_DELAY_S) + MAX_DELAY_S / 2
        assert at <= expires_at


@pytest.mark.parametrize(("attempt", "jitter"), [(0, 0.0), (-1, 0.0), (1, 1.0), (1, -0.1), (1, float("nan"))])
def test_senseless_arguments_are_refused(attempt: int, jitter: float) -> None:
    with pytest.raises(ValueError, match=r"attempt|jitter"):
        next_attempt_at(attempt, now=NOON, expires_at=NEXT_DAY, after_s=None, jitter=jitter)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("0", 0),
        (" 120 ", 120),
        ("Fri, 01 May 2026 12:01:00 GMT", 60),  # IMF-fixdate
        ("Friday, 01-May-26 12:01:00 GMT", 60),  # RFC 850, obsolete but to be accepted
        ("Fri May  1 12:01:00 2026", 60),  # asctime, likewise
        ("Fri, 01 May 2026 11:00:00 GMT", 0),  # past: at once
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("soon", None),
        ("9" * 5000, None),
        ("Fri, 99 May 2026 12:01:00 GMT", None),
    ],
)
def test_retry_after_has_two_forms_and_all_else_is_none(header: str | None, seconds: float | None) -> None:
    assert retry_after_s(header, now=NOON) == seconds
