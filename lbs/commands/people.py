"""`lbs user create`, `lbs user invite`: people who may sign in, and the first of them above all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lbs.commands.terminal import Json, answer
from lbs.runtime import CommandError, resolve
from lbs.settings import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from lbs.people import Person

Email = Annotated[str, typer.Argument(help="Unique in this installation, whatever the tenant.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="People: who signs in, and what each may do.", no_args_is_help=True)
    group.command("create")(user_create)
    group.command("invite")(user_invite)
    app.add_typer(group, name="user", rich_help_panel="Setting up")


def user_create(
    email: Email,
    *,
    tenant: Annotated[
        str | None,
        typer.Option(metavar="TENANT", help="The tenant's name, or its number. None: an operator of the installation."),
    ] = None,
    role: Annotated[
        # as lbs.tables.Role, which would load the database driver for `lbs --help`
        Literal["marketer", "approver", "store_manager", "analyst", "operator"],
        typer.Option(help="What the person may do: see docs/how-to/people.md."),
    ] = "operator",
    store: Annotated[
        list[str] | None,
        typer.Option(metavar="EXTERNAL_ID", help="A store of a store manager, by its external id; may be repeated."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What the person is called. [default: the address before its @]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Invite somebody: prints a link, once, that lets whoever opens it choose a password.

    Nothing is sent by e-mail. The link is good for 7 days and opens once.
    """
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs.audit import COMMAND_LINE  # noqa: PLC0415
    from lbs.auth import INSTALLATION, find_store  # noqa: PLC0415
    from lbs.clock import now  # noqa: PLC0415
    from lbs.connections import Role as DatabaseRole  # noqa: PLC0415
    from lbs.connections import database  # noqa: PLC0415
    from lbs.people import add_person, get_person, known_email  # noqa: PLC0415
    from lbs.tables import Role  # noqa: PLC0415

    try:
        address = known_email(email)
    except ValueError as error:
        raise typer.BadParameter(f"{email!r} is {error}", param_hint="EMAIL") from error
    if (role == "store_manager") != bool(store):
        raise typer.BadParameter("a store manager, and nobody else, needs --store")
    if tenant is None and role != "operator":
        raise typer.BadParameter("people of no tenant are operators of the installation: name a --tenant")
    settings = resolve(Settings(), with_redis=False)
    with database(settings, DatabaseRole.SYSTEM).begin() as connection:
        owner = INSTALLATION if tenant is None else find_tenant(connection, tenant).tenant_id
        user_id = add_person(
            connection,
            tenant_id=owner,
            email=address,
            name=name or address.partition("@")[0],
            role=Role(role),
            store_ids=[find_store(connection, owner, external_id) for external_id in store or ()],
            created_by=COMMAND_LINE,
            now=now(),
        )
        found = _invited(connection, settings, get_person(connection, owner, user_id), "invite_user")
    answer(found, as_json=as_json, text=_text(found))


def user_invite(email: Email, *, as_json: Json = False) -> None:
    """Print a new link for somebody who lost theirs or forgot the password. Earlier links of the person end."""
    from geofences.errors import NotFoundError  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.people import find_person  # noqa: PLC0415
    from lbs.tables import UserStatus, users  # noqa: PLC0415

    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        person = find_person(connection, users.c.email == email.strip().lower())
        if person is None:
            raise NotFoundError(f"nobody has the address {email!r}")
        if person.status is UserStatus.DISABLED:
            raise CommandError(f"{email} is disabled")
        found = _invited(connection, settings, person, "invite_user_again")
    answer(found, as_json=as_json, text=_text(found))


def _invited(connection: sa.Connection, settings: Settings, person: Person, operation: str) -> dict[str, Any]:
    from lbs.audit import COMMAND_LINE, record  # noqa: PLC0415
    from lbs.clock import now  # noqa: PLC0415
    from lbs.people import stored_tenant  # noqa: PLC0415
    from lbs.signing_in import invite  # noqa: PLC0415

    at = now()
    made = invite(connection, person, public_url=_public_url(settings), now=at)
    record(
        connection,
        tenant_id=person.tenant_id,
        at=at,
        actor=COMMAND_LINE,
        operation=operation,
        object_id=str(person.user_id),
        request_id="-",
    )
    return {
        "user_id": person.user_id,
        "email": person.email,
        "role": person.role.value,
        "tenant_id": stored_tenant(person.tenant_id),
        "invitation_url": made.link,
        "invitation_expires_at": made.expires_at.isoformat(),
    }


def _public_url(settings: Settings) -> str:
    from lbs.daemons import known_address  # noqa: PLC0415

    if settings.public_url:
        return settings.public_url
    address = known_address(settings.home)
    if address is None:
        raise CommandError("nobody knows how people reach this installation: set LBS_PUBLIC_URL, or start it: `lbs up`")
    return address.url


def _text(found: dict[str, Any]) -> str:
    return (
        f"{found['email']} has number {found['user_id']}, role {found['role']}.\n"
        f"Open once, before {found['invitation_expires_at']}: {found['invitation_url']}"
    )
