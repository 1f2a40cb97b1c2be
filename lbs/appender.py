"""The ingest route's way into the position log: what arrives while one round trip is under way goes out as the next.

Appends of one event-loop tick, and of the round trip before it, become one pipeline: one XADD a shard and one wake. A
request is answered when the log has its positions, all in one entry: they are taken together or not at all. If Redis is
away every waiting request gets LogUnavailableError; an append whose answer was lost may have happened, and repeating it
does no harm, for positions are a set.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final

import redis
import structlog

from geofences.errors import LogFullError, LogUnavailableError
from geofences.log import Entry, EntryKind, stream_key, wake_channel
from geofences.visits import to_us
from lbs.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from geofences.errors import GeofencesError
    from geofences.model import Shard
    from lbs.log_line import Command, LogLine

log = structlog.get_logger(__name__)

MAX_WAITING: Final = 200_000
"""Positions that may wait for the log before new ones are refused with 429."""
MAX_MERGED: Final = 8_192
"""Positions of several requests that are packed into one entry at most."""


@dataclass(slots=True)
class _Group:
    """Entries that go out as one."""

    entries: list[Entry] = field(default_factory=list)
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    """One for each request: one that goes away must not cancel the append of the others."""

    @property
    def positions(self) -> int:
        return sum(len(entry.positions) for entry in self.entries if entry.positions is not None)


@dataclass(slots=True)
class _Batch:
    """What goes out with the next pipeline."""

    groups: dict[Shard, list[_Group]] = field(default_factory=dict)
    """Of each shard in order."""
    positions: int = 0


class Appender:
    """Belongs to one event loop; `append` is called from its coroutines only."""

    def __init__(
        self,
        line: LogLine,
        *,
        prefix: str,
        now: Callable[[], datetime],
        max_waiting: int = MAX_WAITING,
        is_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._line = line
        self._prefix = prefix
        self._now = now
        self._max_waiting = max_waiting
        self._is_full = is_full
        self._next: _Batch | None = None
        self._waiting = 0
        self._task: asyncio.Task[None] | None = None

    def check_room(self, positions: int = 1) -> None:
        """LogFullError if the log may not grow, TooManyRequestsError if too much is on its way to it."""
        if self._is_full():
            raise LogFullError("positions arrive faster than they are handled")
        if self._waiting + positions > self._max_waiting:
            raise TooManyRequestsError("positions arrive faster than the log takes them", retry_after_s=1)

    async def append(self, shard: Shard, entry: Entry) -> None:
        """Returns when the log has the entry; its clock is set when it goes out.

        Positions are refused as `check_room` says; a change of consent is always tried. LogFullError if Redis has
        reached its memory limit, LogUnavailableError if it does not take the entry for another reason.
        """
        positions = 0 if entry.positions is None else len(entry.positions)
        if positions:
            self.check_room(positions)
        self._waiting += positions
        batch = self._next
        if batch is None:
            batch = self._next = _Batch()
        batch.positions += positions
        group = _join(batch.groups.setdefault(shard, []), entry)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send_all(), name="lbs-appender")
        done = asyncio.get_running_loop().create_future()
        group.waiting.append(done)
        await done

    async def close(self) -> None:
        """Waits for what is under way."""
        if self._task is not None:
            await self._task
        await self._line.close()

    async def _send_all(self) -> None:
        # requests of the same tick are still on their way into the batch
        await asyncio.sleep(0)
        while (batch := self._next) is not None:
            self._next = None
            groups = [group for of_shard in batch.groups.values() for group in of_shard]
            try:
                answers: Sequence[object] = await self._send(batch)
            except (redis.RedisError, OSError) as error:
                answers = [error] * len(groups)
            finally:
                self._waiting -= batch.positions
            # each group stands for itself: at its memory limit Redis may have taken some and refused others
            for group, answer in zip(groups, answers, strict=True):
                refusal = _refusal(answer) if isinstance(answer, Exception) else None
                for done in group.waiting:
                    if done.cancelled():
                        continue
                    if refusal is None:
                        done.set_result(None)
                    else:
                        done.set_exception(refusal)

    async def _send(self, batch: _Batch) -> list[object]:
        """Redis's answer to each group, in order."""
        clock_us = to_us(self._now())
        commands: list[Command] = [
            (b"XADD", stream_key(self._prefix, shard), b"*", *chain.from_iterable(_fields(group, clock_us).items()))
            for shard, groups in batch.groups.items()
            for group in groups
        ]
        commands.append((b"PUBLISH", wake_channel(self._prefix), ",".join(map(str, sorted(batch.groups)))))
        return (await self._line.execute(commands))[:-1]


def _refusal(error: Exception) -> GeofencesError:
    log.warning("log.unavailable", error=type(error).__name__)
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return LogFullError("Redis has reached its memory limit")
    return LogUnavailableError(f"the position log does not answer: {type(error).__name__}")


def _join(groups: list[_Group], entry: Entry) -> _Group:
    """The last group if the entry can be one with it, else a new one; a shard's order is kept."""
    if groups and entry.positions is not None:
        last = groups[-1]
        first = last.entries[0]
        alike = first.kind is EntryKind.POSITIONS and first.scope == entry.scope and first.filters == entry.filters
        if alike and last.positions + len(entry.positions) <= MAX_MERGED:
            last.entries.append(entry)
            return last
    groups.append(_Group(entries=[entry]))
    return groups[-1]


def _fields(group: _Group, clock_us: int) -> dict[bytes, bytes]:
    """All entries of a group as one, with the clock of now."""
    fields = group.entries[0].to_fields()
    fields[b"c"] = b"%d" % clock_us
    if len(group.entries) > 1:
        fields[b"d"] = b"".join(entry.positions.tobytes() for entry in group.entries if entry.positions is not None)
    return fields
