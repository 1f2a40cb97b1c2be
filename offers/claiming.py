"""Claims: one code a campaign and person, on whichever of their devices. Takes the caller's transaction.

A claim prolongs what a push holds, else it reserves anew, through the gates that matter for using an offer and under
the same locks as a decision. Locks are taken in this order: the device (against its erasure), the person, the
campaign; then reservations before claims before redemptions. A kill leaves all of a claim or nothing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from geofences.errors import NotFoundError
from geofences.model import LatLng, StoreId
from geofences.sql import queries
from geofences.tables import devices, stores
from geofences.zones import zone as zone_named
from offers import codes, ledger, rules
from offers.catalogue import NamedPlace, load_place
from offers.claim_tables import claims
from offers.claims import claim_of, devices_of_person, is_used_at, load_claim, terms_of
from offers.decisions import Answer, budgets_of, facts_of, reservation_of, standing_for
from offers.errors import RefusedError
from offers.model import (
    CampaignStatus,
    ClaimId,
    ClaimSource,
    ClaimState,
    DecisionId,
    Moment,
    Outcome,
    Refusal,
    ReleaseReason,
    TriggerType,
)
from offers.questions import Question
from offers.rules import Place
from offers.shoppers import load_recipients
from offers.store import get_campaign

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from geofences.model import DeviceId, TenantId
    from offers.claims import Claim
    from offers.codes import CodeBook
    from offers.model import Campaign, CampaignId
    from offers.shoppers import Recipient

DECISION_BITS: Final = 62
NOT_PUBLIC: Final = frozenset({CampaignStatus.DRAFT, CampaignStatus.SUBMITTED, CampaignStatus.APPROVED})
"""Nobody knows of such a campaign but those whom an earlier version of it promised something."""
TRIES: Final = 5
"""To draw a code that the tenant has not; the first does but for one claim in a million million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claimant:
    """Who claims, locked until the transaction ends."""

    recipient: Recipient
    device_ids: list[DeviceId]
    """All devices of the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What a claim stands on: a reservation that is its own now."""

    decision_id: DecisionId
    version: int
    source: ClaimSource
    store_id: StoreId | None
    expires_at: datetime


def claim(
    connection: sa.Connection,
    *,
    tenant_id: TenantId,
    device_id: DeviceId,
    campaign_id: CampaignId,
    store_id: StoreId | None,
    book: CodeBook,
    now: datetime,
) -> Claim:
    """The person's live claim, made now if there was none. NotFoundError; RefusedError with the gate that failed."""
    _lock_device(connection, tenant_id, device_id)
    stored = get_campaign(connection, tenant_id=tenant_id, campaign_id=campaign_id)
    place = _place(connection, tenant_id, store_id)
    claimant = _lock_person(connection, device_id, stored.campaign)
    before = _claims_before(connection, claimant, campaign_id)
    live = [row for row in before if row.state == ClaimState.CLAIMED and row.expires_at > now]
    if live:
        return load_claim(connection, ClaimId(live[0].claim_id))
    if stored.campaign.status in NOT_PUBLIC and _held(connection, claimant, campaign_id, now=now) is None:
        raise NotFoundError(f"no campaign {campaign_id}")
    # from here on the campaign cannot be stopped, nor its limits moved, if it has any
    ledger.lock_supply(connection, [campaign_id], {})
    stored = get_campaign(connection, tenant_id=tenant_id, campaign_id=campaign_id)
    if store_id is not None and not is_used_at(stored, store_id):
        raise RefusedError(Refusal.WRONG_STORE, "the offer is not one of this store's")
    _end(connection, [row for row in before if row.state == ClaimState.CLAIMED], now=now)
    kept = _keep_held(connection, claimant, stored.campaign, place, now=now)
    if kept is None:
        if any(row.state == ClaimState.REDEEMED for row in before):
            raise RefusedError(Refusal.ALREADY_REDEEMED, "this person has used the offer already")
        kept = _reserve(connection, claimant, stored.campaign, place, now=now)
    return _write(connection, claimant, stored.campaign, kept, book=book, now=now)


def _lock_device(connection: sa.Connection, tenant_id: TenantId, device_id: DeviceId) -> None:
    """One claim of a device at a time, and none while it is being erased."""
    mine = (devices.c.tenant_id == tenant_id, devices.c.device_id == device_id)
    locked = sa.select(devices.c.device_id).where(*mine).with_for_update(key_share=True)
    if connection.execute(locked).first() is None:
        raise NotFoundError("no such device")


def _lock_person(connection: sa.Connection, device_id: DeviceId, campaign: Campaign) -> _Claimant:
    recipient = load_recipients(connection, [device_id], [campaign])[device_id]
    if recipient.shared:
        ledger.lock_users(connection, {recipient.person: recipient.tenant_id})
    return _Claimant(recipient=recipient, device_ids=devices_of_person(connection, device_id))


def _place(connection: sa.Connection, tenant_id: TenantId, store_id: StoreId | None) -> NamedPlace | None:
    """The store where the offer is to be used; NotFoundError."""
    if store_id is None:
        return None
    mine = (stores.c.tenant_id == tenant_id, stores.c.store_id == store_id, stores.c.deleted_at.is_(None))
    if connection.execute(sa.select(stores.c.store_id).where(*mine)).first() is None:
        raise NotFoundError(f"no store {store_id}")
    return load_place(connection, store_id)


def _claims_before(connection: sa.Connection, claimant: _Claimant, campaign_id: CampaignId) -> list[Any]:
    named = {
        "campaign_id": campaign_id,
        "person": claimant.recipient.person,
        "device_ids": claimant.device_ids,
    }
    return list(connection.execute(queries("offers")["claims_of_person"], named))


def _end(connection: sa.Connection, ran_out: Sequence[Any], *, now: datetime) -> None:
    """Claims that ran out say so, and what they kept goes back now rather than at the scheduler's next look."""
    if ran_out:
        ledger.release(connection, [row.decision_id for row in ran_out], reason=ReleaseReason.EXPIRED, now=now)
        mine = (claims.c.claim_id.in_([row.claim_id for row in ran_out]), claims.c.state == ClaimState.CLAIMED)
        connection.execute(sa.update(claims).where(*mine).values(state=ClaimState.EXPIRED))


def _moment(claimant: _Claimant, campaign: Campaign, store_id: StoreId | None, now: datetime) -> Moment:
    return Moment(
        trigger=TriggerType(campaign.definition.trigger.type),
        at=now,
        clock=now,
        device_id=claimant.recipient.device_id,
        store_id=store_id,
        confidence=1.0,
        already_inside=False,
    )


def _held(connection: sa.Connection, claimant: _Claimant, campaign_id: CampaignId, *, now: datetime) -> Any:
    """What a push holds for the person; None if nothing (any more)."""
    named = {"device_ids": claimant.device_ids, "campaign_id": campaign_id, "now": now}
    return connection.execute(queries("offers")["held_for_claim"], named).one_or_none()


def _keep_held(
    connection: sa.Connection, claimant: _Claimant, campaign: Campaign, place: NamedPlace | None, *, now: datetime
) -> _Kept | None:
    """What a push holds for the person becomes the claim's; None if it holds nothing (any more)."""
    held = _held(connection, claimant, campaign.campaign_id, now=now)
    if held is None:
        return None
    tenant_id = claimant.recipient.tenant_id
    decided = {"tenant_id": tenant_id, "device_id": held.device_id, "decided_at": held.created_at}
    decided["decision_id"] = held.decision_id
    version = connection.execute(queries("offers")["decided_version"], decided).scalar() or campaign.version
    definition = terms_of(connection, campaign.campaign_id, version)
    store_id = held.store_id if place is None else place.store_id
    if place is None and store_id is not None:
        place = load_place(connection, StoreId(store_id))
    promised = replace(campaign, definition=definition, schedule=definition.windows.schedule(), version=version)
    until = rules.claimed_until(
        promised, _moment(claimant, promised, store_id, now), _anywhere(claimant) if place is None else place.place
    )
    if definition.offer.valid_after_claim_s is None:
        until = max(until, held.expires_at)
    if not ledger.claim(connection, DecisionId(held.decision_id), now=now, expires_at=until):
        return None
    return _Kept(
        decision_id=DecisionId(held.decision_id),
        version=version,
        source=ClaimSource.PUSH,
        store_id=store_id,
        expires_at=until,
    )


def _anywhere(claimant: _Claimant) -> Place:
    """Of somebody who has not said at which store: their own zone decides whose day's budget it is."""
    return Place(zone=zone_named(claimant.recipient.timezone or "UTC"), hours=None)


def _reserve(
    connection: sa.Connection, claimant: _Claimant, campaign: Campaign, place: NamedPlace | None, *, now: datetime
) -> _Kept:
    """Somebody found the offer in a search: it is reserved for them if it may be used; RefusedError."""
    if campaign.status is not CampaignStatus.LIVE:
        raise RefusedError(Refusal.NOT_LIVE, "the offer is not to be had now")
    recipient = claimant.recipient
    moment = _moment(claimant, campaign, None if place is None else place.store_id, now)
    where = place or NamedPlace(
        place=_anywhere(claimant),
        name="",
        location=LatLng(lat=0, lng=0),
        store_id=None,
        place_id=0,
        opening_hours=None,
    )
    question = Question(campaign=campaign, moment=moment, place=where)
    supply = ledger.lock_supply(connection, [campaign.campaign_id], budgets_of([question]))
    shopper = recipient.shopper(campaign, now)
    standing = standing_for(question, recipient, [], supply)
    decision = rules.usable(campaign, moment, place=where.place, shopper=shopper, standing=standing)
    if decision.outcome is not Outcome.OFFERED:
        assert decision.reason is not None
        raise RefusedError(decision.reason, f"the offer cannot be claimed: {decision.reason}")
    facts = facts_of(question, shopper, standing)
    reservation = msgspec.structs.replace(
        reservation_of(Answer(question=question, decision=decision, facts=facts, recipient=recipient)),
        decision_id=DecisionId(secrets.randbits(DECISION_BITS)),
    )
    ledger.reserve(connection, [reservation])
    ledger.claim(connection, reservation.decision_id, now=now, expires_at=decision.expires_at)
    return _Kept(
        decision_id=reservation.decision_id,
        version=campaign.version,
        source=ClaimSource.SEARCH,
        store_id=moment.store_id,
        expires_at=decision.expires_at,
    )


def _write(
    connection: sa.Connection, claimant: _Claimant, campaign: Campaign, kept: _Kept, *, book: CodeBook, now: datetime
) -> Claim:
    tenant_id = claimant.recipient.tenant_id
    for _ in range(TRIES):
        code = codes.new_code()
        written = connection.execute(
            insert(claims)
            .values(
                tenant_id=tenant_id,
                campaign_id=campaign.campaign_id,
                campaign_version=kept.version,
                person=claimant.recipient.person,
                device_id=claimant.recipient.device_id,
                decision_id=kept.decision_id,
                source=kept.source,
                store_id=kept.store_id,
                code_hash=book.hash(tenant_id, code),
                code_sealed=book.sealed(code),
                code_tail=code[-codes.TAIL :],
                created_at=now,
                expires_at=kept.expires_at,
            )
            .on_conflict_do_nothing(index_elements=["tenant_id", "code_hash"])
            .returning(claims)
        ).one_or_none()
        if written is not None:
            return claim_of(written)
    raise RuntimeError("no code was free")
