"""`lbs push-app add-apns|add-fcm|list|remove`: credentials of the tenants' apps at Apple and Google."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lbs.commands.terminal import Json, TenantName, answer
from lbs.runtime import CommandError, resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Apps at Apple and Google: what their phones are pushed through.", no_args_is_help=True)
    group.command("add-apns")(add_apns)
    group.command("add-fcm")(add_fcm)
    group.command("list")(show)
    group.command("remove")(remove)
    app.add_typer(group, name="push-app", rich_help_panel="Setting up")


def add_apns(
    key_file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The .p8 key that Apple gave out.")],
    *,
    tenant: TenantName,
    team_id: Annotated[str, typer.Option(help="Apple's ten characters for the team.")],
    key_id: Annotated[str, typer.Option(help="Apple's ten characters for the key.")],
    topic: Annotated[str, typer.Option(help="The app's bundle id.")],
    sandbox: Annotated[bool, typer.Option("--sandbox", help="For builds that run from Xcode.")] = False,
    as_json: Json = False,
) -> None:
    """Add an iOS app, or give it another key. The key is stored encrypted."""
    from offers.errors import InvalidCredentialsError  # noqa: PLC0415
    from offers.push_apns import ApnsApp  # noqa: PLC0415

    given = {"team_id": team_id, "key_id": key_id, "topic": topic, "sandbox": sandbox}
    try:
        app = ApnsApp.parse({**given, "private_key": key_file.read_text(encoding="utf-8")})
    except (InvalidCredentialsError, UnicodeDecodeError) as error:
        raise CommandError(f"{key_file.name}: {error}") from error
    _put(app, tenant=tenant, as_json=as_json)


def add_fcm(
    service_account: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="The service account's JSON file from Firebase.")
    ],
    *,
    tenant: TenantName,
    as_json: Json = False,
) -> None:
    """Add a Firebase project, or give it another key. The key is stored encrypted."""
    from lbs import push_apps  # noqa: PLC0415
    from offers.errors import InvalidCredentialsError  # noqa: PLC0415

    try:
        app = push_apps.service_account(service_account.read_text(encoding="utf-8"))
    except (InvalidCredentialsError, UnicodeDecodeError) as error:
        raise CommandError(f"{service_account.name}: {error}") from error
    _put(app, tenant=tenant, as_json=as_json)


def _put(app: object, *, tenant: str, as_json: bool) -> None:
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs import push_apps  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.secrets import Vault  # noqa: PLC0415
    from offers.push_apns import ApnsApp  # noqa: PLC0415
    from offers.push_fcm import FcmApp  # noqa: PLC0415

    assert isinstance(app, ApnsApp | FcmApp)
    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
        put = push_apps.put_app(connection, tenant_id=tenant_id, app=app, vault=Vault(settings))
    answer(put.to_json(), as_json=as_json, text=f"{put.provider} app {put.name} is ready.")


def show(*, tenant: TenantName, as_json: Json = False) -> None:
    """List apps, without their keys; of each provider the first serves addresses that name no app."""
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs import push_apps  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415

    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        apps = push_apps.apps_of(connection, find_tenant(connection, tenant).tenant_id)
    lines = [f"{app.provider}  {app.name}" for app in apps] or ["No apps: `lbs push-app add-apns`, `add-fcm`."]
    answer({"items": [app.to_json() for app in apps]}, as_json=as_json, text="\n".join(lines))


def remove(
    provider: Annotated[Literal["apns", "fcm"], typer.Argument(help="Whose app.")],
    name: Annotated[str, typer.Argument(help="The bundle id, or the Firebase project.")],
    *,
    tenant: TenantName,
    as_json: Json = False,
) -> None:
    """Forget an app's credentials. Its messages wait, until their offers end, for new ones."""
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs import push_apps  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from offers.push import ChannelType  # noqa: PLC0415

    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
        push_apps.remove_app(connection, tenant_id=tenant_id, provider=ChannelType(provider), name=name)
    answer({"removed": name}, as_json=as_json, text=f"{provider} app {name} is forgotten.")
