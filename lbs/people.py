"""People and what is stored of them: found across tenants by whoever signs in, changed inside one tenant.

Functions that look somebody up by what only that person can know (`find_person`) take the reader's connection, which
sees all tenants; all others see the tenant of their transaction. The operator of the installation has none: such rows
hold NULL, and belong to `INSTALLATION` here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences.errors import ConflictError, NotFoundError
from geofences.model import StoreId, TenantId
from geofences.tables import tenants
from lbs.auth import INSTALLATION, Caller, CallerKind
from lbs.errors import Fault, MalformedError
from lbs.sql import block
from lbs.tables import Role, UserStatus, invitations, sessions, user_stores, users

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

MAX_EMAIL_CHARACTERS: Final = 254
_EMAIL: Final = re.compile(r"[^@\s\x00-\x20\x7f]+@[^@\s\x00-\x20\x7f]+")
_NOBODY: Final = "somebody of this installation has this address already"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who was invited."""

    user_id: int
    tenant_id: TenantId
    """INSTALLATION for an operator of the installation."""
    tenant_name: str | None
    sandbox: bool
    email: str
    name: str
    role: Role
    status: UserStatus
    store_ids: frozenset[StoreId]
    created_at: datetime
    created_by: str

    def as_caller(self) -> Caller:
        return Caller(
            tenant_id=self.tenant_id,
            kind=CallerKind.PERSON,
            sandbox=self.sandbox,
            user_id=self.user_id,
            role=self.role,
            store_ids=self.store_ids,
        )


def known_email(text: str) -> str:
    """The address as it is stored and looked up; ValueError for what is none."""
    email = text.strip().lower()
    if len(email) > MAX_EMAIL_CHARACTERS or _EMAIL.fullmatch(email) is None:
        raise ValueError("not an e-mail address")
    return email


def stored_tenant(tenant_id: TenantId) -> TenantId | None:
    """What the column holds."""
    return None if tenant_id == INSTALLATION else tenant_id


def people(*columns: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """Everybody, with tenant and stores; `columns` besides. Narrow it with `where`; `person_of` reads its rows."""
    own_stores = sa.select(user_stores.c.store_id).where(user_stores.c.user_id == users.c.user_id)
    return sa.select(
        users,
        tenants.c.name.label("tenant_name"),
        sa.func.coalesce(tenants.c.sandbox, sa.false()).label("sandbox"),
        sa.func.array(own_stores.scalar_subquery()).label("store_ids"),
        *columns,
    ).select_from(users.outerjoin(tenants, tenants.c.tenant_id == users.c.tenant_id))


def person_of(row: Any) -> Person:
    return Person(
        user_id=row.user_id,
        tenant_id=INSTALLATION if row.tenant_id is None else TenantId(row.tenant_id),
        tenant_name=row.tenant_name,
        sandbox=row.sandbox,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        status=UserStatus(row.status),
        store_ids=frozenset(StoreId(store_id) for store_id in row.store_ids),
        created_at=row.created_at,
        created_by=row.created_by,
    )


def find_person(reader: sa.Connection, condition: sa.ColumnElement[bool]) -> Person | None:
    """Across tenants, over the reader's connection, by something unique."""
    row = reader.execute(people().where(condition)).one_or_none()
    return None if row is None else person_of(row)


def people_after(connection: sa.Connection, tenant_id: TenantId, *, after: int, limit: int) -> list[Person]:
    """Of one tenant, in order of ids."""
    statement = people().where(_of(tenant_id), users.c.user_id > after).order_by(users.c.user_id).limit(limit)
    return [person_of(row) for row in connection.execute(statement)]


def names_of(connection: sa.Connection, actors: Iterable[str]) -> dict[str, str]:
    """What those of the actors are called that are people of the transaction's tenant."""
    ids = [int(number) for kind, _, number in (actor.partition(":") for actor in actors) if kind == "user"]
    found = connection.execute(sa.select(users.c.user_id, users.c.name).where(users.c.user_id.in_(ids)))
    return {f"user:{row.user_id}": row.name for row in found}


def get_person(connection: sa.Connection, tenant_id: TenantId, user_id: int, *, locked: bool = False) -> Person:
    """NotFoundError. `locked`: for whoever is going to change the person."""
    if locked:
        connection.execute(sa.select(users.c.user_id).where(users.c.user_id == user_id).with_for_update())
    row = connection.execute(people().where(_of(tenant_id), users.c.user_id == user_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"no user {user_id}")
    return person_of(row)


def add_person(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    email: str,
    name: str,
    role: Role,
    store_ids: Iterable[StoreId],
    created_by: str,
    now: datetime,
) -> int:
    """Somebody new, who has no way to sign in yet; ConflictError for an address that somebody has, in any tenant."""
    wanted = frozenset(store_ids)
    _check_fit(tenant_id, role, wanted)
    statement = (
        sa.dialects.postgresql.insert(users)
        .values(
            tenant_id=stored_tenant(tenant_id),
            email=email,
            name=name,
            role=role,
            status=UserStatus.INVITED,
            created_at=now,
            created_by=created_by,
        )
        .on_conflict_do_nothing(index_elements=["email"])
        .returning(users.c.user_id)
    )
    user_id = connection.execute(statement).scalar()
    if user_id is None:
        raise ConflictError(_NOBODY)
    _put_stores(connection, tenant_id, user_id, wanted)
    return int(user_id)


def change_person(
    connection: sa.Connection,
    before: Person,
    *,
    name: str | None,
    role: Role | None,
    store_ids: Iterable[StoreId] | None,
    status: UserStatus | None,
) -> bool:
    """Changes what is given; whether it is something that a session rests on, all of which then end."""
    new_role = before.role if role is None else role
    if store_ids is not None:
        wanted = frozenset(store_ids)
    else:
        wanted = before.store_ids if new_role is Role.STORE_MANAGER else frozenset()
    _check_fit(before.tenant_id, new_role, wanted)
    has_credential = sa.or_(users.c.password_hash.is_not(None), users.c.oidc_subject.is_not(None))
    states = {
        None: users.c.status,
        UserStatus.DISABLED: sa.literal(UserStatus.DISABLED.value),
        UserStatus.ACTIVE: sa.case((has_credential, UserStatus.ACTIVE.value), else_=UserStatus.INVITED.value),
    }
    connection.execute(
        sa.update(users)
        .where(users.c.user_id == before.user_id)
        .values(name=before.name if name is None else name, role=new_role, status=states[status])
    )
    if wanted != before.store_ids:
        connection.execute(sa.delete(user_stores).where(user_stores.c.user_id == before.user_id))
        _put_stores(connection, before.tenant_id, before.user_id, wanted)
    touched = new_role is not before.role or wanted != before.store_ids or status is UserStatus.DISABLED
    if touched:
        end_sessions_of(connection, before.user_id)
    return touched


def remove_person(connection: sa.Connection, person: Person) -> None:
    """With sessions and invitations; what the audit says of the person stays, by number."""
    connection.execute(sa.delete(users).where(users.c.user_id == person.user_id))


def end_sessions_of(connection: sa.Connection, user_id: int) -> None:
    """Every process must still forget them: here by `SessionRing.forget_user`, elsewhere they do within seconds."""
    connection.execute(sa.delete(sessions).where(sessions.c.user_id == user_id))


def add_invitation(
    connection: sa.Connection, person: Person, *, digest: bytes, now: datetime, expires_at: datetime
) -> None:
    """In place of all earlier ones, which open nothing any more."""
    connection.execute(sa.delete(invitations).where(invitations.c.user_id == person.user_id))
    connection.execute(
        sa.insert(invitations).values(
            hash=digest,
            user_id=person.user_id,
            tenant_id=stored_tenant(person.tenant_id),
            created_at=now,
            expires_at=expires_at,
        )
    )


def _of(tenant_id: TenantId) -> sa.ColumnElement[bool]:
    stored = stored_tenant(tenant_id)
    return users.c.tenant_id.is_(None) if stored is None else users.c.tenant_id == stored


def _check_fit(tenant_id: TenantId, role: Role, store_ids: frozenset[StoreId]) -> None:
    if tenant_id == INSTALLATION and role is not Role.OPERATOR:
        raise MalformedError("people of no tenant are operators", Fault("body.role", "must be operator"))
    if (role is Role.STORE_MANAGER) != bool(store_ids):
        fault = Fault("body.store_ids", "a store manager, and nobody else, has stores: name at least one")
        raise MalformedError(fault.message, fault)


def _put_stores(connection: sa.Connection, tenant_id: TenantId, user_id: int, store_ids: frozenset[StoreId]) -> None:
    for store_id in sorted(store_ids):
        asked = {"tenant_id": tenant_id, "store_id": store_id}
        if connection.execute(block("store_exists"), asked).scalar() is None:
            raise NotFoundError(f"no store {store_id}")
        connection.execute(sa.insert(user_stores).values(user_id=user_id, tenant_id=tenant_id, store_id=store_id))
