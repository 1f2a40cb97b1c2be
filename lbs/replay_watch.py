"""How far engine and decider are behind a replay, and when to give up on them."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from geofences.log import PositionLog, id_after
from geofences.model import SHARDS, Shard
from geofences.past import load_places
from geofences.tables import shards
from lbs.runtime import CommandError, RunFiles
from offers.tables import cursors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lbs.settings import Settings

APPENDS_AHEAD: Final = 3
"""Appends that may be unhandled while the next one is made ready."""
PATIENCE_S: Final = 30.0
"""For a process of this home that shows no sign of life: it may be starting again."""
PATIENCE_WITH_BEAT_S: Final = 300.0
"""For one that shows signs of life but moves nothing."""
POLL_S: Final = 0.02


class ReplayWatch:
    """Knows how far engine and decider are behind, and when to give up on them."""

    def __init__(self, settings: Settings, system: sa.Engine, log: PositionLog) -> None:
        self._home = settings.home
        self._system = system
        self._log = log
        self._targets: deque[dict[Shard, str]] = deque()

    def appended(self, *, wait_for_all: bool) -> None:
        """Call after each append: waits until no more than a few of them are unhandled."""
        self._targets.append(self._log.last_ids())
        while len(self._targets) > (0 if wait_for_all else APPENDS_AHEAD):
            self._wait("engine", partial(self._behind_engine, self._targets.popleft()))

    def wait_decided(self) -> None:
        """Waits until the decider has seen every event there is now."""
        with self._system.connect() as connection:
            rows = connection.execute(sa.select(shards.c.shard, shards.c.seq))
            seqs = {Shard(row.shard): int(row.seq) for row in rows}
        self._wait("worker", partial(self._behind_decider, seqs))

    def _behind_engine(self, targets: Mapping[Shard, str]) -> Mapping[Shard, object]:
        """The offsets of the shards that have not come to their target."""
        with self._system.connect() as connection:
            places = load_places(connection)
        return {shard: place.offset for shard, place in places.items() if id_after(targets[shard], place.offset)}

    def _behind_decider(self, seqs: Mapping[Shard, int]) -> Mapping[Shard, object]:
        with self._system.connect() as connection:
            found = connection.execute(sa.select(cursors.c.shard, cursors.c.seq))
            return {Shard(row.shard): row.seq for row in found if row.seq < seqs[Shard(row.shard)]}

    def _wait(self, name: str, behind: Callable[[], Mapping[Shard, object]]) -> None:
        seen: object = None
        moved_s = time.monotonic()
        while now_behind := behind():
            if now_behind != seen:
                seen, moved_s = now_behind, time.monotonic()
            age_s = RunFiles(self._home, name).beat_age_s()
            alive = age_s is not None and age_s < PATIENCE_S
            if time.monotonic() - moved_s > (PATIENCE_WITH_BEAT_S if alive else PATIENCE_S):
                state = "makes no progress" if alive else "does not run"
                waiting = f"{len(now_behind)} of {SHARDS} shards wait"
                raise CommandError(f"the {name} {state} ({waiting}): start it with `lbs up` or `lbs {name}`")
            time.sleep(POLL_S)
