"""A clock that looks at rows: APScheduler in one leader. It decides nothing and sends nothing.

A dead scheduler delays: what was due meanwhile is found when one runs again, and the staleness gate refuses what is too
late by then. Two schedulers: an advisory lock makes one the leader, the other stands by. kill -9 in a job: its
transaction did not happen, the next look does it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from geofences.cover import cells_within
from geofences.model import LatLng
from geofences.sql import queries
from geofences.visits import NEW_EVENTS_CHANNEL
from geofences.zones import zone
from offers import ledger
from offers.definition import CampaignDefinition, ScheduledTrigger
from offers.lifecycle import move_due
from offers.retention import OldRows
from offers.schedule import occurrences, wall_time

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from datetime import datetime

log = structlog.get_logger(__name__)

SCHEDULER_LOCK = 5_242_006
LOOK_BACK = timedelta(hours=1)
"""How far back a scheduler looks for what was due while none ran; later than this nobody wants it."""
OVERLAP = timedelta(seconds=5)
"""Each look reaches back a little before the last one; an occasion begins only once."""
LOCK_PATIENCE: Final = sa.text("SET LOCAL lock_timeout = '2s'")
"""Partitions come and go under a lock that a dump denies while it runs; whoever waits for it makes all others wait."""
RETRY_S = 1.0
PARTITIONS_AHEAD = timedelta(days=7)
PARTITIONS_BEHIND = timedelta(days=2)
MEMORY_OF_WRITES = timedelta(hours=24)


class Scheduler:
    """The jobs, and the leadership they need."""

    def __init__(
        self,
        *,
        database: sa.Engine,
        now: Callable[[], datetime],
        beat: Callable[[], None],
        retention: timedelta,
        chores: Sequence[Callable[[], object]] = (),
        on_leading: Callable[[bool], None] = lambda _: None,
        on_job: Callable[[str, bool], None] = lambda _job, _done: None,
        webhook_retention: timedelta = timedelta(days=14),
    ) -> None:
        """`chores` are done each second besides."""
        self._database = database
        self._now = now
        self._beat = beat
        self._retention = retention
        self._chores = chores
        self._on_leading = on_leading
        self._on_job = on_job
        self._webhook_retention = webhook_retention
        self._looked_at: datetime | None = None
        self._old_rows = OldRows(database, now=now)

    def run(self, stop: threading.Event) -> None:
        """Leads, or stands by until it can, until `stop`."""
        while not stop.is_set():
            try:
                self._lead(stop)
            except sa.exc.DBAPIError as error:
                log.warning("scheduler.waits", error=type(error).__name__)
                stop.wait(RETRY_S)

    def _lead(self, stop: threading.Event) -> None:
        with self._database.connect().execution_options(isolation_level="AUTOCOMMIT") as holder:
            lock = {"lock": SCHEDULER_LOCK}
            while not holder.execute(sa.text("SELECT pg_try_advisory_lock(:lock)"), lock).scalar():
                self._beat()
                if stop.wait(RETRY_S):
                    return
            log.info("scheduler.leads")
            self._on_leading(True)
            clock = self._clock()
            clock.start()
            try:
                while not stop.wait(RETRY_S):
                    holder.execute(sa.text("SELECT 1"))
                    self._beat()
            finally:
                self._on_leading(False)
                clock.shutdown(wait=True)

    def _clock(self) -> BackgroundScheduler:
        clock = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(3)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        start = self._now()
        clock.add_job(self._safely(self.begin_occasions), "interval", seconds=1, next_run_time=start)
        clock.add_job(self._safely(self.move_campaigns), "interval", seconds=2, next_run_time=start)
        clock.add_job(self._safely(self.release_expired), "interval", seconds=2, next_run_time=start)
        clock.add_job(self._safely(self.keep_partitions), "interval", hours=1, next_run_time=start)
        clock.add_job(self._safely(self.forget_old), "interval", hours=1, next_run_time=start)
        clock.add_job(self._safely(self.forget_writes), "interval", hours=1, next_run_time=start)
        for chore in self._chores:
            clock.add_job(self._safely(chore), "interval", seconds=1, next_run_time=start)
        clock.add_job(self._safely(self.forget_webhook_past), "interval", hours=1, next_run_time=start)
        clock.add_job(self._safely(self.end_old_secrets), "interval", seconds=60, next_run_time=start)
        return clock

    def _safely(self, job: Callable[[], object]) -> Callable[[], None]:
        def run() -> None:
            try:
                job()
            except sa.exc.DBAPIError as error:
                log.warning("scheduler.job_failed", job=job.__name__, error=type(error).__name__)
                self._on_job(job.__name__, False)
            else:
                self._on_job(job.__name__, True)

        return run

    def begin_occasions(self) -> None:
        """Finds scheduled offers that are due, and gathers who is there."""
        now = self._now()
        since = now - LOOK_BACK if self._looked_at is None else max(self._looked_at - OVERLAP, now - LOOK_BACK)
        with self._database.connect() as connection:
            waiting = connection.execute(queries("offers")["live_scheduled"]).all()
        for row in waiting:
            definition = CampaignDefinition.model_validate(row.definition)
            trigger = definition.trigger
            assert isinstance(trigger, ScheduledTrigger)
            due = occurrences(
                wall_time(trigger.at, "trigger.at"),
                frozenset(trigger.days) or None,
                definition.windows.first_day,
                definition.windows.last_day,
                zone=zone(row.timezone),
                # what was due before it went live is over
                start=since if row.live_since is None else max(since, row.live_since),
                end=now,
            )
            for due_at in due:
                self._begin(row.campaign_id, row.tenant_id, row.store_ids, due_at, trigger)
        self._looked_at = now

    def _begin(
        self, campaign_id: int, tenant_id: int, store_ids: list[int], due_at: datetime, trigger: ScheduledTrigger
    ) -> None:
        """One occasion at all stores of a zone, with its devices, in one transaction."""
        now = self._now()
        about = {"campaign_id": campaign_id, "due_at": due_at, "tenant_id": tenant_id}
        with self._database.begin() as connection:
            begun = (
                connection.execute(queries("offers")["begin_occasions"], {**about, "store_ids": store_ids})
                .scalars()
                .all()
            )
            gathered = 0
            for place in connection.execute(queries("offers")["store_places"], {"store_ids": begun}).all():
                cells = cells_within(LatLng(lat=place.lat, lng=place.lng), trigger.radius_m)
                gathered += connection.execute(
                    queries("offers")["gather_devices"],
                    {
                        **about,
                        "store_id": place.store_id,
                        "cells": list(cells),
                        "radius_m": trigger.radius_m,
                        "seen_after": now - timedelta(seconds=trigger.seen_within_s),
                        "now": now,
                    },
                ).rowcount
            if gathered:
                connection.execute(sa.text(f"NOTIFY {NEW_EVENTS_CHANNEL}"))
        if begun:
            log.info("occasion.begun", campaign_id=campaign_id, stores=len(begun), devices=gathered)

    def move_campaigns(self) -> None:
        """Begins and ends campaigns by their days."""
        with self._database.begin() as connection:
            moved = move_due(connection, now=self._now())
        for campaign_id, move in moved:
            log.info("campaign.moved", campaign_id=campaign_id, move=move)

    def release_expired(self) -> None:
        with self._database.begin() as connection:
            released = ledger.release_expired(connection, now=self._now())
        if released:
            log.info("reservations.expired", count=released)

    def keep_partitions(self) -> None:
        """Makes the partitions of the next days and drops raw positions that are older than the retention."""
        today = self._now().date()
        with self._database.begin() as connection:
            connection.execute(LOCK_PATIENCE)
            connection.execute(
                sa.text("SELECT geofences.make_partitions(:first, :last)"),
                {"first": today - PARTITIONS_BEHIND, "last": today + PARTITIONS_AHEAD},
            )
        with self._database.begin() as connection:
            connection.execute(LOCK_PATIENCE)
            busy = not connection.execute(queries("geofences")["no_replay_runs"]).scalar()
            if not busy:
                connection.execute(
                    sa.text("SELECT geofences.drop_positions_before(:day)"), {"day": today - self._retention}
                )

    def forget_old(self) -> None:
        """Deletes what tenants keep for a shorter time than the installation."""
        forgotten = self._old_rows.forget()
        if any(forgotten.values()):
            log.info("tenant.forgot", **forgotten)

    def forget_writes(self) -> None:
        with self._database.begin() as connection:
            connection.execute(
                sa.text("DELETE FROM lbs.remembered_writes WHERE created_at < :before"),
                {"before": self._now() - MEMORY_OF_WRITES},
            )

    def forget_webhook_past(self) -> None:
        """Old attempts go, and what has waited too long for a webhook that is paused."""
        with self._database.begin() as connection:
            dropped = connection.execute(
                queries("offers")["forget_webhook_past"], {"kept_since": self._now() - self._webhook_retention}
            ).rowcount
        if dropped:
            log.warning("webhook_events.dropped", count=dropped)

    def end_old_secrets(self) -> None:
        with self._database.begin() as connection:
            connection.execute(queries("offers")["end_old_secrets"], {"now": self._now()})
