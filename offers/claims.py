"""Claims as they are stored, and the terms they were made under. Takes the caller's connection and transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from geofences.errors import NotFoundError
from geofences.model import DeviceId, StoreId, TenantId
from geofences.sql import queries
from offers.claim_tables import claims
from offers.definition import CampaignDefinition
from offers.model import CampaignId, ClaimId, ClaimSource, ClaimState, DecisionId
from offers.tables import campaign_versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from offers.codes import CodeBook
    from offers.store import StoredCampaign


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim as it is stored; its code is sealed."""

    claim_id: ClaimId
    tenant_id: TenantId
    campaign_id: CampaignId
    campaign_version: int
    person: int | None
    device_id: DeviceId
    decision_id: DecisionId
    source: ClaimSource
    store_id: StoreId | None
    state: ClaimState
    code_sealed: bytes | None
    created_at: datetime
    expires_at: datetime

    def state_at(self, now: datetime) -> ClaimState:
        ran_out = self.state is ClaimState.CLAIMED and self.expires_at <= now
        return ClaimState.EXPIRED if ran_out else self.state


def load_claim(connection: sa.Connection, claim_id: ClaimId) -> Claim:
    """Under the caller's tenant; NotFoundError."""
    row = connection.execute(sa.select(claims).where(claims.c.claim_id == claim_id)).one_or_none()
    if row is None:
        raise NotFoundError("no such claim")
    return claim_of(row)


def claim_by_code(connection: sa.Connection, *, tenant_id: TenantId, code: str, book: CodeBook) -> Claim | None:
    mine = (claims.c.tenant_id == tenant_id, claims.c.code_hash == book.hash(tenant_id, code))
    row = connection.execute(sa.select(claims).where(*mine)).one_or_none()
    return None if row is None else claim_of(row)


def claims_of(
    connection: sa.Connection, *, device_ids: Sequence[DeviceId], before: ClaimId | None, limit: int
) -> list[Claim]:
    """What a person claimed on any of these devices, newest first."""
    statement = sa.select(claims).where(claims.c.device_id.in_(device_ids))
    if before is not None:
        statement = statement.where(claims.c.claim_id < before)
    return [claim_of(row) for row in connection.execute(statement.order_by(claims.c.claim_id.desc()).limit(limit))]


def devices_of_person(connection: sa.Connection, device_id: DeviceId) -> list[DeviceId]:
    """The device, and all others of the same external user id."""
    rows = connection.execute(queries("offers")["siblings"], {"device_ids": [device_id]})
    return sorted({device_id, *(DeviceId(row.device_id) for row in rows)})


def is_used_at(stored: StoredCampaign, store_id: StoreId) -> bool:
    """Whether an offer can be used at a store. One of fences that belong to no store can be used at all."""
    own = stored.campaign.store_ids | stored.stores_of_fences
    return not own or store_id in own


def terms_of(connection: sa.Connection, campaign_id: CampaignId, version: int) -> CampaignDefinition:
    """What a version of a campaign said."""
    table = campaign_versions
    mine = (table.c.campaign_id == campaign_id, table.c.version == version)
    return CampaignDefinition.model_validate(
        connection.execute(sa.select(table.c.definition).where(*mine)).scalar_one()
    )


def terms_of_several(
    connection: sa.Connection, found: Sequence[Claim]
) -> dict[tuple[CampaignId, int], CampaignDefinition]:
    """What the campaigns said when these were claimed, by campaign and version."""
    table = campaign_versions.c
    wanted = {(one.campaign_id, one.campaign_version) for one in found}
    rows = connection.execute(
        sa.select(table.campaign_id, table.version, table.definition).where(
            sa.tuple_(table.campaign_id, table.version).in_(sorted(wanted))
        )
    )
    return {
        (CampaignId(row.campaign_id), row.version): CampaignDefinition.model_validate(row.definition) for row in rows
    }


def claim_of(row: Any) -> Claim:
    return Claim(
        claim_id=ClaimId(row.claim_id),
        tenant_id=TenantId(row.tenant_id),
        campaign_id=CampaignId(row.campaign_id),
        campaign_version=row.campaign_version,
        person=row.person,
        device_id=DeviceId(row.device_id),
        decision_id=DecisionId(row.decision_id),
        source=ClaimSource(row.source),
        store_id=None if row.store_id is None else StoreId(row.store_id),
        state=ClaimState(row.state),
        code_sealed=None if row.code_sealed is None else bytes(row.code_sealed),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
