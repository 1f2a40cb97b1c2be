"""What the routes of one API process work with, built once from settings and handed down."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import redis
import redis.asyncio

from geofences.log import PositionLog
from geofences.places import ALWAYS
from lbs import clock, ingest
from lbs.alive import PositionRates, SignOfLife
from lbs.appender import Appender
from lbs.auth import DeviceTokens, KeyRing
from lbs.connections import Role, database, redis_client
from lbs.directory import DeviceDirectory
from lbs.guesses import GuessGuard
from lbs.import_jobs import ImportJobs
from lbs.log_line import LogLine
from lbs.log_room import LogRoom
from lbs.memory import ApiMemory
from lbs.observe import Metrics
from lbs.oidc import OidcClient
from lbs.passwords import Passwords
from lbs.secrets import Vault, derive
from lbs.sessions import SessionRing
from lbs.streams import StreamHub
from lbs.wiring import address_guard, code_book, vapid_key
from offers.prepare_tokens import PrepareTokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import sqlalchemy as sa

    from lbs.settings import Settings
    from offers.codes import CodeBook
    from offers.ssrf import AddressGuard

API_CONNECTIONS = 10
TX_SLOTS = 18
"""Below twice API_CONNECTIONS, which is what the pool gives: the streams' receipts take one now and then."""
READER_CONNECTIONS = 4
HASHING = 2


@dataclass(slots=True, kw_only=True)
class Services:
    """One process's servers, memory and secrets. `now` is the only clock of a route."""

    settings: Settings
    now: Callable[[], datetime]
    api: sa.Engine = field(repr=False)
    """Sees one tenant a transaction: what routes write and read through."""
    reader: sa.Engine = field(repr=False)
    """Reads all tenants; used by the memory, the key ring, `lbs.signing_in` and `lbs.operations`, never by a route."""
    eraser: sa.Engine = field(repr=False)
    """Writes all tenants; used by `lbs.erasure` alone, because the API's own role may not delete the ledger."""
    redis: redis.Redis = field(repr=False)
    position_log: PositionLog
    keys: KeyRing
    tokens: DeviceTokens
    sessions: SessionRing
    passwords: Passwords
    provider: OidcClient | None
    """Where people may sign in instead of here."""
    counter_key: bytes = field(repr=False)
    """Hides in Redis whose attempts are counted."""
    directory: DeviceDirectory
    memory: ApiMemory
    streams: StreamHub
    imports: ImportJobs
    rates: PositionRates
    vault: Vault
    codes: CodeBook
    prepare_tokens: PrepareTokens
    guesses: GuessGuard
    guard: AddressGuard
    metrics: Metrics
    push_key: str
    """The VAPID public key that browsers subscribe with."""
    tx_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TX_SLOTS), repr=False)
    """Requests that may hold a connection at once: never more than there are, or threads would wait for each other."""
    hashing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(HASHING), repr=False)
    """Passwords that may be hashed at once: each takes 19 MiB and a core."""
    _appender: Appender | None = None
    _room: LogRoom | None = None
    _sign: SignOfLife | None = None

    @property
    def appender(self) -> Appender:
        """Made in the running event loop, when the application starts."""
        assert self._appender is not None, "the application has not started"
        return self._appender

    @property
    def room(self) -> LogRoom:
        """Made with the appender, which asks it."""
        assert self._room is not None, "the application has not started"
        return self._room

    def effective_at(self, now: datetime, *, sandbox: bool) -> datetime:
        """When a change of a fence takes effect; in a sandbox, whose data has a clock of its own, it always was so."""
        return ALWAYS if sandbox else now + timedelta(seconds=self.settings.change_delay_s)

    def start(self) -> None:
        """Within the event loop: begins to load the memory and opens the way into the log."""
        ingest.warm_up()
        url = self.settings.redis_url
        assert url is not None, "settings are resolved before wiring"
        client = redis.asyncio.Redis.from_url(url.get_secret_value(), socket_timeout=10, socket_connect_timeout=5)
        line = LogLine(url.get_secret_value())
        prefix = self.settings.redis_prefix
        self._room = room = LogRoom(client, prefix=prefix, max_bytes=self.settings.log_max_bytes)
        self._appender = Appender(line, prefix=prefix, now=self.now, is_full=lambda: room.full)
        self._room.start()
        self.memory.start()
        self.streams.start()
        self._sign = SignOfLife(
            self.redis,
            prefix=prefix,
            process="api",
            beat_age_s=lambda: self.memory.age_s,
            positions=self.rates.last_minute,
            now=self.now,
        )
        self._sign.start()

    async def close(self) -> None:
        """Waits for appends under way, then lets go of every server."""
        self.imports.close()
        self.memory.stop()
        self.streams.stop()
        if self._sign is not None:
            self._sign.stop()
        await self.room.close()
        await self.appender.close()
        self.redis.close()
        if self.provider is not None:
            self.provider.close()
        for engine in (self.api, self.reader, self.eraser):
            engine.dispose()


def build_services(settings: Settings, *, now: Callable[[], datetime] = clock.now) -> Services:
    """Connects to nothing yet."""
    reader = database(settings, Role.READER, pool_size=READER_CONNECTIONS)
    directory = DeviceDirectory(reader)
    streams = StreamHub(reader, now=now)
    client = redis_client(settings)
    api = database(settings, Role.API, pool_size=API_CONNECTIONS)
    vault = Vault(settings)
    return Services(
        settings=settings,
        now=now,
        api=api,
        reader=reader,
        eraser=database(settings, Role.SYSTEM, pool_size=1),
        redis=client,
        position_log=PositionLog(client, prefix=settings.redis_prefix),
        keys=KeyRing(reader),
        tokens=DeviceTokens(derive(settings, "device tokens")),
        sessions=SessionRing(reader, api, idle=timedelta(seconds=settings.session_idle_s), now=now),
        passwords=Passwords(),
        provider=_provider(settings),
        counter_key=derive(settings, "sign-in counters"),
        directory=directory,
        memory=ApiMemory(reader, directory=directory, now=now, on_devices=streams.end_erased),
        streams=streams,
        imports=ImportJobs(now=now),
        rates=PositionRates(),
        vault=vault,
        codes=code_book(settings),
        prepare_tokens=PrepareTokens(derive(settings, "prepare tokens")),
        guesses=GuessGuard(client, settings),
        guard=address_guard(settings),
        metrics=Metrics(),
        push_key=vapid_key(settings).public_base64url,
    )


def _provider(settings: Settings) -> OidcClient | None:
    if not settings.oidc_issuer or not settings.oidc_client_id:
        return None
    secret = settings.oidc_client_secret
    return OidcClient(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=None if secret is None else secret.get_secret_value() or None,
    )
