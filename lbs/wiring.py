"""Builds what processes are made of from settings. Nothing is built at import."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from geofences.engine import Engine
from geofences.refresh import FenceSnapshot
from geofences.roller import Roller
from lbs import clock
from lbs.connections import Role, database, position_log
from lbs.daemon_metrics import EngineMetrics, SchedulerMetrics, WorkerMetrics, show
from lbs.erasure import Eraser
from lbs.secrets import Vault, derive
from lbs.together import Together
from offers.catalogue import Catalogue
from offers.codes import CodeBook
from offers.decider import Decider
from offers.events_out import WEBHOOKS_AT_ONCE, EventsOut
from offers.push import ChannelType
from offers.push_apns import ApnsSender
from offers.push_development import LogSender
from offers.push_fcm import FcmSender
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
        database=database(settings, Role.SYSTEM, ask_first=False),
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


def transport(settings: Settings) -> HttpTransport:
    """What carries everything that is pushed."""
    return HttpTransport(guard=address_guard(settings), ca_file=settings.ca_file)


def senders(settings: Settings, carrier: HttpTransport) -> dict[ChannelType, PushSender]:
    """A sender for each channel that needs one; the inbox is Postgres itself."""
    if settings.push == "log":
        return {channel: LogSender(channel) for channel in ChannelType if channel is not ChannelType.INBOX}
    return {
        ChannelType.WEBPUSH: WebPushSender(
            key=vapid_key(settings), contact=settings.webpush_contact, origin=carrier.origin
        ),
        ChannelType.WEBHOOK: WebhookSender(),
        ChannelType.APNS: ApnsSender(production_url=settings.apns_url, sandbox_url=settings.apns_sandbox_url),
        ChannelType.FCM: FcmSender(base_url=settings.fcm_url, token_url=settings.google_token_url),
    }


def worker(settings: Settings, beat: Callable[[], None]) -> Together:
    """The decider, the senders and events out; `beat` is called at least every second while they live."""
    system = database(settings, Role.SYSTEM, ask_first=False)
    metrics = WorkerMetrics()
    metrics.watch(database(settings, Role.SYSTEM, pool_size=1))
    show("worker", metrics.registry, settings)
    carrier = transport(settings)
    deciding = Worker(
        database=system,
        decider=Decider(database=system, catalogue=Catalogue(), book=code_book(settings)),
        senders=senders(settings, carrier),
        transport=carrier,
        unseal=Vault(settings).unseal,
        now=clock.now,
        beat=beat,
        on_decided=metrics.decided,
        on_finished=metrics.finished,
    )
    if settings.push == "log":
        return Together(deciding)  # events wait for their webhooks, which are somebody else's
    telling = EventsOut(
        # a connection for each webhook that is told of something, and one to look and one to listen
        database=database(settings, Role.SYSTEM, pool_size=WEBHOOKS_AT_ONCE),
        transport=transport(settings),
        unseal=Vault(settings).unseal,
        source=settings.public_url or "",
        now=clock.now,
        on_attempts=metrics.told,
    )
    return Together(deciding, telling)


def scheduler(settings: Settings, beat: Callable[[], None]) -> Scheduler:
    system = database(settings, Role.SYSTEM)
    metrics = SchedulerMetrics()
    show("scheduler", metrics.registry, settings)
    return Scheduler(
        database=system,
        now=clock.now,
        beat=beat,
        retention=timedelta(days=settings.retention_days),
        chores=[
            Eraser(system, position_log(settings), now=clock.now).work,
            Roller(system, now=clock.now, k=settings.k_anonymity).roll_traffic,
        ],
        on_leading=metrics.leads,
        on_job=metrics.ended,
        webhook_retention=timedelta(days=settings.webhook_days),
    )
