"""The audit: who wrote what. One row a write of a key or a person, in the transaction of the write itself.

Phones write too much and are nobody's staff: device tokens and publishable keys leave none, nor do positions. A row
names objects by their numbers; a device's own text would outlive its erasing, so devices are not named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from lbs.auth import CallerKind
from lbs.people import stored_tenant
from lbs.tables import audit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from starlette.responses import Response

    from geofences.model import TenantId
    from lbs.auth import Caller

AUDITED: Final = frozenset({CallerKind.SECRET, CallerKind.STORE, CallerKind.PERSON})
COMMAND_LINE: Final = "command line"
CREATED: Final = 201


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One write."""

    audit_id: int
    at: datetime
    actor: str
    operation: str
    object_id: str | None
    request_id: str


def record(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    at: datetime,
    actor: str,
    operation: str,
    object_id: str | None,
    request_id: str,
) -> None:
    connection.execute(
        sa.insert(audit).values(
            tenant_id=stored_tenant(tenant_id),
            at=at,
            actor=actor,
            operation_id=operation,
            object_id=object_id,
            request_id=request_id,
        )
    )


def is_audited(caller: Caller) -> bool:
    return caller.kind in AUDITED


def object_of(operation: str, path_params: Mapping[str, Any], response: Response) -> str | None:
    """What was written: the id in the path, else the id that a creating route answers; None if it has neither.

    A route that creates is named after what it creates, `create_store`, and answers with its `store_id`.
    """
    ids = {name: str(value) for name, value in path_params.items() if name.endswith("_id")}
    if not ids and response.status_code == CREATED:
        field = f"{operation.rpartition('_')[2]}_id"
        made = msgspec.json.decode(response.body)
        ids = {field: str(made[field])} if isinstance(made, dict) and field in made else {}
    ids.pop("device_id", None)
    return next(iter(ids.values()), None)


def entries_before(connection: sa.Connection, tenant_id: TenantId, *, before: int, limit: int) -> Sequence[Entry]:
    """Newest first."""
    stored = stored_tenant(tenant_id)
    mine = audit.c.tenant_id.is_(None) if stored is None else audit.c.tenant_id == stored
    statement = sa.select(audit).where(mine, audit.c.audit_id < before).order_by(audit.c.audit_id.desc()).limit(limit)
    return [
        Entry(
            audit_id=row.audit_id,
            at=row.at,
            actor=row.actor,
            operation=row.operation_id,
            object_id=row.object_id,
            request_id=row.request_id,
        )
        for row in connection.execute(statement)
    ]
