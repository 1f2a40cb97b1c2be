"""Reservations: what decisions hold of stock and money, and when it goes back.

A reservation is made in the transaction that writes its decision. It changes state by compare-and-set together with
the campaign's counters, so a kill between two statements leaves both or neither. held -> confirmed | released; a ghost
holds nothing. A claim only prolongs what is held; a redemption confirms it.

Locks are taken in one order everywhere, so that no two ever wait for each other: users by key, campaigns by id, then
the rest. A campaign's budgets change only under the campaign's own lock.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import msgspec
import sqlalchemy as sa

from geofences.errors import ConflictError
from geofences.sql import queries
from offers import rows, tables
from offers.model import ReleaseReason, ReservationState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date, datetime

    from geofences.model import DeviceId, StoreId, TenantId
    from offers.definition import CampaignDefinition
    from offers.model import Campaign, CampaignId, DecisionId, Delivery

NO_MONEY: Final = Decimal(0)
UNLIMITED: Final = Decimal(999_999_999_999)
"""The most of a budget that its campaign does not limit."""


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """One row to be: a unit of stock and some money, held for one decision or claim."""

    decision_id: DecisionId
    tenant_id: TenantId
    campaign_id: CampaignId
    device_id: DeviceId
    store_id: StoreId | None
    brand: str | None
    state: ReservationState
    event_at: datetime
    delivery: Delivery
    exclusive: bool
    new_device: bool
    cost: Decimal | None
    budget_day: date | None
    created_at: datetime
    expires_at: datetime

    @property
    def holds(self) -> bool:
        return self.state is not ReservationState.GHOST


RESERVATION_COLUMNS: Final = Reservation.__struct_fields__


@dataclass(slots=True)
class Supply:
    """What is left of some campaigns' stock and money, locked until the transaction ends."""

    stock: dict[CampaignId, int] = field(default_factory=dict)
    new_stock: dict[CampaignId, int] = field(default_factory=dict)
    """Of the stock, what devices may still take that nobody vouches for."""
    money: dict[CampaignId, dict[str, Decimal]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, reservation: Reservation) -> None:
        """The next decision of this transaction finds that much less."""
        campaign_id = reservation.campaign_id
        if campaign_id in self.stock:
            self.stock[campaign_id] -= 1
        if reservation.new_device and campaign_id in self.new_stock:
            self.new_stock[campaign_id] -= 1
        money = self.money.get(campaign_id, {})
        for scope in scopes_of(reservation.store_id, reservation.budget_day):
            if reservation.cost is not None and scope in money:
                money[scope] -= reservation.cost


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetUsed:
    scope: str
    """`total`, `store:12` or `day:2026-06-01`."""
    most: Decimal
    reserved: Decimal


def lock_users(connection: sa.Connection, users: Mapping[int, TenantId]) -> None:
    """One person's offers are decided one after the other, whichever shards their devices belong to."""
    if users:
        keys = sorted(users)
        named = {"user_keys": keys, "tenant_ids": [users[key] for key in keys]}
        connection.execute(queries("offers")["put_users"], named)
        connection.execute(queries("offers")["lock_users"], {"user_keys": keys})


def lock_supply(
    connection: sa.Connection,
    campaign_ids: Iterable[CampaignId],
    budgets: Mapping[tuple[CampaignId, str], tuple[TenantId, Decimal]],
    *,
    also: Collection[CampaignId] = (),
) -> Supply:
    """Locks what these campaigns have left: the stock of each, and of `budgets` (campaign, scope) the money.

    Those in `also` are locked with the others, in one order, even if nothing of them can run out. `budgets` say whose
    they are and how much they may hold at most, for those that nothing was held of before.
    """
    connection.execute(queries("offers")["lock_supply"], {"campaign_ids": sorted(campaign_ids), "also": sorted(also)})
    if budgets:
        keys = sorted(budgets)
        named = {"campaign_ids": [key[0] for key in keys], "scopes": [key[1] for key in keys]}
        limits = {"tenant_ids": [budgets[key][0] for key in keys], "most": [budgets[key][1] for key in keys]}
        connection.execute(queries("offers")["put_budgets"], named | limits)
    return look_at_supply(connection, campaign_ids, budgets)


def look_at_supply(
    connection: sa.Connection,
    campaign_ids: Iterable[CampaignId],
    budgets: Mapping[tuple[CampaignId, str], tuple[TenantId, Decimal]],
) -> Supply:
    """As `lock_supply`, for those who only want to know: the next moment it may be less."""
    supply = Supply()
    for row in connection.execute(queries("offers")["stock_left"], {"campaign_ids": sorted(campaign_ids)}):
        supply.stock[row.campaign_id] = row.left
        if row.new_left is not None:
            supply.new_stock[row.campaign_id] = row.new_left
    if budgets:
        keys = sorted(budgets)
        for key in keys:
            supply.money[key[0]][key[1]] = budgets[key][1]
        named = {"campaign_ids": [key[0] for key in keys], "scopes": [key[1] for key in keys]}
        for row in connection.execute(queries("offers")["budgets_left"], named):
            supply.money[row.campaign_id][row.scope] = row.left
    return supply


def budgets_used(connection: sa.Connection, campaign_id: CampaignId, *, most: int) -> list[BudgetUsed]:
    """The campaign's limited money: in all first, then what is nearest to its end, at most `most` of them."""
    table = tables.budgets.c
    limited = sa.and_(table.campaign_id == campaign_id, table.most < UNLIMITED)
    order = (table.scope != "total", (table.reserved / table.most).desc(), table.scope)
    found = connection.execute(
        sa.select(table.scope, table.most, table.reserved).where(limited).order_by(*order).limit(most)
    )
    return [BudgetUsed(scope=row.scope, most=row.most, reserved=row.reserved) for row in found]


def full_supply(campaign: Campaign, budgets: Mapping[tuple[CampaignId, str], tuple[TenantId, Decimal]]) -> Supply:
    """All that a campaign may give, as if nothing had been taken yet."""
    supply = Supply()
    stock, share = campaign.definition.stock, campaign.definition.new_device_stock_share
    if stock is not None:
        supply.stock[campaign.campaign_id] = stock
        if share is not None:
            supply.new_stock[campaign.campaign_id] = int(stock * share)
    for (campaign_id, scope), (_, most) in budgets.items():
        supply.money[campaign_id][scope] = most
    return supply


def reserve(connection: sa.Connection, reservations: Sequence[Reservation]) -> None:
    """Writes reservations and counts them, under the locks of `lock_supply`."""
    if not reservations:
        return
    rows.insert(connection, "offers.reservations", RESERVATION_COLUMNS, reservations)
    held = [reservation for reservation in reservations if reservation.holds]
    units = Counter(reservation.campaign_id for reservation in held)
    fresh = Counter(reservation.campaign_id for reservation in held if reservation.new_device)
    stock = {"campaign_ids": sorted(units), "ns": [units[one] for one in sorted(units)]}
    connection.execute(queries("offers")["take_stock"], stock | {"news": [fresh[one] for one in sorted(units)]})
    money: defaultdict[tuple[CampaignId, str], Decimal] = defaultdict(lambda: NO_MONEY)
    for reservation in held:
        if reservation.cost is not None:
            for scope in scopes_of(reservation.store_id, reservation.budget_day):
                money[reservation.campaign_id, scope] += reservation.cost
    if money:
        keys = sorted(money)
        named = {"campaign_ids": [key[0] for key in keys], "scopes": [key[1] for key in keys]}
        connection.execute(queries("offers")["take_money"], named | {"costs": [money[key] for key in keys]})


def scopes_of(store_id: StoreId | None, day: date | None) -> list[str]:
    """The budgets a reservation draws on."""
    return ["total", *([f"store:{store_id}"] if store_id is not None else []), *([f"day:{day}"] if day else [])]


def claim(connection: sa.Connection, decision_id: DecisionId, *, now: datetime, expires_at: datetime) -> bool:
    """Keeps what a decision holds for whoever claimed it, until `expires_at`; False if it is not held any more."""
    named = {"decision_id": decision_id, "now": now, "expires_at": expires_at}
    return connection.execute(queries("offers")["claim_reservation"], named).first() is not None


def confirm(connection: sa.Connection, decision_id: DecisionId) -> bool:
    """What the decision held is redeemed, and never runs out; False if it is not held any more."""
    named = {"decision_id": decision_id}
    return connection.execute(queries("offers")["confirm_reservation"], named).first() is not None


def lock_campaign_of(connection: sa.Connection, decision_id: DecisionId) -> None:
    """For those who will change a campaign's counters after rows of their own: campaigns come first."""
    connection.execute(queries("offers")["lock_reserved"], {"decision_ids": [decision_id]})


def keep_cost(connection: sa.Connection, decision_id: DecisionId, cost: Decimal) -> None:
    """Of the money that was held for a redeemed offer, keeps what it really cost and gives the rest back.

    Call it under the campaign's lock. It never keeps more than was held.
    """
    connection.execute(queries("offers")["keep_cost"], {"decision_id": decision_id, "cost": cost})


def release(
    connection: sa.Connection,
    decision_ids: Sequence[int],
    *,
    reason: ReleaseReason,
    now: datetime,
    state: ReservationState = ReservationState.HELD,
) -> int:
    """Gives back what these decisions hold, if they are in `state` still; answers how many did.

    One that was claimed meanwhile is given back only if its own time is up, or it is cancelled.
    """
    if not decision_ids:
        return 0
    ids = {"decision_ids": list(decision_ids)}
    connection.execute(queries("offers")["lock_reserved"], ids)
    changed = {"reason": reason, "now": now, "state": state}
    return int(connection.execute(queries("offers")["release"], ids | changed).scalar_one())


def release_refused(connection: sa.Connection, decision_ids: Sequence[int], *, now: datetime) -> None:
    """Gives back what was held for offers that definitely reached nobody."""
    if decision_ids:
        ids = {"decision_ids": list(decision_ids)}
        refused = connection.execute(queries("offers")["refused"], ids).scalars().all()
        release(connection, refused, reason=ReleaseReason.REFUSED, now=now)


def release_expired(connection: sa.Connection, *, now: datetime) -> int:
    """Gives back what was held too long; answers how many."""
    due = connection.execute(queries("offers")["expired"], {"now": now}).scalars().all()
    return release(connection, due, reason=ReleaseReason.EXPIRED, now=now)


def release_stopped(connection: sa.Connection, campaign_id: CampaignId, *, now: datetime) -> int:
    """Gives back what a stopped campaign's offers hold that nobody claimed; the claimed ones stay good."""
    held = connection.execute(queries("offers")["held_of_campaign"], {"campaign_id": campaign_id}).scalars().all()
    return release(connection, held, reason=ReleaseReason.STOPPED, now=now)


def limit(connection: sa.Connection, campaign_id: CampaignId, definition: CampaignDefinition) -> None:
    """Puts new limits on a campaign whose row is locked; ConflictError if more is reserved already."""
    named = {"campaign_id": campaign_id}
    reserved = connection.execute(queries("offers")["reserved_units"], named).one()
    if definition.stock is not None and definition.stock < reserved.n:
        raise ConflictError(f"{reserved.n} are reserved already, more than a stock of {definition.stock}")
    # a campaign without stock was not counted: from now on its row says what its reservations say
    counted = {"n": reserved.n, "new": reserved.new} if definition.stock is not None else {"n": 0, "new": 0}
    connection.execute(queries("offers")["count_stock"], named | counted)
    budget = definition.budget
    most = {
        "total": None if budget is None else budget.total,
        "store": None if budget is None else budget.per_store,
        "day": None if budget is None else budget.per_day,
    }
    over = connection.execute(queries("offers")["over_budget"], named | most).first()
    if over is not None:
        raise ConflictError(f"{over.reserved.normalize():f} are reserved already of the budget {over.scope}")
    connection.execute(queries("offers")["limit_budgets"], named | most)
