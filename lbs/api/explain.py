"""Why a device got an offer or not, what would happen if, and what a campaign would have done."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from geofences.model import FenceId, StoreId
from geofences.store import find_device
from lbs.deps import Permitted, ServicesDep, Tx
from lbs.fields import ExternalId, Instant, id_of
from lbs.paging import DEFAULT_LIMIT, Limit
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from offers import explain
from offers.explain import DryRun, Explained
from offers.model import CampaignId, Delivery, Gate, GateResult, Outcome
from offers.store import get_campaign

router = APIRouter(prefix="/v1/campaigns", tags=["campaigns"], route_class=Route)


class GateView(BaseModel):
    """What one gate saw, and what it lets through."""

    gate: Gate
    passed: bool
    value: Any
    threshold: Any

    @classmethod
    def of(cls, result: GateResult) -> Self:
        return cls(gate=result.gate, passed=result.passed, value=result.value, threshold=result.threshold)


class DecisionView(BaseModel):
    """One decision with the outcome of every gate that was asked, up to the first that failed."""

    decision_id: str | None = Field(description="Null: it is only supposed.")
    campaign_version: int
    store_id: str | None
    trigger: str
    outcome: Outcome
    reason: Gate | None = Field(description="The gate that failed; null: all passed.")
    gates: list[GateView]
    delivery: Delivery | None = Field(description="How an offer is told; null where none is made.")
    send_at: datetime | None = Field(description="When it is told: later than decided where somebody wants quiet.")
    expires_at: datetime | None = Field(description="When the offer ends.")
    event_at: datetime
    decided_at: datetime
    reproduced: bool | None = Field(
        description="Whether the rules, asked again with what was known then, say the same to the bit; null: "
        "supposed, or what was known is erased."
    )

    @classmethod
    def of(cls, one: Explained) -> Self:
        offered = one.decision if one.outcome is Outcome.OFFERED else None
        return cls(
            decision_id=None if one.decision_id is None else str(one.decision_id),
            campaign_version=one.campaign_version,
            store_id=None if one.store_id is None else str(one.store_id),
            trigger=one.trigger,
            outcome=one.outcome,
            reason=one.reason,
            gates=[GateView.of(result) for result in one.gates],
            delivery=None if offered is None else offered.delivery,
            send_at=None if offered is None else offered.send_at,
            expires_at=None if offered is None else offered.expires_at,
            event_at=one.event_at,
            decided_at=one.decided_at,
            reproduced=one.reproduced,
        )


class Explanation(BaseModel):
    """Stored decisions, newest first, or one that is supposed."""

    items: list[DecisionView]


class DryRunBody(BaseModel):
    """Which past is looked at."""

    model_config = ConfigDict(extra="forbid")

    days: Annotated[float, Field(gt=0, le=31)] = 7


class DryRunView(BaseModel):
    """What the campaign would have done with the visits of the last days, all its stock and budget being there."""

    since: datetime
    before: datetime
    events: int
    complete: bool = Field(description="False: there were more events, and the newest of them were looked at.")
    devices: int = Field(description="People who would have been offered something.")
    decisions: dict[Outcome, int]
    suppressed: dict[Gate, int] = Field(description="By the gate that failed.")
    by_store: dict[str, int] = Field(description="Offers by store.")

    @classmethod
    def of(cls, run: DryRun) -> Self:
        return cls(
            since=run.since,
            before=run.before,
            events=run.events,
            complete=run.complete,
            devices=run.devices,
            decisions={
                Outcome.OFFERED: run.offered,
                Outcome.HELD_OUT: run.held_out,
                Outcome.SUPPRESSED: run.suppressed.total(),
            },
            suppressed=dict(run.suppressed),
            by_store={str(store_id): n for store_id, n in sorted(run.by_store.items())},
        )


@router.get("/{campaign_id}/explain", operation_id="explain_campaign", responses={**OF_EVERY_READ, **declared(404)})
def explain_campaign(
    campaign_id: str,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    device_id: Annotated[ExternalId | None, Query(description="Whose decisions; none: anybody's, supposed.")] = None,
    at: Annotated[Instant | None, Query(description="Suppose the campaign's moment came then.")] = None,
    store_id: Annotated[str | None, Query(description="Suppose it came at this store.")] = None,
    fence_id: Annotated[str | None, Query(description="Suppose it came at this fence.")] = None,
    limit: Limit = DEFAULT_LIMIT,
) -> Explanation:
    """Say why a device got this campaign's offer or why not; or what would happen at a time and place.

    With a device alone: its stored decisions, newest first, each asked again. With a time or place, or without a
    device: what the same rules say now of that moment. A supposed person without a device has consented, was never
    offered anything and has no attributes.
    """
    campaign = get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=_id(campaign_id)).campaign
    device = None
    if device_id is not None:
        device = find_device(connection, tenant_id=caller.tenant_id, external_id=device_id).device_id
    if device is not None and at is None and store_id is None and fence_id is None:
        found = explain.stored(connection, campaign_id=campaign.campaign_id, device_id=device, limit=limit)
    else:
        supposed = explain.what_if(
            connection,
            campaign,
            at=at or services.now(),
            device_id=device,
            store_id=None if store_id is None else StoreId(id_of(store_id, "store")),
            fence_id=None if fence_id is None else FenceId(id_of(fence_id, "fence")),
        )
        found = [supposed]
    return Explanation(items=[DecisionView.of(one) for one in found])


@router.post("/{campaign_id}/dry-run", operation_id="dry_run_campaign", responses={**OF_EVERY_WRITE, **declared(404)})
def dry_run_campaign(
    campaign_id: str, body: DryRunBody, caller: Permitted, connection: Tx, services: ServicesDep
) -> DryRunView:
    """Ask the rules about the visits of the last days, as if the campaign had been live. Changes and sends nothing."""
    campaign = get_campaign(connection, tenant_id=caller.tenant_id, campaign_id=_id(campaign_id)).campaign
    return DryRunView.of(explain.dry_run(connection, campaign, now=services.now(), days=body.days))


def _id(text: str) -> CampaignId:
    return CampaignId(id_of(text, "campaign"))
