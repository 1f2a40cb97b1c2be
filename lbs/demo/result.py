"""When a run is over, and what it comes to: the JSON that `lbs demo --once --json` promises. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lbs.demo.figures import DELIVERED_AND_BEYOND, SENT_AND_BEYOND
from lbs.demo.tally import CHANNELS
from offers.model import NotificationState, Outcome

if TYPE_CHECKING:
    from lbs.demo.figures import Figures
    from lbs.demo.tally import Tally

ONCE_LEAST_S: Final = 20.0
ONCE_USUAL_S: Final = 45.0
ONCE_MOST_S: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How long people walk: between `least_s` and `usual_s`, and up to `most_s` while something is missing.

    None means for ever.
    """

    least_s: float
    usual_s: float | None
    most_s: float | None

    @classmethod
    def of(cls, *, once: bool, seconds: float | None, scheduled_in_s: float) -> Bounds:
        """`seconds` is the user's word and holds as it is; a run without it takes the scheduled offer along."""
        if seconds is not None:
            return cls(least_s=min(seconds, ONCE_LEAST_S) if once else seconds, usual_s=seconds, most_s=seconds)
        if once:
            return cls(least_s=ONCE_LEAST_S, usual_s=max(ONCE_USUAL_S, scheduled_in_s), most_s=ONCE_MOST_S)
        return cls(least_s=0, usual_s=None, most_s=None)

    def over(self, elapsed_s: float, *, all_channels: bool, scheduled: bool) -> bool:
        """Whether to stop: `all_channels` have delivered, and so has the `scheduled` campaign."""
        if self.most_s is None or self.usual_s is None:
            return False
        if elapsed_s >= self.most_s:
            return True
        return elapsed_s >= self.least_s and all_channels and (scheduled or elapsed_s >= self.usual_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What was there before anybody walked."""

    tenant: str
    stores: int
    fences: int
    devices: int


def summary(setting: Setting, figures: Figures, tally: Tally, *, stored: int, seconds: float) -> dict[str, Any]:
    """The promised keys first. `positions` were answered 202, `positions_stored` is what the database has of them.

    `arrived` is what receivers and phones saw, all else is the service's own account.
    """
    p50_ms, p99_ms = tally.delay_ms(0.50), tally.delay_ms(0.99)
    return {
        "stores": setting.stores,
        "fences": setting.fences,
        "devices": setting.devices,
        "positions": tally.positions,
        "visits": figures.visits,
        "events": figures.events,
        "decisions": {str(outcome): figures.outcome(outcome) for outcome in Outcome},
        "notifications": {
            str(channel): {
                "sent": figures.messages(channel, SENT_AND_BEYOND),
                "delivered": figures.messages(channel, DELIVERED_AND_BEYOND),
                "failed": figures.messages(channel, [NotificationState.FAILED]),
            }
            for channel in CHANNELS
        },
        "delivery_ms": {"p50": _rounded(p50_ms), "p99": _rounded(p99_ms)},
        "arrived": {str(channel): count for channel, count in tally.arrivals.items()},
        "positions_stored": stored,
        "positions_rejected": tally.rejected,
        "failed_requests": dict(tally.failures.most_common()),
        "suppressed": dict(figures.reasons().most_common()),
        "seconds": round(seconds, 1),
        "tenant": setting.tenant,
    }


def _rounded(value_ms: float | None) -> float | None:
    return None if value_ms is None else round(value_ms, 1)
