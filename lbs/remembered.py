"""Writes with an Idempotency-Key: the same key and request get the first answer again, for a day.

The answer is remembered in the transaction of the write itself: either both happened or neither. An answer that says no
is not remembered, so that it can be tried again. Answers may hold keys, so they are sealed.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from geofences.ids import stable_id
from geofences.store import device_id_for
from lbs.auth import INSTALLATION
from lbs.errors import Fault, KeyReusedError, MalformedError, WriteInProgressError
from lbs.sql import block
from lbs.tables import remembered_writes

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from geofences.model import DeviceId
    from lbs.auth import Caller
    from lbs.secrets import Vault

HEADER: Final = "Idempotency-Key"
KEPT: Final = timedelta(hours=24)
MAX_KEY_CHARACTERS: Final = 255
WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})

Told = Callable[["Response"], None]
"""What happens with a route's answer within its transaction."""


class RememberedAnswer(Exception):  # noqa: N818 - no error: it takes the place of an answer
    """Raised instead of doing a write again."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def recall(
    connection: sa.Connection, *, request: Request, body: bytes, caller: Caller, vault: Vault, now: datetime
) -> Told | None:
    """What to call with the route's answer, if it is to be remembered.

    Raises RememberedAnswer if this write was done before, KeyReusedError if its key came with another request,
    WriteInProgressError if it is being done at this moment.
    """
    key = request.headers.get(HEADER)
    if key is None or request.method not in WRITES or caller.tenant_id == INSTALLATION:
        return None  # what has no tenant is not remembered: the table is the tenants'
    if not key.isprintable() or not 1 <= len(key) <= MAX_KEY_CHARACTERS:
        fault = Fault(f"header.{HEADER}", f"must be 1 to {MAX_KEY_CHARACTERS} printable characters")
        raise MalformedError("the Idempotency-Key cannot be used", fault)
    name = sha256(f"{caller.kind}:{caller.device_id or caller.key_id or caller.user_id}:{key}".encode()).hexdigest()
    lock = stable_id(b"write", caller.tenant_id, text=name)
    if not connection.execute(block("try_write_lock"), {"lock": lock}).scalar():
        raise WriteInProgressError("a write with this Idempotency-Key is being done; ask again for its answer")
    digest = _digest(request, body)
    table = remembered_writes
    mine = sa.and_(table.c.tenant_id == caller.tenant_id, table.c.idempotency_key == name)
    row = connection.execute(sa.select(table).where(mine)).one_or_none()
    if row is not None and row.created_at > now - KEPT:
        if bytes(row.request_hash) != digest:
            raise KeyReusedError("this Idempotency-Key came before with another request; use a new one")
        raise RememberedAnswer(row.status, vault.unseal(base64.b64decode(row.body["sealed"])))

    def remember(response: Response) -> None:
        sealed = vault.seal(bytes(response.body))
        values = {
            "request_hash": digest,
            "status": response.status_code,
            "body": {"sealed": base64.b64encode(sealed).decode("ascii")},
            "created_at": now,
            "device_id": _about(request, body, response, caller),
        }
        connection.execute(
            insert(table)
            .values(tenant_id=caller.tenant_id, idempotency_key=name, **values)
            .on_conflict_do_update(index_elements=["tenant_id", "idempotency_key"], set_=values)
        )

    return remember


def forget_old_writes(connection: sa.Connection, *, now: datetime) -> int:
    """Deletes answers that are kept long enough; for the scheduler, as the system role. Answers how many."""
    deleted = connection.execute(sa.delete(remembered_writes).where(remembered_writes.c.created_at <= now - KEPT))
    return deleted.rowcount


def _about(request: Request, body: bytes, response: Response, caller: Caller) -> DeviceId | None:
    """The device that the write names, or speaks for: its answer is forgotten with it."""
    if request.method == "DELETE":
        return None  # what tells that a device was erased outlives it, and names nobody
    named: object = request.path_params.get("device_id")
    for said in (body, bytes(response.body)):
        if named is None and b'"device_id"' in said:
            value = msgspec.json.decode(said)
            named = value.get("device_id") if isinstance(value, dict) else None
    return device_id_for(caller.tenant_id, named) if isinstance(named, str) else caller.device_id


def _digest(request: Request, body: bytes) -> bytes:
    said = (request.method, request.url.path, request.url.query)
    return blake2b("\n".join(said).encode() + b"\n" + body, digest_size=32, person=b"lbs write").digest()
