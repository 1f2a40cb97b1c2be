"""The words of the geofence domain as values. Pure: no database, no Redis, no HTTP, no clock.

Times are int64 microseconds since the Unix epoch, UTC (`_us`). Distances are metres (`_m`), angles degrees (`_deg`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, Final, NewType

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Mapping

TenantId = NewType("TenantId", int)
DeviceId = NewType("DeviceId", int)
StoreId = NewType("StoreId", int)
FenceId = NewType("FenceId", int)
VisitId = NewType("VisitId", int)
EventId = NewType("EventId", int)
Shard = NewType("Shard", int)
Cell = NewType("Cell", int)
"""An H3 index as a signed 64-bit integer (all H3 cells are positive)."""

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SHARDS = 64
"""Fixed at install: a device belongs to shard `device_id % SHARDS`."""

FOREVER_US = 2**62
"""The `valid_to_us` of a fence version that is still in force."""

UNKNOWN_ACCURACY_M = 20.0
"""What a position without accuracy counts as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatLng:
    lat: float
    lng: float


class FenceKind(StrEnum):
    CIRCLE = "circle"
    POLYGON = "polygon"
    MULTIPOLYGON = "multipolygon"


class EventType(StrEnum):
    ENTERED = "visit.entered"
    DWELLED = "visit.dwelled"
    EXITED = "visit.exited"
    CROSSED = "visit.crossed"
    CORRECTED = "visit.corrected"
    RETRACTED = "visit.retracted"


class VisitStatus(StrEnum):
    CANDIDATE = "candidate"
    OPEN = "open"
    CLOSED = "closed"
    RETRACTED = "retracted"


class Kept(StrEnum):
    """What a tenant may keep for a shorter time than the installation does."""

    POSITIONS = "positions"
    VISITS = "visits"
    EVENTS = "events"
    DECISIONS = "decisions"
    NOTIFICATIONS = "notifications"


class EndedBy(StrEnum):
    EXIT = "exit"
    GAP = "gap"
    FENCE_CHANGED = "fence_changed"
    CONSENT = "consent_withdrawn"
    CROSSED = "crossed"
    """Passed through between two positions."""


class Verdict(StrEnum):
    """What one position says of one fence; NEITHER continues what was."""

    IN = "in"
    OUT = "out"
    NEITHER = "neither"


class Flag(IntFlag):
    """Why a stored position does not move the tracker; 0 is a good one."""

    MOCKED = 1
    INACCURATE = 2
    IMPOSSIBLE_SPEED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """When a verdict becomes a visit. `dwell_s = 0` turns dwell off, `gap_s = 0` never ends a visit by silence.

    `crossed_within_s = 0` tells nothing of devices that pass through between two positions; else these may be so far
    apart in time.
    """

    enter_after_s: float = 30.0
    exit_after_s: float = 60.0
    exit_buffer_m: float = 20.0
    min_confidence: float = 0.5
    dwell_s: float = 120.0
    hold_s: float = 300.0
    gap_s: float = 1800.0
    crossed_within_s: float = 0.0


SETTINGS_AT_MOST: Final[Mapping[str, float]] = {
    "enter_after_s": 7 * 86_400,
    "exit_after_s": 7 * 86_400,
    "exit_buffer_m": 100_000,
    "min_confidence": 1,
    "dwell_s": 7 * 86_400,
    "hold_s": 7 * 86_400,
    "gap_s": 7 * 86_400,
    "crossed_within_s": 120,
}
"""What a fence may ask for, field by field of `Profile`; nothing is negative."""

STANDARD = Profile()
PLAIN = Profile(
    enter_after_s=0.0, exit_after_s=0.0, exit_buffer_m=0.0, min_confidence=0.0, dwell_s=0.0, hold_s=0.0, gap_s=0.0
)
PROFILES = {"standard": STANDARD, "plain": PLAIN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """All points whose WGS 84 geodesic distance to `center` is at most `radius_m`."""

    center: LatLng
    radius_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Polygons with straight edges in lon/lat, as WKB of a valid MULTIPOLYGON inside [-180, 180] x [-90, 90].

    The border counts as inside, holes as outside. A shape across 180 degrees is stored split there.
    """

    wkb: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """One version of one fence, in force for `valid_from_us <= recorded_at < valid_to_us`."""

    fence_id: FenceId
    version: int
    tenant_id: TenantId
    shape: Circle | Area
    profile: Profile
    cells: tuple[Cell, ...]
    store_id: StoreId | None = None
    external_id: str = ""
    valid_from_us: int = 0
    valid_to_us: int = FOREVER_US


POSITION_DTYPE = np.dtype(
    [
        ("device_id", "<i8"),
        ("tenant_id", "<i4"),
        ("recorded_us", "<i8"),
        ("received_us", "<i8"),
        ("lat", "<f8"),
        ("lng", "<f8"),
        ("accuracy_m", "<f4"),  # NaN: not said
        ("speed_mps", "<f4"),  # NaN: not said
        ("flags", "<u1"),
    ]
)
"""One accepted position as it travels through the log: 57 bytes, packed, little endian."""

Positions = NDArray[np.void]
"""Shape (n,), dtype POSITION_DTYPE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Which positions of a batch lie in which fences, as parallel columns sorted by (position, slot)."""

    position: Int64s
    """Shape (k,): index into the batch."""
    slot: Int32s
    """Shape (k,): slot of the fence version in the index."""
