"""A campaign's report: the funnel from its decisions to the tills, in all and by hour, day or store."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from lbs.deps import Permitted, ServicesDep, Tx
from lbs.errors import Fault, MalformedError
from lbs.fields import Instant, id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, cursor_of, cut, place_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from offers import funnel
from offers.attribution import Redeemed, redeemed
from offers.funnel import Asked, Funnel, Period
from offers.ledger import BudgetUsed, budgets_used
from offers.model import Campaign, CampaignId, Outcome
from offers.push import ChannelType
from offers.store import get_campaign

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"], route_class=Route)

By = Literal["hour", "day", "store"]
NO_STORE = -1
BUDGETS_AT_MOST = 20


class RedemptionSums(BaseModel):
    """What came of it at the tills. Money is exact text by currency; what was cancelled is in `cancelled` alone."""

    count: int
    amount: dict[str, str] = Field(description="What the orders came to.", examples=[{"EUR": "120.5"}])
    discount: dict[str, str] = Field(description="What the offer took off.")
    attributed_to_push: int = Field(description="Within the campaign's `attribution_s` after a message that was sent.")
    from_search: int = Field(description="Claimed by somebody who found the offer without a message.")
    visited: int = Field(description="Of the count, those who were seen in the store between offer and till.")
    cancelled: int
    by_store: dict[str, int] = Field(description="The count, by store.")

    @classmethod
    def of(cls, found: Redeemed) -> Self:
        return cls(
            count=found.count,
            amount=_money(found.amount),
            discount=_money(found.discount),
            attributed_to_push=found.attributed_to_push,
            from_search=found.from_search,
            visited=found.visited,
            cancelled=found.cancelled,
            by_store={str(store_id): n for store_id, n in found.by_store.items()},
        )


class FunnelView(BaseModel):
    """Decisions, each counted once at every step that it or any of its messages reached."""

    decided: int = Field(description="Moments at which somebody could have been offered it.")
    held_out: int = Field(description="Of the decided: not offered, by lot.")
    suppressed: int = Field(description="Of the decided: a gate failed.")
    suppressed_by: dict[str, int] = Field(description="The suppressed, by gate.", examples=[{"cap": 12}])
    offered: int = Field(description="Of the decided: all gates passed.")
    queued: int = Field(description="Of the offered: a message still waits.")
    sent: int = Field(description="Of the offered: a provider took a message over, or it lies in the inbox.")
    delivered: int = Field(description="A message reached the phone, as far as anybody told.")
    displayed: int = Field(description="A message was shown.")
    opened: int = Field(description="A message was opened.")
    dismissed: int = Field(description="A message was wiped away; it may have been opened too.")
    failed: int = Field(description="Of the offered: a message could not be sent; another may have been.")
    failed_by: dict[str, int] = Field(description="The failed, by reason; one may have several.")
    expired: int = Field(description="Of the offered: a message was not sent before the offer ended.")
    withheld: int = Field(description="Of the offered: a message was not sent, because something had changed.")
    withheld_by: dict[str, int] = Field(description="The withheld, by reason.", examples=[{"campaign_paused": 3}])
    visited: int | None = Field(
        description="Of the sent: the person came to a store of the campaign within `attribution_s` after the decision,"
        " without the visit that brought it. Rounded down to a multiple of `k`; null: fewer than `k` people came."
    )
    claimed: int = Field(description="Of the offered: a code was given out for it.")
    redeemed: int = Field(description="Of the claimed: used at a till, and not cancelled since.")
    revenue: dict[str, str] = Field(description="What their orders came to, by currency.", examples=[{"EUR": "120.5"}])

    @classmethod
    def of(cls, found: Funnel, **more: str | None) -> Self:
        given: dict[str, Any] = {
            **{word: found.count(word) for word in funnel.COUNTS},
            **{group: getattr(found, group) for group in funnel.REASONS},
            **more,
        }
        return cls(revenue=_money(found.revenue), **given)


class FunnelRow(FunnelView):
    """The decisions of one hour, day or store; what came of them later counts here too."""

    period: str | None = Field(
        default=None,
        description="In the stores' own time: when an hour began, with its offset, or a day.",
        examples=["2026-06-01T12:00:00+03:00", "2026-06-01"],
    )
    store_id: str | None = Field(default=None, description="Null among stores: places that are no store.")


class BudgetView(BaseModel):
    """Money of the campaign: what reservations hold of it, and what was redeemed. Exact text."""

    scope: str = Field(examples=["total", "store:12", "day:2026-06-01"])
    most: str
    reserved: str

    @classmethod
    def of(cls, found: BudgetUsed) -> Self:
        return cls(scope=found.scope, most=_plain(found.most), reserved=_plain(found.reserved))


class Report(BaseModel):
    """What came of the campaign, or of what it decided in [from, to)."""

    campaign_id: str
    decisions: dict[str, int] = Field(description="By outcome.")
    suppressed: dict[str, int] = Field(description="Suppressed decisions by the gate that failed.")
    notifications: dict[str, dict[str, int]] = Field(description="Messages by channel and state.")
    redemptions: RedemptionSums
    budgets: list[BudgetView] = Field(
        description="Limited money as it stands now: in all, then the stores and days that are nearest to their end."
    )
    k: int = Field(description="`visited` rests on no fewer people.")
    attribution_s: float
    funnel: FunnelView
    by: By | None
    items: list[FunnelRow] = Field(description="By `by`; hours and days in order, those without a decision left out.")
    next_cursor: str | None = Field(description="Of stores: where the next page begins; null on the last page.")


@router.get(
    "/{campaign_id}/report",
    operation_id="report_campaign",
    response_model=Report,
    responses={
        **OF_EVERY_READ,
        **declared(404),
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "One line an item, or in all."},
    },
)
def report(
    campaign_id: str,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    by: Annotated[By | None, Query(description="None: in all only.")] = None,
    start: Annotated[
        Instant, Query(alias="from", description="Decisions from then on; hours and days that begin from then on.")
    ] = funnel.EVER[0],
    end: Annotated[
        Instant, Query(alias="to", description="Decisions before it; hours and days that begin before it.")
    ] = funnel.EVER[1],
    channel: Annotated[ChannelType | None, Query(description="Only messages of this channel. None: of any.")] = None,
    format: Annotated[Literal["json", "csv"], Query()] = "json",  # noqa: A002 - the parameter's public name
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Report | Response:
    """Follow the campaign's decisions to messages, visits and tills: in all, and by store-local hour, day or store."""
    internal_id = CampaignId(id_of(campaign_id, "campaign"))
    campaign = get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=internal_id).campaign
    asked = Asked(start=start, end=end, channel=channel)
    k = services.settings.k_anonymity
    if format == "csv":
        return _csv(connection, campaign, asked, by, k=k)
    after = NO_STORE if cursor is None else place_of(cursor, int)
    return report_of(connection, campaign, asked, by, k=k, after=after, limit=limit)


def report_of(
    connection: sa.Connection,
    campaign: Campaign,
    asked: Asked,
    by: By | None,
    *,
    k: int,
    after: int = NO_STORE,
    limit: int = DEFAULT_LIMIT,
) -> Report:
    whole = funnel.total(connection, campaign, asked, k=k)
    items: list[FunnelRow] = []
    next_cursor = None
    if by == "store":
        found = funnel.by_store(connection, campaign, asked, k=k, after=after, limit=limit + 1)
        page, more = cut(list(found), limit)
        items = [FunnelRow.of(found[store_id], store_id=str(store_id) if store_id else None) for store_id in page]
        next_cursor = cursor_of(page[-1]) if more else None
    elif by is not None:
        rows = _by_period(connection, campaign, asked, Period(by), k=k)
        items = [FunnelRow.of(row, period=period) for period, row in rows.items()]
    made = Report(
        campaign_id=str(campaign.campaign_id),
        decisions={outcome: whole.counts[outcome] for outcome in Outcome if whole.counts[outcome]},
        suppressed=whole.suppressed_by,
        notifications={},
        redemptions=RedemptionSums.of(redeemed(connection, campaign.campaign_id, start=asked.start, end=asked.end)),
        budgets=[BudgetView.of(one) for one in budgets_used(connection, campaign.campaign_id, most=BUDGETS_AT_MOST)],
        k=k,
        attribution_s=campaign.definition.attribution_s,
        funnel=FunnelView.of(whole),
        by=by,
        items=items,
        next_cursor=next_cursor,
    )
    for row in funnel.messages(connection, campaign, asked):
        made.notifications.setdefault(row.channel, {})[row.state] = row.n
    return made


def _csv(connection: sa.Connection, campaign: Campaign, asked: Asked, by: By | None, *, k: int) -> Response:
    """All there is: a file has no pages."""
    rows: list[tuple[str, Funnel]]
    if by is None:
        rows = [("all", funnel.total(connection, campaign, asked, k=k))]
    elif by == "store":
        found = funnel.by_store(connection, campaign, asked, k=k)
        rows = [(str(store_id) if store_id else "", row) for store_id, row in found.items()]
    else:
        rows = list(_by_period(connection, campaign, asked, Period(by), k=k).items())
    name = f"report-{campaign.campaign_id}{'' if by is None else f'-by-{by}'}.csv"
    return Response(
        funnel.as_csv({"store": "store_id", None: "decisions"}.get(by, "period"), rows),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
    )


def _by_period(
    connection: sa.Connection, campaign: Campaign, asked: Asked, period: Period, *, k: int
) -> dict[str, Funnel]:
    try:
        return funnel.by_period(connection, campaign, asked, period, k=k)
    except ValueError as error:
        raise MalformedError(str(error), Fault("query.to", str(error))) from error


def _money(sums: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: _plain(amount) for currency, amount in sorted(sums.items())}


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
