"""Which shards an engine works on: leases in rows of Postgres, judged by the clock of Postgres alone.

Every living engine shows itself by a row and owns an equal share of the shards. One that is silent for the length of a
lease counts as dead, and the others take its shards. Taking a shard raises its epoch, which every commit names: an
engine that slept through the end of its lease changes no row. If Postgres is away every call raises the driver's error.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
import structlog

from geofences.errors import LostShardError
from geofences.model import SHARDS, Shard
from geofences.sql import queries
from geofences.tables import engines, shards
from geofences.visits import ShardPlace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

log = structlog.get_logger(__name__)

LEASE_S: Final = 6.0
RENEWALS_A_LEASE: Final = 3
LOOK_EVERY_S: Final = 0.5
"""How long a shard that nobody owns may stay unnoticed."""
STALLED_S: Final = 1.0
"""How long after the end of its lease an engine's open commit is ended for it."""


@dataclass(frozen=True, slots=True)
class Change:
    """Shards that came to this engine and that went from it; memory of the latter is void."""

    taken: frozenset[Shard] = frozenset()
    gone: frozenset[Shard] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.taken or self.gone)


def share_of(engines_living: int, engines_before: int) -> int:
    """How many shards are due to the engine that has so many others before it, in an order that all agree on.

    >>> [share_of(3, before) for before in range(3)]
    [22, 21, 21]
    """
    return SHARDS // engines_living + (engines_before < SHARDS % engines_living)


class Leases:
    """The leases of one engine, kept by its own loop: an engine that no longer goes round loses them."""

    def __init__(
        self, database: sa.Engine, *, lease_s: float = LEASE_S, monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.owner = uuid.uuid4().hex
        self._database = database
        self._lease_s = lease_s
        self._monotonic_s = monotonic_s
        self._held: set[Shard] = set()
        self._renew_at_s = self._look_at_s = -float("inf")

    @property
    def name(self) -> str:
        """The application name of this engine's commits while they are open."""
        return f"lbs engine {self.owner}"

    def attend(self) -> Change:
        """Renews, gives back what is above the share, takes what is free below it. Costs nothing until it is time."""
        gone = self.renew()
        taken: set[Shard] = set()
        now_s = self._monotonic_s()
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            with self._database.begin() as connection:
                row = connection.execute(
                    queries("geofences")["engine_share"], {"owner": self.owner, "lease_s": self._lease_s}
                ).one()
            share = share_of(max(row.engines, 1), row.before)
            if len(self._held) > share:
                gone |= self._give_back(sorted(self._held)[share:])
            elif row.free and len(self._held) < share:
                taken = self._take(share - len(self._held))
        return Change(taken=frozenset(taken), gone=frozenset(gone))

    def renew(self) -> set[Shard]:
        """Prolongs the leases if it is time; answers those that were lost."""
        now_s = self._monotonic_s()
        if now_s < self._renew_at_s:
            return set()
        with self._database.begin() as connection:
            rows = connection.execute(
                queries("geofences")["renew_leases"], {"owner": self.owner, "lease_s": self._lease_s}
            )
            mine = {Shard(row.shard) for row in rows}
            # what was let go while Postgres was away: to be taken again under a new epoch
            self._disown(connection, mine - self._held)
        self._renew_at_s = now_s + self._lease_s / RENEWALS_A_LEASE
        lost = self._held - mine
        if lost:
            log.warning("engine.shards_lost", shards=len(lost))
        self._held -= lost
        return lost

    def holds(self, shard: Shard) -> bool:
        """Whether the shard is leased to this engine, as far as it knows."""
        return shard in self._held

    def place(self, shard: Shard) -> ShardPlace:
        """How far a leased shard has come; LostShardError if it is another engine's."""
        with self._database.connect() as connection:
            row = connection.execute(
                queries("geofences")["owned_place"], {"shard": shard, "owner": self.owner}
            ).one_or_none()
        if row is None:
            raise LostShardError(f"shard {shard} is no longer leased to this engine")
        return ShardPlace(epoch=row.epoch, offset=row.offset, seq=row.seq)

    def begin_log_anew(self, shard: Shard, *, entries_at_least: int) -> None:
        """After the log lost its data: notes the loss, and reads the new stream from its start, under a new epoch."""
        with self._database.begin() as connection:
            connection.execute(
                queries("geofences")["begin_log_anew"],
                {"shard": shard, "owner": self.owner, "entries_at_least": entries_at_least},
            )

    def forget(self) -> None:
        """Nothing is held any more, as far as this engine knows; the next `attend` asks Postgres."""
        self._held.clear()
        self._renew_at_s = self._look_at_s = -float("inf")

    def release(self) -> None:
        """Gives everything back and stops being counted: the others take over at once."""
        self.forget()
        with self._database.begin() as connection:
            connection.execute(sa.delete(engines).where(engines.c.owner == self.owner))
            connection.execute(
                sa.update(shards).where(shards.c.owner == self.owner).values(owner=None, leased_until=None)
            )

    def _give_back(self, given: Iterable[Shard]) -> set[Shard]:
        given = set(given)
        with self._database.begin() as connection:
            self._disown(connection, given)
        self._held -= given
        return given

    def _disown(self, connection: sa.Connection, given: set[Shard]) -> None:
        if given:
            connection.execute(
                sa.update(shards)
                .where(shards.c.shard.in_(given), shards.c.owner == self.owner)
                .values(owner=None, leased_until=None)
            )

    def _take(self, n: int) -> set[Shard]:
        with self._database.begin() as connection:
            connection.execute(
                sa.delete(engines).where(engines.c.seen_at < sa.func.clock_timestamp() - sa.text("interval '1 minute'"))
            )
            rows = connection.execute(
                queries("geofences")["take_shards"], {"owner": self.owner, "n": n, "lease_s": self._lease_s}
            )
            taken = {Shard(row.shard) for row in rows}
        self._held |= taken
        if len(taken) < n:
            self._end_stalled_commits()
        return taken

    def _end_stalled_commits(self) -> None:
        try:
            with self._database.begin() as connection:
                # the right to end a session belongs to the user that logged in, not to the role it took
                connection.execute(sa.text("SET LOCAL ROLE NONE"))
                ended = connection.execute(
                    queries("geofences")["end_stalled_commits"], {"grace_s": STALLED_S}
                ).scalar_one()
        except sa.exc.ProgrammingError as error:
            log.warning("engine.stalled_commit", error=type(error.orig).__name__)
        else:
            if ended:
                log.warning("engine.stalled_commit", ended=ended)
