"""Whether the position log has room: looked at twice a second, so that what is answered 202 never breaks Redis.

The log is full when its streams take more memory than is allowed them. That is an engine that is away or too slow; the
log has room again as soon as entries are handled. If Redis does not answer, what was seen last holds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import redis
import structlog

from geofences.log import stream_key
from geofences.model import SHARDS

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

LOOK_EVERY_S: Final = 0.5


class LogRoom:
    """Belongs to one event loop; `full` may be asked from anywhere."""

    def __init__(self, client: Redis, *, prefix: str, max_bytes: int) -> None:
        self._redis = client
        self._keys = [stream_key(prefix, shard) for shard in range(SHARDS)]
        self._max_bytes = max_bytes
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.bytes = 0
        """Memory of the streams, as Redis estimates it from samples of each."""
        self.entries = 0
        """Entries in the streams: those that wait, and those handled in the last second."""

    @property
    def full(self) -> bool:
        return self.bytes >= self._max_bytes

    def start(self) -> None:
        """Within the event loop: begins to look."""
        self._task = asyncio.create_task(self._watch(), name="lbs-log-room")

    async def close(self) -> None:
        # a client whose connection fails at this moment keeps the cancellation to itself
        self._closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._redis.aclose()

    async def look(self) -> None:
        """Looks now."""
        pipeline = self._redis.pipeline(transaction=False)
        for key in self._keys:
            pipeline.memory_usage(key)
            pipeline.xlen(key)
        answers = await pipeline.execute()
        was_full = self.full
        self.bytes = sum(found or 0 for found in answers[::2])
        self.entries = sum(answers[1::2])
        if self.full is not was_full:
            log.warning("log.full" if self.full else "log.has_room", bytes=self.bytes, entries=self.entries)

    async def _watch(self) -> None:
        while not self._closing:
            try:
                await self.look()
            except (redis.RedisError, OSError) as error:
                log.debug("log.unseen", error=type(error).__name__)
            await asyncio.sleep(LOOK_EVERY_S)
