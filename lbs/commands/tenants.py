"""`lbs tenant create`, `lbs key create`: who may use an installation."""

from typing import Annotated, Literal

import typer

from lbs.commands.terminal import Json, TenantName, answer
from lbs.runtime import resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    for name, command, about in (
        ("tenant", tenant_create, "Tenants: whose stores, campaigns and devices they are."),
        ("key", key_create, "Keys: what servers, apps and tills authenticate with."),
    ):
        group = typer.Typer(help=about, no_args_is_help=True)
        group.command("create")(command)
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
    from lbs.tables import KeyKind  # noqa: PLC0415
    from lbs.wiring import Role, database  # noqa: PLC0415

    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant = create_tenant(connection, name=name, sandbox=sandbox)
        keys = {
            kind.value: create_key(connection, tenant.tenant_id, kind) for kind in (KeyKind.PUBLISHABLE, KeyKind.SECRET)
        }
    lines = [f"Tenant {name} has number {tenant.tenant_id}."]
    lines += [f"{kind} key: {key}" for kind, key in keys.items()]
    answer({"tenant_id": tenant.tenant_id, "keys": keys}, as_json=as_json, text="\n".join(lines))


def key_create(
    *,
    kind: Annotated[
        # as lbs.tables.KeyKind, which would load the database driver for `lbs --help`
        Literal["publishable", "secret", "store"],
        typer.Option(help="What the key may do: search and register; everything of the tenant; one store's till."),
    ],
    tenant: TenantName,
    store: Annotated[
        str | None, typer.Option(metavar="EXTERNAL_ID", help="The store of a store key, by its external id.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Create one more key. It is shown once: only its hash is stored."""
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs.auth import create_key, find_store  # noqa: PLC0415
    from lbs.tables import KeyKind  # noqa: PLC0415
    from lbs.wiring import Role, database  # noqa: PLC0415

    if (kind == "store") != (store is not None):
        raise typer.BadParameter("a store key, and no other, needs --store")
    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        owner = find_tenant(connection, tenant)
        store_id = None if store is None else find_store(connection, owner.tenant_id, store)
        key = create_key(connection, owner.tenant_id, KeyKind(kind), store_id)
    found = {"key": key, "kind": kind, "tenant_id": owner.tenant_id, "store_external_id": store}
    answer(found, as_json=as_json, text=f"{kind} key: {key}")
