"""The position log: one Redis stream a shard, packed entries, read by one owner.

An entry carries the only clock that engine and decider know. Nothing here decides anything; if Redis is away every call
raises LogUnavailableError and nothing was accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import redis

from geofences.errors import LogUnavailableError
from geofences.model import POSITION_DTYPE, SHARDS, DeviceId, Positions, Shard, TenantId

if TYPE_CHECKING:
    from collections.abc import Iterable

LIVE = TenantId(0)
"""The scope of all tenants that follow the wall clock; a sandbox tenant's replay has its own scope."""

START = "0-0"


class EntryKind(StrEnum):
    POSITIONS = "p"
    TICK = "t"
    CONSENT = "c"
    """A device's location consent was given or taken back; taken back, its visits end now."""


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


class PositionLog:
    """The log as the engine, the scheduler and `lbs replay` use it. The ingest route appends through `lbs.appender`."""

    def __init__(self, client: redis.Redis, *, prefix: str) -> None:
        self._redis = client
        self._prefix = prefix

    def append(self, entries: Iterable[tuple[Shard, Entry]]) -> None:
        """Appends in one round trip; when it returns the log has them all."""
        pipeline = self._redis.pipeline(transaction=False)
        shards = set()
        for shard, entry in entries:
            pipeline.xadd(stream_key(self._prefix, shard), entry.to_fields())  # type: ignore[arg-type]  # invariant dict
            shards.add(shard)
        if not shards:
            return
        pipeline.publish(wake_channel(self._prefix), ",".join(map(str, sorted(shards))))
        self._call(pipeline.execute)

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

    def last_ids(self) -> dict[Shard, str]:
        """The id of the newest entry ever appended to each shard, trimmed or not; 0-0 for none."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard in range(SHARDS):
            pipeline.exists(stream_key(self._prefix, shard))
        existing = [Shard(shard) for shard, yes in enumerate(self._call(pipeline.execute)) if yes]
        pipeline = self._redis.pipeline(transaction=False)
        for shard in existing:
            pipeline.xinfo_stream(stream_key(self._prefix, shard))
        infos = self._call(pipeline.execute) if existing else []
        found = {Shard(shard): START for shard in range(SHARDS)}
        for shard, info in zip(existing, infos, strict=True):
            last = info["last-generated-id"]
            found[shard] = last.decode() if isinstance(last, bytes) else str(last)
        return found

    def trim(self, offsets: dict[Shard, str]) -> None:
        """Forgets entries whose effects are committed; approximate, so it costs next to nothing."""
        pipeline = self._redis.pipeline(transaction=False)
        for shard, offset in offsets.items():
            pipeline.xtrim(stream_key(self._prefix, shard), minid=offset, approximate=True)
        if offsets:
            self._call(pipeline.execute)

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
