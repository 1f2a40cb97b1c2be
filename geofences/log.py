"""The position log: one Redis stream a shard, packed entries, read by one owner.

An entry carries the only clock that engine and decider know. Nothing here decides anything; if Redis is away every call
raises LogUnavailableError and nothing was accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import redis

from geofences.errors import LogFullError, LogUnavailableError
from geofences.model import POSITION_DTYPE, SHARDS, DeviceId, Positions, Shard, TenantId

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LIVE = TenantId(0)
"""The scope of all tenants that follow the wall clock; a sandbox tenant's replay has its own scope."""

START = "0-0"

# XINFO itself would send the first and the last entry with all their positions
_LOOK: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
if ARGV[1] ~= '' then redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[1]) end
local info, found = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for i = 1, #info, 2 do found[info[i]] = info[i + 1] end
local first, time = found['first-entry'], redis.call('TIME')
return {found['last-generated-id'], found['entries-added'], found['length'], first and first[1] or '',
        time[1] .. '.' .. string.format('%06d', time[2])}
"""

# Redis only marks an entry as gone while its block holds others; blocks that are written anew hold nothing else
_SCRUB: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end
redis.call('XTRIM', KEYS[1], 'MINID', '=', ARGV[1])
local left = redis.call('XLEN', KEYS[1])
if left == 0 then return 1 end
if left > tonumber(ARGV[2]) then return 0 end
local info, found = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for i = 1, #info, 2 do found[info[i]] = info[i + 1] end
local kept = redis.call('XRANGE', KEYS[1], '-', '+')
redis.call('DEL', KEYS[1])
for _, entry in ipairs(kept) do redis.call('XADD', KEYS[1], entry[1], unpack(entry[2])) end
redis.call('XSETID', KEYS[1], found['last-generated-id'], 'ENTRIESADDED', found['entries-added'],
           'MAXDELETEDID', found['max-deleted-entry-id'])
return 1
"""
SCRUBBED_AT_MOST: Final = 500
"""Entries that are written anew at once: Redis answers nobody else meanwhile."""


class EntryKind(StrEnum):
    POSITIONS = "p"
    TICK = "t"
    CONSENT = "c"
    """A device's location consent was given or taken back; taken back, its visits end now."""
    ERASED = "e"
    """A device was erased: it is forgotten without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry as it is appended and read back."""

    kind: EntryKind
    clock_us: int
    scope: TenantId = LIVE
    filters: bool = True
    positions: Positions | None = None
    device_id: DeviceId | None = None
    granted: bool = False

    def to_fields(self) -> dict[bytes, bytes]:
        fields = {
            b"k": self.kind.encode(),
            b"c": b"%d" % self.clock_us,
            b"s": b"%d" % self.scope,
        }
        if not self.filters:
            fields[b"f"] = b"0"
        if self.positions is not None:
            fields[b"d"] = self.positions.tobytes()
        if self.device_id is not None:
            fields[b"i"] = b"%d" % self.device_id
            fields[b"g"] = b"%d" % self.granted
        return fields

    @classmethod
    def from_fields(cls, fields: dict[bytes, bytes]) -> Entry:
        """The entry that `to_fields` made; ValueError or KeyError if it is none (a poison entry)."""
        kind = EntryKind(fields[b"k"].decode())
        packed = fields.get(b"d")
        if (kind is EntryKind.POSITIONS) != (packed is not None):
            raise ValueError(f"entry of kind {kind.name} with{'out' if packed is None else ''} positions")
        device = fields.get(b"i")
        return cls(
            kind=kind,
            clock_us=int(fields[b"c"]),
            scope=TenantId(int(fields[b"s"])),
            filters=fields.get(b"f") != b"0",
            positions=None if packed is None else np.frombuffer(packed, dtype=POSITION_DTYPE),
            device_id=None if device is None else DeviceId(int(device)),
            granted=fields.get(b"g") == b"1",
        )


def shard_of(device_id: int) -> Shard:
    return Shard(device_id % SHARDS)


def stream_key(prefix: str, shard: int) -> str:
    """The braces keep all keys of a shard in one slot of a Redis Cluster."""
    return f"{prefix}:{{{shard}}}:positions"


def wake_channel(prefix: str) -> str:
    return f"{prefix}:wake"


def split_by_shard(positions: Positions) -> list[tuple[Shard, Positions]]:
    """The batch cut into one packed array a shard, order kept within each."""
    shards = positions["device_id"] % SHARDS
    return [(Shard(int(shard)), positions[shards == shard]) for shard in np.unique(shards)]


def id_after(a: str, b: str) -> bool:
    """Whether stream id `a` is later than `b`."""
    return _id(a) > _id(b)


def _id(text: str) -> tuple[int, int]:
    milliseconds, _, sequence = text.partition("-")
    return int(milliseconds), int(sequence or 0)


def _next_id(text: str) -> str:
    milliseconds, sequence = _id(text)
    return f"{milliseconds}-{sequence + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A shard's stream at one moment."""

    last_id: str = START
    """Of the newest entry ever appended, trimmed or not."""
    added: int = 0
    """Entries ever appended."""
    length: int = 0
    oldest_s: float = 0.0
    """Age of the oldest entry that is still there, by Redis's clock; 0 for none."""

    @property
    def gone(self) -> int:
        """Entries that were there once and are not any more."""
        return self.added - self.length


def lost_entries(before: Look | None, now: Look, *, offset: str, handled: int) -> int | None:
    """How many entries went without being handled, as far as can be known; None if the log has lost nothing.

    Both looks forgot what was handled: `offset` is the last entry that `now` forgot, and `handled` entries came to be
    handled in between. What is gone must then be exactly what was handled. Without an earlier look a loss is seen if
    the entry `offset` was never in this stream; how much was lost is not known then, and the answer is 0. Nothing shows
    if only a stream's tail, or a stream of which nothing was ever handled, is lost and has grown longer again since.

    >>> lost_entries(Look(last_id="7-0", added=7, length=3), Look(), offset="5-0", handled=1)
    2
    """
    if before is None:
        never_there = id_after(offset, now.last_id) or not now.gone
        return 0 if offset != START and never_there else None
    expected = before.gone + handled
    begun_anew = now.added < before.added or id_after(before.last_id, now.last_id) or now.gone < expected
    if begun_anew:
        handled_of_old = max(0, handled - now.gone)
        return max(0, before.length - handled_of_old)
    return now.gone - expected or None


def _as_look(answer: Any) -> Look:
    if not answer:
        return Look()
    last_id, added, length, first_id, now_s = answer
    oldest_s = float(now_s) - _id(first_id.decode())[0] / 1000 if length else 0.0
    return Look(last_id=last_id.decode(), added=added, length=length, oldest_s=max(0.0, oldest_s))


class PositionLog:
    """The log as the engine, the scheduler and `lbs replay` use it. The ingest route appends through `lbs.appender`."""

    def __init__(self, client: redis.Redis, *, prefix: str) -> None:
        self._redis = client
        self._prefix = prefix

    def append(self, entries: Iterable[tuple[Shard, Entry]]) -> list[str]:
        """Appends in one round trip; when it returns the log has them all. Answers their ids."""
        pipeline = self._redis.pipeline(transaction=False)
        shards = set()
        for shard, entry in entries:
            pipeline.xadd(stream_key(self._prefix, shard), entry.to_fields())  # type: ignore[arg-type]  # invariant dict
            shards.add(shard)
        if not shards:
            return []
        pipeline.publish(wake_channel(self._prefix), ",".join(map(str, sorted(shards))))
        return [entry_id.decode() for entry_id in self._call(pipeline.execute)[:-1]]

    def read(self, cursors: dict[Shard, str], *, count: int) -> dict[Shard, list[tuple[str, dict[bytes, bytes]]]]:
        """Up to `count` raw entries a shard, after its cursor; an XREAD each, because slots may differ."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard, after in cursors.items():
            pipeline.xread({stream_key(self._prefix, shard): after}, count=count)
        answers = self._call(pipeline.execute)
        found = {}
        for shard, answer in zip(cursors, answers, strict=True):
            if answer:
                streams = answer.items() if isinstance(answer, dict) else answer
                entries = [pair for _, pairs in streams for pair in _flat(pairs)]
                found[shard] = [(entry_id.decode(), fields) for entry_id, fields in entries]
        return found

    def look(self, handled: Mapping[Shard, str | None]) -> dict[Shard, Look]:
        """What each stream holds, after forgetting its entries up to the one that is handled (None: forget nothing).

        Forgetting and looking are one step of Redis, so that `length` counts exactly what waits.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for shard, offset in handled.items():
            first_kept = "" if offset is None else _next_id(offset)
            pipeline.eval(_LOOK, 1, stream_key(self._prefix, shard), first_kept)
        answers = self._call(pipeline.execute) if handled else []
        return {shard: _as_look(answer) for shard, answer in zip(handled, answers, strict=True)}

    def scrub(self, shard: Shard, *, handled: str) -> bool:
        """Forgets the entries of a shard up to one that is handled, to the last byte; False if too many wait now."""
        args = (_next_id(handled), SCRUBBED_AT_MOST)
        return bool(self._call(lambda: self._redis.eval(_SCRUB, 1, stream_key(self._prefix, shard), *args)))

    def rewrite_file(self) -> bool:
        """Has Redis write its append-only file anew, without what is gone; False if it may not or is doing so."""
        try:
            self._call(self._redis.bgrewriteaof)
        except LogUnavailableError:
            return False
        return True

    def last_ids(self) -> dict[Shard, str]:
        """The id of the newest entry ever appended to each shard, trimmed or not; 0-0 for none."""
        looks = self.look({Shard(shard): None for shard in range(SHARDS)})
        return {shard: look.last_id for shard, look in looks.items()}

    def lengths(self) -> dict[Shard, int]:
        pipeline = self._redis.pipeline(transaction=False)
        for shard in range(SHARDS):
            pipeline.xlen(stream_key(self._prefix, shard))
        return {Shard(shard): int(n) for shard, n in enumerate(self._call(pipeline.execute))}

    def wakes(self) -> Wakes:
        return Wakes(self._redis, self._prefix)

    def _call(self, call: Any) -> Any:
        try:
            return call()
        except redis.exceptions.OutOfMemoryError as error:
            raise LogFullError("Redis has reached its maxmemory") from error
        except redis.RedisError as error:
            raise LogUnavailableError(f"the position log does not answer: {type(error).__name__}") from error


class Wakes:
    """Which shards have something new. Losing a wake costs a poll interval, never a position."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        self._pubsub = client.pubsub(ignore_subscribe_messages=True)
        self._channel = wake_channel(prefix)
        self._subscribed = False

    def wait(self, timeout_s: float) -> set[Shard] | None:
        """Shards named by wakes within `timeout_s`; None when none came, and the caller had better poll them all."""
        try:
            if not self._subscribed:
                self._pubsub.subscribe(self._channel)
                self._subscribed = True
                return None
            shards: set[Shard] = set()
            message = self._pubsub.get_message(timeout=timeout_s)
            while message is not None:
                shards.update(Shard(int(part)) for part in message["data"].split(b","))
                message = self._pubsub.get_message(timeout=0)
        except redis.RedisError as error:
            self._subscribed = False
            raise LogUnavailableError(f"the position log does not answer: {type(error).__name__}") from error
        return shards or None

    def close(self) -> None:
        self._pubsub.close()


def _flat(pairs: Any) -> Any:
    """redis-py nests a stream's entries one level deeper under RESP3."""
    return pairs[0] if pairs and pairs[0] and isinstance(pairs[0][0], (list, tuple)) else pairs
