"""`lbs device pair`, `export`, `erase`: set a phone up; what is held of one device, told and made to go."""

import io
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lbs.commands.terminal import Json, TenantName, answer, say
from lbs.runtime import CommandError, resolve
from lbs.settings import Settings

LOOK_EVERY_S = 0.2

DeviceName = Annotated[str, typer.Argument(metavar="DEVICE_ID", help="The client's own id of the device.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Devices: set one up; all that is held of it, told or erased.", no_args_is_help=True)
    group.command("pair")(device_pair)
    group.command("export")(device_export)
    group.command("erase")(device_erase)
    app.add_typer(group, name="device", rich_help_panel="Data")


def device_pair(
    device_id: DeviceName,
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


def device_export(
    device_id: DeviceName,
    *,
    tenant: TenantName,
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A file, complete or not there. [default: standard output]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Export all that is stored of a device as one JSON object: rows by kind, in the clear.

    With --json and --output it answers how many rows of each kind there are.
    """
    import msgspec  # noqa: PLC0415

    from geofences.store import find_device, find_tenant  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.holdings import export_of  # noqa: PLC0415
    from lbs.whole_file import whole_file  # noqa: PLC0415

    if output is None and as_json:
        raise typer.BadParameter("--json needs --output: the data itself is an object")
    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).connect() as connection:
        owner = find_tenant(connection, tenant)
        device = find_device(connection, tenant_id=owner.tenant_id, external_id=device_id)
        found = export_of(connection, tenant_id=owner.tenant_id, device_id=device.device_id)
    text = msgspec.json.format(msgspec.json.encode({"device_id": device_id, **found})) + b"\n"
    if output is None:
        sys.stdout.buffer.write(text)
        sys.stdout.flush()
        return
    with whole_file(output) as path:
        path.write_bytes(text)
    rows = {kind: len(of_kind) for kind, of_kind in found.items()}
    answer({"rows": rows, "output": str(output)}, as_json=as_json, text=f"{sum(rows.values())} rows in {output}")


def device_erase(
    device_id: DeviceName,
    *,
    tenant: TenantName,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Needed where nobody can answer.")] = False,
    wait_s: Annotated[
        float, typer.Option(min=0, help="How long to wait until nothing of it is under way; the scheduler goes on.")
    ] = 30.0,
    as_json: Json = False,
) -> None:
    """Erase all that is stored of a device. Nobody can bring it back.

    Its rows are gone at once; what is on its way through the log goes within some seconds, while an engine runs.
    """
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs.audit import COMMAND_LINE  # noqa: PLC0415
    from lbs.clock import now  # noqa: PLC0415
    from lbs.connections import Role, database, position_log  # noqa: PLC0415
    from lbs.erasure import begin_erasure, go_on  # noqa: PLC0415

    if not yes:
        if not sys.stdin.isatty():
            raise CommandError("erasing cannot be undone: give --yes where nobody can be asked")
        typer.confirm(f"Erase all that is stored of device {device_id} of {tenant}?", abort=True, err=True)
    settings = resolve(Settings())
    eraser = database(settings, Role.SYSTEM, pool_size=1)
    log = position_log(settings)
    with eraser.connect() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
    begun = begin_erasure(
        eraser, settings=settings, tenant_id=tenant_id, external_id=device_id, actor=COMMAND_LINE, now=now()
    )
    erasure = go_on(eraser, log, begun.erasure_id, now=now())
    say("its rows are gone; waiting for what is on its way")
    deadline = time.monotonic() + wait_s
    while not erasure.finished and time.monotonic() < deadline:
        time.sleep(LOOK_EVERY_S)  # the engine tells nobody when it has got that far
        erasure = go_on(eraser, log, begun.erasure_id, now=now())
    found: dict[str, Any] = {"erased": erasure.counts, "finished": erasure.finished}
    rest = "" if erasure.finished else "; the rest waits for the engine, and the scheduler looks after it"
    answer(found, as_json=as_json, text=f"{sum(erasure.counts.values())} rows erased{rest}")
