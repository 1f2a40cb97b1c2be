"""`lbs dead-letter list`, `lbs dead-letter replay`: messages that failed for good."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lbs.commands.terminal import Json, TenantName, answer
from lbs.runtime import resolve
from lbs.settings import Settings

if TYPE_CHECKING:
    from datetime import datetime

    import sqlalchemy as sa

    from offers.dead_letters import Which

Campaign = Annotated[int | None, typer.Option(help="Only this campaign's.")]
Channel = Annotated[Literal["webpush", "webhook", "apns", "fcm"] | None, typer.Option(help="Only this channel's.")]
Reason = Annotated[str | None, typer.Option(help="Only those that failed for this, as `list` names it.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Messages that failed for good: look at them, send them again.", no_args_is_help=True)
    group.command("list")(show)
    group.command("replay")(replay)
    app.add_typer(group, name="dead-letter", rich_help_panel="Running")


def show(
    *,
    tenant: TenantName,
    campaign: Campaign = None,
    channel: Channel = None,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Count failed messages by campaign, channel and reason, and how many `replay` would send again."""
    from offers.dead_letters import dead_letters  # noqa: PLC0415

    connection, which, now = _open(tenant, campaign, channel, reason)
    with connection:
        found = dead_letters(connection, which, now=now)
    lines = [
        f"{one.messages:>8} {one.channel:<8} {one.reason:<20} campaign {one.campaign_id}, {one.replayable} replayable"
        for one in found
    ]
    items = [
        {
            "campaign_id": str(one.campaign_id),
            "channel": one.channel,
            "reason": one.reason,
            "messages": one.messages,
            "replayable": one.replayable,
            "last_at": one.last_at.isoformat(),
        }
        for one in found
    ]
    answer({"items": items}, as_json=as_json, text="\n".join(lines) or "Nothing has failed.")


def replay(
    *,
    tenant: TenantName,
    campaign: Campaign = None,
    channel: Channel = None,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Queue failed messages again, with the same ids, if their offers last and are held and their addresses live."""
    from offers import dead_letters  # noqa: PLC0415

    connection, which, now = _open(tenant, campaign, channel, reason)
    with connection, connection.begin():
        queued = dead_letters.replay(connection, which, now=now)
    answer({"queued": queued}, as_json=as_json, text=f"{queued} messages are queued again.")


def _open(
    tenant: str, campaign: int | None, channel: str | None, reason: str | None
) -> "tuple[sa.Connection, Which, datetime]":
    from geofences.store import find_tenant  # noqa: PLC0415
    from lbs import clock  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from offers.dead_letters import Which  # noqa: PLC0415
    from offers.model import CampaignId  # noqa: PLC0415
    from offers.push import ChannelType  # noqa: PLC0415

    system = database(resolve(Settings(), with_redis=False), Role.SYSTEM)
    with system.begin() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
    which = Which(
        tenant_id=tenant_id,
        campaign_id=None if campaign is None else CampaignId(campaign),
        channel=None if channel is None else ChannelType(channel),
        reason=reason,
    )
    return system.connect(), which, clock.now()
