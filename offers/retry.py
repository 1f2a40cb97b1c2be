"""When to try again. Pure: the clock and the dice are arguments."""

from __future__ import annotations

import re
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

FIRST_DELAY_S = 5.0
FACTOR = 3.0
MAX_DELAY_S = 3600.0
JITTER_SHARE = 0.5

_ATTEMPTS_TO_CAP = 7  # 5 s * 3^6 = 3645 s: further powers change nothing and would overflow a float some day
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


def next_attempt_at(
    attempt: int, *, now: datetime, expires_at: datetime, after_s: float | None, jitter: float
) -> datetime | None:
    """Return when to try again after `attempt` failed attempts, or None if the message would have expired by then.

    The delay is 5, 15, 45, 135, 405, 1215, 3600, 3600, ... seconds, never below `after_s` (the provider's Retry-After),
    plus `jitter` times half of the exponential delay, so that messages that failed together do not return together.
    `jitter` is a uniform draw from [0, 1). The last allowed instant lies strictly before `expires_at`.

    >>> from datetime import datetime
    >>> noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    >>> next_attempt_at(2, now=noon, expires_at=noon.replace(hour=13), after_s=None, jitter=0.0).isoformat()
    '2026-05-01T12:00:15+00:00'
    >>> next_attempt_at(2, now=noon, expires_at=noon.replace(hour=13), after_s=7200, jitter=0.0) is None
    True

    Raises ValueError for an attempt below 1 or a jitter outside [0, 1).
    """
    if attempt < 1:
        raise ValueError("attempt counts from 1")
    if not 0.0 <= jitter < 1.0:
        raise ValueError("jitter must be in [0, 1)")
    backoff_s = min(FIRST_DELAY_S * FACTOR ** (min(attempt, _ATTEMPTS_TO_CAP) - 1), MAX_DELAY_S)
    delay_s = max(backoff_s, after_s or 0.0) + jitter * JITTER_SHARE * backoff_s
    # Compared as seconds: a hostile Retry-After must not overflow a timedelta.
    if delay_s >= (expires_at - now).total_seconds():
        return None
    return now + timedelta(seconds=delay_s)


def retry_after_s(value: str | None, *, now: datetime) -> float | None:
    """Return the seconds a Retry-After header asks for (RFC 9110, section 10.2.3), never negative.

    Both forms count, seconds and HTTP-date; a header that is neither is as good as none.

    >>> from datetime import datetime
    >>> noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
    >>> retry_after_s("120", now=noon), retry_after_s("Fri, 01 May 2026 12:00:30 GMT", now=noon)
    (120.0, 30.0)
    >>> retry_after_s("soon", now=noon) is None
    True
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:  # "-0000" and the asctime form name no zone; HTTP dates are UTC
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
