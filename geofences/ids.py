"""Ids that follow from what they name, so that repeated work makes the same rows."""

from __future__ import annotations

import struct
from hashlib import blake2b
from typing import TYPE_CHECKING

from geofences.model import EventId, VisitId

if TYPE_CHECKING:
    from typing import Any

    from geofences.model import EventType


def stable_id(kind: bytes, *numbers: int, text: str = "") -> int:
    """A 63-bit id that depends only on what it names.

    >>> stable_id(b"visit", 1, 2, 3) == stable_id(b"visit", 1, 2, 3)
    True
    """
    digest = blake2b(struct.pack(f"<{len(numbers)}q", *numbers) + text.encode(), digest_size=8, person=kind[:16])
    return int.from_bytes(digest.digest(), "little") >> 1


def visit_id_of(moment: Any) -> VisitId:
    """The id of the visit that a moment (MOMENT_DTYPE) is about."""
    return visit_id(
        int(moment["tenant_id"]), int(moment["device_id"]), int(moment["fence_id"]), int(moment["entered_us"])
    )


def visit_id(tenant_id: int, device_id: int, fence_id: int, entered_us: int) -> VisitId:
    return VisitId(stable_id(b"visit", tenant_id, device_id, fence_id, entered_us))


def event_id(type_: EventType, visit: VisitId, at_us: int, *, corrected_us: int | None = None) -> EventId:
    """`corrected_us` is the clock of a correction: what is told a second time is another event."""
    again = () if corrected_us is None else (corrected_us,)
    return EventId(stable_id(b"event", visit, at_us, *again, text=type_))
