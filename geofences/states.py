"""What the tracker holds in memory and hands out, as packed columns that numba and numpy both understand.

Times are int64 microseconds; NONE_US stands for "not", as NULL does in a table.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geofences.model import EndedBy, EventType, VisitStatus

NONE_US: Final = -(2**62)
NEVER_US: Final = 2**62
NO_TRACK: Final = -1
NO_DEVICE: Final = -1
NO_ROW: Final = -1


class Status(IntEnum):
    """`VisitStatus` as a number; the order of this enum is the order of that one."""

    CANDIDATE = 0
    OPEN = 1
    CLOSED = 2
    RETRACTED = 3


class Told(IntEnum):
    """What a moment tells: nothing but the state of a visit, or an event too."""

    STATE = 0
    ENTERED = 1
    DWELLED = 2
    EXITED = 3
    CROSSED = 4
    CORRECTED = 5
    RETRACTED = 6


class Ended(IntEnum):
    """`EndedBy` as a number; 0 is a visit that goes on."""

    NOT = 0
    EXIT = 1
    GAP = 2
    FENCE_CHANGED = 3
    CONSENT = 4
    CROSSED = 5


STATUSES: Final = tuple(VisitStatus)
EVENT_TYPES: Final = (
    None,
    EventType.ENTERED,
    EventType.DWELLED,
    EventType.EXITED,
    EventType.CROSSED,
    EventType.CORRECTED,
    EventType.RETRACTED,
)
ENDINGS: Final = (None, EndedBy.EXIT, EndedBy.GAP, EndedBy.FENCE_CHANGED, EndedBy.CONSENT, EndedBy.CROSSED)

DEVICE_DTYPE: Final = np.dtype(
    [
        # what every position reads comes first: two lines of the cache
        ("newest_us", "i8"),  # of any stored position; NONE_US: there is none
        ("acted_us", "i8"),  # the latest time at which a timer did something: a position before it comes late
        ("floor_us", "i8"),  # when location consent was last withdrawn: nothing before it counts any more
        ("good_us", "i8"),  # the last good position
        ("good_lat", "f8"),
        ("good_lng", "f8"),
        ("seen_us", "i8"),  # as `device_last` has it
        ("seen_cell", "i8"),
        ("first_track", "i4"),
        ("suspects", "i4"),
        ("last_row", "i4"),  # while a batch is put in order, the last row of this device so far; else NO_ROW
        ("consented", "u1"),
        ("used", "u1"),
        ("pending_us", "i8"),  # when its earliest timer is set; NEVER_US: none is
        ("device_id", "i8"),
        ("tenant_id", "i4"),
        ("scope", "i4"),
        ("suspect0_us", "i8"),  # doubted positions since the last good one that fit each other
        ("suspect0_lat", "f8"),
        ("suspect0_lng", "f8"),
        ("suspect1_us", "i8"),
        ("suspect1_lat", "f8"),
        ("suspect1_lng", "f8"),
    ],
    align=True,
)
"""One device that the engine has met."""

TRACK_DTYPE: Final = np.dtype(
    [
        ("fence_id", "i8"),
        ("entered_us", "i8"),
        ("last_in_us", "i8"),
        ("out_since_us", "i8"),  # the first OUT that nothing has taken back yet
        ("dwelled_us", "i8"),
        ("as_of_us", "i8"),  # newest position that the visit's row in the ledger knows of
        ("root_id", "i8"),  # of the visit that this one replaces; 0: its own
        ("confidence", "f8"),
        ("stamp", "i8"),  # number of the step that looked at it last
        ("slot", "i4"),  # of the fence version that judges it
        ("positions", "i4"),
        ("next", "i4"),  # the device's next track
        ("status", "u1"),
        ("already_inside", "u1"),
        ("dwell_waits", "u1"),  # the dwell time passed while an OUT was not yet confirmed
    ],
    align=True,
)
"""One device in or about one fence: a candidate or open visit."""

MOMENT_DTYPE: Final = np.dtype(
    [
        ("device_id", "i8"),
        ("fence_id", "i8"),
        ("store_id", "i8"),
        ("entered_us", "i8"),
        ("last_in_us", "i8"),
        ("out_since_us", "i8"),
        ("exited_us", "i8"),
        ("dwelled_us", "i8"),
        ("as_of_us", "i8"),
        ("settled_us", "i8"),  # from when on an earlier position is all that can change it
        ("root_id", "i8"),
        ("at_us", "i8"),  # of the event
        ("clock_us", "i8"),
        ("received_us", "i8"),
        ("confidence", "f8"),
        ("tenant_id", "i4"),
        ("fence_version", "i4"),
        ("positions", "i4"),
        ("told", "u1"),
        ("status", "u1"),
        ("ended_by", "u1"),
        ("already_inside", "u1"),
        ("dwell_waits", "u1"),
    ],
    align=True,
)
"""A visit as it was when something about it changed, and what is told of it."""

Devices = NDArray[np.void]
Tracks = NDArray[np.void]
Moments = NDArray[np.void]
