"""Redemption: a till prepares a code, verifies it once, and may cancel it. Takes the caller's transaction.

A reservation's step from held to confirmed is the single use: whoever makes it redeems, and everybody else finds out
who did. It goes with the claim, the redemption's row and the campaign's counters in one transaction, so a kill leaves
all or nothing, and a till that lost the answer asks again. Locks: campaign, reservation, claim, redemption.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from geofences.errors import NotFoundError
from geofences.model import StoreId
from geofences.sql import queries
from offers import codes, ledger, rules, terms
from offers.attribution import attribute, way_to_till
from offers.catalogue import load_place
from offers.claim_tables import claims, redemptions
from offers.claims import Claim, claim_by_code, devices_of_person, is_used_at, load_claim, terms_of
from offers.errors import MalformedCodeError, RefusedError, UnknownCodeError
from offers.model import (
    CampaignId,
    ClaimId,
    ClaimState,
    RedemptionId,
    RedemptionState,
    Refusal,
    ReleaseReason,
    ReservationState,
)
from offers.store import get_campaign

if TYPE_CHECKING:
    from decimal import Decimal

    from geofences.model import TenantId
    from offers.codes import CodeBook
    from offers.definition import CampaignDefinition
    from offers.prepare_tokens import PrepareTokens
    from offers.store import StoredCampaign


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """Who redeems, and where."""

    tenant_id: TenantId
    store_id: StoreId
    key_id: int
    """0 for a caller without a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the till knows of the purchase; none of it has to be said."""

    order_id: str | None = None
    amount: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A code that stands for a claim, with the terms that were claimed."""

    claim: Claim
    stored: StoredCampaign
    definition: CampaignDefinition
    nonce: int | None = None
    """Of the token; None for the code alone."""
    token_expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Redemption:
    redemption_id: RedemptionId
    campaign_id: CampaignId
    store_id: StoreId
    state: RedemptionState
    order_id: str | None
    amount: Decimal | None
    currency: str | None
    discount: Decimal | None
    redeemed_at: datetime
    cancelled_at: datetime | None
    nonce: int | None


def find_code(connection: sa.Connection, text: str, *, tenant_id: TenantId, book: CodeBook) -> Found:
    """MalformedCodeError for what no code can be, UnknownCodeError for one that nobody was given."""
    code = codes.read(text)
    if code is None:
        raise MalformedCodeError("this is no code: look at it again")
    claim = claim_by_code(connection, tenant_id=tenant_id, code=code, book=book)
    if claim is None:
        raise UnknownCodeError("nobody was given this code")
    return _found(connection, claim)


def find_token(connection: sa.Connection, text: str, *, till: Till, tokens: PrepareTokens) -> Found:
    """UnknownCodeError for a token that was not made here, or for another store or key."""
    token = tokens.read(text)
    if token is None or (token.tenant_id, token.store_id, token.key_id) != (till.tenant_id, till.store_id, till.key_id):
        raise UnknownCodeError("this store's key was not given this token")
    found = _found(connection, load_claim(connection, ClaimId(token.claim_id)))
    return replace(found, nonce=token.nonce, token_expires_at=token.expires_at)


def _found(connection: sa.Connection, claim: Claim) -> Found:
    return Found(
        claim=claim,
        stored=get_campaign(connection, tenant_id=claim.tenant_id, campaign_id=claim.campaign_id),
        definition=terms_of(connection, claim.campaign_id, claim.campaign_version),
    )


def check(connection: sa.Connection, found: Found, *, store_id: StoreId, now: datetime) -> None:
    """RefusedError if the code cannot be used at the store now, whatever the order is."""
    claim = found.claim
    match claim.state_at(now):
        case ClaimState.REDEEMED:
            raise RefusedError(Refusal.ALREADY_REDEEMED, "the code has been used already")
        case ClaimState.CANCELLED:
            raise RefusedError(Refusal.CANCELLED, "the code was used, and its redemption cancelled")
        case ClaimState.EXPIRED:
            raise RefusedError(Refusal.EXPIRED, "the code has run out")
        case ClaimState.CLAIMED:
            pass
    # where it was claimed for, it holds, whatever the campaign says now
    if store_id != claim.store_id and not is_used_at(found.stored, store_id):
        raise RefusedError(Refusal.WRONG_STORE, "the offer is not one of this store's")
    if claim.store_id is None:
        windows = found.definition.windows.schedule()
        promised = replace(found.stored.campaign, definition=found.definition, schedule=windows)
        if not rules.on_now(promised, at=now, place=load_place(connection, store_id).place):
            raise RefusedError(Refusal.NOT_NOW, "the offer is not on at this store now")
    _check_presence(connection, found, store_id=store_id, now=now)


def _check_presence(connection: sa.Connection, found: Found, *, store_id: StoreId, now: datetime) -> None:
    """Nothing known of where the phone is refuses as well: else switching it off would be the way round."""
    asked = found.definition.redemption
    if asked.presence_radius_m is None:
        return
    named = {
        "device_ids": devices_of_person(connection, found.claim.device_id),
        "store_id": store_id,
        "radius_m": asked.presence_radius_m,
        "seen_after": now - timedelta(seconds=asked.presence_within_s),
    }
    phones = connection.execute(queries("offers")["people_near"], named).one()
    if not phones.known:
        raise RefusedError(Refusal.PRESENCE_UNKNOWN, "the offer needs the phone in the store, and it has not been seen")
    if not phones.near:
        raise RefusedError(Refusal.TOO_FAR, "the offer needs the phone in the store, and it was seen elsewhere")


def verify(connection: sa.Connection, found: Found, *, till: Till, order: Order, now: datetime) -> Redemption:
    """Redeems the code, once. Repeating it with the same token, or the same order, gives the same answer."""
    before = _redemption_of(connection, found)
    if before is not None:
        return _repeated(before, found, till=till, order=order)
    if found.token_expires_at is not None and found.token_expires_at <= now:
        raise RefusedError(Refusal.TOKEN_EXPIRED, "the token has run out: prepare the code again")
    check(connection, found, store_id=till.store_id, now=now)
    terms.check_order(found.definition, amount=order.amount, currency=order.currency)
    claim = found.claim
    cost = terms.true_cost(found.definition.offer, order.amount)
    if cost is not None and found.definition.budget is not None:
        ledger.lock_campaign_of(connection, claim.decision_id)
    if not ledger.confirm(connection, claim.decision_id):
        # somebody else was faster, or the scheduler's clock is ahead of ours
        done = _redemption_of(connection, found)
        if done is None:
            raise RefusedError(Refusal.EXPIRED, "the code has run out")
        return _repeated(done, found, till=till, order=order)
    if cost is not None and found.definition.budget is not None:
        ledger.keep_cost(connection, claim.decision_id, cost)
    connection.execute(sa.update(claims).where(claims.c.claim_id == claim.claim_id).values(state=ClaimState.REDEEMED))
    return _write(connection, found, till=till, order=order, now=now)


def _write(connection: sa.Connection, found: Found, *, till: Till, order: Order, now: datetime) -> Redemption:
    claim, definition = found.claim, found.definition
    way = way_to_till(
        connection,
        decision_id=claim.decision_id,
        source=claim.source,
        device_ids=devices_of_person(connection, claim.device_id),
        store_id=till.store_id,
        now=now,
    )
    off = terms.discount(definition.offer, order.amount)
    row = connection.execute(
        sa.insert(redemptions)
        .values(
            tenant_id=claim.tenant_id,
            claim_id=claim.claim_id,
            campaign_id=claim.campaign_id,
            decision_id=claim.decision_id,
            store_id=till.store_id,
            # as it is now: an erasure that was waited for may have taken it away
            person=sa.select(claims.c.person).where(claims.c.claim_id == claim.claim_id).scalar_subquery(),
            nonce=found.nonce,
            order_id=order.order_id,
            amount=order.amount,
            currency=order.currency or (None if off is None else terms.currency_of(definition)),
            discount=off,
            attributed_to=attribute(way, redeemed_at=now, window_s=definition.attribution_s),
            visited=way.visited,
            redeemed_at=now,
        )
        .returning(redemptions)
    ).one()
    return _redemption(row)


def _redemption_of(connection: sa.Connection, found: Found) -> Redemption | None:
    row = connection.execute(sa.select(redemptions).where(redemptions.c.claim_id == found.claim.claim_id)).one_or_none()
    return None if row is None else _redemption(row)


def _repeated(done: Redemption, found: Found, *, till: Till, order: Order) -> Redemption:
    """The same redemption asked for again; RefusedError for any other use of the code."""
    if done.state is RedemptionState.CANCELLED:
        raise RefusedError(Refusal.CANCELLED, "the code was used, and its redemption cancelled")
    same_token = found.nonce is not None and found.nonce == done.nonce
    same_order = order.order_id is not None and order.order_id == done.order_id
    if done.store_id != till.store_id or not (same_token or same_order):
        raise RefusedError(Refusal.ALREADY_REDEEMED, "the code has been used already")
    if order.order_id != done.order_id:
        raise RefusedError(Refusal.OTHER_ORDER, "this token redeemed the code for another order")
    return done


def cancel(
    connection: sa.Connection,
    redemption_id: RedemptionId,
    *,
    store_id: StoreId,
    reason: str | None,
    within: timedelta,
    now: datetime,
) -> Redemption:
    """Takes a redemption back, with its stock and money; the code stays used. Repeating it changes nothing.

    NotFoundError for what the store did not redeem; RefusedError once it is too late.
    """
    mine = (redemptions.c.redemption_id == redemption_id, redemptions.c.store_id == store_id)
    row = connection.execute(sa.select(redemptions).where(*mine)).one_or_none()
    if row is None:
        raise NotFoundError("no such redemption")
    if row.state == RedemptionState.CANCELLED:
        return _redemption(row)
    if now - row.redeemed_at > within:
        raise RefusedError(Refusal.TOO_LATE, "a redemption can be cancelled only so long after it was made")
    ledger.release(
        connection, [row.decision_id], reason=ReleaseReason.CANCELLED, now=now, state=ReservationState.CONFIRMED
    )
    # under the campaign's lock, which whoever cancels takes first: one of several finds it redeemed
    connection.execute(sa.update(claims).where(claims.c.claim_id == row.claim_id).values(state=ClaimState.CANCELLED))
    still = (*mine, redemptions.c.state == RedemptionState.REDEEMED)
    connection.execute(
        sa.update(redemptions)
        .where(*still)
        .values(state=RedemptionState.CANCELLED, cancelled_at=now, cancel_reason=reason)
    )
    return _redemption(connection.execute(sa.select(redemptions).where(*mine)).one())


def _redemption(row: Any) -> Redemption:
    return Redemption(
        redemption_id=RedemptionId(row.redemption_id),
        campaign_id=CampaignId(row.campaign_id),
        store_id=StoreId(row.store_id),
        state=RedemptionState(row.state),
        order_id=row.order_id,
        amount=row.amount,
        currency=row.currency,
        discount=row.discount,
        redeemed_at=row.redeemed_at,
        cancelled_at=row.cancelled_at,
        nonce=row.nonce,
    )
