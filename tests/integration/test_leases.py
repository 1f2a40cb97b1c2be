"""Who may work on which shard: rows of Postgres, its clock, and nobody else's word."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
import sqlalchemy as sa

from geofences import engine as engine_module
from geofences import past
from geofences import visits as ledger
from geofences.errors import LostShardError
from geofences.leases import LEASE_S, LOOK_EVERY_S, Leases, share_of
from geofences.log import PositionLog
from geofences.model import SHARDS, Shard
from geofences.refresh import FenceSnapshot
from geofences.sql import queries
from geofences.tables import shards
from geofences.tracking import Effects
from geofences.watch import NoWatch
from lbs import clock
from lbs.connections import sqlalchemy_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.servers

LEASE = 1.0


@pytest.fixture
def database(fresh_database_url: str) -> Iterator[sa.Engine]:
    engine = sa.create_engine(sqlalchemy_url(fresh_database_url))
    yield engine
    engine.dispose()


class Hand:
    """A clock that goes only when it is told to: an engine's own clock decides nothing but when it asks Postgres."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


class Member:
    """The leases of one engine and what it holds, as its loop would know."""

    def __init__(self, database: sa.Engine, lease_s: float = LEASE_S) -> None:
        self.hand = Hand()
        self.leases = Leases(database, lease_s=lease_s, monotonic_s=self.hand)
        self.held: set[Shard] = set()

    def round(self) -> None:
        """One look, as far as the clock of its machine goes."""
        self.hand.at_s += LOOK_EVERY_S
        change = self.leases.attend()
        assert not change.taken & change.gone
        self.held = (self.held - change.gone) | change.taken


def test_parts_are_fair_and_together_all() -> None:
    for n in range(1, 70):
        parts = [share_of(n, before) for before in range(n)]
        assert sum(parts) == SHARDS
        assert max(parts) - min(parts) <= 1


def test_one_engine_takes_all_at_once(database: sa.Engine) -> None:
    one = Member(database)
    one.round()
    assert len(one.held) == SHARDS


def test_those_who_come_get_their_part_and_those_who_go_leave_theirs(database: sa.Engine) -> None:
    members = [Member(database) for _ in range(3)]
    for joined in (1, 2, 3):
        for _ in range(3 * joined):
            for member in members[:joined]:
                member.round()
        assert sorted(len(member.held) for member in members[:joined]) == sorted(
            share_of(joined, before) for before in range(joined)
        )
    assert sum(len(member.held) for member in members) == SHARDS
    assert set.union(*(member.held for member in members)) == set(range(SHARDS))
    members.pop().leases.release()
    for member in members:
        member.round()
    assert [len(member.held) for member in members] == [32, 32]


def test_a_silent_engine_loses_its_shards_and_can_commit_nothing(database: sa.Engine) -> None:
    silent, awake = Member(database, LEASE), Member(database, LEASE)
    silent.round()
    before = silent.leases.place(Shard(7))
    awake.round()
    assert not awake.held
    time.sleep(LEASE + 0.1)
    for _ in range(3):
        awake.round()
    assert len(awake.held) == SHARDS
    with pytest.raises(LostShardError):
        silent.leases.place(Shard(7))
    with pytest.raises(LostShardError), database.begin() as connection:
        ledger.commit(connection, Effects(offsets={Shard(7): "5-0"}), {Shard(7): before})
    place = awake.leases.place(Shard(7))
    assert (place.offset, place.epoch) == (before.offset, before.epoch + 1)
    # awake again, it hears that nothing is its own any more, and gets its part in the end
    silent.round()
    for _ in range(10):
        for member in (silent, awake):
            member.hand.at_s += LEASE
            member.round()
    assert (len(silent.held), len(awake.held)) == (32, 32)
    assert not silent.held & awake.held


def test_an_engine_that_stopped_in_the_middle_of_a_commit_does_not_keep_its_shards(database: sa.Engine) -> None:
    stopped, awake = Member(database, LEASE), Member(database, LEASE)
    stopped.round()
    place = stopped.leases.place(Shard(3))
    with database.connect() as connection:
        connection.execute(queries("geofences")["name_commit"], {"name": stopped.leases.name})
        ledger.commit(connection, Effects(offsets={Shard(3): "5-0"}), {Shard(3): place})
        deadline = time.monotonic() + 10
        while len(awake.held) < SHARDS:
            assert time.monotonic() < deadline
            time.sleep(0.1)
            awake.hand.at_s += LEASE
            awake.round()
        assert awake.leases.place(Shard(3)).offset == "0-0"
        with pytest.raises(sa.exc.OperationalError):
            connection.commit()


def test_an_engine_that_only_its_server_connection_failed_takes_its_own_again_under_a_new_epoch(
    database: sa.Engine,
) -> None:
    one = Member(database)
    one.round()
    epoch = one.leases.place(Shard(0)).epoch
    one.leases.forget()
    one.held.clear()
    for _ in range(2):
        one.round()
    assert len(one.held) == SHARDS
    assert one.leases.place(Shard(0)).epoch == epoch + 1


SHORT_LEASE_S = 2.0
READ_S_A_SHARD = 0.1
"""A database with many visits: half of the shards take longer than a lease."""


class _Owns(NoWatch):
    """Hears how many shards an engine owns."""

    def __init__(self) -> None:
        self.shards = 0

    def owns(self, shards: int) -> None:
        self.shards = shards


def test_a_take_over_that_takes_longer_than_a_lease_costs_no_shard(
    database: sa.Engine, redis_url: str, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many visits take long to read: engines must not take from each other, for ever, what they are reading."""
    read = past.unfinished

    def slowly(connection: sa.Connection, shards: Sequence[Shard]) -> Any:
        time.sleep(READ_S_A_SHARD * len(shards))
        return read(connection, shards)

    def epochs() -> list[int]:
        with database.connect() as connection:
            return list(connection.execute(sa.select(shards.c.epoch).order_by(shards.c.shard)).scalars())

    monkeypatch.setattr(engine_module, "unfinished", slowly)
    client = redis.Redis.from_url(redis_url)
    stop = threading.Event()
    owned = [_Owns(), _Owns()]
    threads = [
        threading.Thread(
            target=engine_module.Engine(
                database=database,
                position_log=PositionLog(client, prefix=redis_prefix),
                snapshot=FenceSnapshot(now=clock.now),
                now=clock.now,
                beat=lambda: None,
                lease_s=SHORT_LEASE_S,
                watch=watch,
            ).run,
            args=(stop,),
        )
        for watch in owned
    ]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 60
        at_rest = False
        while not at_rest and time.monotonic() < deadline:
            before = epochs()
            time.sleep(2 * SHORT_LEASE_S)  # whoever lost a shard has taken it back by then
            at_rest = before == epochs() and [watch.shards for watch in owned] == [SHARDS // 2] * 2
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=30)
        client.close()
    assert at_rest
