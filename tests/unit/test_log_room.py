"""A client of Redis that fails just as it is cancelled keeps the cancellation to itself: closing ends all the same."""

from __future__ import annotations

import asyncio
from typing import Any, Self

import redis.asyncio

from lbs.log_room import LogRoom


class _Pipeline:
    """Its connection fails as it is cancelled for the first time."""

    def __init__(self) -> None:
        self.failed = False

    def memory_usage(self, key: str) -> Self:
        del key
        return self

    xlen = memory_usage

    async def execute(self) -> list[Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if self.failed:
                raise
            self.failed = True
            raise redis.TimeoutError("Timeout connecting to server") from None
        return []


class _Client(redis.asyncio.Redis):
    one = _Pipeline()

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:  # noqa: FBT001, FBT002  # theirs
        del transaction, shard_hint
        return self.one


def test_closing_ends_though_a_client_swallows_the_cancellation() -> None:
    async def scene() -> None:
        room = LogRoom(_Client(), prefix="test", max_bytes=1)
        room.start()
        await asyncio.sleep(0)  # it looks
        async with asyncio.timeout(5):
            await room.close()

    asyncio.run(scene())
