"""What has to be decided: each event with each campaign that waits for it, each due occasion with its campaign.

Asks Postgres, decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from geofences.ids import stable_id
from geofences.model import DeviceId, EventId, EventType, FenceId, StoreId, TenantId, VisitId
from geofences.sql import queries
from offers.model import Campaign, CampaignId, DecisionId, Moment, TriggerType

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa

    from offers.catalogue import Catalogue, NamedPlace

TRIGGERS: Final = {
    EventType.ENTERED: TriggerType.ENTER,
    EventType.DWELLED: TriggerType.DWELL,
    EventType.EXITED: TriggerType.EXIT,
    EventType.CROSSED: TriggerType.CROSSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One campaign at one moment."""

    campaign: Campaign
    moment: Moment
    place: NamedPlace
    told_before: bool = False
    """The moment may have been told and decided already: a late position told it again."""
    decision_id: DecisionId = field(init=False)
    """At most one decision a campaign, device, root visit and trigger, or scheduled time and store."""

    def __post_init__(self) -> None:
        moment = self.moment
        about = (
            (moment.root_visit_id, 0)
            if moment.root_visit_id is not None
            else (moment.store_id or 0, int(moment.at.timestamp()))
        )
        number = stable_id(b"decision", self.campaign.campaign_id, moment.device_id, *about, text=moment.trigger)
        object.__setattr__(self, "decision_id", DecisionId(number))


def about_events(connection: sa.Connection, events: Sequence[Any], catalogue: Catalogue) -> list[Question]:
    concerned = [
        (row, campaign)
        for row in events
        for trigger in _triggers(row)
        for campaign in catalogue.campaigns_for(
            tenant_id=TenantId(row.tenant_id),
            trigger=trigger,
            fence_id=FenceId(row.fence_id),
            store_id=None if row.store_id is None else StoreId(row.store_id),
        )
    ]
    fence_ids = sorted({FenceId(row.fence_id) for row, _ in concerned})
    catalogue.load_places(connection, fence_ids=fence_ids, store_ids=[])
    return [
        Question(
            campaign=campaign,
            place=catalogue.fence_place(FenceId(row.fence_id)),
            moment=Moment(
                trigger=TriggerType(campaign.definition.trigger.type),
                at=row.at,
                clock=row.clock,
                device_id=DeviceId(row.device_id),
                store_id=None if row.store_id is None else StoreId(row.store_id),
                confidence=row.confidence,
                already_inside=row.already_inside,
                event_id=EventId(row.event_id),
                root_visit_id=VisitId(row.root_visit_id),
                dwell_s=0.0 if row.dwell_s is None else float(row.dwell_s),
                received_at=row.received_at,
            ),
            told_before=row.told_before,
        )
        for row, campaign in concerned
    ]


def _triggers(row: Any) -> list[TriggerType]:
    trigger = TRIGGERS.get(EventType(row.type))
    if trigger is None:
        return []
    also_inside = trigger is TriggerType.ENTER and row.already_inside
    return [trigger, TriggerType.ALREADY_INSIDE] if also_inside else [trigger]


def about_occasions(connection: sa.Connection, occasions: Sequence[Any], catalogue: Catalogue) -> list[Question]:
    store_ids = sorted({StoreId(row.store_id) for row in occasions})
    catalogue.load_places(connection, fence_ids=[], store_ids=store_ids)
    return [
        Question(
            campaign=campaign,
            place=catalogue.store_place(StoreId(row.store_id)),
            moment=Moment(
                trigger=TriggerType.SCHEDULED,
                at=row.due_at,
                clock=row.clock,
                device_id=DeviceId(row.device_id),
                store_id=StoreId(row.store_id),
                confidence=1.0,
                already_inside=False,
            ),
        )
        for row in occasions
        if (campaign := catalogue.campaign(CampaignId(row.campaign_id))) is not None
    ]


def not_decided(connection: sa.Connection, questions: Sequence[Question]) -> list[Question]:
    """Without those that were decided before: a correction never brings a second decision."""
    doubtful = [question for question in questions if question.told_before]
    decided: set[int] = set()
    if doubtful:
        rows = connection.execute(
            queries("offers")["decided_before"],
            {
                "tenant_ids": sorted({question.campaign.tenant_id for question in doubtful}),
                "device_ids": sorted({question.moment.device_id for question in doubtful}),
                "decision_ids": [question.decision_id for question in doubtful],
            },
        )
        decided.update(rows.scalars())
    kept = []
    for question in questions:
        if question.decision_id not in decided:
            decided.add(question.decision_id)
            kept.append(question)
    return kept


def by_priority(questions: Sequence[Question]) -> list[Question]:
    """As they became known; of what became known together of one moment, the campaign of the highest priority first.

    What became known of the same moment later waits its turn, so that the answer does not depend on how much is read at
    a time.
    """
    first: dict[tuple[DeviceId, object, object], int] = {}
    for number, question in enumerate(questions):
        first.setdefault(_known_together(question), number)

    def rank(question: Question) -> tuple[int, int, int]:
        campaign = question.campaign
        return first[_known_together(question)], -campaign.definition.priority, campaign.campaign_id

    return sorted(questions, key=rank)


def _known_together(question: Question) -> tuple[DeviceId, object, object]:
    moment = question.moment
    return moment.device_id, moment.at, moment.clock
