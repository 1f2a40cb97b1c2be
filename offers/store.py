"""Campaigns, channels and webhooks in Postgres. Takes the caller's connection and transaction.

What steps a campaign takes is the business of `lifecycle`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from geofences.errors import ConflictError, NotFoundError
from geofences.model import FenceId, LatLng, StoreId, TenantId
from geofences.sql import queries
from geofences.store import announce
from geofences.tables import ChangeKind, fences, stores
from geofences.zones import zone
from offers.definition import CampaignDefinition
from offers.errors import InvalidCampaignError
from offers.ledger import limit
from offers.model import Campaign, CampaignId, CampaignStatus
from offers.tables import campaign_fences, campaign_moves, campaign_stores, campaign_versions, campaigns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

Status = CampaignStatus

EDITABLE = frozenset({Status.DRAFT, Status.SUBMITTED, Status.APPROVED, Status.PAUSED})
EDIT = "edit"
"""What the history calls an edit that takes a campaign back to draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCampaign:
    """A campaign with what only its row knows."""

    campaign: Campaign
    stores_of_fences: frozenset[StoreId]
    """Stores that the targeted fences belong to."""
    reserved: int
    created_at: datetime
    updated_at: datetime
    created_by: str


def create_campaign(
    connection: sa.Connection, *, tenant_id: TenantId, definition: CampaignDefinition, created_by: str, now: datetime
) -> CampaignId:
    """A draft. InvalidCampaignError if it names fences or stores that the tenant does not have."""
    campaign_id = CampaignId(
        connection.execute(
            sa.insert(campaigns)
            .values(
                tenant_id=tenant_id,
                created_by=created_by,
                updated_by=created_by,
                created_at=now,
                updated_at=now,
                **_columns(definition),
            )
            .returning(campaigns.c.campaign_id)
        ).scalar_one()
    )
    _keep_version(connection, tenant_id, campaign_id, definition, version=1, actor=created_by, now=now)
    _put_targets(connection, tenant_id, campaign_id, definition)
    announce(connection, tenant_id=tenant_id, kind=ChangeKind.CAMPAIGN, object_ids=[campaign_id], effective_at=now)
    return campaign_id


def update_campaign(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    campaign_id: CampaignId,
    definition: CampaignDefinition,
    actor: str,
    now: datetime,
    edited: int | None = None,
) -> None:
    """A new version, and a draft again; only of a campaign that does not run. `edited` is the version it rests on.

    ConflictError for limits below what is reserved already, and if `edited` is not the newest version.
    """
    columns = _columns(definition)  # recurrence rules are read before anybody waits for it
    row = lock_campaign(connection, tenant_id, campaign_id, version=edited)
    if row.status not in EDITABLE:
        raise ConflictError(f"a {row.status} campaign cannot be edited: pause it first")
    limit(connection, campaign_id, definition)
    version = row.version + 1
    connection.execute(
        sa.update(campaigns)
        .where(campaigns.c.campaign_id == campaign_id)
        .values(version=version, updated_at=now, updated_by=actor, **columns)
    )
    _keep_version(connection, tenant_id, campaign_id, definition, version=version, actor=actor, now=now)
    for table in (campaign_fences, campaign_stores):
        connection.execute(sa.delete(table).where(table.c.campaign_id == campaign_id))
    _put_targets(connection, tenant_id, campaign_id, definition)
    if row.status != Status.DRAFT:
        put_move(connection, row, move=EDIT, status=Status.DRAFT, version=version, actor=actor, now=now)
    announce(connection, tenant_id=tenant_id, kind=ChangeKind.CAMPAIGN, object_ids=[campaign_id], effective_at=now)


def put_move(
    connection: sa.Connection,
    row: Any,
    *,
    move: str,
    status: CampaignStatus,
    actor: str,
    now: datetime,
    version: int | None = None,
    reason: str | None = None,
) -> None:
    """Writes a step of a campaign whose row is locked. The caller announces it."""
    if status != row.status or version is not None:
        mine = campaigns.c.campaign_id == row.campaign_id
        connection.execute(sa.update(campaigns).where(mine).values(status=status, updated_at=now))
    connection.execute(
        sa.insert(campaign_moves).values(
            tenant_id=row.tenant_id,
            campaign_id=row.campaign_id,
            version=row.version if version is None else version,
            move=move,
            status=status,
            at=now,
            actor=actor,
            reason=reason,
        )
    )


def load_version(
    connection: sa.Connection, *, tenant_id: TenantId, campaign_id: CampaignId, version: int
) -> CampaignDefinition:
    """What a version of the campaign said; NotFoundError."""
    wanted = campaign_versions.c
    found = connection.execute(
        sa.select(wanted.definition).where(
            wanted.tenant_id == tenant_id, wanted.campaign_id == campaign_id, wanted.version == version
        )
    ).scalar()
    if found is None:
        raise NotFoundError(f"no version {version} of campaign {campaign_id}")
    return CampaignDefinition.model_validate(found)


def get_campaign(connection: sa.Connection, *, tenant_id: TenantId, campaign_id: CampaignId) -> StoredCampaign:
    for stored in load_campaigns(connection, campaign_ids=[campaign_id]):
        if stored.campaign.tenant_id == tenant_id:
            return stored
    raise NotFoundError(f"no campaign {campaign_id}")


def load_campaigns(
    connection: sa.Connection,
    *,
    campaign_ids: Sequence[int] | None = None,
    tenant_id: TenantId | None = None,
    after: int = 0,
    limit: int | None = None,
) -> Iterator[StoredCampaign]:
    """Campaigns with their targets, in id order: those of a tenant, those named, or all."""
    rows = connection.execute(
        queries("offers")["campaigns"],
        {
            "campaign_ids": None if campaign_ids is None else list(campaign_ids),
            "tenant_id": tenant_id,
            "after": after,
            "limit": limit,
        },
    )
    return (_stored(row) for row in rows)


def _stored(row: Any) -> StoredCampaign:
    definition = CampaignDefinition.model_validate(row.definition)
    return StoredCampaign(
        campaign=Campaign(
            campaign_id=CampaignId(row.campaign_id),
            tenant_id=TenantId(row.tenant_id),
            status=CampaignStatus(row.status),
            version=row.version,
            definition=definition,
            schedule=definition.windows.schedule(),
            fence_ids=frozenset(map(FenceId, row.fence_ids)),
            store_ids=frozenset(map(StoreId, row.store_ids)),
            stock=row.stock,
            holdout_salt=bytes(row.holdout_salt),
        ),
        stores_of_fences=frozenset(map(StoreId, row.stores_of_fences)),
        reserved=row.reserved,
        created_at=row.created_at,
        updated_at=row.updated_at,
        created_by=row.created_by,
    )


def _keep_version(
    connection: sa.Connection,
    tenant_id: TenantId,
    campaign_id: CampaignId,
    definition: CampaignDefinition,
    *,
    version: int,
    actor: str,
    now: datetime,
) -> None:
    connection.execute(
        sa.insert(campaign_versions).values(
            tenant_id=tenant_id,
            campaign_id=campaign_id,
            version=version,
            definition=definition.model_dump(mode="json"),
            created_at=now,
            created_by=actor,
        )
    )


def _columns(definition: CampaignDefinition) -> dict[str, Any]:
    return {
        "name": definition.name,
        "brand": definition.brand,
        "trigger_type": definition.trigger.type,
        "stock": definition.stock,
        "starts_at": definition.windows.starts_at,
        "ends_at": definition.windows.ends_at,
        "definition": definition.model_dump(mode="json"),
    }


def lock_campaign(
    connection: sa.Connection, tenant_id: TenantId, campaign_id: CampaignId, *, version: int | None = None
) -> Any:
    """The campaign's row until the transaction ends, and no new reservation of it.

    NotFoundError; ConflictError if `version`, where it is given, is not the newest.
    """
    row = connection.execute(
        sa.select(campaigns)
        .where(campaigns.c.campaign_id == campaign_id, campaigns.c.tenant_id == tenant_id)
        .with_for_update()
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"no campaign {campaign_id}")
    if version is not None and version != row.version:
        raise ConflictError(f"version {row.version} is the newest, not {version}: look at it first")
    return row


def _put_targets(
    connection: sa.Connection, tenant_id: TenantId, campaign_id: CampaignId, definition: CampaignDefinition
) -> None:
    for table, key, source, names, word in (
        (campaign_fences, "fence_id", fences, definition.fences, "fence"),
        (campaign_stores, "store_id", stores, definition.stores, "store"),
    ):
        ids = _resolve(connection, tenant_id, source, source.c[key], names=names, word=word)
        if ids:
            connection.execute(
                sa.insert(table), [{"tenant_id": tenant_id, "campaign_id": campaign_id, key: id_} for id_ in ids]
            )


def _resolve(
    connection: sa.Connection,
    tenant_id: TenantId,
    source: sa.Table,
    key: sa.Column[Any],
    *,
    names: Sequence[str],
    word: str,
) -> list[int]:
    """Ids of what a campaign names: by the id the API gave, else by the tenant's own external id."""
    if not names:
        return []
    rows = connection.execute(
        sa.select(key.label("id"), source.c.external_id).where(
            source.c.tenant_id == tenant_id,
            source.c.deleted_at.is_(None),
            sa.or_(sa.cast(key, sa.Text).in_(names), source.c.external_id.in_(names)),
        )
    ).all()
    by_external = {row.external_id: row.id for row in rows}
    by_id = {str(row.id): row.id for row in rows}
    found = {name: by_id.get(name, by_external.get(name)) for name in names}
    missing = [name for name, id_ in found.items() if id_ is None]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")  # noqa: PLR2004 - enough to see
        raise InvalidCampaignError(f"{len(missing)} {word}(s) do not exist: {shown}")
    return sorted({id_ for id_ in found.values() if id_ is not None})


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlace:
    """What a schedule needs to know of a store."""

    zone: ZoneInfo
    opening_hours: str | None
    location: LatLng


def load_store_place(connection: sa.Connection, store_id: StoreId) -> StorePlace:
    """Under the caller's tenant; NotFoundError."""
    row = connection.execute(queries("offers")["store_places"], {"store_ids": [store_id]}).one_or_none()
    if row is None:
        raise NotFoundError(f"no store {store_id}")
    return StorePlace(
        zone=zone(row.timezone), opening_hours=row.opening_hours, location=LatLng(lat=row.lat, lng=row.lng)
    )
