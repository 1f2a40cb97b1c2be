"""What is handled leaves no byte in Redis, while what waits stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import redis

from geofences.log import Entry, EntryKind, PositionLog, stream_key
from geofences.model import POSITION_DTYPE, Shard
from tests.support.own_redis import own_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers

SHARD = Shard(3)


def _entry(lat: float) -> Entry:
    rows = np.zeros(1, dtype=POSITION_DTYPE)
    rows["lat"] = lat
    return Entry(kind=EntryKind.POSITIONS, clock_us=1, positions=rows)


def _bytes(client: redis.Redis, key: str) -> bytes:
    """The stream as Redis would write it to disk."""
    held = client.dump(key)
    assert isinstance(held, bytes)
    return held


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    """It compresses nothing, or bytes could hide."""
    with own_redis("--rdbcompression", "no") as url, redis.Redis.from_url(url) as made:
        yield made


def test_what_is_handled_is_gone_to_the_byte_and_what_waits_is_as_it_was(client: redis.Redis) -> None:
    log = PositionLog(client, prefix="whole")
    ids = log.append((SHARD, _entry(lat)) for lat in (60.125, 60.25, 60.375))
    before = log.look({SHARD: ids[0]})[SHARD]
    key = stream_key("whole", SHARD)
    gone, kept = np.float64(60.125).tobytes(), np.float64(60.25).tobytes()
    assert gone in _bytes(client, key), "Redis only marks what is trimmed: this test can fail"
    assert log.scrub(SHARD, handled=ids[0])
    assert gone not in _bytes(client, key)
    assert kept in _bytes(client, key)
    now = log.look({SHARD: None})[SHARD]
    assert (now.last_id, now.added, now.length, now.gone) == (before.last_id, before.added, 2, 1)
    assert [entry_id for entry_id, _ in log.read({SHARD: ids[0]}, count=9)[SHARD]] == ids[1:]
    (more,) = log.append([(SHARD, _entry(1.0))])
    assert [entry_id for entry_id, _ in log.read({SHARD: ids[2]}, count=9)[SHARD]] == [more]


def test_a_shard_without_a_log_is_clean(client: redis.Redis) -> None:
    assert PositionLog(client, prefix="empty").scrub(SHARD, handled="5-0")


def test_a_long_queue_is_left_until_it_is_shorter(client: redis.Redis) -> None:
    log = PositionLog(client, prefix="long")
    ids = log.append((SHARD, _entry(float(i % 90))) for i in range(600))
    assert not log.scrub(SHARD, handled=ids[0])
    assert log.look({SHARD: None})[SHARD].length == 599
    assert log.scrub(SHARD, handled=ids[-1])
