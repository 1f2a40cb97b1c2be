"""When a webhook is tried again: the rhythm of Standard Webhooks 1.0.0, "Retries". Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

DELAYS_S: Final = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS: Final = len(DELAYS_S) + 1
LONGEST_S: Final = 86_400.0
"""A receiver may ask for a longer wait than the rhythm's, but not for more than a day."""
JITTER_SHARE: Final = 0.2


def next_attempt_at(attempt: int, *, now: datetime, after_s: float | None, jitter: float) -> datetime | None:
    """Return when to try again after `attempt` failed attempts, or None after the last one.

    The delay is 5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h, never below `after_s` (the receiver's Retry-After, of which
    a day counts), plus `jitter` times a fifth of the rhythm's own. `jitter` is a uniform draw from [0, 1).

    >>> from datetime import UTC, datetime
    >>> noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    >>> [next_attempt_at(n, now=noon, after_s=None, jitter=0.0).isoformat() for n in (1, 9)]
    ['2026-05-01T12:00:05+00:00', '2026-05-02T12:00:00+00:00']
    >>> next_attempt_at(1, now=noon, after_s=60.0, jitter=0.5).isoformat()
    '2026-05-01T12:01:00.500000+00:00'
    >>> next_attempt_at(10, now=noon, after_s=None, jitter=0.0) is None
    True

    Raises ValueError for an attempt below 1 or a jitter outside [0, 1).
    """
    if attempt < 1:
        raise ValueError("attempt counts from 1")
    if not 0.0 <= jitter < 1.0:
        raise ValueError("jitter must be in [0, 1)")
    if attempt >= ATTEMPTS:
        return None
    delay_s = DELAYS_S[attempt - 1]
    asked_s = min(after_s or 0.0, LONGEST_S)
    return now + timedelta(seconds=max(delay_s, asked_s) + jitter * JITTER_SHARE * delay_s)
