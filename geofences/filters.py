"""Which positions move the tracker. Filters never delete: what is doubted is stored, flagged and counted. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from geofences.model import Flag

MAX_ACCURACY_M = 200.0
MAX_SPEED_MPS = 70.0
SUSPECTS_BELIEVED = 3
"""This many positions in a row that fit each other outweigh the last good one."""
GOOD_FOR_US = 600_000_000
"""After 10 minutes the last good position no longer speaks against a new one."""
MEAN_RADIUS_M = 6_371_008.8


class Fix(NamedTuple):
    """Where a device was, and when."""

    at_us: int
    lat: float
    lng: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What is believed of one device: its last good position, and the run of doubted ones since that fit each other."""

    good: Fix | None = None
    suspects: tuple[Fix, ...] = ()

    @classmethod
    def restored(cls, good: Fix | None, doubted: tuple[Fix, ...]) -> Trust:
        """The trust that judging `doubted` one by one had led to."""
        trust = cls(good=good)
        for fix in doubted:
            trust = cls(good=good, suspects=trust.with_suspect(fix))
        return trust

    def with_suspect(self, fix: Fix) -> tuple[Fix, ...]:
        fits = bool(self.suspects) and speed_mps(self.suspects[-1], fix) <= MAX_SPEED_MPS
        return (*self.suspects, fix) if fits else (fix,)


def speed_mps(a: Fix, b: Fix) -> float:
    """Great-circle speed between two fixes, metres a second; infinite for a jump in no time."""
    lat_a, lat_b = math.radians(a.lat), math.radians(b.lat)
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b.lng - a.lng) / 2) ** 2
    )
    distance_m = 2 * MEAN_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))
    if distance_m == 0:
        return 0.0
    elapsed_s = abs(b.at_us - a.at_us) / 1e6
    return math.inf if elapsed_s == 0 else distance_m / elapsed_s


def judge(fix: Fix, *, accuracy_m: float | None, mocked: bool, trust: Trust) -> tuple[Flag, Trust]:
    """The flags of one position, which comes in time order, and what is believed afterwards."""
    flags = Flag(0)
    if mocked:
        flags |= Flag.MOCKED
    if accuracy_m is not None and accuracy_m > MAX_ACCURACY_M:
        flags |= Flag.INACCURATE
    if flags:
        return flags, trust
    good = trust.good
    if good is None or fix.at_us - good.at_us >= GOOD_FOR_US or speed_mps(good, fix) <= MAX_SPEED_MPS:
        return Flag(0), Trust(good=fix)
    suspects = trust.with_suspect(fix)
    if len(suspects) >= SUSPECTS_BELIEVED:
        return Flag(0), Trust(good=fix)
    return Flag.IMPOSSIBLE_SPEED, Trust(good=good, suspects=suspects)
