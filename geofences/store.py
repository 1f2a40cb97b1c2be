"""Tenants, devices with their consents, and the numbered change feed. Takes the caller's connection and transaction.

Constraint names become domain errors here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from geofences.errors import ConflictError, NotFoundError
from geofences.ids import stable_id
from geofences.model import DeviceId, Kept, TenantId
from geofences.tables import Approval, ChangeKind, ConsentSource, Purpose, changes, consents, devices, tenants

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

CHANGES_LOCK = 5_242_003


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    tenant_id: TenantId
    name: str
    sandbox: bool
    approval: Approval = Approval.ANYONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    purpose: Purpose
    granted: bool
    version: str
    source: ConsentSource
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    device_id: DeviceId
    tenant_id: TenantId
    external_id: str
    external_user_id: str | None
    user_vouched: bool
    """Whether a server said who the person is."""
    attributes: Mapping[str, Any]
    """What the app says, and over it what servers say."""
    timezone: str | None
    locale: str | None
    quiet_times: Mapping[str, str] | None
    generation: int
    consents: tuple[Consent, ...] = ()

    def consented(self, purpose: Purpose) -> bool:
        return any(consent.granted for consent in self.consents if consent.purpose is purpose)


def create_tenant(connection: sa.Connection, *, name: str, sandbox: bool) -> Tenant:
    """ConflictError if the name is taken."""
    statement = insert(tenants).values(name=name, sandbox=sandbox).on_conflict_do_nothing().returning(tenants)
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise ConflictError(f"a tenant named {name!r} exists already")
    return Tenant(tenant_id=TenantId(row.tenant_id), name=row.name, sandbox=row.sandbox)


def find_tenant(connection: sa.Connection, name_or_id: str) -> Tenant:
    """By name, else by number; NotFoundError."""
    matches = [tenants.c.name == name_or_id]
    if name_or_id.isdecimal():
        matches.append(tenants.c.tenant_id == int(name_or_id))
    statement = sa.select(tenants).where(sa.or_(*matches)).order_by(tenants.c.name != name_or_id)
    row = connection.execute(statement).first()
    if row is None:
        raise NotFoundError(f"no tenant {name_or_id!r}")
    return Tenant(
        tenant_id=TenantId(row.tenant_id), name=row.name, sandbox=row.sandbox, approval=Approval(row.approval)
    )


def set_approval(connection: sa.Connection, tenant_id: TenantId, approval: Approval) -> None:
    """Who may approve the tenant's campaigns from now on."""
    connection.execute(sa.update(tenants).where(tenants.c.tenant_id == tenant_id).values(approval=approval))


def set_retention(connection: sa.Connection, tenant_id: TenantId, days: Mapping[Kept, int | None]) -> dict[str, int]:
    """Days that each kind is kept from now on, None for as long as the installation does; answers all that is set."""
    own = tenants.c.tenant_id == tenant_id
    before = connection.execute(sa.select(tenants.c.retention).where(own).with_for_update()).scalar_one()
    kept = {kind: n for kind, n in (before | {str(kind): n for kind, n in days.items()}).items() if n is not None}
    connection.execute(sa.update(tenants).where(own).values(retention=kept))
    return kept


def use_tenant(connection: sa.Connection, tenant_id: TenantId) -> None:
    """Row-level security follows this setting until the transaction ends."""
    connection.execute(sa.text("SELECT set_config('lbs.tenant', :tenant, true)"), {"tenant": str(tenant_id)})


def device_id_for(tenant_id: TenantId, external_id: str) -> DeviceId:
    """A device's number follows from its tenant and its own id, so anyone can find its shard without a look-up."""
    return DeviceId(stable_id(b"device", tenant_id, text=external_id))


def put_device(
    connection: sa.Connection, *, tenant_id: TenantId, external_id: str, given: Mapping[str, Any]
) -> DeviceId:
    """Creates the device, or updates the columns that are `given` of it."""
    device_id = device_id_for(tenant_id, external_id)
    statement = insert(devices).values(device_id=device_id, tenant_id=tenant_id, external_id=external_id, **given)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["device_id"], set_={**given, "updated_at": sa.func.now()})
    )
    return device_id


def create_devices(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    external_ids: Iterable[str],
    purposes: Sequence[Purpose],
    source: ConsentSource,
    at: datetime,
) -> None:
    """Creates those that are missing, with consents vouched for by `source`; the others stay as they are."""
    rows = [
        {
            "device_id": device_id_for(tenant_id, external_id),
            "tenant_id": tenant_id,
            "external_id": external_id,
            "vouched_at": None if source is ConsentSource.APP else at,
        }
        for external_id in external_ids
    ]
    if not rows:
        return
    statement = insert(devices).on_conflict_do_nothing().returning(devices.c.device_id)
    created = connection.execute(statement, rows).scalars().all()
    given = [Consent(purpose=purpose, granted=True, version=str(source), source=source, at=at) for purpose in purposes]
    if created:
        connection.execute(
            insert(consents).on_conflict_do_nothing(),
            [_consent_row(tenant_id, DeviceId(device_id), consent) for device_id in created for consent in given],
        )


def put_consents(
    connection: sa.Connection, *, tenant_id: TenantId, device_id: DeviceId, given: Iterable[Consent]
) -> None:
    """Records the newest word on each purpose, and tells every process that remembers the device."""
    rows = [_consent_row(tenant_id, device_id, consent) for consent in given]
    if not rows:
        return
    statement = insert(consents)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["device_id", "purpose"],
            set_={name: statement.excluded[name] for name in ("granted", "version", "source", "at")},
        ),
        rows,
    )


def _consent_row(tenant_id: TenantId, device_id: DeviceId, consent: Consent) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "device_id": device_id,
        "purpose": consent.purpose,
        "granted": consent.granted,
        "version": consent.version,
        "source": consent.source,
        "at": consent.at,
    }


def find_device(connection: sa.Connection, *, tenant_id: TenantId, external_id: str) -> Device:
    """NotFoundError if the tenant has no such device."""
    device_id = device_id_for(tenant_id, external_id)
    row = connection.execute(
        sa.select(devices).where(devices.c.device_id == device_id, devices.c.tenant_id == tenant_id)
    ).one_or_none()
    if row is None:
        raise NotFoundError(f"no device {external_id!r}")
    given = connection.execute(
        sa.select(consents).where(consents.c.device_id == device_id).order_by(consents.c.purpose)
    )
    return Device(
        device_id=device_id,
        tenant_id=tenant_id,
        external_id=row.external_id,
        external_user_id=row.external_user_id,
        user_vouched=row.user_vouched,
        attributes=row.attributes | row.vouched_attributes,
        timezone=row.timezone,
        locale=row.locale,
        quiet_times=row.quiet_times,
        generation=row.generation,
        consents=tuple(
            Consent(
                purpose=Purpose(consent.purpose),
                granted=consent.granted,
                version=consent.version,
                source=ConsentSource(consent.source),
                at=consent.at,
            )
            for consent in given
        ),
    )


def announce(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    kind: ChangeKind,
    object_ids: Sequence[int],
    effective_at: datetime,
) -> None:
    """Numbers a change a row. Call it last in the transaction: the lock it takes makes number order commit order."""
    if not object_ids:
        return
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CHANGES_LOCK})
    connection.execute(
        sa.insert(changes),
        [
            {"tenant_id": tenant_id, "kind": kind, "object_id": object_id, "effective_at": effective_at}
            for object_id in object_ids
        ],
    )
