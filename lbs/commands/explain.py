"""`lbs explain`, `lbs campaign dry-run`: why somebody got an offer or not, and what a campaign would have done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbs.commands.report import CampaignNumber, report
from lbs.commands.terminal import Json, TenantName, answer, instant
from lbs.runtime import resolve
from lbs.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Data")(explain)
    group = typer.Typer(help="Campaigns.", no_args_is_help=True)
    group.command("dry-run")(dry_run)
    group.command("report")(report)
    app.add_typer(group, name="campaign", rich_help_panel="Data")


def explain(
    campaign: CampaignNumber,
    *,
    tenant: TenantName,
    device: Annotated[
        str | None, typer.Option(help="Whose decisions, by the client's own id. [default: anybody's, supposed]")
    ] = None,
    at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Suppose the campaign's moment came then: ISO 8601 with offset.")
    ] = None,
    store: Annotated[str | None, typer.Option(metavar="EXTERNAL_ID", help="Suppose it came at this store.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Decisions to show, the newest.")] = 20,
    as_json: Json = False,
) -> None:
    """Say why a device got a campaign's offer or why not; or what would happen at a time and place.

    With a device alone: its stored decisions, newest first, each asked again. With a time or a store, or without a
    device: what the same rules say of that moment.
    """
    from geofences.errors import NotFoundError  # noqa: PLC0415
    from geofences.store import find_device, find_tenant, use_tenant  # noqa: PLC0415
    from lbs import clock  # noqa: PLC0415
    from lbs.api.explain import DecisionView  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from lbs.places import stores_after  # noqa: PLC0415
    from offers import explain as rules  # noqa: PLC0415
    from offers.model import CampaignId  # noqa: PLC0415
    from offers.store import get_campaign  # noqa: PLC0415

    moment = None if at is None else instant(at, "--at")
    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
        use_tenant(connection, tenant_id)
        asked = get_campaign(connection, tenant_id=tenant_id, campaign_id=CampaignId(campaign)).campaign
        device_id = None
        if device is not None:
            device_id = find_device(connection, tenant_id=tenant_id, external_id=device).device_id
        if device_id is not None and moment is None and store is None:
            found = rules.stored(connection, campaign_id=asked.campaign_id, device_id=device_id, limit=limit)
        else:
            store_id = None
            if store is not None:
                named = stores_after(connection, tenant_id, after=0, limit=1, external_id=store)
                if not named:
                    raise NotFoundError(f"the tenant has no store {store!r}")
                store_id = named[0].store_id
            found = [rules.what_if(connection, asked, at=moment or clock.now(), device_id=device_id, store_id=store_id)]
        items = [DecisionView.of(one).model_dump(mode="json") for one in found]
    answer({"items": items}, as_json=as_json, text="\n\n".join(_lines(items)) or "Nothing was decided.")


def _lines(items: Iterable[dict[str, Any]]) -> Iterable[str]:
    for item in items:
        head = f"{item['outcome']}{'' if item['reason'] is None else ': ' + item['reason']}"
        told = "" if item["delivery"] is None else f", {item['delivery']} at {item['send_at']}"
        lines = [f"{item['decided_at']}  {head}{told}"]
        for gate in item["gates"]:
            verdict = "passed" if gate["passed"] else "FAILED"
            lines.append(f"  {gate['gate']:<15} {verdict}  {gate['value']}  (needs {gate['threshold']})")
        if item["reproduced"] is False:
            lines.append("  asked again, the rules say something else: the program has changed since")
        yield "\n".join(lines)


def dry_run(
    campaign: CampaignNumber,
    *,
    tenant: TenantName,
    days: Annotated[float, typer.Option(min=0.01, max=31, help="How much of the past is looked at.")] = 7.0,
    as_json: Json = False,
) -> None:
    """Ask the rules about the visits of the last days, as if the campaign had been live. Changes and sends nothing."""
    from geofences.store import find_tenant, use_tenant  # noqa: PLC0415
    from lbs import clock  # noqa: PLC0415
    from lbs.api.explain import DryRunView  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from offers import explain as rules  # noqa: PLC0415
    from offers.model import CampaignId  # noqa: PLC0415
    from offers.store import get_campaign  # noqa: PLC0415

    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
        use_tenant(connection, tenant_id)
        asked = get_campaign(connection, tenant_id=tenant_id, campaign_id=CampaignId(campaign)).campaign
        found = DryRunView.of(rules.dry_run(connection, asked, now=clock.now(), days=days)).model_dump(mode="json")
    lines = [f"{found['events']} visits of {days:g} days; {found['devices']} people would have been offered something."]
    lines += [f"  {name:<15} {n}" for name, n in found["decisions"].items()]
    lines += [f"    by {gate:<12} {n}" for gate, n in found["suppressed"].items()]
    answer(found, as_json=as_json, text="\n".join(lines))
