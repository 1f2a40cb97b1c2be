"""The audit: who wrote what, newest first; and the tenants that an operator of the installation may look after."""

from datetime import datetime
from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lbs.audit import Entry, entries_before
from lbs.deps import Permitted, ServicesDep, Tx
from lbs.fields import INT64_MAX
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.routes import OF_EVERY_READ, Route

router = APIRouter(prefix="/v1", tags=["audit"], route_class=Route)


class AuditEntry(BaseModel):
    """One write of a key or a person."""

    audit_id: str
    at: datetime
    actor: str = Field(examples=["user:12", "key:5", "command line"])
    operation: str = Field(
        description="The operation's id; for a campaign's moves with the move.", examples=["move_campaign:approve"]
    )
    object_id: str | None = Field(description="Of what was written; null if it has no number.")
    request_id: str

    @classmethod
    def of(cls, entry: Entry) -> Self:
        return cls(
            audit_id=str(entry.audit_id),
            at=entry.at,
            actor=entry.actor,
            operation=entry.operation,
            object_id=entry.object_id,
            request_id=entry.request_id,
        )


class TenantView(BaseModel):
    tenant_id: str
    name: str
    sandbox: bool


@router.get("/audit", operation_id="list_audit", responses=OF_EVERY_READ)
def list_audit(
    caller: Permitted, connection: Tx, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Page[AuditEntry]:
    """List what keys and people wrote, newest first."""
    before = INT64_MAX if cursor is None else id_after(cursor)
    page, more = cut(entries_before(connection, caller.tenant_id, before=before, limit=limit + 1), limit)
    return Page(
        items=[AuditEntry.of(entry) for entry in page], next_cursor=cursor_of(page[-1].audit_id) if more else None
    )


@router.get("/tenants", operation_id="list_tenants", responses=OF_EVERY_READ)
def list_tenants(
    _: Permitted, services: ServicesDep, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Page[TenantView]:
    """List the tenants of the installation; the header `LBS-Tenant` then names one to look after."""
    page, more = cut(services.sessions.tenants_after(id_after(cursor), limit + 1), limit)
    return Page(
        items=[TenantView(tenant_id=str(row.tenant_id), name=row.name, sandbox=row.sandbox) for row in page],
        next_cursor=cursor_of(page[-1].tenant_id) if more else None,
    )
