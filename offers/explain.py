"""Why somebody got an offer or not, and what would happen if: the decider's own rules, asked again. Writes nothing.

A stored decision is asked again from what is stored with it, and must give the same answer to the bit. A question
"what if" takes what is known now, or a campaign's past events, down the same road.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from geofences.errors import NotFoundError
from geofences.model import DeviceId, EventType, FenceId, LatLng, StoreId, TenantId, VisitId
from geofences.sql import queries
from geofences.zones import zone
from offers import facts as known
from offers import ledger, rules
from offers.catalogue import Catalogue, hours_of
from offers.decisions import answer, budgets_of, decode_gates, encode_gates, given_now, reservation_of
from offers.definition import CampaignDefinition, EventTrigger
from offers.errors import InvalidCampaignError
from offers.model import Campaign, CampaignId, CampaignStatus, Gate, GateResult, Moment, Outcome, TriggerType
from offers.questions import TRIGGERS, Question, about_events, by_priority
from offers.rules import Place
from offers.shoppers import Recipient, counts_since, given_before, load_recipients

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from offers.catalogue import NamedPlace
    from offers.facts import Given
    from offers.model import Decision

EVENTS_AT_MOST: Final = 50_000
"""How many past events a dry run looks at, the newest."""
ANONYMOUS: Final = DeviceId(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One decision, stored or supposed."""

    decision_id: int | None
    """None: it was never made."""
    campaign_version: int
    store_id: StoreId | None
    trigger: str
    outcome: Outcome
    reason: Gate | None
    gates: Sequence[GateResult]
    event_at: datetime
    decided_at: datetime
    decision: Decision | None
    """Asked again; None where what it rested on was erased."""
    reproduced: bool | None
    """Whether a stored decision, asked again, gives the same outcome and gates to the bit."""


def stored(connection: sa.Connection, *, campaign_id: CampaignId, device_id: DeviceId, limit: int) -> list[Explained]:
    """The decisions made on a campaign for a device, newest first, each asked again."""
    named = {"campaign_id": campaign_id, "device_id": device_id, "limit": limit}
    return [explain_row(row) for row in connection.execute(queries("offers")["stored_decisions"], named)]


def explain_row(row: Any) -> Explained:
    """A row of the block `stored_decisions`."""
    again = _again(row)
    return Explained(
        decision_id=row.decision_id,
        campaign_version=row.campaign_version,
        store_id=None if row.store_id is None else StoreId(row.store_id),
        trigger=row.trigger_type,
        outcome=Outcome(row.outcome),
        reason=None if row.reason is None else Gate(row.reason),
        gates=decode_gates(row.gates),
        event_at=row.event_at,
        decided_at=row.decided_at,
        decision=again,
        reproduced=None if again is None else _same(row, again),
    )


def _same(row: Any, again: Decision) -> bool:
    gates = msgspec.json.decode(encode_gates(again))
    return (row.outcome, row.reason) == (again.outcome, again.reason) and bool(row.gates == gates)


def _again(row: Any) -> Decision | None:
    if not row.facts or row.definition is None or row.timezone is None:
        return None
    facts = msgspec.convert(row.facts, known.Facts, strict=False)
    definition = CampaignDefinition.model_validate(row.definition)
    campaign = Campaign(
        campaign_id=CampaignId(row.campaign_id),
        tenant_id=TenantId(row.tenant_id),
        status=CampaignStatus.LIVE,
        version=row.campaign_version,
        definition=definition,
        schedule=definition.windows.schedule(),
        fence_ids=frozenset(),
        store_ids=frozenset(),
        stock=definition.stock,
        holdout_salt=bytes(row.holdout_salt),
    )
    moment = Moment(
        trigger=TriggerType(row.trigger_type),
        at=row.event_at,
        clock=row.decided_at,
        device_id=DeviceId(row.device_id),
        store_id=None if row.store_id is None else StoreId(row.store_id),
        confidence=facts.confidence,
        already_inside=facts.already_inside,
        root_visit_id=None if row.root_visit_id is None else VisitId(row.root_visit_id),
        dwell_s=facts.dwell_s,
    )
    location = LatLng(lat=row.lat, lng=row.lng)
    place = Place(zone=zone(row.timezone), hours=hours_of(row.opening_hours, row.timezone, location))
    return rules.decide(campaign, moment, place=place, shopper=facts.shopper, standing=facts.standing)


def what_if(
    connection: sa.Connection,
    campaign: Campaign,
    *,
    at: datetime,
    device_id: DeviceId | None,
    store_id: StoreId | None = None,
    fence_id: FenceId | None = None,
) -> Explained:
    """What the rules would say of a device, or of somebody unknown, at a place and time.

    The moment is one that the campaign waits for, and is known at once and for sure. An unknown person has consented,
    was never offered anything and takes no part in the holdout. NotFoundError, InvalidCampaignError.
    """
    place = _place_of(connection, campaign, store_id=store_id, fence_id=fence_id)
    trigger = campaign.definition.trigger
    question = Question(
        campaign=campaign,
        place=place,
        moment=Moment(
            trigger=TriggerType(trigger.type),
            at=at,
            clock=at,
            device_id=ANONYMOUS if device_id is None else device_id,
            store_id=place.store_id,
            confidence=1.0,
            already_inside=trigger.type == "already_inside",
            dwell_s=trigger.min_dwell_s if isinstance(trigger, EventTrigger) else 0.0,
        ),
    )
    recipient, given = _known_of(connection, campaign, device_id=device_id, at=at)
    supply = ledger.look_at_supply(connection, [campaign.campaign_id], budgets_of([question]))
    made = answer(question, recipient, given, supply)
    decision = made.decision
    if device_id is None:
        standing = msgspec.structs.replace(made.facts.standing, draw=None)
        decision = rules.decide(
            campaign, question.moment, place=place.place, shopper=made.facts.shopper, standing=standing
        )
    return Explained(
        decision_id=None,
        campaign_version=campaign.version,
        store_id=place.store_id,
        trigger=trigger.type,
        outcome=decision.outcome,
        reason=decision.reason,
        gates=decision.gates,
        event_at=at,
        decided_at=at,
        decision=decision,
        reproduced=None,
    )


def _place_of(
    connection: sa.Connection, campaign: Campaign, *, store_id: StoreId | None, fence_id: FenceId | None
) -> NamedPlace:
    catalogue = Catalogue.of(campaign)
    if store_id is None and fence_id is None:
        if len(campaign.store_ids) + len(campaign.fence_ids) != 1:
            raise InvalidCampaignError("the campaign has more than one place: name a store or a fence")
        store_id, fence_id = next(iter(campaign.store_ids), None), next(iter(campaign.fence_ids), None)
    named = (store_id, fence_id)
    catalogue.load_places(
        connection,
        fence_ids=[] if fence_id is None else [fence_id],
        store_ids=[] if store_id is None else [store_id],
    )
    try:
        if store_id is not None:
            return catalogue.store_place(store_id)
        assert fence_id is not None
        return catalogue.fence_place(fence_id)
    except KeyError as error:
        raise NotFoundError(f"no such place: {next(one for one in named if one is not None)}") from error


def _known_of(
    connection: sa.Connection, campaign: Campaign, *, device_id: DeviceId | None, at: datetime
) -> tuple[Recipient, list[Given]]:
    if device_id is None:
        return _anybody(campaign, at), []
    recipient = load_recipients(connection, [device_id], [campaign])[device_id]
    given = given_before(connection, [recipient], since=counts_since([campaign], at))[recipient.person]
    return recipient, [one for one in given if one.at <= at]


def _anybody(campaign: Campaign, at: datetime) -> Recipient:
    return Recipient(
        device_id=ANONYMOUS,
        tenant_id=campaign.tenant_id,
        person=ANONYMOUS,
        shared=False,
        sandbox=False,
        push_consent=True,
        locale=None,
        timezone=None,
        quiet_times=None,
        attributes={},
        created_at=at,
        vouched_at=at,
        channels=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a campaign would have done with what happened."""

    since: datetime
    before: datetime
    events: int
    complete: bool
    """False if there were more events than a dry run looks at: the newest count."""
    devices: int
    """That would have been offered something."""
    offered: int
    held_out: int
    suppressed: Counter[Gate]
    by_store: Counter[StoreId]


def dry_run(connection: sa.Connection, campaign: Campaign, *, now: datetime, days: float) -> DryRun:
    """Asks the rules about the events of the last days as if the campaign had been live, with all its stock and budget.

    People's consents, channels and attributes are those of today. InvalidCampaignError for a scheduled campaign, which
    waits for no events.
    """
    trigger = campaign.definition.trigger
    if not isinstance(trigger, EventTrigger):
        raise InvalidCampaignError("a scheduled campaign waits for a time, not for events: preview its windows")
    types = {kind: type_ for type_, kind in TRIGGERS.items()} | {TriggerType.ALREADY_INSIDE: EventType.ENTERED}
    since = now - timedelta(days=days)
    rows = connection.execute(
        queries("offers")["events_of_campaign"],
        {
            "tenant_id": campaign.tenant_id,
            "type": types[TriggerType(trigger.type)],
            "since": since,
            "until": now,
            "limit": EVENTS_AT_MOST,
        },
    ).all()
    questions = by_priority(about_events(connection, rows, Catalogue.of(campaign)))
    return _run(connection, campaign, questions, since=since, before=now, complete=len(rows) < EVENTS_AT_MOST)


def _run(
    connection: sa.Connection,
    campaign: Campaign,
    questions: Sequence[Question],
    *,
    since: datetime,
    before: datetime,
    complete: bool,
) -> DryRun:
    device_ids = sorted({question.moment.device_id for question in questions})
    recipients = load_recipients(connection, device_ids, [campaign])
    given: dict[int, list[Given]] = {}
    supply = ledger.full_supply(campaign, budgets_of(questions))
    outcomes: Counter[Outcome] = Counter()
    suppressed: Counter[Gate] = Counter()
    by_store: Counter[StoreId] = Counter()
    offered_to = set()
    for question in questions:
        recipient = recipients.get(question.moment.device_id)
        if recipient is None:
            continue
        before_it = given.setdefault(recipient.person, [])
        made = answer(question, recipient, before_it, supply)
        outcomes[made.decision.outcome] += 1
        if made.decision.outcome is Outcome.SUPPRESSED:
            assert made.decision.reason is not None
            suppressed[made.decision.reason] += 1
            continue
        reservation = reservation_of(made)
        before_it.append(given_now(reservation))
        if reservation.holds:
            supply.take(reservation)
            offered_to.add(recipient.person)
            if question.place.store_id is not None:
                by_store[question.place.store_id] += 1
    return DryRun(
        since=since,
        before=before,
        events=len(questions),
        complete=complete,
        devices=len(offered_to),
        offered=outcomes[Outcome.OFFERED],
        held_out=outcomes[Outcome.HELD_OUT],
        suppressed=suppressed,
        by_store=by_store,
    )
