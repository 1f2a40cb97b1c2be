"""What a claimed offer asks of an order, and what it takes off. Pure.

Money is exact: nothing here is rounded to a currency's coins, which is the till's business.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

from offers.errors import RefusedError
from offers.model import Refusal

if TYPE_CHECKING:
    from offers.definition import CampaignDefinition, Offer

STORED: Final = Decimal("0.0001")
"""As exact as money is stored."""


def check_order(definition: CampaignDefinition, *, amount: Decimal | None, currency: str | None) -> None:
    """RefusedError for an order that the offer is not for. An order that nobody told of is none of enough worth."""
    offer = definition.offer
    wanted = currency_of(definition)
    if currency is not None and wanted is not None and currency != wanted:
        raise RefusedError(Refusal.CURRENCY, f"the offer is in {wanted}")
    if offer.min_spend:
        if amount is None:
            raise RefusedError(Refusal.AMOUNT_NEEDED, "the offer has a minimum: send the order's amount and currency")
        if amount < Decimal(str(offer.min_spend)):
            raise RefusedError(Refusal.MIN_SPEND, f"the order must come to {_text(offer.min_spend, wanted)} at least")


def currency_of(definition: CampaignDefinition) -> str | None:
    """The currency that the offer's money is in; None if nobody said."""
    if definition.offer.currency is not None:
        return definition.offer.currency
    return None if definition.budget is None else definition.budget.currency


def discount(offer: Offer, amount: Decimal | None) -> Decimal | None:
    """What an order of `amount` gets off; None where nobody can tell.

    >>> from offers.definition import Offer
    >>> discount(Offer(kind="percentage", value=20, max_cost=5), Decimal("12.34"))
    Decimal('2.4680')
    >>> discount(Offer(kind="percentage", value=20, max_cost=5), Decimal("100"))
    Decimal('5.0000')
    >>> discount(Offer(kind="amount", value=3, currency="EUR"), Decimal("2.50"))
    Decimal('2.5000')
    """
    if offer.value is None or offer.kind not in {"percentage", "amount"}:
        return None
    value = Decimal(str(offer.value))
    if offer.kind == "amount":
        off = value if amount is None else min(value, amount)
    elif amount is None:
        return None
    else:
        off = amount * value / 100
        if offer.max_cost is not None:
            off = min(off, Decimal(str(offer.max_cost)))
    return off.quantize(STORED, rounding=ROUND_HALF_UP)


def true_cost(offer: Offer, amount: Decimal | None) -> Decimal | None:
    """What a redemption really cost of the budget; None: as much as was reserved."""
    return discount(offer, amount) if offer.kind == "percentage" else None


def needs_amount(offer: Offer) -> bool:
    """Whether a till should say what the order comes to."""
    return offer.kind == "percentage" or bool(offer.min_spend)


def instruction(definition: CampaignDefinition) -> str:
    """What the person at the till has to do, in one English line."""
    offer, currency = definition.offer, currency_of(definition)
    match offer.kind:
        case "percentage":
            most = f", at most {_text(offer.max_cost, currency)}" if offer.max_cost is not None else ""
            text = f"Take {_text(offer.value, None)} % off{most}"
        case "amount":
            text = f"Take {_text(offer.value, currency)} off"
        case "gift":
            text = f"Give the gift: {definition.name}"
        case "other":
            text = f"Grant the offer: {definition.name}"
    least = f", for an order of {_text(offer.min_spend, currency)} or more" if offer.min_spend else ""
    return f"{text}{least}."


def _text(value: float | None, currency: str | None) -> str:
    number = f"{Decimal(str(value or 0)).normalize():f}"
    return number if currency is None else f"{number} {currency}"
