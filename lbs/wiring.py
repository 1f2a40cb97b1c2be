"""Builds what processes are made of from settings. Nothing is built at import."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import redis
import sqlalchemy as sa

from geofences.engine import Engine
from geofences.log import PositionLog
from geofences.refresh import FenceSnapshot
from lbs import clock
from lbs.daemon_metrics import EngineMetrics, WorkerMetrics, show
from lbs.secrets import Vault, derive
from offers.catalogue import Catalogue
from offers.codes import CodeBook
from offers.decider import Decider
from offers.push import ChannelType
from offers.push_http import HttpTransport
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender
from offers.scheduler import Scheduler
from offers.ssrf import AddressGuard
from offers.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbs.settings import Settings
    from offers.push import PushSender


class Role(StrEnum):
    """Which database role a connection takes."""

    ADMIN = "admin"
    """The user of the URL itself: migrations only."""
    API = "lbs_api"
    """Sees the tenant of its transaction, and nothing else."""
    READER = "lbs_reader"
    """Reads all tenants: snapshots and key look-ups; no route can reach it."""
    SYSTEM = "lbs_system"
    """Writes all tenants: engine, worker, scheduler, command line."""


def sqlalchemy_url(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg2")


def database(settings: Settings, role: Role, *, pool_size: int = 5) -> sa.Engine:
    """An engine whose connections act as `role`, in UTC."""
    assert settings.database_url is not None, "settings are resolved before wiring"
    options = "-c timezone=UTC -c search_path=public"
    if role is not Role.ADMIN:
        options += f" -c role={role}"
    if role is Role.READER:
        options += " -c default_transaction_read_only=on"
    return sa.create_engine(
        sqlalchemy_url(settings.database_url.get_secret_value()),
        connect_args={"options": options, "application_name": f"lbs:{role}", "connect_timeout": 10},
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        hide_parameters=True,  # an error message must not quote coordinates or secrets
        executemany_mode="values_plus_batch",  # else every row of a long list is a round trip
    )


def redis_client(settings: Settings) -> redis.Redis:
    """A client for binary values; it fails fast rather than hang when Redis is away."""
    assert settings.redis_url is not None, "settings are resolved before wiring"
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(), socket_timeout=10, socket_connect_timeout=5, health_check_interval=30
    )


def position_log(settings: Settings) -> PositionLog:
    return PositionLog(redis_client(settings), prefix=settings.redis_prefix)


def position_engine(settings: Settings, beat: Callable[[], None]) -> Engine:
    """The engine; `beat` is called at least every second while it lives."""
    metrics = EngineMetrics()
    show("engine", metrics.registry, settings)
    return Engine(
        database=database(settings, Role.SYSTEM),
        position_log=position_log(settings),
        snapshot=FenceSnapshot(now=clock.now),
        now=clock.now,
        beat=beat,
        lease_s=settings.lease_s,
        watch=metrics,
    )


def address_guard(settings: Settings) -> AddressGuard:
    return AddressGuard(allow_private=settings.allow_private_addresses)


def vapid_key(settings: Settings) -> VapidKey:
    """The installation's Web Push identity: it follows from the secret key, so there is nothing to store."""
    return VapidKey.derive(derive(settings, "vapid"))


def code_book(settings: Settings) -> CodeBook:
    """How codes of claims are hashed and sealed: the same in every process of the installation."""
    vault = Vault(settings)
    return CodeBook(key=derive(settings, "codes"), seal=vault.seal, unseal=vault.unseal)


def senders(settings: Settings) -> dict[ChannelType, PushSender]:
    """A sender for each channel that needs one; the inbox is Postgres itself."""
    guard = address_guard(settings)
    return {
        ChannelType.WEBPUSH: WebPushSender(
            key=vapid_key(settings), contact=settings.webpush_contact, transport=HttpTransport(guard=guard)
        ),
        ChannelType.WEBHOOK: WebhookSender(transport=HttpTransport(guard=guard)),
    }


def worker(settings: Settings, beat: Callable[[], None]) -> Worker:
    """The decider and the senders; `beat` is called at least every second while they live."""
    system = database(settings, Role.SYSTEM)
    metrics = WorkerMetrics()
    metrics.watch_events(system)
    show("worker", metrics.registry, settings)
    return Worker(
        database=system,
        decider=Decider(database=system, catalogue=Catalogue(), book=code_book(settings)),
        senders=senders(settings),
        unseal=Vault(settings).unseal,
        now=clock.now,
        beat=beat,
        on_decided=metrics.decided,
        on_finished=metrics.finished,
    )


def scheduler(settings: Settings, beat: Callable[[], None]) -> Scheduler:
    return Scheduler(
        database=database(settings, Role.SYSTEM),
        now=clock.now,
        beat=beat,
        retention=timedelta(days=settings.retention_days),
    )
