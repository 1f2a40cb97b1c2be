"""The appender's own connection to Redis: one pipeline at a time, packed and parsed in C.

The client's pipelines cost more than everything else a position costs on its way into the log. A connection that was
lost is made again once; what was under way is sent again then, which may append it twice, and does no harm.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import redis
from hiredis import pack_command
from redis.asyncio.connection import ConnectionPool

if TYPE_CHECKING:
    from collections.abc import Sequence

    Command = tuple[bytes | str, ...]

ANSWERS_WITHIN_S: Final = 10.0
CONNECTS_WITHIN_S: Final = 5.0


class LogLine:
    """Belongs to one event loop. Not for two pipelines at once."""

    def __init__(self, url: str) -> None:
        # one timeout for a whole pipeline instead of one for each of its answers
        pool = ConnectionPool.from_url(url, socket_timeout=None, socket_connect_timeout=CONNECTS_WITHIN_S)
        self._connection: Any = pool.make_connection()

    async def execute(self, commands: Sequence[Command]) -> list[object]:
        """Redis's answer to each command, errors among them; raises RedisError or OSError if it does not answer."""
        packed = [pack_command(command) for command in commands]  # type: ignore[arg-type]  # of any length
        was_connected = self._connection.is_connected
        try:
            return await self._exchange(packed)
        except (redis.ConnectionError, ConnectionError):
            if not was_connected:
                raise
            return await self._exchange(packed)

    async def close(self) -> None:
        await self._connection.disconnect()

    async def _exchange(self, packed: list[bytes]) -> list[object]:
        connection = self._connection
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S):
                await connection.send_packed_command(packed)
                return [await self._answer() for _ in packed]
        except BaseException:
            # answers that nobody read must not be taken for those of the next pipeline
            await connection.disconnect(nowait=True)
            raise

    async def _answer(self) -> object:
        try:
            return await self._connection.read_response()
        except redis.ResponseError as error:
            return error
