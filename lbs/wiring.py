"""Builds what processes are made of from settings. Nothing is built at import."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from geofences.engine import Engine
from geofences.refresh import FenceSnapshot
from lbs import clock
from lbs.connections import Role, database, position_log
from lbs.daemon_metrics import EngineMetrics, WorkerMetrics, show
from lbs.secrets import Vault, derive
from lbs.together import Together
from offers.catalogue import Catalogue
from offers.codes import CodeBook
from offers.decider import Decider
from offers.events_out import WEBHOOKS_AT_ONCE, EventsOut
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


def worker(settings: Settings, beat: Callable[[], None]) -> Together:
    """The decider, the senders and events out; `beat` is called at least every second while they live."""
    system = database(settings, Role.SYSTEM)
    metrics = WorkerMetrics()
    metrics.watch_events(system)
    metrics.watch_webhooks(system)
    show("worker", metrics.registry, settings)
    deciding = Worker(
        database=system,
        decider=Decider(database=system, catalogue=Catalogue(), book=code_book(settings)),
        senders=senders(settings),
        unseal=Vault(settings).unseal,
        now=clock.now,
        beat=beat,
        on_decided=metrics.decided,
        on_finished=metrics.finished,
    )
    telling = EventsOut(
        # a connection for each webhook that is told of something, and one to look and one to listen
        database=database(settings, Role.SYSTEM, pool_size=WEBHOOKS_AT_ONCE),
        transport=HttpTransport(guard=address_guard(settings)),
        unseal=Vault(settings).unseal,
        source=settings.public_url or "",
        now=clock.now,
        on_attempts=metrics.told,
    )
    return Together(deciding, telling)


def scheduler(settings: Settings, beat: Callable[[], None]) -> Scheduler:
    return Scheduler(
        database=database(settings, Role.SYSTEM),
        now=clock.now,
        beat=beat,
        retention=timedelta(days=settings.retention_days),
        webhook_retention=timedelta(days=settings.webhook_days),
    )
