"""What the live view shows at one moment, and the lines for those who have no terminal. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from lbs.demo.tally import CHANNELS
from offers.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbs.demo.city import City, Spot
    from lbs.demo.figures import Figures
    from lbs.demo.result import Setting
    from lbs.demo.tally import Tally

FLASH_S: Final = 2.5
"""How long a store stays lit after an offer of it has arrived."""
RATE_OVER_S: Final = 5.0
HISTORY: Final = 60


class Kind(StrEnum):
    """What a line of the feed tells."""

    VISIT = "visit"
    OFFERED = "offer"
    SUPPRESSED = "no offer"
    ARRIVED = "arrived"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the feed."""

    at: datetime
    kind: Kind
    what: str
    where: str
    note: str


@dataclass(slots=True, kw_only=True)
class Pace:
    """Positions a second over the last few seconds, and how that went."""

    history: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def note(self, elapsed_s: float, positions: int) -> None:
        self._seen.append((elapsed_s, positions))
        while len(self._seen) > 1 and self._seen[0][0] < elapsed_s - RATE_OVER_S:
            self._seen.popleft()
        self.history.append(self.per_s)

    @property
    def per_s(self) -> float:
        if not self._seen:
            return 0.0
        (first_s, first), (last_s, last) = self._seen[0], self._seen[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One moment."""

    now: datetime
    elapsed_s: float
    api_url: str
    has_console: bool
    city: City
    setting: Setting
    campaigns: Mapping[str, str]
    figures: Figures
    tally: Tally
    pace: Pace
    walkers: Sequence[Spot]

    def lit(self) -> list[Spot]:
        """Stores of which an offer has just arrived somewhere."""
        since_s = self.now.timestamp() - FLASH_S
        names = {
            delivery.arrival.data.get("store_name")
            for delivery in list(self.tally.latest)
            if delivery.arrival.at_s > since_s
        }
        return [shop.spot for shop in self.city.shops if shop.name in names]

    def feed(self, lines: int) -> list[Item]:
        """The newest of each kind, newest first: no kind crowds out another, and none takes more than it has."""
        kinds = [
            self._visits(),
            self._decisions(Outcome.OFFERED),
            self._decisions(Outcome.SUPPRESSED),
            self._arrivals(),
        ]
        chosen: list[Item] = []
        taken = 0
        while len(chosen) < lines and any(taken < len(items) for items in kinds):
            chosen += [items[taken] for items in kinds if taken < len(items)]
            taken += 1
        return sorted(chosen[:lines], key=lambda item: item.at, reverse=True)

    def _visits(self) -> list[Item]:
        return [
            Item(at=visit.at, kind=Kind.VISIT, what=visit.store, where="", note=visit.device)
            for visit in self.figures.latest_visits
        ]

    def _decisions(self, outcome: Outcome) -> list[Item]:
        kind = Kind.OFFERED if outcome is Outcome.OFFERED else Kind.SUPPRESSED
        return [
            Item(
                at=decision.at,
                kind=kind,
                what=self.campaigns.get(decision.campaign_id, ""),
                where=decision.store,
                note=decision.reason or decision.device,
            )
            for decision in self.figures.latest_decisions
            if decision.outcome == outcome
        ]

    def _arrivals(self) -> list[Item]:
        return [
            Item(
                at=datetime.fromtimestamp(delivery.arrival.at_s, UTC),
                kind=Kind.ARRIVED,
                what=delivery.arrival.title,
                where=str(delivery.arrival.data.get("store_name") or ""),
                note=str(delivery.channel),
            )
            for delivery in reversed(list(self.tally.latest))
        ]


def plain_line(scene: Scene) -> str:
    """The moment in one line."""
    figures, tally = scene.figures, scene.tally
    p50_ms, p99_ms = tally.delay_ms(0.50), tally.delay_ms(0.99)
    arrived = ", ".join(f"{channel} {tally.arrivals[channel]}" for channel in CHANNELS)
    delay = "" if p50_ms is None or p99_ms is None else f"; delivered in {p50_ms:.0f} ms (p99 {p99_ms:.0f} ms)"
    trouble = "".join(f"; {count} x {what}" for what, count in tally.failures.most_common(2))
    return (
        f"{scene.elapsed_s:4.0f} s: {tally.positions:,} positions ({scene.pace.per_s:.0f}/s), {figures.visits:,}"
        f" visits, {figures.outcome(Outcome.OFFERED):,} offers, {figures.outcome(Outcome.SUPPRESSED):,} suppressed;"
        f" arrived: {arrived}{delay}{trouble}"
    )
