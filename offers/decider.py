"""From events to decisions: one shard at a time, one transaction with the shard's cursor.

The decider keeps the order of a device's events, so a cap per device never races; only stock rows are locked, in id
order. kill -9 repeats a batch whose transaction did not end, and makes the same rows: ids follow from what they name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from psycopg2.extras import execute_values

from geofences.ids import stable_id
from geofences.model import DeviceId, EventId, EventType, FenceId, Shard, StoreId, TenantId, VisitId
from geofences.sql import queries
from offers import ledger, rules
from offers.messages import NOTIFICATION_COLUMNS, Recipient, notification_rows
from offers.model import Campaign, CampaignId, Decision, DecisionId, Moment, Outcome, TriggerType
from offers.rules import Shopper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    from offers.catalogue import Catalogue, NamedPlace

log = structlog.get_logger(__name__)

TRIGGERS = {
    EventType.ENTERED: TriggerType.ENTER,
    EventType.DWELLED: TriggerType.DWELL,
    EventType.EXITED: TriggerType.EXIT,
    EventType.CROSSED: TriggerType.CROSSED,
}
EVENTS_A_BATCH = 1_000
NEW_NOTIFICATIONS_CHANNEL = "lbs_notifications"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One campaign at one moment."""

    campaign: Campaign
    moment: Moment
    place: NamedPlace
    told_before: bool = False
    """The moment may have been told and decided already: a late position told it again."""

    @property
    def decision_id(self) -> DecisionId:
        """At most one decision a campaign, device, root visit and trigger, or scheduled time and store."""
        moment = self.moment
        about = (
            (moment.root_visit_id, 0)
            if moment.root_visit_id is not None
            else (moment.store_id or 0, int(moment.at.timestamp()))
        )
        return DecisionId(
            stable_id(b"decision", self.campaign.campaign_id, moment.device_id, *about, text=moment.trigger)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    question: Question
    decision: Decision
    recipient: Recipient


class Decider:
    """Turns what happened into decisions. One at a time a shard, held by the cursor's row lock."""

    def __init__(self, *, database: sa.Engine, catalogue: Catalogue) -> None:
        self._database = database
        self._catalogue = catalogue

    def work(self, on_decided: Callable[[Sequence[Answer]], None] = lambda _: None) -> int:
        """Decides everything that waits; answers how many events and occasions that were."""
        with self._database.begin() as connection:
            self._catalogue.refresh(connection)
            waiting = connection.execute(queries("offers")["waiting_shards"]).scalars().all()
        handled = 0
        for shard in waiting:
            while True:
                with self._database.begin() as connection:
                    answers, n = self._decide_batch(connection, Shard(shard))
                on_decided(answers)
                handled += n
                if n < EVENTS_A_BATCH:
                    break
        return handled

    def _decide_batch(self, connection: sa.Connection, shard: Shard) -> tuple[list[Answer], int]:
        cursor = connection.execute(queries("offers")["lock_cursor"], {"shard": shard}).scalar_one()
        limits = {"shard": shard, "limit": EVENTS_A_BATCH}
        events = connection.execute(queries("offers")["events_after"], {**limits, "seq": cursor}).all()
        occasions = connection.execute(queries("offers")["undecided_occasions"], limits).all()
        questions = self._about_events(connection, events) + self._about_occasions(connection, occasions)
        answers = self._answer(connection, _not_decided(connection, questions))
        _write(connection, shard, answers)
        if events:
            connection.execute(queries("offers")["advance_cursor"], {"shard": shard, "seq": events[-1].seq})
        if occasions:
            seqs = [row.seq for row in occasions]
            connection.execute(queries("offers")["end_occasions"], {"shard": shard, "seqs": seqs})
        return answers, max(len(events), len(occasions))

    def _about_events(self, connection: sa.Connection, events: Sequence[Any]) -> list[Question]:
        concerned = [
            (row, campaign)
            for row in events
            if (trigger := TRIGGERS.get(EventType(row.type))) is not None
            for campaign in self._catalogue.campaigns_for(
                tenant_id=TenantId(row.tenant_id),
                trigger=trigger,
                fence_id=FenceId(row.fence_id),
                store_id=None if row.store_id is None else StoreId(row.store_id),
            )
        ]
        fence_ids = sorted({FenceId(row.fence_id) for row, _ in concerned})
        self._catalogue.load_places(connection, fence_ids=fence_ids, store_ids=[])
        return [
            Question(
                campaign=campaign,
                place=self._catalogue.fence_place(FenceId(row.fence_id)),
                moment=Moment(
                    trigger=TRIGGERS[EventType(row.type)],
                    at=row.at,
                    clock=row.clock,
                    device_id=DeviceId(row.device_id),
                    store_id=None if row.store_id is None else StoreId(row.store_id),
                    confidence=row.confidence,
                    already_inside=row.already_inside,
                    event_id=EventId(row.event_id),
                    root_visit_id=VisitId(row.root_visit_id),
                    received_at=row.received_at,
                ),
                told_before=row.told_before,
            )
            for row, campaign in concerned
        ]

    def _about_occasions(self, connection: sa.Connection, occasions: Sequence[Any]) -> list[Question]:
        self._catalogue.load_places(
            connection, fence_ids=[], store_ids=sorted({StoreId(row.store_id) for row in occasions})
        )
        return [
            Question(
                campaign=campaign,
                place=self._catalogue.store_place(StoreId(row.store_id)),
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
            if (campaign := self._catalogue.campaign(CampaignId(row.campaign_id))) is not None
        ]

    def _answer(self, connection: sa.Connection, questions: Sequence[Question]) -> list[Answer]:
        """Decides in order; what one decision takes, the next one no longer finds."""
        recipients = _recipients(connection, sorted({question.moment.device_id for question in questions}))
        questions = [question for question in questions if question.moment.device_id in recipients]
        if not questions:
            return []
        campaign_ids = sorted({question.campaign.campaign_id for question in questions})
        stock = ledger.lock_stock(connection, campaign_ids)
        earlier = _earlier_offers(connection, questions)
        answers = []
        reservations = []
        for question in questions:
            moment, campaign_id = question.moment, question.campaign.campaign_id
            recipient = recipients[moment.device_id]
            before = earlier.setdefault((campaign_id, moment.device_id), [])
            decision = rules.decide(
                question.campaign,
                moment,
                place=question.place.place,
                shopper=Shopper(push_consent=recipient.push_consent, channels=1 + len(recipient.channels)),
                earlier_offers=before,
                stock_left=stock.get(campaign_id),
            )
            if decision.outcome is Outcome.OFFERED:
                before.append(moment.clock)
                if campaign_id in stock:
                    stock[campaign_id] -= 1
                reservations.append(
                    (
                        question.decision_id,
                        question.campaign.tenant_id,
                        campaign_id,
                        moment.device_id,
                        moment.clock,
                        decision.expires_at,
                    )
                )
            answers.append(Answer(question=question, decision=decision, recipient=recipient))
        ledger.reserve(connection, reservations, limited=stock)
        return answers


def _not_decided(connection: sa.Connection, questions: Sequence[Question]) -> list[Question]:
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


def _recipients(connection: sa.Connection, device_ids: Sequence[DeviceId]) -> dict[DeviceId, Recipient]:
    """The devices that still exist, with the channels that work."""
    if not device_ids:
        return {}
    rows = connection.execute(queries("offers")["shoppers"], {"device_ids": list(device_ids)})
    return {
        DeviceId(row.device_id): Recipient(
            push_consent=row.push_consent,
            sandbox=row.sandbox,
            locale=row.locale,
            channels=tuple((channel["channel_id"], channel["type"]) for channel in row.channels),
        )
        for row in rows
    }


def _earlier_offers(
    connection: sa.Connection, questions: Sequence[Question]
) -> dict[tuple[CampaignId, DeviceId], list[Any]]:
    asked = sorted({(question.campaign.campaign_id, question.moment.device_id) for question in questions})
    rows = connection.execute(
        queries("offers")["earlier_offers"],
        {"campaign_ids": [pair[0] for pair in asked], "device_ids": [pair[1] for pair in asked]},
    )
    earlier: dict[tuple[CampaignId, DeviceId], list[Any]] = {}
    for row in rows:
        earlier.setdefault((CampaignId(row.campaign_id), DeviceId(row.device_id)), []).append(row.created_at)
    return earlier


def _write(connection: sa.Connection, shard: Shard, answers: Sequence[Answer]) -> None:
    cursor = connection.connection.cursor()
    if answers:
        execute_values(
            cursor,
            "INSERT INTO offers.decisions (decision_id, tenant_id, shard, campaign_id, campaign_version, device_id,"
            " store_id, event_id, root_visit_id, trigger_type, outcome, reason, gates, event_at, decided_at) VALUES %s",
            [_decision_row(shard, answer) for answer in answers],
            page_size=1000,
        )
    messages = [
        row
        for answer in answers
        if answer.decision.outcome is Outcome.OFFERED
        for row in notification_rows(
            campaign=answer.question.campaign,
            moment=answer.question.moment,
            place=answer.question.place,
            decision_id=answer.question.decision_id,
            expires_at=answer.decision.expires_at,
            recipient=answer.recipient,
        )
    ]
    if messages:
        execute_values(
            cursor,
            f"INSERT INTO offers.notifications ({NOTIFICATION_COLUMNS}) VALUES %s"  # noqa: S608 - our own constant
            " ON CONFLICT DO NOTHING",
            messages,
            page_size=1000,
        )
        cursor.execute(f"NOTIFY {NEW_NOTIFICATIONS_CHANNEL}")


def _decision_row(shard: Shard, answer: Answer) -> tuple[object, ...]:
    question, decision = answer.question, answer.decision
    moment = question.moment
    return (
        question.decision_id,
        question.campaign.tenant_id,
        shard,
        question.campaign.campaign_id,
        question.campaign.version,
        moment.device_id,
        moment.store_id,
        moment.event_id,
        moment.root_visit_id,
        moment.trigger,
        decision.outcome,
        decision.reason,
        msgspec.json.encode([gate.to_json() for gate in decision.gates]).decode(),
        moment.at,
        moment.clock,
    )
