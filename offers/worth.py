"""How offers are ordered by what they are worth. Pure.

There is no rate between currencies, and no price that a percentage could be taken of, so kinds are not weighed against
each other: amounts of money first, currency by currency, then percentages, then gifts, then the rest; within each the
larger value first. A gift without a stated value comes after those that have one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from offers.definition import Offer

Worth = tuple[int, str, float]
"""Rank of the kind, currency, and the value below zero: the most worth comes first."""

_RANKS: Final = {"amount": 0, "percentage": 1, "gift": 2, "other": 3}
_UNVALUED: Final = "~"
"""After every currency."""
NOTHING: Final[Worth] = (len(_RANKS), "", 0.0)
"""What comes after every offer."""


def worth(offer: Offer) -> Worth:
    """The key to sort an offer by.

    >>> from offers.definition import Offer
    >>> half, five = Offer(kind="percentage", value=50), Offer(kind="amount", value=5, currency="EUR")
    >>> worth(five) < worth(half) < worth(Offer(kind="percentage", value=20)) < worth(Offer(kind="gift"))
    True
    """
    if offer.kind == "percentage":
        return _RANKS[offer.kind], "", -(offer.value or 0.0)
    valued = offer.value is not None and offer.currency is not None
    return _RANKS[offer.kind], (offer.currency or "") if valued else _UNVALUED, -(offer.value or 0.0)
