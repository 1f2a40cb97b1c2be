"""The ingest route's way into the position log: what arrives while one round trip is under way goes out as the next.

Appends of one event-loop tick, and of the round trip before it, become one pipeline: one XADD a shard and one wake. A
request is answered when the log has its positions. If Redis is away every waiting request gets LogUnavailableError;
an append whose answer was lost may have happened, and repeating it does no harm, for positions are a set.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import redis
import structlog

from geofences.errors import LogUnavailableError
from geofences.log import Entry, EntryKind, stream_key, wake_channel
from geofences.visits import to_us
from lbs.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from redis.asyncio import Redis

    from geofences.model import Positions, Shard

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 200_000
"""Positions that may wait for the log before new ones are refused with 429."""
MAX_MERGED: Final = 8_192
"""Positions of several requests that are packed into one entry at most."""


@dataclass(slots=True)
class _Batch:
    """What goes out with the next pipeline."""

    entries: dict[Shard, list[list[Entry]]] = field(default_factory=dict)
    """For each shard its entries in order; those of one inner list become one."""
    positions: int = 0
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Appender:
    """Belongs to one event loop; `append` is called from its coroutines only."""

    def __init__(
        self, client: Redis, *, prefix: str, now: Callable[[], datetime], max_waiting: int = MAX_WAITING
    ) -> None:
        self._redis = client
        self._prefix = prefix
        self._now = now
        self._max_waiting = max_waiting
        self._next: _Batch | None = None
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    async def append(self, shard: Shard, entry: Entry) -> None:
        """Returns when the log has the entry; its clock is set when it goes out.

        TooManyRequestsError if too much is waiting already, LogUnavailableError if Redis does not take it.
        """
        positions = 0 if entry.positions is None else len(entry.positions)
        if self._waiting + positions > self._max_waiting:
            raise TooManyRequestsError("positions arrive faster than the log takes them", retry_after_s=1)
        self._waiting += positions
        batch = self._next
        if batch is None:
            batch = self._next = _Batch()
        batch.positions += positions
        _join(batch.entries.setdefault(shard, []), entry)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send_all(), name="lbs-appender")
        # one request that goes away must not cancel the append of the others
        await asyncio.shield(batch.done)

    async def close(self) -> None:
        """Waits for what is under way."""
        if self._task is not None:
            await self._task
        await self._redis.aclose()

    async def _send_all(self) -> None:
        # requests of the same tick are still on their way into the batch
        await asyncio.sleep(0)
        while (batch := self._next) is not None:
            self._next = None
            try:
                await self._send(batch)
            except (redis.RedisError, OSError) as error:
                log.warning("log.unavailable", error=type(error).__name__)
                batch.done.set_exception(
                    LogUnavailableError(f"the position log does not answer: {type(error).__name__}")
                )
                batch.done.exception()  # whoever waited may be gone: that is no error
            else:
                batch.done.set_result(None)
            finally:
                self._waiting -= batch.positions

    async def _send(self, batch: _Batch) -> None:
        clock_us = to_us(self._now())
        pipeline = self._redis.pipeline(transaction=False)
        for shard, groups in batch.entries.items():
            key = stream_key(self._prefix, shard)
            for group in groups:
                pipeline.xadd(key, _merged(group, clock_us).to_fields())  # type: ignore[arg-type]  # bytes are fine
        pipeline.publish(wake_channel(self._prefix), ",".join(map(str, sorted(batch.entries))))
        await pipeline.execute()


def _join(groups: list[list[Entry]], entry: Entry) -> None:
    """Adds an entry to the last group if they can be one; a shard's order is kept."""
    if groups and entry.positions is not None:
        last = groups[-1]
        alike = last[0].kind is EntryKind.POSITIONS and last[0].scope == entry.scope
        if alike and last[0].filters == entry.filters and _count(last) + len(entry.positions) <= MAX_MERGED:
            last.append(entry)
            return
    groups.append([entry])


def _count(group: list[Entry]) -> int:
    return sum(len(entry.positions) for entry in group if entry.positions is not None)


def _merged(group: list[Entry], clock_us: int) -> Entry:
    if len(group) == 1:
        return replace(group[0], clock_us=clock_us)
    arrays: list[Positions] = [entry.positions for entry in group if entry.positions is not None]
    return replace(group[0], clock_us=clock_us, positions=np.concatenate(arrays))
