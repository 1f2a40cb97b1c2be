"""Wrong codes at the till are counted, so that guessing one is hopeless and a slip of the finger is nothing.

Counted in Redis for each key and store, and for each key ten times as many. A well-formed code that nobody was given
weighs five times a mistyped one. Once a window's allowance is used up, the key waits until the window ends.

Without Redis nothing is counted and tills go on: 49.8 random bits carry that alone. Requests that are being answered
at one moment are all let through, so that an allowance may be passed by as many as a process answers at once.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import redis
import structlog

from lbs.errors import TooManyRequestsError
from offers.errors import MalformedCodeError, UnknownCodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbs.auth import Caller
    from lbs.settings import Settings

log = structlog.get_logger(__name__)

MISTYPED: Final = 1
UNKNOWN: Final = 5
STORES_A_KEY: Final = 10
"""A key of many stores has this many stores' allowances in all."""


class GuessGuard:
    """Safe to share between threads."""

    def __init__(self, client: redis.Redis, settings: Settings) -> None:
        self._redis = client
        self._prefix = settings.redis_prefix
        self._allowed = settings.code_guesses * UNKNOWN
        self._window_s = settings.code_lock_s

    @contextmanager
    def watching(self, caller: Caller, store_id: int) -> Iterator[None]:
        """Around the look-up of a code; TooManyRequestsError for a key that has guessed enough."""
        limits = self._limits(caller, store_id)
        self._check(limits)
        try:
            yield
        except MalformedCodeError:
            self._count(limits, MISTYPED)
            raise
        except UnknownCodeError:
            self._count(limits, UNKNOWN)
            raise

    def _limits(self, caller: Caller, store_id: int) -> dict[str, int]:
        """The counters that concern a look-up, and how far each may go."""
        name = f"{self._prefix}:guesses:{caller.tenant_id}:{caller.till_id}"
        return {f"{name}:{store_id}": self._allowed, name: self._allowed * STORES_A_KEY}

    def _check(self, limits: dict[str, int]) -> None:
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for name in limits:
                pipeline.get(name)
                pipeline.ttl(name)
            found = pipeline.execute()
        except redis.RedisError as error:
            log.warning("codes.uncounted", error=type(error).__name__)
            return
        for points, left_s, most in zip(found[::2], found[1::2], limits.values(), strict=True):
            if points is not None and int(points) >= most:
                raise TooManyRequestsError("too many wrong codes: wait", retry_after_s=max(1, int(left_s)))

    def _count(self, limits: dict[str, int], points: int) -> None:
        try:
            # one transaction: a counter without an end would lock a till for good
            pipeline = self._redis.pipeline(transaction=True)
            for name in limits:
                pipeline.incrby(name, points)
                pipeline.expire(name, self._window_s, nx=True)
            pipeline.execute()
        except redis.RedisError as error:
            log.warning("codes.uncounted", error=type(error).__name__)
