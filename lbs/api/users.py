"""People of a tenant: invited by a link, with one role each. An operator of the installation manages its own kind."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from geofences.errors import ConflictError
from geofences.model import StoreId
from geofences.tables import Approval, tenants
from lbs.auth import Caller, CallerKind
from lbs.deps import AfterCommit, Permitted, ServicesDep, Tx, public_url_of
from lbs.errors import ForbiddenError
from lbs.fields import ShortText, id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.people import Person, add_person, change_person, get_person, known_email, people_after, remove_person
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.services import Services
from lbs.signing_in import invite
from lbs.tables import Role, UserStatus

router = APIRouter(prefix="/v1/users", tags=["users"], route_class=Route)

StoreIds = Annotated[list[str], Field(max_length=1000, description="The stores of a store manager.")]


class UserBody(BaseModel):
    """Somebody to invite."""

    model_config = ConfigDict(extra="forbid")

    email: Annotated[
        str, StringConstraints(max_length=254), AfterValidator(known_email), Field(examples=["anna@example.org"])
    ]
    name: ShortText
    role: Role
    store_ids: StoreIds = []


class UserChange(BaseModel):
    """What is to change; a field that is missing or null stays as it is."""

    model_config = ConfigDict(extra="forbid")

    name: ShortText | None = None
    role: Role | None = None
    store_ids: StoreIds | None = None
    status: Literal["active", "disabled"] | None = None


class UserView(BaseModel):
    """A person."""

    user_id: str
    email: str
    name: str
    role: Role
    store_ids: list[str]
    status: UserStatus
    created_at: datetime
    created_by: str = Field(examples=["user:12"])

    @classmethod
    def of(cls, person: Person) -> Self:
        return cls(
            user_id=str(person.user_id),
            email=person.email,
            name=person.name,
            role=person.role,
            store_ids=[str(store_id) for store_id in sorted(person.store_ids)],
            status=person.status,
            created_at=person.created_at,
            created_by=person.created_by,
        )


class InvitedUser(UserView):
    """A person with an invitation, at the only moment when its link is known."""

    invitation_url: str = Field(description="Give it to the person: whoever opens it chooses the password.")
    invitation_expires_at: datetime


@router.post("", operation_id="invite_user", status_code=201, responses={**OF_EVERY_WRITE, **declared(404)})
def post_user(
    body: UserBody, request: Request, caller: Permitted, connection: Tx, services: ServicesDep
) -> InvitedUser:
    """Invite somebody. The link is answered once; nothing is sent by e-mail.

    Where only people approve campaigns, a secret key invites nobody: it could approve as whom it invited.
    """
    _check_inviter(connection, caller)
    user_id = add_person(
        connection,
        tenant_id=caller.tenant_id,
        email=body.email,
        name=body.name,
        role=body.role,
        store_ids=_stores(body.store_ids),
        created_by=caller.actor,
        now=services.now(),
    )
    return _invited(request, connection, services, get_person(connection, caller.tenant_id, user_id))


@router.get("", operation_id="list_users", responses=OF_EVERY_READ)
def list_users(
    caller: Permitted, connection: Tx, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> Page[UserView]:
    """List people in the order in which they were invited."""
    found = people_after(connection, caller.tenant_id, after=id_after(cursor), limit=limit + 1)
    page, more = cut(found, limit)
    return Page(
        items=[UserView.of(person) for person in page], next_cursor=cursor_of(page[-1].user_id) if more else None
    )


@router.get("/{user_id}", operation_id="get_user", responses={**OF_EVERY_READ, **declared(404)})
def read_user(user_id: str, caller: Permitted, connection: Tx) -> UserView:
    """Get one person."""
    return UserView.of(get_person(connection, caller.tenant_id, id_of(user_id, "user")))


@router.patch("/{user_id}", operation_id="change_user", responses={**OF_EVERY_WRITE, **declared(404)})
def patch_user(
    user_id: str, body: UserChange, caller: Permitted, connection: Tx, services: ServicesDep, after: AfterCommit
) -> UserView:
    """Change what is given. Another role, other stores or being disabled ends the person's sessions at once.

    Nobody can take their own role or access away.
    """
    before = get_person(connection, caller.tenant_id, id_of(user_id, "user"), locked=True)
    if _is_self(caller, before) and (body.role not in {None, before.role} or body.status == "disabled"):
        raise ConflictError("nobody can take their own role or access away: ask another operator")
    ended = change_person(
        connection,
        before,
        name=body.name,
        role=body.role,
        store_ids=None if body.store_ids is None else _stores(body.store_ids),
        status=None if body.status is None else UserStatus(body.status),
    )
    if ended:
        after.append(lambda: services.sessions.forget_user(before.user_id))
    return UserView.of(get_person(connection, caller.tenant_id, before.user_id))


@router.delete("/{user_id}", operation_id="delete_user", status_code=204, responses={**OF_EVERY_WRITE, **declared(404)})
def delete_user(user_id: str, caller: Permitted, connection: Tx, services: ServicesDep, after: AfterCommit) -> Response:
    """Delete a person; sessions end at once. The audit keeps the number, and nobody else gets it."""
    person = get_person(connection, caller.tenant_id, id_of(user_id, "user"), locked=True)
    if _is_self(caller, person):
        raise ConflictError("nobody can delete themselves: ask another operator")
    remove_person(connection, person)
    after.append(lambda: services.sessions.forget_user(person.user_id))
    return Response(status_code=204)


@router.post("/{user_id}/invite", operation_id="invite_user_again", responses={**OF_EVERY_WRITE, **declared(404)})
def post_invitation(
    user_id: str, request: Request, caller: Permitted, connection: Tx, services: ServicesDep
) -> InvitedUser:
    """Make a new link, for a lost one or a forgotten password. Earlier links of the person end.

    The password stays until the link is used.
    """
    _check_inviter(connection, caller)
    person = get_person(connection, caller.tenant_id, id_of(user_id, "user"), locked=True)
    if person.status is UserStatus.DISABLED:
        raise ConflictError("this person is disabled")
    return _invited(request, connection, services, person)


def _check_inviter(connection: sa.Connection, caller: Caller) -> None:
    """ForbiddenError."""
    if caller.kind is CallerKind.SECRET:
        approval = connection.execute(
            sa.select(tenants.c.approval).where(tenants.c.tenant_id == caller.tenant_id)
        ).scalar_one()
        if approval == Approval.PEOPLE:
            raise ForbiddenError("only people approve campaigns here, so only an operator invites them")


def _invited(request: Request, connection: sa.Connection, services: Services, person: Person) -> InvitedUser:
    made = invite(connection, person, public_url=public_url_of(request, services), now=services.now())
    return InvitedUser(
        **UserView.of(person).model_dump(), invitation_url=made.link, invitation_expires_at=made.expires_at
    )


def _stores(store_ids: list[str]) -> list[StoreId]:
    return [StoreId(id_of(store_id, "store")) for store_id in store_ids]


def _is_self(caller: Caller, person: Person) -> bool:
    return caller.user_id == person.user_id
