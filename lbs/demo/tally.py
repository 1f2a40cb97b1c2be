"""What the phones and the receivers saw for themselves: the demo's own count, beside that of the service."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from offers.push import ChannelType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lbs.demo.receivers import Arrival

CHANNELS: Final = (ChannelType.WEBPUSH, ChannelType.WEBHOOK, ChannelType.INBOX)
LATEST: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message in somebody's hands."""

    channel: ChannelType
    arrival: Arrival


@dataclass(slots=True)
class Tally:
    """Counts of one run. Receivers add to it from their threads, phones from the event loop."""

    positions: int = 0
    rejected: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    """Requests that came to nothing, by what they were and what was answered; phones make up for them."""
    latest: deque[Delivery] = field(default_factory=lambda: deque(maxlen=LATEST))
    by_campaign: Counter[str] = field(default_factory=Counter)
    _ids: dict[ChannelType, set[str]] = field(default_factory=lambda: {channel: set() for channel in CHANNELS})
    _untimed: list[Delivery] = field(default_factory=list)
    _delays_ms: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def arrived(self, channel: ChannelType, arrival: Arrival, *, timed: bool) -> bool:
        """Count an arrival unless it is a repeat, and say which. `timed`: its moment is that of the delivery."""
        delivery = Delivery(channel=channel, arrival=arrival)
        with self._lock:
            if arrival.message_id in self._ids[channel]:
                return False
            self._ids[channel].add(arrival.message_id)
            self.latest.append(delivery)
            self.by_campaign[str(arrival.data.get("campaign_id"))] += 1
            if timed:
                self._untimed.append(delivery)
        return True

    @property
    def arrivals(self) -> dict[ChannelType, int]:
        with self._lock:
            return {channel: len(ids) for channel, ids in self._ids.items()}

    def silent_channels(self) -> list[ChannelType]:
        """Those on which nothing has arrived."""
        return [channel for channel, count in self.arrivals.items() if count == 0]

    def take_untimed(self) -> Sequence[Delivery]:
        """Arrivals of which nobody has yet looked up when their position was received."""
        with self._lock:
            taken, self._untimed = self._untimed, []
        return taken

    def add_delays(self, deliveries: Iterable[Delivery], received_at_s: Mapping[str, float]) -> None:
        """From position received to first byte arrived; offers that no position caused have no delay."""
        found = [
            (delivery.arrival.at_s - received_at_s[delivery.arrival.message_id]) * 1000
            for delivery in deliveries
            if delivery.arrival.message_id in received_at_s
        ]
        with self._lock:
            self._delays_ms.extend(found)

    def delay_ms(self, share: float) -> float | None:
        """The delay that `share` of the deliveries did not exceed; None before the first one."""
        with self._lock:
            ordered = sorted(self._delays_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
