"""Who is calling: keys that are looked up by their hash, and device tokens that are checked by their signature.

People, who sign in, are callers too: see `lbs.sessions`.

    lbs_pk_...  publishable: in the app; search, register a device
    lbs_sk_...  secret: a server; everything of its tenant
    lbs_st_...  store: one store's till and dashboard
    lbs_dt_...  device token: HMAC over (tenant, device, generation); needs no row

Only hashes of keys are stored. If Postgres is away, keys used in the last seconds and device tokens still work.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
import struct
import time
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b, sha256
from threading import Lock
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from geofences.errors import NotFoundError
from geofences.model import DeviceId, StoreId, TenantId
from geofences.tables import stores
from lbs.errors import UnauthorizedError
from lbs.sql import block
from lbs.tables import KeyKind, Role, keys

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

KEY_BYTES: Final = 32
SHOWN_CHARACTERS: Final = 12
KEY_PREFIXES: Final = {KeyKind.PUBLISHABLE: "lbs_pk_", KeyKind.SECRET: "lbs_sk_", KeyKind.STORE: "lbs_st_"}
TOKEN_PREFIX: Final = "lbs_dt_"  # noqa: S105 - the public prefix of every token
CACHE_S: Final = 5.0
"""How long another process may go on believing a key that was revoked here."""
CACHED_KEYS: Final = 10_000

_KEY = re.compile(r"lbs_(pk|sk|st)_[A-Za-z0-9_-]{43}", re.ASCII)
_PAYLOAD = struct.Struct("<iqi")


INSTALLATION: Final = TenantId(0)
"""In place of a tenant, of which none has this number: the caller is an operator of the installation."""


class CallerKind(StrEnum):
    PUBLISHABLE = "publishable"
    SECRET = "secret"  # noqa: S105 - the name of a kind, not a secret
    STORE = "store"
    DEVICE = "device"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who sent a request, as far as its key or its session proves."""

    tenant_id: TenantId
    kind: CallerKind
    sandbox: bool = False
    key_id: int | None = None
    """None for a device token and a person."""
    device_id: DeviceId | None = None
    store_id: StoreId | None = None
    """Of a store key."""
    user_id: int | None = None
    role: Role | None = None
    """Of a person, and of nobody else."""
    store_ids: frozenset[StoreId] = frozenset()
    """Of a store manager."""

    @property
    def actor(self) -> str:
        """What is stored with what the caller writes; no text of a client's own."""
        if self.kind is CallerKind.PERSON:
            return f"user:{self.user_id}"
        return f"device:{self.device_id}" if self.kind is CallerKind.DEVICE else f"key:{self.key_id}"

    @property
    def till_id(self) -> int:
        """Who stands at a till: a key by its number, a person by the number below zero."""
        return self.key_id or -(self.user_id or 0)

    @property
    def only_stores(self) -> frozenset[StoreId] | None:
        """The stores that this caller sees; None: all of the tenant."""
        if self.role is Role.STORE_MANAGER:
            return self.store_ids
        return None if self.store_id is None else frozenset({self.store_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key at the only moment when its text is known."""

    key_id: int
    text: str
    prefix: str


def hash_key(text: str) -> bytes:
    """What is stored of a key. Keys are 256 random bits: a slow hash would add nothing."""
    return blake2b(text.encode(), digest_size=32, person=b"lbs key").digest()


def new_key(
    connection: sa.Connection, *, tenant_id: TenantId, kind: KeyKind, store_id: StoreId | None = None
) -> NewKey:
    """Stores a new key's hash and returns its text, once. NotFoundError for a store that the tenant does not have."""
    if store_id is not None:
        found = connection.execute(block("store_exists"), {"tenant_id": tenant_id, "store_id": store_id}).scalar()
        if found is None:
            raise NotFoundError(f"no store {store_id}")
    text = KEY_PREFIXES[kind] + secrets.token_urlsafe(KEY_BYTES)
    prefix = text[:SHOWN_CHARACTERS]
    row = connection.execute(
        sa.insert(keys)
        .values(tenant_id=tenant_id, kind=kind, hash=hash_key(text), prefix=prefix, store_id=store_id)
        .returning(keys.c.key_id)
    )
    return NewKey(key_id=row.scalar_one(), text=text, prefix=prefix)


def find_store(connection: sa.Connection, tenant_id: TenantId, external_id: str) -> StoreId:
    """By the tenant's own id for it; NotFoundError."""
    wanted = sa.select(stores.c.store_id).where(
        stores.c.tenant_id == tenant_id, stores.c.external_id == external_id, stores.c.deleted_at.is_(None)
    )
    store_id = connection.execute(wanted).scalar()
    if store_id is None:
        raise NotFoundError(f"the tenant has no store {external_id!r}")
    return StoreId(store_id)


def create_key(connection: sa.Connection, tenant_id: TenantId, kind: KeyKind, store_id: StoreId | None = None) -> str:
    """As `new_key`, for those who need only the text."""
    return new_key(connection, tenant_id=tenant_id, kind=kind, store_id=store_id).text


def revoke_key(connection: sa.Connection, *, tenant_id: TenantId, key_id: int, now: datetime) -> bytes:
    """Answers the key's hash, so that this process can forget it at once; NotFoundError."""
    found = connection.execute(
        sa.update(keys)
        .where(keys.c.tenant_id == tenant_id, keys.c.key_id == key_id, keys.c.revoked_at.is_(None))
        .values(revoked_at=now)
        .returning(keys.c.hash)
    ).scalar()
    if found is None:
        raise NotFoundError(f"no key {key_id}")
    return bytes(found)


class KeyRing:
    """Keys by hash, remembered for some seconds. Safe to share between threads."""

    def __init__(self, reader: sa.Engine, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._reader = reader
        self._monotonic_s = monotonic_s
        self._known: dict[bytes, tuple[float, Caller]] = {}
        self._lock = Lock()

    def remembered(self, text: str) -> Caller | None:
        """The caller if the key was looked up in the last seconds; never blocks."""
        entry = self._known.get(hash_key(text))
        return entry[1] if entry is not None and entry[0] > self._monotonic_s() else None

    def find(self, text: str) -> Caller:
        """Looks the key up over the reader's connection; UnauthorizedError for one that is none or was revoked."""
        if _KEY.fullmatch(text) is None:
            raise UnauthorizedError("this is not a key")
        digest = hash_key(text)
        with self._reader.connect() as connection:
            row = connection.execute(block("key_by_hash"), {"hash": digest}).one_or_none()
        if row is None or not hmac.compare_digest(bytes(row.hash), digest):
            raise UnauthorizedError("nobody gave this key out, or it was revoked")
        caller = Caller(
            tenant_id=TenantId(row.tenant_id),
            kind=CallerKind(row.kind),
            sandbox=row.sandbox,
            key_id=row.key_id,
            store_id=None if row.store_id is None else StoreId(row.store_id),
        )
        with self._lock:
            if len(self._known) >= CACHED_KEYS:
                self._known.clear()
            self._known[digest] = (self._monotonic_s() + CACHE_S, caller)
        return caller

    def forget(self, digest: bytes) -> None:
        """A key of this hash was revoked."""
        with self._lock:
            self._known.pop(digest, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceClaims:
    """What a device token says and its signature proves."""

    tenant_id: TenantId
    device_id: DeviceId
    generation: int


class DeviceTokens:
    """Gives device tokens out and reads them, without a database; whether one was revoked is the directory's question.

    Raising a device's generation revokes all its tokens.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, *, tenant_id: TenantId, device_id: DeviceId, generation: int) -> str:
        payload = _PAYLOAD.pack(tenant_id, device_id, generation)
        return f"{TOKEN_PREFIX}{_base64url(payload)}.{_base64url(self._sign(payload))}"

    def read(self, text: str) -> DeviceClaims:
        """UnauthorizedError for anything that `issue` did not make."""
        payload_text, _, signature_text = text.removeprefix(TOKEN_PREFIX).partition(".")
        try:
            payload, signature = _from_base64url(payload_text), _from_base64url(signature_text)
        except (binascii.Error, ValueError) as error:
            raise UnauthorizedError("this is not a device token") from error
        if len(payload) != _PAYLOAD.size or not hmac.compare_digest(signature, self._sign(payload)):
            raise UnauthorizedError("this is not a device token")
        tenant_id, device_id, generation = _PAYLOAD.unpack(payload)
        return DeviceClaims(tenant_id=TenantId(tenant_id), device_id=DeviceId(device_id), generation=generation)

    def _sign(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, sha256).digest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64url(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
