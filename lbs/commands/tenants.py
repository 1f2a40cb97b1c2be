"""`lbs tenant create`, `lbs tenant set`, `lbs key create`: who may use an installation."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lbs.commands.terminal import Json, TenantName, answer
from lbs.runtime import resolve
from lbs.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from geofences.model import Kept

MIN_KEPT_DAYS = 2
"""A late position of the last 24 hours needs what was before it."""
MAX_KEPT_DAYS = 36_500


def register(app: typer.Typer) -> None:
    groups: tuple[tuple[str, dict[str, Callable[..., None]], str], ...] = (
        (
            "tenant",
            {"create": tenant_create, "set": tenant_set, "user-hash-key": tenant_user_hash_key},
            "Tenants: whose stores, campaigns and devices they are.",
        ),
        ("key", {"create": key_create}, "Keys: what servers, apps and tills authenticate with."),
    )
    for name, commands, about in groups:
        group = typer.Typer(help=about, no_args_is_help=True)
        for called, command in commands.items():
            group.command(called)(command)
        # a lone command would otherwise take the place of its group
        group.callback()(lambda: None)
        app.add_typer(group, name=name, rich_help_panel="Setting up")


def tenant_create(
    name: Annotated[str, typer.Argument(help="Unique in this installation.")],
    *,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="For replays: follows the clock of its data and pushes nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Create a tenant, with a publishable key for apps and a secret key for servers.

    The keys are shown once: only their hashes are stored.
    """
    from geofences.store import create_tenant  # noqa: PLC0415
    from lbs.auth import create_key  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.tables import KeyKind  # noqa: PLC0415

    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant = create_tenant(connection, name=name, sandbox=sandbox)
        keys = {
            kind.value: create_key(connection, tenant.tenant_id, kind) for kind in (KeyKind.PUBLISHABLE, KeyKind.SECRET)
        }
    lines = [f"Tenant {name} has number {tenant.tenant_id}."]
    lines += [f"{kind} key: {key}" for kind, key in keys.items()]
    answer({"tenant_id": tenant.tenant_id, "keys": keys}, as_json=as_json, text="\n".join(lines))


def tenant_set(
    name: Annotated[str, typer.Argument(help="The tenant's name or number.")],
    *,
    approval: Annotated[
        # as geofences.tables.Approval, which would load the database driver for `lbs --help`
        Literal["anyone", "people"] | None,
        typer.Option(
            help="Who approves campaigns: also a server with the secret key, or people only, and never who wrote or "
            "submitted it."
        ),
    ] = None,
    retain: Annotated[
        str,
        typer.Option(
            metavar="KIND=DAYS,...",
            help="How many days positions, visits, events, decisions and notifications are kept, at least 2 each, e.g. "
            "`positions=2,visits=90`. An empty right side: as long as the installation keeps them.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Change a tenant's settings: those that are named, the others stay."""
    from geofences.store import find_tenant, set_approval, set_retention  # noqa: PLC0415
    from geofences.tables import Approval  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415

    days = _days_by_kind(retain)
    if approval is None and not days:
        raise typer.BadParameter("name a setting: --approval or --retain")
    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant = find_tenant(connection, name)
        approved_by = tenant.approval if approval is None else Approval(approval)
        set_approval(connection, tenant.tenant_id, approved_by)
        kept = set_retention(connection, tenant.tenant_id, days)
    lines = [f"Campaigns of tenant {tenant.name} are approved by {approved_by}."]
    lines += [f"{kind} are kept for {n} days" for kind, n in sorted(kept.items())]
    found = {"tenant_id": tenant.tenant_id, "name": tenant.name, "approval": str(approved_by), "retention": kept}
    answer(found, as_json=as_json, text="\n".join(lines))


def _days_by_kind(text: str) -> "dict[Kept, int | None]":
    from geofences.model import Kept  # noqa: PLC0415

    found: dict[Kept, int | None] = {}
    for part in filter(None, text.split(",")):
        kind, _, days = (word.strip() for word in part.partition("="))
        if kind not in set(Kept):
            raise typer.BadParameter(f"{kind!r} is not one of {', '.join(Kept)}")
        if days and not (days.isdecimal() and MIN_KEPT_DAYS <= int(days) <= MAX_KEPT_DAYS):
            raise typer.BadParameter(f"{kind}: {days!r} is not a number of days from {MIN_KEPT_DAYS} on")
        found[Kept(kind)] = int(days) if days else None
    return found


def tenant_user_hash_key(
    name: Annotated[str, typer.Argument(help="The tenant's name or number.")], *, as_json: Json = False
) -> None:
    """Show the key of the tenant's `external_user_hash`: for its server only, never for an app.

    The hash is the HMAC-SHA256 of the external user id under this key's text, in hexadecimal.
    """
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.identity import user_hash_key  # noqa: PLC0415

    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).connect() as connection:
        tenant = find_tenant(connection, name)
    key = user_hash_key(settings, tenant.tenant_id)
    answer({"tenant_id": tenant.tenant_id, "user_hash_key": key}, as_json=as_json, text=f"user hash key: {key}")


def key_create(
    *,
    kind: Annotated[
        # as lbs.tables.KeyKind, which would load the database driver for `lbs --help`
        Literal["publishable", "secret", "store"] | None,
        typer.Option(help="What the key may do: search and register; everything of the tenant; one store's till."),
    ] = None,
    tenant: TenantName,
    store: Annotated[
        str | None,
        typer.Option(metavar="EXTERNAL_ID", help="The store, by its external id, whose till the key is for."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Create one more key. It is shown once: only its hash is stored."""
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs.auth import create_key, find_store  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.tables import KeyKind  # noqa: PLC0415

    if kind is None and store is None:
        raise typer.BadParameter("say what the key is for: --kind, or --store for the till of one")
    kind = kind or "store"
    if (kind == "store") != (store is not None):
        raise typer.BadParameter("a store key, and no other, needs --store")
    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        owner = find_tenant(connection, tenant)
        store_id = None if store is None else find_store(connection, owner.tenant_id, store)
        key = create_key(connection, owner.tenant_id, KeyKind(kind), store_id)
    found = {"key": key, "kind": kind, "tenant_id": owner.tenant_id, "store_external_id": store}
    answer(found, as_json=as_json, text=f"{kind} key: {key}")
