"""The reference: visits folded from verdicts with plain objects, one device and one fence at a time.

Written before the compiled tracker and independent of it. Times are int64 microseconds.

    none --IN--> candidate --enter_after_s without OUT--> open --exit_after_s without IN--> closed
                     |                                     |----gap_s of silence----------> closed
                     `--OUT, silence--> none               `----the fence goes away--------> closed
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from geofences.ids import visit_id
from geofences.model import (
    DeviceId,
    EndedBy,
    EventType,
    Fence,
    FenceId,
    Profile,
    StoreId,
    TenantId,
    Verdict,
    VisitId,
    VisitStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

US = 1_000_000
NEVER_US = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One row of the ledger: the time a device is inside one fence."""

    visit_id: VisitId
    tenant_id: TenantId
    device_id: DeviceId
    fence_id: FenceId
    fence_version: int
    store_id: StoreId | None
    status: VisitStatus
    entered_us: int
    last_in_us: int
    already_inside: bool
    positions: int
    confidence: float
    """The best confidence of its IN verdicts."""
    out_since_us: int | None = None
    exited_us: int | None = None
    dwelled_us: int | None = None
    dwell_waits: bool = False
    """The dwell time passed while an OUT was not yet confirmed: taking the OUT back lets it fire."""
    ended_by: EndedBy | None = None

    @property
    def finished(self) -> bool:
        return self.status in {VisitStatus.CLOSED, VisitStatus.RETRACTED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a visit did, and when at the shop it did it."""

    type: EventType
    at_us: int
    visit: Visit
    received_us: int | None = None


def begin(fence: Fence, *, device_id: DeviceId, at_us: int, confidence: float, already_inside: bool) -> Visit:
    """A candidate visit from its first IN."""
    return Visit(
        visit_id=visit_id(fence.tenant_id, device_id, fence.fence_id, at_us),
        tenant_id=fence.tenant_id,
        device_id=device_id,
        fence_id=fence.fence_id,
        fence_version=fence.version,
        store_id=fence.store_id,
        status=VisitStatus.CANDIDATE,
        entered_us=at_us,
        last_in_us=at_us,
        already_inside=already_inside,
        positions=1,
        confidence=confidence,
    )


@dataclass(slots=True)
class Fold:
    """One visit on its way: apply verdicts and ticks in time order, read `visit` and `events` afterwards.

    `visit` is None when there is none (any more); a closed visit stays in `visit` until the next IN begins another.
    """

    profile: Profile
    visit: Visit | None
    last_us: int
    """Time of the device's last good position: its verdict holds until `last_us + hold_s`."""
    events: list[Event]
    finished: list[Visit]
    """Visits that ended in this fold, and candidates that came to nothing (status retracted)."""

    def settle(self, now_us: int) -> None:
        """Lets every timer fire that is due at or before `now_us`, given no verdict after `last_us`."""
        visit = self.visit
        if visit is None or visit.finished:
            return
        held_until_us = self.last_us + _us(self.profile.hold_s)
        if visit.status is VisitStatus.CANDIDATE:
            self._settle_candidate(visit, now_us, held_until_us)
        if self.visit is not None and self.visit.status is VisitStatus.OPEN:
            self._settle_open(self.visit, now_us, held_until_us)

    def _settle_candidate(self, visit: Visit, now_us: int, held_until_us: int) -> None:
        confirmed_us = visit.entered_us + _us(self.profile.enter_after_s)
        if confirmed_us <= min(now_us, held_until_us):
            self.visit = replace(visit, status=VisitStatus.OPEN)
            self._emit(EventType.ENTERED, visit.entered_us)
        elif now_us > held_until_us:
            self._drop(visit)

    def _settle_open(self, visit: Visit, now_us: int, held_until_us: int) -> None:
        profile = self.profile
        if profile.dwell_s > 0 and visit.dwelled_us is None and not visit.dwell_waits:
            dwell_us = visit.entered_us + _us(profile.dwell_s)
            if self.last_us <= dwell_us <= min(now_us, held_until_us):
                visit = self._dwell(visit, dwell_us)
        if visit.out_since_us is not None:
            exit_known_us = visit.out_since_us + _us(profile.exit_after_s)
            if exit_known_us <= min(now_us, held_until_us):
                self._close(visit, visit.out_since_us, EndedBy.EXIT)
                return
        if profile.gap_s > 0 and now_us >= self.last_us + _us(profile.gap_s):
            self._close(visit, visit.last_in_us, EndedBy.GAP)

    def _dwell(self, visit: Visit, dwell_us: int) -> Visit:
        if visit.out_since_us is not None and visit.out_since_us <= dwell_us:
            self.visit = replace(visit, dwell_waits=True)
        else:
            self.visit = replace(visit, dwelled_us=dwell_us)
            self._emit(EventType.DWELLED, dwell_us)
        assert self.visit is not None
        return self.visit

    def verdict(self, verdict: Verdict, *, fence: Fence, device_id: DeviceId, at_us: int, confidence: float) -> None:
        """One position's word on this fence. Positions come in time order; `at_us` becomes the new `last_us`.

        `already_inside` follows from `last_us`: a device that was never seen has `last_us == -NEVER_US`.
        """
        first_ever = self.last_us == -NEVER_US
        if not first_ever:
            self.settle(at_us)
        self.last_us = at_us
        visit = None if self.visit is None or self.visit.finished else self.visit
        if verdict is Verdict.IN:
            self.visit = (
                begin(fence, device_id=device_id, at_us=at_us, confidence=confidence, already_inside=first_ever)
                if visit is None
                else self._seen_inside(visit, at_us)
            )
        elif verdict is Verdict.OUT and visit is not None:
            if visit.status is VisitStatus.CANDIDATE:
                self._drop(visit)
            elif visit.out_since_us is None:
                self.visit = replace(visit, out_since_us=at_us)
        self.settle(at_us)

    def _seen_inside(self, visit: Visit, at_us: int) -> Visit:
        seen = replace(
            visit,
            last_in_us=at_us,
            out_since_us=None,
            positions=visit.positions + 1,
        )
        if not seen.dwell_waits:
            return seen
        dwelled = replace(seen, dwell_waits=False, dwelled_us=seen.entered_us + _us(self.profile.dwell_s))
        self.visit = dwelled
        assert dwelled.dwelled_us is not None
        self._emit(EventType.DWELLED, dwelled.dwelled_us)
        return dwelled

    def end(self, at_us: int, ended_by: EndedBy) -> None:
        """Ends what is going on for a reason outside the positions: the fence changed, consent was withdrawn."""
        visit = self.visit
        if visit is None or visit.finished:
            return
        if visit.status is VisitStatus.CANDIDATE:
            self._drop(visit)
        else:
            self._close(visit, max(at_us, visit.entered_us), ended_by)

    def carry_over(self, fence_version: int) -> None:
        """The fence was edited and the device is still inside: the visit goes on under the new version."""
        if self.visit is not None and not self.visit.finished:
            self.visit = replace(self.visit, fence_version=fence_version)

    def due_us(self) -> int:
        """When the next timer is due if nothing more comes; NEVER_US if none is."""
        visit = self.visit
        if visit is None or visit.finished:
            return NEVER_US
        return min(self._timers(visit), default=NEVER_US)

    def _timers(self, visit: Visit) -> Iterator[int]:
        profile = self.profile
        held_until_us = self.last_us + _us(profile.hold_s)
        if visit.status is VisitStatus.CANDIDATE:
            yield min(visit.entered_us + _us(profile.enter_after_s), held_until_us + 1)
            return
        if profile.gap_s > 0:
            yield self.last_us + _us(profile.gap_s)
        if visit.out_since_us is not None and visit.out_since_us + _us(profile.exit_after_s) <= held_until_us:
            yield visit.out_since_us + _us(profile.exit_after_s)
        if profile.dwell_s > 0 and visit.dwelled_us is None and not visit.dwell_waits:
            dwell_us = visit.entered_us + _us(profile.dwell_s)
            if self.last_us <= dwell_us <= held_until_us:
                yield dwell_us

    def _close(self, visit: Visit, at_us: int, ended_by: EndedBy) -> None:
        self.visit = replace(
            visit, status=VisitStatus.CLOSED, exited_us=at_us, ended_by=ended_by, out_since_us=None, dwell_waits=False
        )
        self._emit(EventType.EXITED, at_us)
        self.finished.append(self.visit)

    def _drop(self, visit: Visit) -> None:
        self.finished.append(replace(visit, status=VisitStatus.RETRACTED))
        self.visit = None

    def _emit(self, type_: EventType, at_us: int) -> None:
        assert self.visit is not None
        self.events.append(Event(type=type_, at_us=at_us, visit=self.visit))


def _us(seconds: float) -> int:
    return round(seconds * US)
