"""An answered question, and the rows it becomes: the decision with its reasons, the reservation, the messages."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa

from geofences.log import shard_of
from geofences.model import LatLng
from geofences.sql import queries
from geofences.zones import zone as zone_named
from offers import ledger, rows, rules
from offers.definition import Stacking
from offers.facts import Facts, Given, budget_limits, local_day, standing_of
from offers.ledger import Reservation
from offers.messages import NOTIFICATION_COLUMNS, notification_rows
from offers.model import DecisionId, Gate, GateResult, Outcome, ReservationState
from offers.templates import Placeholder
from offers.wording import asks_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from decimal import Decimal

    from geofences.model import TenantId
    from offers.facts import Shopper, Standing
    from offers.ledger import Supply
    from offers.model import CampaignId, Decision
    from offers.questions import Question
    from offers.shoppers import Recipient

NO_CODES: Final[Mapping[DecisionId, str]] = MappingProxyType({})
NEW_NOTIFICATIONS_CHANNEL: Final = "lbs_notifications"
DECISION_COLUMNS: Final = (
    "decision_id", "tenant_id", "shard", "campaign_id", "campaign_version", "device_id", "store_id", "event_id",
    "root_visit_id", "trigger_type", "outcome", "reason", "gates", "facts", "place_id", "delivery", "event_at",
    "decided_at",
)  # fmt: skip


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    question: Question
    decision: Decision
    facts: Facts
    recipient: Recipient


def answer(question: Question, recipient: Recipient, given: Sequence[Given], supply: Supply) -> Answer:
    """Asks the rules. `given` is all that counts for the person; `supply` what the campaign has left."""
    campaign, moment, place = question.campaign, question.moment, question.place.place
    shopper = recipient.shopper(campaign, moment.clock)
    standing = standing_for(question, recipient, given, supply)
    return Answer(
        question=question,
        decision=rules.decide(campaign, moment, place=place, shopper=shopper, standing=standing),
        facts=facts_of(question, shopper, standing),
        recipient=recipient,
    )


def standing_for(question: Question, recipient: Recipient, given: Sequence[Given], supply: Supply) -> Standing:
    campaign, moment, place = question.campaign, question.moment, question.place.place
    money = supply.money.get(campaign.campaign_id, {})
    return standing_of(
        campaign,
        moment,
        given,
        zone=place.zone if recipient.timezone is None else zone_named(recipient.timezone),
        person=recipient.person,
        stock_left=supply.stock.get(campaign.campaign_id),
        new_stock_left=supply.new_stock.get(campaign.campaign_id),
        budget_left={scope: money[scope] for scope in budget_limits(campaign, moment, place.zone) if scope in money},
    )


def facts_of(question: Question, shopper: Shopper, standing: Standing) -> Facts:
    moment = question.moment
    return Facts(
        shopper=shopper,
        standing=standing,
        confidence=moment.confidence,
        already_inside=moment.already_inside,
        dwell_s=moment.dwell_s,
    )


def budgets_of(questions: Iterable[Question]) -> dict[tuple[CampaignId, str], tuple[TenantId, Decimal]]:
    """All budgets that these questions may draw on: whose they are, and the most they may hold.

    Those without a limit are among them: it may get one while they hold money.
    """
    found = {}
    for question in questions:
        campaign, moment, zone = question.campaign, question.moment, question.place.place.zone
        if campaign.definition.budget is not None:
            limits = budget_limits(campaign, moment, zone)
            for scope in ledger.scopes_of(moment.store_id, local_day(moment.clock, zone)):
                key = campaign.campaign_id, scope
                found[key] = campaign.tenant_id, limits.get(scope, ledger.UNLIMITED)
    return found


def reservation_of(made: Answer) -> Reservation:
    """What an offer holds, or the ghost of one that was held out."""
    question, decision = made.question, made.decision
    campaign, moment = question.campaign, question.moment
    return Reservation(
        decision_id=question.decision_id,
        tenant_id=campaign.tenant_id,
        campaign_id=campaign.campaign_id,
        device_id=moment.device_id,
        store_id=moment.store_id,
        brand=campaign.definition.brand,
        state=ReservationState.HELD if decision.outcome is Outcome.OFFERED else ReservationState.GHOST,
        event_at=moment.at,
        delivery=decision.delivery,
        exclusive=campaign.definition.stacking is Stacking.EXCLUSIVE,
        new_device=made.facts.shopper.new,
        cost=decision.cost,
        budget_day=None if decision.cost is None else local_day(moment.clock, question.place.place.zone),
        created_at=moment.clock,
        expires_at=decision.expires_at,
    )


def given_now(reservation: Reservation) -> Given:
    """How the next decision of the same transaction sees this one."""
    return Given(
        at=reservation.created_at,
        event_at=reservation.event_at,
        device_id=reservation.device_id,
        campaign_id=reservation.campaign_id,
        brand=reservation.brand,
        store_id=reservation.store_id,
        delivery=reservation.delivery,
        exclusive=reservation.exclusive,
        ghost=not reservation.holds,
    )


def write(connection: sa.Connection, answers: Sequence[Answer], codes: Mapping[DecisionId, str] = NO_CODES) -> None:
    """Decisions and messages; the reservations are the ledger's. `codes` are of claims made with the decisions."""
    if not answers:
        return
    decided = [_decision_row(made) for made in answers]
    rows.insert(connection, "offers.decisions", DECISION_COLUMNS, decided)
    offered = [made for made in answers if made.decision.outcome is Outcome.OFFERED]
    positions = _positions(connection, offered)
    messages = [
        row
        for made in offered
        for row in notification_rows(
            campaign=made.question.campaign,
            moment=made.question.moment,
            place=made.question.place,
            decision_id=made.question.decision_id,
            decision=made.decision,
            recipient=made.recipient,
            position=positions.get(made.question.decision_id),
            code=codes.get(made.question.decision_id),
        )
    ]
    if messages:
        rows.insert(connection, "offers.notifications", NOTIFICATION_COLUMNS, messages, more="ON CONFLICT DO NOTHING")
        connection.execute(sa.text(f"NOTIFY {NEW_NOTIFICATIONS_CHANNEL}"))


def _positions(connection: sa.Connection, offered: Sequence[Answer]) -> dict[DecisionId, LatLng]:
    """Where devices were a moment ago, for the messages that tell a distance; one not seen since has no place."""
    asking = [made for made in offered if Placeholder.DISTANCE in asks_for(made.question.campaign.definition)]
    if not asking:
        return {}
    found = connection.execute(
        queries("offers")["positions_before"],
        {
            "decision_ids": [made.question.decision_id for made in asking],
            "device_ids": [made.question.moment.device_id for made in asking],
            "times": [made.question.moment.clock for made in asking],
        },
    )
    return {DecisionId(row.decision_id): LatLng(lat=row.lat, lng=row.lng) for row in found}


def _decision_row(made: Answer) -> dict[str, object]:
    question, decision = made.question, made.decision
    moment = question.moment
    return {
        "decision_id": question.decision_id,
        "tenant_id": question.campaign.tenant_id,
        "shard": shard_of(moment.device_id),
        "campaign_id": question.campaign.campaign_id,
        "campaign_version": question.campaign.version,
        "device_id": moment.device_id,
        "store_id": moment.store_id,
        "event_id": moment.event_id,
        "root_visit_id": moment.root_visit_id,
        "trigger_type": moment.trigger,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "gates": decision.gates,
        "facts": made.facts,
        "place_id": question.place.place_id,
        "delivery": decision.delivery if decision.outcome is Outcome.OFFERED else None,
        "event_at": moment.at,
        "decided_at": moment.clock,
    }


def encode_gates(decision: Decision) -> str:
    """The gates as they are stored, to the bit: `[gate, passed, value, threshold]` each."""
    return msgspec.json.encode(decision.gates).decode()


def decode_gates(stored: Sequence[Any]) -> list[GateResult]:
    return [
        GateResult(gate=Gate(gate), passed=passed, value=value, threshold=threshold)
        for gate, passed, value, threshold in stored
    ]
