"""The numbers of engine, worker and scheduler, and the small server that shows them.

The loops tell them as things happen; nothing here can stop a loop. Without LBS_METRICS_PORT nothing listens.
"""

from __future__ import annotations

import time
from itertools import product
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from geofences.sql import queries
from lbs.observe import SECONDS
from lbs.runtime import CommandError
from lbs.sql import block
from offers.push import ChannelType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.core import Metric

    from lbs.settings import Settings
    from offers.decisions import Answer
    from offers.outbox import Finished
    from offers.webhook_queue import Attempt

PORTS_ABOVE: Final = {"engine": 0, "worker": 1, "scheduler": 2}
"""All may be started with one environment: each listens so many ports above LBS_METRICS_PORT."""


class EngineMetrics:
    """What one engine tells of itself (`geofences.watch.EngineWatch`)."""

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.registry = registry = CollectorRegistry()
        self._monotonic_s = monotonic_s
        self._in_step_s = -float("inf")
        self._shards = Gauge("lbs_engine_shards_owned", "Shards leased to this engine.", registry=registry)
        self._log_entries = Gauge("lbs_engine_log_entries", "Entries of its shards that wait.", registry=registry)
        self._log_oldest = Gauge("lbs_engine_log_oldest_seconds", "Age of the oldest of them.", registry=registry)
        self._entries = Counter("lbs_engine_entries", "Entries handled.", registry=registry)
        self._positions = Counter("lbs_engine_positions", "Positions handled, repeats included.", registry=registry)
        self._batch = Histogram(
            "lbs_engine_batch_seconds", "From a batch's entries to its commit.", buckets=SECONDS, registry=registry
        )
        self._commit = Histogram(
            "lbs_engine_commit_seconds", "A transaction of the ledger.", buckets=SECONDS, registry=registry
        )
        age = Gauge("lbs_engine_fences_age_seconds", "Since the fences were in step.", registry=registry)
        age.set_function(lambda: self._monotonic_s() - self._in_step_s)
        self._fence_lag = Gauge(
            "lbs_engine_fence_lag_seconds", "How late the newest change of a fence was heard of.", registry=registry
        )
        self._buried = Counter("lbs_engine_buried_entries", "Entries in the dead letters.", registry=registry)
        self._losses = Counter("lbs_engine_log_losses", "Shards whose log lost data.", registry=registry)
        self._lost = Counter("lbs_engine_log_lost_entries", "Entries lost, at least.", registry=registry)

    def owns(self, shards: int) -> None:
        self._shards.set(shards)

    def log_waits(self, *, entries: int, oldest_s: float) -> None:
        self._log_entries.set(entries)
        self._log_oldest.set(oldest_s)

    def handled(self, *, entries: int, positions: int, seconds: float) -> None:
        self._entries.inc(entries)
        self._positions.inc(positions)
        self._batch.observe(seconds)

    def committed(self, *, seconds: float) -> None:
        self._commit.observe(seconds)

    def fences_polled(self, *, late_s: float | None) -> None:
        self._in_step_s = self._monotonic_s()
        if late_s is not None:
            self._fence_lag.set(late_s)

    def buried(self) -> None:
        self._buried.inc()

    def log_lost(self, *, shards: int, entries_at_least: int) -> None:
        self._losses.inc(shards)
        self._lost.inc(entries_at_least)


class WorkerMetrics:
    """What one worker tells of itself."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._decisions = Counter(
            "lbs_worker_decisions", "Decisions, by outcome and the gate that failed.", ["outcome", "reason"],
            registry=registry,
        )  # fmt: skip
        self._messages = Counter(
            "lbs_worker_messages", "Attempts that ended, by channel, state and why.", ["channel", "state", "reason"],
            registry=registry,
        )  # fmt: skip
        self._stored = Stored()
        registry.register(self._stored)
        self._told = Counter(
            "lbs_worker_webhook_attempts", "Attempts to tell a webhook of an event, by what came of it.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self._webhook_lag = Gauge(
            "lbs_worker_webhook_lag_seconds", "Age of the oldest event that waits for a webhook.", registry=registry
        )
        self._paused = Gauge("lbs_worker_webhooks_paused", "Webhooks that are paused.", registry=registry)

    def decided(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            self._decisions.labels(answer.decision.outcome, answer.decision.reason or "").inc()

    def finished(self, attempts: Sequence[Finished]) -> None:
        for attempt in attempts:
            self._messages.labels(attempt.claimed.channel, attempt.state, attempt.reason or "").inc()

    def told(self, attempts: Sequence[Attempt]) -> None:
        for attempt in attempts:
            self._told.labels(attempt.outcome.reason).inc()

    def watch(self, database: sa.Engine) -> None:
        """From now on what waits is looked up whenever somebody looks."""
        self._stored.database = database
        self._webhook_lag.set_function(lambda: _asked(database, queries("offers")["webhook_lag"]))
        self._paused.set_function(lambda: _asked(database, WEBHOOKS_PAUSED))


def _asked(database: sa.Engine, statement: sa.TextClause) -> float:
    try:
        with database.connect() as connection:
            return float(connection.execute(statement).scalar_one())
    except sa.exc.SQLAlchemyError:
        return float("nan")


WEBHOOKS_PAUSED: Final = sa.text("SELECT count(*) FROM offers.webhooks WHERE paused_reason IS NOT NULL")


class Stored(Collector):
    """What waits in Postgres, of the whole installation: every worker says the same. Nothing while Postgres is away."""

    database: sa.Engine | None = None

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("lbs_worker_postgres_up", "Whether Postgres answers.")
        events = GaugeMetricFamily("lbs_worker_events_waiting", "Events that no decider has seen.")
        oldest = GaugeMetricFamily("lbs_worker_events_oldest_seconds", "Age of the oldest of them.")
        queue = GaugeMetricFamily(
            "lbs_worker_queue_messages", "Messages that have not ended.", labels=["channel", "state"]
        )
        due = GaugeMetricFamily("lbs_worker_queue_oldest_seconds", "How long the oldest is due.", labels=["channel"])
        dead = GaugeMetricFamily("lbs_worker_dead_letters", "Log entries that could not be handled, all in all.")
        if self.database is not None:
            try:
                with self.database.connect() as connection:
                    waiting = connection.execute(block("events_waiting")).one()
                    messages = connection.execute(block("messages_waiting")).all()
                    buried = connection.execute(block("dead_letters")).scalar_one()
            except sa.exc.SQLAlchemyError:
                up.add_metric([], 0)
            else:
                up.add_metric([], 1)
                events.add_metric([], float(waiting.events))
                oldest.add_metric([], float(waiting.oldest_s))
                dead.add_metric([], buried)
                found = {(row.channel, row.what): row for row in messages}
                for channel, what in product(ChannelType, ("due", "later", "sending")):
                    row = found.get((channel, what))
                    queue.add_metric([channel, what], 0 if row is None else row.n)
                    if what == "due":
                        due.add_metric([channel], 0.0 if row is None else float(row.oldest_s))
        yield from (up, events, oldest, queue, due, dead)


class SchedulerMetrics:
    """What one scheduler tells of itself."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._leads = Gauge("lbs_scheduler_leads", "1 for the one that works, 0 for who stands by.", registry=registry)
        self._jobs = Counter("lbs_scheduler_jobs", "Jobs that ended.", ["task", "outcome"], registry=registry)

    def leads(self, now: bool) -> None:  # noqa: FBT001 - what it is told is the subject
        self._leads.set(now)

    def ended(self, job: str, done: bool) -> None:  # noqa: FBT001
        self._jobs.labels(job, "done" if done else "failed").inc()


def show(name: str, registry: CollectorRegistry, settings: Settings) -> None:
    """Serves the numbers from a thread of its own, if a port is given; CommandError if it is taken."""
    if settings.metrics_port is None:
        return
    port = settings.metrics_port + PORTS_ABOVE[name]
    try:
        start_http_server(port, addr=settings.host, registry=registry)
    except OSError as error:
        raise CommandError(
            f"the {name} cannot show its metrics at {settings.host}:{port} ({error.strerror}): change LBS_METRICS_PORT"
        ) from error
