"""Signs of life of every process of an installation, in Redis, so that one page can show all of them.

Each process says every few seconds that it lives, from a thread of its own: Redis away or slow stops nobody's work, it
only makes everybody look dead.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
import redis
import structlog

from lbs.versions import program_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

log = structlog.get_logger(__name__)

SAID_EVERY_S: Final = 2.0
ALIVE_S: Final = 10.0
"""Whoever was silent for longer is not shown."""
FORGOTTEN_S: Final = 3_600.0


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """What a process says of itself."""

    id: str
    process: str
    version: str
    started_at: float
    """Both in seconds since 1970."""
    said_at: float
    beat_age_s: float
    """Since its loop went round, or, of an API process, since its memory was in step."""
    positions: dict[str, int] = {}
    """Taken in the last minute, by tenant; of an API process."""


_read: Final = msgspec.json.Decoder(Sign)


class SignOfLife:
    """Of this process, from `start` to `stop`."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        prefix: str,
        process: str,
        beat_age_s: Callable[[], float],
        now: Callable[[], datetime],
        positions: Callable[[], dict[str, int]] = dict,
    ) -> None:
        self._redis = client
        self._key = _key(prefix)
        self._process = process
        self._beat_age_s = beat_age_s
        self._positions = positions
        self._now = now
        self._id = secrets.token_hex(4)
        self._started_at = now().timestamp()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lbs-alive", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Says good-bye."""
        self._stop.set()
        self._thread.join()

    def say(self) -> None:
        sign = Sign(
            id=self._id,
            process=self._process,
            version=program_version(),
            started_at=self._started_at,
            said_at=self._now().timestamp(),
            beat_age_s=min(self._beat_age_s(), FORGOTTEN_S),
            positions=self._positions(),
        )
        self._redis.hset(self._key, self._id, msgspec.json.encode(sign))

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(redis.RedisError):
                self.say()
            self._stop.wait(SAID_EVERY_S)
        with suppress(redis.RedisError):
            self._redis.hdel(self._key, self._id)


def signs(client: redis.Redis, *, prefix: str, now: datetime) -> list[Sign]:
    """Of all processes that live, by name and age. What is left of dead ones goes after an hour."""
    found: Any = client.hgetall(_key(prefix))
    at = now.timestamp()
    known = [_read.decode(value) for value in found.values()]
    old = [sign.id for sign in known if sign.said_at < at - FORGOTTEN_S]
    if old:
        client.hdel(_key(prefix), *old)
    alive = [sign for sign in known if sign.said_at > at - ALIVE_S]
    return sorted(alive, key=lambda sign: (sign.process, sign.started_at, sign.id))


class PositionRates:
    """How many positions this process took in the last minute, by tenant. Written by one thread, read by any."""

    BUCKET_S: Final = 5.0
    BUCKETS: Final = 12

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._buckets: dict[int, dict[int, int]] = {}

    def add(self, tenant_id: int, positions: int) -> None:
        bucket = int(self._monotonic_s() / self.BUCKET_S)
        counts = self._buckets.get(bucket)
        if counts is None:
            kept = {at: was for at, was in self._buckets.items() if at >= bucket - self.BUCKETS}
            counts = kept[bucket] = {}
            self._buckets = kept  # replaced, not changed: somebody may be reading
        counts[tenant_id] = counts.get(tenant_id, 0) + positions

    def last_minute(self) -> dict[str, int]:
        """Of the whole buckets before the present one."""
        present = int(self._monotonic_s() / self.BUCKET_S)
        found: dict[str, int] = {}
        for at, counts in self._buckets.items():
            if present - self.BUCKETS <= at < present:
                for tenant_id, positions in list(counts.items()):
                    found[str(tenant_id)] = found.get(str(tenant_id), 0) + positions
        return found


def _key(prefix: str) -> str:
    return f"{prefix}:alive"
