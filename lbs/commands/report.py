"""`lbs campaign report`: the funnel of a campaign, in all and by hour, day or store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from lbs.commands.terminal import Json, TenantName, answer
from lbs.runtime import resolve
from lbs.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

CampaignNumber = Annotated[int, typer.Argument(metavar="CAMPAIGN", min=1, help="The campaign's number.")]


def report(
    campaign: CampaignNumber,
    *,
    tenant: TenantName,
    by: Annotated[
        Literal["hour", "day", "store"] | None,
        typer.Option(help="Rows of the stores' local hours or days, or of stores."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Stores to show.")] = 1000,
    as_json: Json = False,
) -> None:
    """Tell how far a campaign's decisions came: offered, sent, opened, visited, redeemed."""
    from geofences.store import find_tenant, use_tenant  # noqa: PLC0415
    from lbs.api.reports import report_of  # noqa: PLC0415
    from lbs.connections import Role, database  # noqa: PLC0415
    from offers.funnel import Asked  # noqa: PLC0415
    from offers.model import CampaignId  # noqa: PLC0415
    from offers.store import get_campaign  # noqa: PLC0415

    settings = resolve(Settings(), with_redis=False)
    with database(settings, Role.SYSTEM).begin() as connection:
        tenant_id = find_tenant(connection, tenant).tenant_id
        use_tenant(connection, tenant_id)
        asked = get_campaign(connection, tenant_id=tenant_id, campaign_id=CampaignId(campaign)).campaign
        found = report_of(connection, asked, Asked(), by, k=settings.k_anonymity, limit=limit)
    shown = found.model_dump(mode="json")
    answer(shown, as_json=as_json, text="\n".join(_lines(shown)))


def _lines(shown: dict[str, Any]) -> Iterator[str]:
    """The whole funnel, one step a line with its reasons; then the rows, with the steps most asked for."""
    for word, value in shown["funnel"].items():
        if isinstance(value, dict):
            yield from (f"  {detail:<22} {n:>10}" for detail, n in value.items())
        else:
            yield f"{word:<24} {_told(value):>10}"
    columns = ("decided", "offered", "sent", "opened", "visited", "claimed", "redeemed")
    if shown["items"]:
        yield ""
        yield f"{shown['by']:<26}" + "".join(f"{word:>10}" for word in columns)
    for item in shown["items"]:
        label = item["period"] or item["store_id"] or "no store"
        yield f"{label:<26}" + "".join(f"{_told(item[word]):>10}" for word in columns)


def _told(value: int | None) -> str:
    return "withheld" if value is None else str(value)
