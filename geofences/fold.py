"""From verdicts to visits: the state machine of one device in one fence, compiled. Knows no database and no clock.

Promise: the same positions and the same fence versions give the same visits, in whatever batches they come. Positions
of a device come in time order here; `refold` puts late ones in order first. Times are int64 microseconds.

    none --IN--> candidate --enter_after_s without OUT--> open --exit_after_s without IN--> closed
                     |                                     |----gap_s of silence----------> closed
                     `--OUT, silence--> none               `----the fence goes away--------> closed
"""

# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from geofences.compiled import borrowing, in_place
from geofences.model import FOREVER_US
from geofences.nearness import confidence_of, signed_distance_m
from geofences.passing import passage
from geofences.states import NEVER_US, NO_TRACK, NONE_US, Ended, Told
from geofences.tracks import (
    ACTED,
    CANDIDATE,
    OPEN,
    STEP,
    begin,
    find_track,
    sweep,
    tell_close,
    tell_crossed,
    tell_drop,
    tell_event,
    tell_state,
)
from geofences.trust import believe

if TYPE_CHECKING:
    from geofences.fence_tables import FenceTables
    from geofences.model import Int32s
    from geofences.tracks import World

ENTERED: Final = int(Told.ENTERED)
DWELLED: Final = int(Told.DWELLED)
NO_FENCE: Final = -1
BY_EXIT: Final = int(Ended.EXIT)
BY_GAP: Final = int(Ended.GAP)
BY_FENCE_CHANGED: Final = int(Ended.FENCE_CHANGED)

WRITTEN_EVERY_US: Final = 600_000_000
"""The row of an open visit is at most so far behind: what a restart has to fold again stays short."""
MOMENTS_A_TRACK: Final = 10
"""One position makes a track tell no more than this, for each version of its fence that it lives through."""
SURE_ACCURACIES: Final = 4.0
"""Farther inside than so many accuracies (six standard deviations), the border leaves no doubt."""
UNKNOWN_ACCURACY_M: Final = 20.0


@in_place
def settle(world: World, tables: FenceTables, d: int, k: int, now_us: int) -> None:
    """Lets everything happen to track `k` of device `d` that is due at or before `now_us` if no position comes."""
    track = world.tracks[k]
    while track.status <= OPEN:
        slot = track.slot
        ends_us = tables.fences[slot].valid_to_us
        if now_us < ends_us:
            _settle(world, tables, d, k, now_us)
            return
        _settle(world, tables, d, k, ends_us)
        if track.status > OPEN:
            return
        _act(world, ends_us)
        successor = tables.fences[slot].next_slot
        if _goes_on(world, tables, d, successor, ends_us):
            track.slot = successor
            tell_state(world, tables, d, k)
        else:
            end(world, tables, d, k, BY_FENCE_CHANGED, ends_us)


@in_place
def _act(world: World, at_us: int) -> None:
    """Something happened at that time because no position had come."""
    world.counts[ACTED] = max(world.counts[ACTED], at_us)


@borrowing
def _goes_on(world: World, tables: FenceTables, d: int, successor: int, from_us: int) -> bool:
    """Whether the last good position lies in the version that takes over."""
    if successor < 0:
        return False
    fence = tables.fences[successor]
    if fence.valid_from_us > from_us or fence.valid_to_us <= from_us:
        return False
    device = world.devices[d]
    return bool(signed_distance_m(tables, successor, device.good_lat, device.good_lng, 1.0) >= 0.0)


@in_place
def _settle(world: World, tables: FenceTables, d: int, k: int, now_us: int) -> None:
    """`settle` within one fence version."""
    track = world.tracks[k]
    profile = tables.profiles[tables.fences[track.slot].profile]
    last_us = world.devices[d].good_us
    held_until_us = last_us + profile.hold_us
    known_us = min(now_us, held_until_us)
    if track.status == CANDIDATE:
        if track.entered_us + profile.enter_after_us <= known_us:
            track.status = OPEN
            _act(world, track.entered_us + profile.enter_after_us)
            tell_event(world, tables, d, k, ENTERED, track.entered_us)
        elif now_us > held_until_us:
            _act(world, held_until_us + 1)
            tell_drop(world, tables, d, k, held_until_us + 1)
    if track.status != OPEN:
        return
    if profile.dwell_us > 0 and track.dwelled_us == NONE_US and track.dwell_waits == 0:
        dwell_us = track.entered_us + profile.dwell_us
        if last_us <= dwell_us <= known_us:
            _act(world, dwell_us)
            if track.out_since_us != NONE_US and track.out_since_us <= dwell_us:
                track.dwell_waits = 1
                tell_state(world, tables, d, k)
            else:
                track.dwelled_us = dwell_us
                tell_event(world, tables, d, k, DWELLED, dwell_us)
    if track.out_since_us != NONE_US:
        exit_known_us = track.out_since_us + profile.exit_after_us
        if exit_known_us <= known_us:
            _act(world, exit_known_us)
            tell_close(world, tables, d, k, track.out_since_us, BY_EXIT, max(exit_known_us, last_us))
            return
    if profile.gap_us > 0 and now_us >= last_us + profile.gap_us:
        _act(world, last_us + profile.gap_us)
        tell_close(world, tables, d, k, track.last_in_us, BY_GAP, last_us + profile.gap_us)


@borrowing
def step(
    world: World,
    tables: FenceTables,
    d: int,
    at_us: int,
    lat: float,
    lng: float,
    accuracy_m: float,
    pairs: Int32s,
    restoring: bool,
) -> None:
    """One good position of device `d`: `pairs` are the slots that it lies in, of versions in force at its time.

    `restoring` folds again what the ledger knows of already: no visit begins, and a track that was written later than
    this position is left alone.
    """
    device = world.devices[d]
    k = device.first_track
    while k != NO_TRACK:
        if not (restoring and at_us <= world.tracks[k].as_of_us):
            settle(world, tables, d, k, at_us)
        k = world.tracks[k].next
    first_ever = device.good_us == NONE_US
    believe(world.devices, d, at_us, lat, lng)
    world.counts[STEP] += 1
    for slot in pairs:
        _inside(world, tables, d, slot, at_us, lat, lng, accuracy_m, first_ever, restoring)
    k = device.first_track
    while k != NO_TRACK:
        track = world.tracks[k]
        if not (restoring and at_us <= track.as_of_us):
            if track.stamp != world.counts[STEP] and track.status <= OPEN:
                _outside(world, tables, d, k, at_us, lat, lng)
            settle(world, tables, d, k, at_us)
            if track.status == OPEN and at_us - track.as_of_us >= WRITTEN_EVERY_US:
                tell_state(world, tables, d, k)
        k = track.next
    sweep(world, d)


@borrowing
def cross(
    world: World,
    tables: FenceTables,
    d: int,
    at_us: int,
    lat: float,
    lng: float,
    accuracy_m: float,
    pairs: Int32s,
    between: Int32s,
) -> None:
    """Before the step to a good position: tells of fences that the device passed through on the way there.

    `between` are slots that may lie on it, by fence and version; a fence that it lies in, or that a visit goes on of,
    is none.
    """
    k = world.devices[d].first_track
    while k != NO_TRACK:
        settle(world, tables, d, k, at_us)
        k = world.tracks[k].next
    told_of = NO_FENCE
    for slot in between:
        fence_id = tables.fences[slot].fence_id
        outside = fence_id != told_of and find_track(world, d, fence_id) == NO_TRACK
        for inside in pairs:
            outside &= tables.fences[inside].fence_id != fence_id
        if outside and _passed(world, tables, d, slot, at_us, lat, lng, accuracy_m):
            told_of = fence_id


@in_place
def _passed(
    world: World, tables: FenceTables, d: int, slot: int, at_us: int, lat: float, lng: float, accuracy_m: float
) -> bool:
    """Whether the way from the last good position leads through a slot's shape while it is in force; tells of it."""
    device = world.devices[d]
    coming, leaving, deepest_m = passage(tables, slot, device.good_lat, device.good_lng, lat, lng)
    if coming < 0.0:
        return False
    elapsed_us = at_us - device.good_us
    entered_us = min(max(device.good_us + int(coming * elapsed_us), device.good_us + 1), at_us - 1)
    exited_us = min(max(device.good_us + int(leaving * elapsed_us), entered_us), at_us - 1)
    fence = tables.fences[slot]
    if entered_us < fence.valid_from_us or entered_us >= fence.valid_to_us:
        return False
    tell_crossed(
        world, tables, d, slot, entered_us, exited_us, at_us, confidence_of(deepest_m, accuracy_m, fence.area_m2)
    )
    return True


@in_place
def _inside(
    world: World,
    tables: FenceTables,
    d: int,
    slot: int,
    at_us: int,
    lat: float,
    lng: float,
    accuracy_m: float,
    first_ever: bool,
    restoring: bool,
) -> None:
    """What a position says that lies in a fence: IN, or NEITHER when that is not sure enough."""
    fence = tables.fences[slot]
    min_confidence = tables.profiles[fence.profile].min_confidence
    k = find_track(world, d, fence.fence_id)
    if k != NO_TRACK:
        world.tracks[k].stamp = world.counts[STEP]
    if restoring and (k == NO_TRACK or at_us <= world.tracks[k].as_of_us):
        return
    believed = 1.0
    if min_confidence > 0.0 or k == NO_TRACK or world.tracks[k].status == CANDIDATE:
        reach_m = SURE_ACCURACIES * (UNKNOWN_ACCURACY_M if accuracy_m != accuracy_m else accuracy_m)  # noqa: PLR0124
        distance_m = signed_distance_m(tables, slot, lat, lng, reach_m)
        believed = confidence_of(max(distance_m, 0.0), accuracy_m, fence.area_m2)
    if believed < min_confidence:
        return
    if k == NO_TRACK:
        k = begin(world, d, fence.fence_id, slot, at_us, believed)
        world.tracks[k].already_inside = 1 if first_ever else 0
        world.tracks[k].stamp = world.counts[STEP]
        tell_state(world, tables, d, k)
        return
    track = world.tracks[k]
    track.last_in_us = at_us
    track.positions += 1
    if track.status == CANDIDATE:
        track.confidence = max(track.confidence, believed)
    if track.dwell_waits != 0:
        track.out_since_us = NONE_US
        track.dwell_waits = 0
        track.dwelled_us = track.entered_us + tables.profiles[tables.fences[track.slot].profile].dwell_us
        tell_event(world, tables, d, k, DWELLED, track.dwelled_us)
    elif track.out_since_us != NONE_US:
        track.out_since_us = NONE_US
        tell_state(world, tables, d, k)


@in_place
def _outside(world: World, tables: FenceTables, d: int, k: int, at_us: int, lat: float, lng: float) -> None:
    """What a position says that lies outside a fence the device was in: OUT beyond the buffer, else NEITHER."""
    track = world.tracks[k]
    buffer_m = tables.profiles[tables.fences[track.slot].profile].exit_buffer_m
    if buffer_m > 0.0 and -signed_distance_m(tables, track.slot, lat, lng, 2.0 * buffer_m) <= buffer_m:
        return
    if track.status == CANDIDATE:
        tell_drop(world, tables, d, k, NONE_US)
    elif track.out_since_us == NONE_US:
        track.out_since_us = at_us
        tell_state(world, tables, d, k)


@borrowing
def end(world: World, tables: FenceTables, d: int, k: int, ended_by: int, at_us: int) -> None:
    """Ends a visit for a reason outside the positions: the fence changed, consent was withdrawn."""
    track = world.tracks[k]
    if track.status == CANDIDATE:
        tell_drop(world, tables, d, k, at_us)
    elif track.status == OPEN:
        tell_close(world, tables, d, k, max(at_us, track.entered_us), ended_by, at_us)


@in_place
def due_us(world: World, tables: FenceTables, d: int) -> int:
    """When the next timer of a device is due if nothing more comes; NEVER_US if none is."""
    soonest_us = NEVER_US
    last_us = world.devices[d].good_us
    k = world.devices[d].first_track
    while k != NO_TRACK:
        track = world.tracks[k]
        fence = tables.fences[track.slot]
        profile = tables.profiles[fence.profile]
        held_until_us = last_us + profile.hold_us
        if fence.valid_to_us < FOREVER_US:
            soonest_us = min(soonest_us, fence.valid_to_us)
        if track.status == CANDIDATE:
            soonest_us = min(soonest_us, track.entered_us + profile.enter_after_us, held_until_us + 1)
        else:
            if profile.gap_us > 0:
                soonest_us = min(soonest_us, last_us + profile.gap_us)
            if track.out_since_us != NONE_US and track.out_since_us + profile.exit_after_us <= held_until_us:
                soonest_us = min(soonest_us, track.out_since_us + profile.exit_after_us)
            if profile.dwell_us > 0 and track.dwelled_us == NONE_US and track.dwell_waits == 0:
                dwell_us = track.entered_us + profile.dwell_us
                if last_us <= dwell_us <= held_until_us:
                    soonest_us = min(soonest_us, dwell_us)
        k = track.next
    return soonest_us
