"""Keys: what apps, servers and tills authenticate with. A key's text is shown once, when it is made."""

from datetime import datetime
from typing import Annotated, Self

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from geofences.model import StoreId
from lbs.auth import new_key, revoke_key
from lbs.deps import AfterCommit, Permitted, ServicesDep, Tx
from lbs.fields import id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.tables import KeyKind, keys

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=Route)


class KeyBody(BaseModel):
    """What the key is for."""

    model_config = ConfigDict(extra="forbid")

    kind: KeyKind
    store_id: Annotated[str | None, Field(description="For a store's key, and for no other.")] = None

    @model_validator(mode="after")
    def _store_fits_kind(self) -> Self:
        if (self.kind is KeyKind.STORE) != (self.store_id is not None):
            raise ValueError("store_id belongs to a key of kind store, and to no other")
        return self


class KeyView(BaseModel):
    """A key, without its text."""

    key_id: str
    kind: KeyKind
    prefix: str = Field(description="Its first characters, to tell keys apart.", examples=["lbs_sk_Ab3dE"])
    store_id: str | None
    created_at: datetime
    revoked_at: datetime | None


class CreatedKey(BaseModel):
    """A key at the only moment when its text is known."""

    key_id: str
    kind: KeyKind
    prefix: str
    store_id: str | None
    key: str = Field(description="Keep it: only its hash is stored.", examples=["lbs_sk_..."])


@router.post("", operation_id="create_key", status_code=201, responses={**OF_EVERY_WRITE, **declared(404)})
def create_key(body: KeyBody, caller: Permitted, connection: Tx) -> CreatedKey:
    """Make a key."""
    store_id = None if body.store_id is None else StoreId(id_of(body.store_id, "store"))
    made = new_key(connection, tenant_id=caller.tenant_id, kind=body.kind, store_id=store_id)
    return CreatedKey(
        key_id=str(made.key_id), kind=body.kind, prefix=made.prefix, store_id=body.store_id, key=made.text
    )


@router.get("", operation_id="list_keys", responses=OF_EVERY_READ)
def list_keys(
    caller: Permitted, connection: Tx, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Page[KeyView]:
    """List keys, revoked ones too."""
    rows = connection.execute(
        sa.select(keys)
        .where(keys.c.tenant_id == caller.tenant_id, keys.c.key_id > id_after(cursor))
        .order_by(keys.c.key_id)
        .limit(limit + 1)
    ).all()
    page, more = cut(rows, limit)
    return Page(
        items=[
            KeyView(
                key_id=str(row.key_id),
                kind=KeyKind(row.kind),
                prefix=row.prefix,
                store_id=None if row.store_id is None else str(row.store_id),
                created_at=row.created_at,
                revoked_at=row.revoked_at,
            )
            for row in page
        ],
        next_cursor=cursor_of(page[-1].key_id) if more else None,
    )


@router.delete("/{key_id}", operation_id="revoke_key", status_code=204, responses={**OF_EVERY_WRITE, **declared(404)})
def delete_key(key_id: str, caller: Permitted, connection: Tx, services: ServicesDep, after: AfterCommit) -> Response:
    """Revoke a key: at once in this process, within 5 s in every other."""
    digest = revoke_key(connection, tenant_id=caller.tenant_id, key_id=id_of(key_id, "key"), now=services.now())
    after.append(lambda: services.keys.forget(digest))
    return Response(status_code=204)
