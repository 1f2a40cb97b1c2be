"""How much may be under way at once, and to whom: one lane a provider's app, a push service, a tenant's receiving host.

Without lanes one receiver that takes ten seconds to answer would soon have all messages in flight waiting for it. Pure:
the clock is an argument. A worker has lanes of its own, and asks from its own thread only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from offers.push import ChannelType

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_PAUSE_S: Final = 300.0


LANE_SQL: Final = (
    "CASE type"
    " WHEN 'webpush' THEN substring(address ->> 'endpoint' FROM '^[^:]+://[^/?#]+')"
    " WHEN 'webhook' THEN tenant_id || ' ' || substring(address ->> 'url' FROM '^[^:]+://[^/?#]+')"
    " ELSE type || ' ' || tenant_id || coalesce(' ' || (address ->> 'app'), '') END"
)
"""The name of the lane of a row of channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimit:
    """What one lane takes."""

    in_flight: int
    per_s: float | None = None


# No more than leave at once: connections to a host, and streams of one to Apple and Google. What is claimed and waits
# for its turn would go even to who takes the consent back meanwhile.
LIMITS: Final[Mapping[ChannelType, LaneLimit]] = {
    ChannelType.WEBHOOK: LaneLimit(in_flight=32),
    ChannelType.WEBPUSH: LaneLimit(in_flight=32),
    ChannelType.APNS: LaneLimit(in_flight=100),
    # 600,000 a minute is the default quota of a project: Firebase, "Understanding message delivery quotas"
    ChannelType.FCM: LaneLimit(in_flight=100, per_s=9_000),
}


FIRST_ROOM: Final = min(limit.in_flight for limit in LIMITS.values())
"""What a lane takes at first, of which nothing is under way."""
WORTH_A_LOOK: Final = 4
"""A lane is looked for again when a quarter of it is free: messages are claimed by the handful, not one by one."""


@dataclass(slots=True)
class _Lane:
    limit: LaneLimit
    in_flight: int = 0
    tokens: float = 0.0
    filled_s: float = 0.0
    closed_until_s: float = 0.0

    def room(self, now_s: float) -> int:
        """How many more it takes now."""
        if now_s < self.closed_until_s:
            return 0
        left = self.limit.in_flight - self.in_flight
        if self.limit.per_s is not None:
            full = float(self.limit.in_flight)
            self.tokens = min(full, self.tokens + (now_s - self.filled_s) * self.limit.per_s)
            self.filled_s = now_s
            left = min(left, int(self.tokens))
        return max(left, 0)


class Lanes:
    """The lanes that something is under way in, or that are closed."""

    def __init__(self, limits: Mapping[ChannelType, LaneLimit] = LIMITS) -> None:
        self._limits = limits
        self._lanes: dict[str, _Lane] = {}

    def rooms(self, now_s: float) -> dict[str, int]:
        """How many more each takes; one that is not named takes FIRST_ROOM. Forgets what is empty and open."""
        found: dict[str, int] = {}
        for name, lane in list(self._lanes.items()):
            room = lane.room(now_s)
            if lane.in_flight == 0 and room == lane.limit.in_flight:
                del self._lanes[name]
            else:
                found[name] = room if room * WORTH_A_LOOK >= lane.limit.in_flight else 0
        return found

    def enter(self, name: str, channel: ChannelType, now_s: float) -> bool:
        """Takes a place if there is one; `leave` gives it back."""
        limit = self._limits.get(channel)
        if limit is None:
            return True
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = _Lane(limit, tokens=float(limit.in_flight), filled_s=now_s)
        if lane.room(now_s) == 0:
            return False
        lane.in_flight += 1
        lane.tokens -= 1.0
        return True

    def leave(self, name: str) -> None:
        lane = self._lanes.get(name)
        if lane is not None:
            lane.in_flight -= 1

    def close(self, name: str, *, until_s: float, now_s: float) -> None:
        """Nothing more goes this way until then, or MAX_PAUSE_S from now: whoever asks for a year gets five minutes."""
        lane = self._lanes.get(name)
        if lane is not None:
            lane.closed_until_s = max(lane.closed_until_s, min(until_s, now_s + MAX_PAUSE_S))
