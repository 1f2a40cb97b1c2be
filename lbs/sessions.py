"""Sessions of people: random values that only their browsers hold. Stored are hashes, and when each ends.

A session ends at its `expires_at`, or once nobody used it for the idle time; using it is noted once a minute. Whoever
is remembered here is believed for some seconds in other processes, and forgotten at once in the one that ended it.
If Postgres is away, sessions used in the last seconds still work; all others answer 503.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences.errors import NotFoundError
from geofences.model import TenantId
from geofences.store import use_tenant
from geofences.tables import tenants
from lbs.auth import CACHE_S, Caller
from lbs.errors import UnauthorizedError
from lbs.fields import id_of
from lbs.people import people, person_of, stored_tenant
from lbs.tables import UserStatus, sessions, users

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from lbs.people import Person

COOKIE: Final = "lbs_session"
TOKEN_BYTES: Final = 32
NOTED_EVERY: Final = timedelta(minutes=1)
REMEMBERED: Final = 10_000


def hash_of(text: str, purpose: str) -> bytes:
    """What is stored of a session's or an invitation's text: 256 random bits need no slow hash."""
    return blake2b(text.encode(), digest_size=32, person=f"lbs {purpose}".encode()).digest()


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


def open_session(connection: sa.Connection, person: Person, *, now: datetime, lasts: timedelta, idle: timedelta) -> str:
    """A new session's text, never one that came with a request; sweeps ended ones of the tenant away."""
    over = sa.or_(sessions.c.expires_at <= now, sessions.c.last_seen_at <= now - idle)
    connection.execute(sa.delete(sessions).where(over))
    text = new_token()
    connection.execute(
        sa.insert(sessions).values(
            hash=hash_of(text, "session"),
            user_id=person.user_id,
            tenant_id=stored_tenant(person.tenant_id),
            created_at=now,
            last_seen_at=now,
            expires_at=now + lasts,
        )
    )
    return text


def end_session(connection: sa.Connection, text: str) -> None:
    connection.execute(sa.delete(sessions).where(sessions.c.hash == hash_of(text, "session")))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    until_s: float
    caller: Caller


class SessionRing:
    """Callers by session, remembered for some seconds. Safe to share between threads."""

    def __init__(
        self,
        reader: sa.Engine,
        api: sa.Engine,
        *,
        idle: timedelta,
        now: Callable[[], datetime],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._api = api
        self._idle = idle
        self._now = now
        self._monotonic_s = monotonic_s
        self._known: dict[bytes, _Known] = {}
        self._forgotten = 0
        self._lock = Lock()

    def remembered(self, text: str) -> Caller | None:
        """The caller if the session was looked up in the last seconds; never blocks."""
        known = self._known.get(hash_of(text, "session"))
        return known.caller if known is not None and known.until_s > self._monotonic_s() else None

    def find(self, text: str) -> Caller:
        """Looks the session up over the reader's connection; UnauthorizedError for one that is none or has ended."""
        digest = hash_of(text, "session")
        forgotten = self._forgotten
        with self._reader.connect() as connection:
            row = connection.execute(_session(digest)).one_or_none()
        now = self._now()
        ends_at = now if row is None else min(row.expires_at, row.last_seen_at + self._idle)
        if row is None or ends_at <= now or row.status != UserStatus.ACTIVE:
            raise UnauthorizedError("nobody is signed in by this cookie: sign in again")
        caller = person_of(row).as_caller()
        if row.last_seen_at <= now - min(NOTED_EVERY, self._idle / 10):
            self._note(digest, caller, now)
        lasts_s = min(CACHE_S, (ends_at - now).total_seconds())
        with self._lock:
            if self._forgotten == forgotten:  # else it may have ended while it was looked up
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[digest] = _Known(until_s=self._monotonic_s() + lasts_s, caller=caller)
        return caller

    def in_tenant(self, caller: Caller, named: str) -> Caller:
        """An operator of the installation in the tenant of this number; NotFoundError."""
        number = id_of(named, "tenant")
        with self._reader.connect() as connection:
            # as big numbers as the text may hold, which the column's own type does not
            mine = sa.cast(tenants.c.tenant_id, sa.BigInteger) == number
            row = connection.execute(sa.select(tenants).where(mine)).one_or_none()
        if row is None:
            raise NotFoundError("no tenant of that id")
        return replace(caller, tenant_id=TenantId(row.tenant_id), sandbox=row.sandbox)

    def tenants_after(self, after: int, limit: int) -> Sequence[sa.Row[Any]]:
        """All tenants, in order of ids."""
        bigger = sa.cast(tenants.c.tenant_id, sa.BigInteger) > after
        with self._reader.connect() as connection:
            return connection.execute(sa.select(tenants).where(bigger).order_by(tenants.c.tenant_id).limit(limit)).all()

    def forget(self, text: str) -> None:
        """This session has ended."""
        with self._lock:
            self._forgotten += 1
            self._known.pop(hash_of(text, "session"), None)

    def forget_user(self, user_id: int) -> None:
        """All sessions of a person have ended."""
        with self._lock:
            self._forgotten += 1
            self._known = {key: known for key, known in self._known.items() if known.caller.user_id != user_id}

    def _note(self, digest: bytes, caller: Caller, now: datetime) -> None:
        with self._api.begin() as connection:
            use_tenant(connection, caller.tenant_id)
            connection.execute(sa.update(sessions).where(sessions.c.hash == digest).values(last_seen_at=now))


def _session(digest: bytes) -> sa.Select[tuple[object, ...]]:
    own = people(sessions.c.expires_at, sessions.c.last_seen_at)
    return own.where(sessions.c.user_id == users.c.user_id, sessions.c.hash == digest)
