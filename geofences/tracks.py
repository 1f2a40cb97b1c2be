"""The live visits of devices as linked rows, and writing down what becomes of them. Compiled; decides nothing."""

# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from geofences.compiled import borrowing, in_place
from geofences.states import NO_TRACK, NONE_US, Ended, Status, Told

if TYPE_CHECKING:
    from geofences.fence_tables import FenceTables
    from geofences.model import Int32s, Int64s
    from geofences.states import Devices, Moments, Tracks

CANDIDATE: Final = int(Status.CANDIDATE)
OPEN: Final = int(Status.OPEN)
CLOSED: Final = int(Status.CLOSED)
RETRACTED: Final = int(Status.RETRACTED)
STATE: Final = int(Told.STATE)
EXITED: Final = int(Told.EXITED)
PASSED: Final = int(Told.CROSSED)
NOT_ENDED: Final = int(Ended.NOT)
BY_PASSING: Final = int(Ended.CROSSED)

FREE, TOLD, SEEN, DUE, STEP, CLOCK, RECEIVED, ACTED = range(8)
"""Places in `World.counts`: sizes of what is filled so far, the number of the step, the entry's and the position's time
for whatever is told in it, and the latest time at which a timer did something."""
COUNTS: Final = 8


class World(NamedTuple):
    """All that a fold reads and writes."""

    devices: Devices
    tracks: Tracks
    free: Int32s
    """Rows of `tracks` that nobody uses: the first counts[FREE]."""
    moments: Moments
    """What happened, in order: the first counts[TOLD]."""
    counts: Int64s


@in_place
def find_track(world: World, d: int, fence_id: int) -> int:
    """The device's live track of a fence, or NO_TRACK."""
    k = world.devices[d].first_track
    while k != NO_TRACK:
        if world.tracks[k].fence_id == fence_id and world.tracks[k].status <= OPEN:
            return int(k)
        k = world.tracks[k].next
    return NO_TRACK


@borrowing
def new_track(world: World, d: int, fence_id: int) -> int:
    """A row for a device and a fence, linked in order of fence ids, so that what is told comes in one order only.

    The caller has seen to it that a row of `tracks` is free, and fills it.
    """
    world.counts[FREE] -= 1
    new = world.free[world.counts[FREE]]
    before = NO_TRACK
    k = world.devices[d].first_track
    while k != NO_TRACK and world.tracks[k].fence_id < fence_id:
        before = k
        k = world.tracks[k].next
    world.tracks[new].next = k
    if before == NO_TRACK:
        world.devices[d].first_track = new
    else:
        world.tracks[before].next = new
    world.tracks[new].fence_id = fence_id
    return int(new)


@borrowing
def begin(world: World, d: int, fence_id: int, slot: int, at_us: int, believed: float) -> int:
    """A candidate from its first IN."""
    k = new_track(world, d, fence_id)
    track = world.tracks[k]
    track.slot = slot
    track.status = CANDIDATE
    track.entered_us = at_us
    track.last_in_us = at_us
    track.out_since_us = NONE_US
    track.dwelled_us = NONE_US
    track.as_of_us = at_us
    track.root_id = 0
    track.confidence = believed
    track.stamp = 0
    track.positions = 1
    track.already_inside = 0
    track.dwell_waits = 0
    return k


@borrowing
def resume(world: World, d: int, visits: Moments, slot: int) -> int:
    """A live visit as a row of the ledger has it: the only one in `visits`, judged by the fence version in `slot`."""
    visit = visits[0]
    k = new_track(world, d, visit.fence_id)
    track = world.tracks[k]
    track.slot = slot
    track.status = visit.status
    track.entered_us = visit.entered_us
    track.last_in_us = visit.last_in_us
    track.out_since_us = visit.out_since_us
    track.dwelled_us = visit.dwelled_us
    track.as_of_us = visit.as_of_us
    track.root_id = visit.root_id
    track.confidence = visit.confidence
    track.stamp = 0
    track.positions = visit.positions
    track.already_inside = visit.already_inside
    track.dwell_waits = visit.dwell_waits
    return k


@in_place
def sweep(world: World, d: int) -> None:
    """Gives back the tracks of a device that ended."""
    before = NO_TRACK
    k = world.devices[d].first_track
    while k != NO_TRACK:
        following = world.tracks[k].next
        if world.tracks[k].status > OPEN:
            if before == NO_TRACK:
                world.devices[d].first_track = following
            else:
                world.tracks[before].next = following
            world.free[world.counts[FREE]] = k
            world.counts[FREE] += 1
        else:
            before = k
        k = following


@borrowing
def tell_close(
    world: World, tables: FenceTables, d: int, k: int, exited_us: int, ended_by: int, settled_us: int
) -> None:
    """The visit is over, and nothing but an earlier position can change that from `settled_us` on."""
    track = world.tracks[k]
    track.status = CLOSED
    track.out_since_us = NONE_US
    track.dwell_waits = 0
    _tell(world, tables, d, k, EXITED, exited_us, exited_us, ended_by, settled_us)


@borrowing
def tell_drop(world: World, tables: FenceTables, d: int, k: int, settled_us: int) -> None:
    """The candidate came to nothing: by an OUT (NONE_US), or by silence, which a late position may still fill."""
    world.tracks[k].status = RETRACTED
    _tell(world, tables, d, k, STATE, NONE_US, NONE_US, NOT_ENDED, settled_us)


@borrowing
def tell_state(world: World, tables: FenceTables, d: int, k: int) -> None:
    """Something changed that a restart must know of, and that nobody need be told."""
    _tell(world, tables, d, k, STATE, NONE_US, NONE_US, NOT_ENDED, NONE_US)


@borrowing
def tell_event(world: World, tables: FenceTables, d: int, k: int, told: int, at_us: int) -> None:
    _tell(world, tables, d, k, told, at_us, NONE_US, NOT_ENDED, NONE_US)


@borrowing
def _tell(
    world: World,
    tables: FenceTables,
    d: int,
    k: int,
    told: int,
    at_us: int,
    exited_us: int,
    ended_by: int,
    settled_us: int,
) -> None:
    track = world.tracks[k]
    track.as_of_us = world.devices[d].good_us
    moment = _next_moment(world, tables, d, track.slot)
    moment.entered_us = track.entered_us
    moment.last_in_us = track.last_in_us
    moment.out_since_us = track.out_since_us
    moment.exited_us = exited_us
    moment.dwelled_us = track.dwelled_us
    moment.settled_us = settled_us
    moment.root_id = track.root_id
    moment.at_us = at_us
    moment.confidence = track.confidence
    moment.positions = track.positions
    moment.told = told
    moment.status = track.status
    moment.ended_by = ended_by
    moment.already_inside = track.already_inside
    moment.dwell_waits = track.dwell_waits


@borrowing
def tell_crossed(
    world: World,
    tables: FenceTables,
    d: int,
    slot: int,
    entered_us: int,
    exited_us: int,
    settled_us: int,
    believed: float,
) -> None:
    """The device passed through between two positions: a visit that is over when it becomes known."""
    moment = _next_moment(world, tables, d, slot)
    moment.as_of_us = settled_us
    moment.entered_us = entered_us
    moment.last_in_us = exited_us
    moment.out_since_us = NONE_US
    moment.exited_us = exited_us
    moment.dwelled_us = NONE_US
    moment.settled_us = settled_us
    moment.root_id = 0
    moment.at_us = entered_us
    moment.confidence = believed
    moment.positions = 0
    moment.told = PASSED
    moment.status = CLOSED
    moment.ended_by = BY_PASSING
    moment.already_inside = 0
    moment.dwell_waits = 0


@in_place
def _next_moment(world: World, tables: FenceTables, d: int, slot: int) -> Any:
    """A new row of `moments` that says who, which fence and when it is told; the caller fills the rest."""
    fence = tables.fences[slot]
    moment = world.moments[world.counts[TOLD]]
    world.counts[TOLD] += 1
    moment.device_id = world.devices[d].device_id
    moment.tenant_id = fence.tenant_id
    moment.fence_id = fence.fence_id
    moment.fence_version = fence.version
    moment.store_id = fence.store_id
    moment.as_of_us = world.devices[d].good_us
    moment.clock_us = world.counts[CLOCK]
    moment.received_us = world.counts[RECEIVED]
    return moment
