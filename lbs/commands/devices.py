"""`lbs device pair`: a QR code on the terminal that sets a phone app up."""

import io
from typing import Annotated, Literal

import typer

from lbs.commands.terminal import Json, TenantName, answer
from lbs.runtime import CommandError, resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Devices: phones and what else sends positions.", no_args_is_help=True)
    group.command("pair")(device_pair)
    # a lone command would otherwise take the place of its group
    group.callback()(lambda: None)
    app.add_typer(group, name="device", rich_help_panel="Setting up")


def device_pair(
    device_id: Annotated[str, typer.Argument(help="The client's own id of the device, which must exist.")],
    *,
    tenant: TenantName,
    app: Annotated[
        Literal["owntracks", "traccar"], typer.Option(help="The phone app whose QR code is drawn.")
    ] = "owntracks",
    url: Annotated[
        str | None, typer.Option(help="How the phone reaches the API; `LBS_PUBLIC_URL` if nothing is said.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a QR code that sets OwnTracks or Traccar Client up to send a device's positions.

    OwnTracks' code works once, within ten minutes. Traccar Client's holds the device's token: show it to nobody else.
    """
    import segno  # noqa: PLC0415

    from geofences.store import find_tenant, use_tenant  # noqa: PLC0415
    from lbs.auth import Caller, CallerKind  # noqa: PLC0415
    from lbs.pairing import pair  # noqa: PLC0415
    from lbs.services import build_services  # noqa: PLC0415

    settings = resolve(Settings())
    public_url = (url or settings.public_url or "").rstrip("/")
    if not public_url:
        raise CommandError("say how phones reach the API: with --url, or by LBS_PUBLIC_URL")
    services = build_services(settings)
    with services.reader.connect() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
    with services.api.begin() as connection:
        use_tenant(connection, tenant_id)
        caller = Caller(tenant_id=tenant_id, kind=CallerKind.SECRET)
        made = pair(connection, caller=caller, external_id=device_id, services=services, public_url=public_url)
    links = {"owntracks": made.owntracks, "traccar": made.traccar}
    picture = io.StringIO()
    segno.make(links[app], error="l", micro=False).terminal(picture, compact=True)
    ends = "until the device's tokens are revoked" if app == "traccar" else f"once, until {made.expires_at:%H:%M} UTC"
    answer(
        {"device_id": device_id, "expires_at": made.expires_at.isoformat(), **links},
        as_json=as_json,
        text=f"{picture.getvalue()}\n{links[app]}\n\nWorks {ends}.",
    )
