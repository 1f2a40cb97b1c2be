"""Redis loses its data while engines run: they go on by themselves, and say what was lost."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
import redis

from geofences.intake import Intake
from geofences.log import Entry, EntryKind, PositionLog, stream_key
from geofences.model import LatLng, Shard
from lbs.diagnosis import _engines
from tests.support.own_redis import own_redis
from tests.support.road import HELSINKI, MovableClock, open_road

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers

TICK = Entry(kind=EntryKind.TICK, clock_us=1)
ONE, TWO = Shard(1), Shard(2)


@pytest.fixture
def own_redis_url() -> Iterator[str]:
    with own_redis() as url:
        yield url


@pytest.fixture
def client(own_redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_redis_url) as opened:
        yield opened


def append(log: PositionLog, shard: Shard, n: int) -> None:
    for _ in range(n):
        log.append([(shard, TICK)])


def test_what_is_handled_is_forgotten_and_the_rest_is_counted(client: redis.Redis) -> None:
    log = PositionLog(client, prefix="t")
    intake = Intake(log)
    append(log, ONE, 5)
    found, _ = intake.read({ONE: "0-0", TWO: "0-0"})
    assert [len(found[ONE]), TWO in found] == [5, False]
    third = found[ONE][2][0]
    assert intake.handled(found, {ONE: third}) == 3
    assert intake.look({ONE: third, TWO: "0-0"}) == {}
    entries, oldest_s = intake.waiting()
    assert entries == client.xlen(stream_key("t", 1)) == 2
    assert 0 <= oldest_s < 60


def test_a_flush_is_noticed_with_what_waited(client: redis.Redis) -> None:
    log = PositionLog(client, prefix="t")
    intake = Intake(log)
    append(log, ONE, 3)
    append(log, TWO, 2)
    found, _ = intake.read({TWO: "0-0"})
    first = found[TWO][0][0]
    assert intake.look({ONE: "0-0", TWO: first}) == {}
    client.flushall()
    append(log, TWO, 7)  # longer than it ever was
    found, _ = intake.read({TWO: "0-0"})
    offset = found[TWO][-1][0]
    intake.handled(found, {TWO: offset})
    assert intake.look({ONE: "0-0", TWO: offset}) == {ONE: 3, TWO: 1}
    assert intake.look({ONE: "0-0", TWO: offset}) == {}


def test_entries_that_somebody_deletes_are_missed(client: redis.Redis) -> None:
    log = PositionLog(client, prefix="t")
    intake = Intake(log)
    append(log, ONE, 4)
    intake.look({ONE: "0-0"})
    client.xtrim(stream_key("t", 1), maxlen=1, approximate=False)
    assert intake.look({ONE: "0-0"}) == {ONE: 3}


def test_engines_go_on_by_themselves_after_a_flush_under_load(
    fresh_database_url: str, own_redis_url: str, client: redis.Redis
) -> None:
    clock = MovableClock()
    stop = threading.Event()
    with open_road(fresh_database_url, own_redis_url, "t", clock=clock) as road:
        devices = [road.device(f"d{i}") for i in range(16)]

        def load() -> None:
            while not stop.is_set():
                clock.forward(seconds=1)
                for i, device in enumerate(devices):
                    road.report(device, LatLng(lat=HELSINKI.lat + i / 1000, lng=HELSINKI.lng))
                time.sleep(0.02)

        sender = threading.Thread(target=load)
        sender.start()
        try:
            road.eventually("SELECT count(DISTINCT device_id) FROM geofences.positions", [(16,)])
            client.flushall()
            road.eventually("SELECT count(*) > 0 FROM geofences.log_losses", [(True,)])
            handled = road.rows("SELECT count(*) FROM geofences.positions")[0][0]
            road.eventually("SELECT count(*) > :n FROM geofences.positions", [(True,)], n=handled + 160)
        finally:
            stop.set()
            sender.join()
        anna = road.device("anna")
        road.report(anna, HELSINKI)
        road.eventually("SELECT count(*) FROM geofences.positions WHERE device_id = :id", [(1,)], id=anna)
        with road.database.connect() as connection:
            checks = {check.name: check for check in _engines(connection)}
    assert not checks["log losses"].ok
    assert "at least" in checks["log losses"].found
