"""Redemptions at the till: prepare, verify, cancel, and a store's daily statement."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from geofences.errors import NotFoundError
from lbs.auth import Caller, CallerKind
from lbs.deps import Permitted, ServicesDep, Tx, own_store
from lbs.errors import Fault, ForbiddenError, MalformedError
from lbs.fields import ShortText, id_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.sql import block
from offers import redemption, terms
from offers.catalogue import load_place
from offers.definition import Offer
from offers.model import RedemptionId, RedemptionState
from offers.prepare_tokens import MAX_CHARACTERS
from offers.redemption import Order, Redemption, Till
from offers.statement import as_csv, rows_of_day, totals_of

router = APIRouter(prefix="/v1/redemptions", tags=["redemptions"], route_class=Route)

OF_A_TILL = {**OF_EVERY_WRITE, **declared(404, 429)}
Code = Annotated[ShortText, Field(description="As typed or scanned; case, spaces and hyphens do not matter.")]
StoreOfTill = Annotated[ShortText | None, Field(description="A store's key knows its own; a secret key names one.")]
Money = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=4, allow_inf_nan=False)]
EARLIEST_DAY = date(2000, 1, 1)
LATEST_DAY = date(2199, 12, 31)


class PrepareBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    code: Code
    store_id: StoreOfTill = None


class Preparation(BaseModel):
    """What a code is worth, and the token to redeem it with."""

    prepare_token: str
    expires_at: datetime = Field(description="Of the token.")
    campaign_id: str
    campaign: str
    offer: Offer
    instruction: str = Field(description="What to do, for the person at the till.")
    needs_amount: bool = Field(description="Send the order's amount and currency to `verify`.")


class VerifyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    prepare_token: Annotated[str | None, Field(max_length=MAX_CHARACTERS)] = None
    code: Code | None = None
    store_id: StoreOfTill = None
    order_id: Annotated[ShortText | None, Field(description="The till's own; repeats are known by it.")] = None
    amount: Annotated[Money | None, Field(description="What the order comes to, before the offer.")] = None
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$", examples=["EUR"])] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.prepare_token is None) == (self.code is None):
            raise ValueError("send prepare_token or code, one of them")
        if (self.amount is None) != (self.currency is None):
            raise ValueError("amount and currency go together")
        return self


class CancelBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    redemption_id: ShortText
    store_id: StoreOfTill = None
    reason: ShortText | None = None


class RedemptionView(BaseModel):
    """A redemption. Money is exact text, not rounded to coins."""

    redemption_id: str
    state: RedemptionState
    campaign_id: str
    store_id: str
    order_id: str | None
    amount: str | None = Field(examples=["12.5"])
    currency: str | None
    discount: str | None = Field(description="What the offer takes off; null where only the till can tell.")
    redeemed_at: datetime
    cancel_until: datetime
    cancelled_at: datetime | None

    @classmethod
    def of(cls, made: Redemption, *, cancel_s: float) -> Self:
        return cls(
            redemption_id=str(made.redemption_id),
            state=made.state,
            campaign_id=str(made.campaign_id),
            store_id=str(made.store_id),
            order_id=made.order_id,
            amount=_money(made.amount),
            currency=made.currency,
            discount=_money(made.discount),
            redeemed_at=made.redeemed_at,
            cancel_until=made.redeemed_at + timedelta(seconds=cancel_s),
            cancelled_at=made.cancelled_at,
        )


class StatementLine(BaseModel):
    """One redemption of the day."""

    redemption_id: str
    redeemed_at: datetime = Field(description="In the store's zone, with its offset.")
    campaign_id: str
    campaign: str
    code_tail: str = Field(description="The last characters of the code.")
    order_id: str | None
    amount: str | None
    currency: str | None
    discount: str | None
    state: RedemptionState
    cancel_until: datetime


class StatementTotal(BaseModel):
    """What the day's redemptions came to in one currency, without what was cancelled since."""

    currency: str
    amount: str
    discount: str


class StatementView(BaseModel):
    """What a store redeemed on one of its local days."""

    store_id: str
    day: date
    timezone: str
    items: list[StatementLine]
    totals: list[StatementTotal]


@router.post("/prepare", operation_id="prepare_redemption", responses=OF_A_TILL)
def prepare(body: PrepareBody, caller: Permitted, connection: Tx, services: ServicesDep) -> Preparation:
    """Look at a code: what it is worth, what to do, and a token to redeem it with. Changes nothing."""
    till = _till(connection, caller, body.store_id)
    now = services.now()
    with services.guesses.watching(caller, till.store_id):
        found = redemption.find_code(connection, body.code, tenant_id=till.tenant_id, book=services.codes)
    redemption.check(connection, found, store_id=till.store_id, now=now)
    expires_at = now + timedelta(seconds=services.settings.prepare_token_s)
    return Preparation(
        prepare_token=services.prepare_tokens.issue(
            tenant_id=till.tenant_id,
            claim_id=found.claim.claim_id,
            store_id=till.store_id,
            key_id=till.key_id,
            expires_at=expires_at,
        ),
        expires_at=expires_at,
        campaign_id=str(found.claim.campaign_id),
        campaign=found.definition.name,
        offer=found.definition.offer,
        instruction=terms.instruction(found.definition),
        needs_amount=terms.needs_amount(found.definition.offer),
    )


@router.post("/verify", operation_id="verify_redemption", responses=OF_A_TILL)
def verify(body: VerifyBody, caller: Permitted, connection: Tx, services: ServicesDep) -> RedemptionView:
    """Redeem a code, once. Repeating it with the same token or the same order gives the same answer."""
    till = _till(connection, caller, body.store_id)
    with services.guesses.watching(caller, till.store_id):
        if body.prepare_token is not None:
            found = redemption.find_token(connection, body.prepare_token, till=till, tokens=services.prepare_tokens)
        else:
            found = redemption.find_code(connection, body.code or "", tenant_id=till.tenant_id, book=services.codes)
    order = Order(order_id=body.order_id, amount=body.amount, currency=body.currency)
    made = redemption.verify(connection, found, till=till, order=order, now=services.now())
    return RedemptionView.of(made, cancel_s=services.settings.cancel_s)


@router.post("/cancel", operation_id="cancel_redemption", responses={**OF_EVERY_WRITE, **declared(404)})
def cancel(body: CancelBody, caller: Permitted, connection: Tx, services: ServicesDep) -> RedemptionView:
    """Take a redemption back: stock and budget get it again, the code stays used. Repeating it changes nothing."""
    till = _till(connection, caller, body.store_id)
    made = redemption.cancel(
        connection,
        RedemptionId(id_of(body.redemption_id, "redemption")),
        store_id=till.store_id,
        reason=body.reason,
        within=timedelta(seconds=services.settings.cancel_s),
        now=services.now(),
    )
    return RedemptionView.of(made, cancel_s=services.settings.cancel_s)


@router.get(
    "/statement",
    operation_id="redemption_statement",
    response_model=StatementView,
    responses={
        **OF_EVERY_READ,
        **declared(404),
        200: {"content": {"text/csv": {"schema": {"type": "string"}}}, "description": "One line a redemption."},
    },
)
def read_statement(
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    day: Annotated[date, Query(ge=EARLIEST_DAY, le=LATEST_DAY, description="The store's local day.")],
    store_id: Annotated[ShortText | None, Query()] = None,
    format: Literal["csv", "json"] = "csv",  # noqa: A002 - the parameter's public name
) -> StatementView | Response:
    """What a store redeemed on one of its local days, with a total for each currency: as CSV, or as JSON."""
    till = _till(connection, caller, store_id, where="query")
    zone = load_place(connection, till.store_id).place.zone
    rows = rows_of_day(connection, store_id=till.store_id, day=day, zone=zone)
    if format == "csv":
        name = f"redemptions-{till.store_id}-{day}.csv"
        return Response(
            as_csv(rows, zone),
            media_type="text/csv",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-store"},
        )
    cancel_s = timedelta(seconds=services.settings.cancel_s)
    return StatementView(
        store_id=str(till.store_id),
        day=day,
        timezone=zone.key,
        items=[
            StatementLine(
                redemption_id=str(row.redemption_id),
                redeemed_at=row.redeemed_at.astimezone(zone),
                campaign_id=str(row.campaign_id),
                campaign=row.campaign,
                code_tail=row.code_tail,
                order_id=row.order_id,
                amount=_money(row.amount),
                currency=row.currency,
                discount=_money(row.discount),
                state=row.state,
                cancel_until=(row.redeemed_at + cancel_s).astimezone(zone),
            )
            for row in rows
        ],
        totals=[
            StatementTotal(currency=one.currency, amount=_exact(one.amount), discount=_exact(one.discount))
            for one in totals_of(rows)
        ],
    )


def _till(connection: sa.Connection, caller: Caller, store_id: str | None, *, where: str = "body") -> Till:
    """Where the caller redeems: its own store, or the one that a secret key names."""
    if caller.kind is CallerKind.STORE:
        assert caller.store_id is not None
        if store_id is not None and store_id != str(caller.store_id):
            raise ForbiddenError("this key belongs to another store")
        own = caller.store_id
    elif store_id is None:
        fault = Fault(f"{where}.store_id", "whoever is not a till of one store must name the store")
        raise MalformedError(fault.message, fault)
    else:
        own = own_store(caller, id_of(store_id, "store"))
    named: dict[str, Any] = {"tenant_id": caller.tenant_id, "store_id": own}
    if connection.execute(block("store_exists"), named).first() is None:
        raise NotFoundError("no such store")
    return Till(tenant_id=caller.tenant_id, store_id=own, key_id=caller.till_id)


def _money(value: Decimal | None) -> str | None:
    return None if value is None else _exact(value)


def _exact(value: Decimal) -> str:
    return f"{value.normalize():f}"
