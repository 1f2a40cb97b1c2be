"""`lbs webhook replay`: what a webhook is told again."""

from typing import Annotated

import typer

from lbs.commands.terminal import Json, TenantName, answer, instant
from lbs.runtime import resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Webhooks.", no_args_is_help=True)
    group.command("replay")(replay)
    # a lone command would otherwise take the place of its group
    group.callback()(lambda: None)
    app.add_typer(group, name="webhook", rich_help_panel="Data")


def replay(
    webhook: Annotated[int, typer.Argument(metavar="WEBHOOK", min=1, help="The webhook's number.")],
    *,
    tenant: TenantName,
    since: Annotated[
        str, typer.Option(metavar="TIME", help="What became known from then on: ISO 8601 with offset. Required.")
    ],
    until: Annotated[str | None, typer.Option(metavar="TIME", help="And before. [default: now]")] = None,
    types: Annotated[
        str | None,
        typer.Option(
            metavar="EVENT,...", help="By name or group, e.g. `visit.*`. [default: what the webhook subscribes to]"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Send events to a webhook again, with the same ids, behind what waits already; a running worker does it."""
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs import clock  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.webhooks import get_webhook  # noqa: PLC0415
    from offers.cloud_events import PATTERNS  # noqa: PLC0415
    from offers.webhook_queue import tell_again  # noqa: PLC0415

    wanted = None if types is None else types.split(",")
    if unknown := sorted(set(wanted or ()) - set(PATTERNS)):
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(PATTERNS)}", param_hint="--types")
    span = {
        "since": instant(since, "--since"),
        "until": clock.now() if until is None else instant(until, "--until"),
    }
    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
        found = get_webhook(connection, tenant_id, webhook)
        queued = tell_again(connection, tenant_id=tenant_id, webhook_id=webhook, types=wanted or found.events, **span)
    paused = "" if found.paused_reason is None else f" The webhook is paused: {found.paused_reason}."
    answer(
        {"webhook_id": str(webhook), "queued": queued, "paused_reason": found.paused_reason},
        as_json=as_json,
        text=f"{queued} events wait to be sent again.{paused}",
    )
