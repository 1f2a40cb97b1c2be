"""One entry of every shard at once: rows in order of device and time, folded in one compiled call."""

# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from geofences.compiled import borrowing, in_place, prefetch
from geofences.fold import MOMENTS_A_TRACK, cross, due_us, end, settle, step
from geofences.passing import fences_between
from geofences.states import NEVER_US, NO_DEVICE, NO_ROW, NO_TRACK, NONE_US, Ended
from geofences.tracks import ACTED, CLOCK, DUE, OPEN, RECEIVED, SEEN, TOLD, sweep
from geofences.trust import MOCKED, NO_FLAGS, believe, judge

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geofences.fence_tables import FenceTables
    from geofences.model import Int32s, Int64s, Pairs, Positions
    from geofences.passing import Way
    from geofences.states import Devices
    from geofences.tracks import World

SEEN_EVERY_US: Final = 60_000_000
BY_CONSENT: Final = int(Ended.CONSENT)

SKIP, FOLD, ASK = range(3)
"""What is to be done with a row: nothing, fold it, or look into the past first."""
DEVICES_AHEAD: Final = 12
"""How many rows ahead a device is fetched into the cache."""


class Rows(NamedTuple):
    """The positions of a batch and what is known of each, as columns of shape (n,)."""

    positions: Positions
    """Their flags are set by the fold."""
    device: Int32s
    """Row of the device in `World.devices`; NO_DEVICE for one that nobody knows."""
    entry: Int32s
    """Which of the batch's entries brought it."""
    filtered: NDArray[Any]
    """uint8, shape (entries,): whether what it brings may be doubted."""
    clock_us: Int64s
    """Shape (entries,)."""
    pair_first: Int64s
    """Shape (n + 1,): where the slots that each position lies in begin in `pair_slot`."""
    pair_slot: Int32s
    cell: Int64s
    """Any number that changes when the position's H3 cell at resolution 9 does."""
    todo: NDArray[Any]
    """uint8: SKIP, FOLD or ASK."""
    way: Way


class Told(NamedTuple):
    """What a fold hands out besides moments; filled up to World.counts[SEEN] and [DUE]."""

    seen: Int64s
    """Rows that changed where their device was last."""
    due_device: Int32s
    due_us: Int64s


@borrowing
def _count_pairs(position: Int64s, first: Int64s) -> None:
    at = 0
    for i in range(len(first)):
        while at < len(position) and position[at] < i:
            at += 1
        first[i] = at


def first_pairs(pairs: Pairs, n: int) -> Int64s:
    """Where the pairs of each of `n` positions begin, and the end; shape (n + 1,)."""
    first = np.empty(n + 1, dtype=np.int64)
    _count_pairs(pairs.position, first)
    return first


@borrowing
def _compare(positions: Positions, a: int, b: int) -> int:
    """-1, 0, 1: the order of two positions of one device by time, lat, lng, accuracy, mocked."""
    one, other = positions[a], positions[b]
    if one.recorded_us != other.recorded_us:
        return -1 if one.recorded_us < other.recorded_us else 1
    if one.lat != other.lat:
        return -1 if one.lat < other.lat else 1
    if one.lng != other.lng:
        return -1 if one.lng < other.lng else 1
    accuracy = -1.0 if one.accuracy_m != one.accuracy_m else float(one.accuracy_m)
    others = -1.0 if other.accuracy_m != other.accuracy_m else float(other.accuracy_m)
    if accuracy != others:
        return -1 if accuracy < others else 1
    mocked, others_mocked = one.flags & MOCKED, other.flags & MOCKED
    if mocked == others_mocked:
        return 0
    return -1 if mocked < others_mocked else 1


@borrowing
def line_up(rows: Rows, devices: Devices, begin: int, end: int, scratch: Int32s, order: Int64s) -> tuple[int, int]:
    """Puts the rows of a wave in the order they are folded in, and says of each what is to be done with it.

    The rows from `begin` to `end` go entry by entry, device by device as they first come in it, in order of time;
    strangers are left out. `scratch` has shape (2, end - begin). Answers how many rows are in `order`, and how many
    runs of a device have to ask.
    """
    following, heads = scratch[0], scratch[1]
    lined = asking = 0
    at = begin
    while at < end:
        entry = rows.entry[at]
        runs = 0
        while at < end and rows.entry[at] == entry:
            prefetch(devices, rows.device[min(at + DEVICES_AHEAD, end - 1)])
            d = rows.device[at]
            if d != NO_DEVICE:
                last = devices[d].last_row
                if last == NO_ROW:
                    heads[runs] = at
                    runs += 1
                else:
                    following[last - begin] = at
                devices[d].last_row = at
                following[at - begin] = NO_ROW
            at += 1
        for i in range(runs):
            r = heads[i]
            d = rows.device[r]
            devices[d].last_row = NO_ROW
            first = lined
            while r != NO_ROW:
                j = lined
                while j > first and _compare(rows.positions, r, order[j - 1]) < 0:
                    order[j] = order[j - 1]
                    j -= 1
                order[j] = r
                lined += 1
                r = following[r - begin]
            asking += _classify(rows, devices, d, order[first:lined])
    return lined, asking


@in_place
def _classify(rows: Rows, devices: Devices, d: int, run: Int64s) -> bool:
    """What is to be done with a run of device `d`'s positions, in order of time; True if it has to ask.

    A row that repeats the one before it is skipped, and so are all of a device without consent. A run whose first
    position is not newer than all that the device had, or is older than what its timers did, is marked ASK as a whole.
    """
    device = devices[d]
    verdict = SKIP
    for i in range(len(run)):
        r = run[i]
        recorded_us = rows.positions[r].recorded_us
        refused = device.consented == 0 or recorded_us <= device.floor_us
        if refused or (i > 0 and _compare(rows.positions, r, run[i - 1]) == 0):
            rows.todo[r] = SKIP
        else:
            if verdict == SKIP:
                verdict = ASK if recorded_us <= device.newest_us or recorded_us < device.acted_us else FOLD
            rows.todo[r] = verdict
    return verdict == ASK


@in_place
def room_needed(world: World, tables: FenceTables, d: int, at_us: int, pairs: int) -> int:
    """How many moments a position or a timer at `at_us` can make device `d` tell, at most."""
    lives = pairs
    k = world.devices[d].first_track
    while k != NO_TRACK:
        slot = world.tracks[k].slot
        lives += 1
        while slot >= 0 and tables.fences[slot].valid_to_us <= at_us:
            lives += 1
            slot = tables.fences[slot].next_slot
        k = world.tracks[k].next
    return lives * MOMENTS_A_TRACK


@in_place
def _comes_first(one: Any, other: Any) -> bool:
    return bool(one.fence_id < other.fence_id or (one.fence_id == other.fence_id and one.version < other.version))


@borrowing
def _by_fence(tables: FenceTables, slots: Int32s) -> None:
    """Sorts a few slots by fence and version: what is told does not depend on where an index keeps its fences."""
    for i in range(1, len(slots)):
        j = i
        while j > 0 and _comes_first(tables.fences[slots[j]], tables.fences[slots[j - 1]]):
            slots[j], slots[j - 1] = slots[j - 1], slots[j]
            j -= 1


@borrowing
def fold_rows(world: World, tables: FenceTables, rows: Rows, order: Int64s, told: Told, begin: int) -> int:
    """Folds the rows marked FOLD from `order[begin]` on; answers where it stopped: at the end, or for want of room."""
    before = NO_DEVICE
    for i in range(begin, len(order)):
        prefetch(world.devices, rows.device[order[min(i + DEVICES_AHEAD, len(order) - 1)]])
        r = order[i]
        if rows.todo[r] != FOLD:
            continue
        d = rows.device[r]
        if d != before and before != NO_DEVICE:  # noqa: PLR1714 - a set is slow in compiled code
            set_timer(world, tables, told, before)
        before = d
        if not _fold_row(world, tables, rows, told, r):
            return i
    if before != NO_DEVICE:
        set_timer(world, tables, told, before)
    return len(order)


@in_place
def _fold_row(world: World, tables: FenceTables, rows: Rows, told: Told, r: int) -> bool:
    """One position; False, and nothing done, if there is no room for what it may tell."""
    d = rows.device[r]
    first, last = rows.pair_first[r], rows.pair_first[r + 1]
    device = world.devices[d]
    position = rows.positions[r]
    at_us = position.recorded_us
    passing = 0
    doubtful = rows.filtered[rows.entry[r]] != 0 and (position.flags & MOCKED) != 0
    if rows.way.within_us > 0 and not doubtful and not device.good_us <= device.floor_us < at_us:
        passing = fences_between(
            tables, rows.way, position.tenant_id, at_us - device.good_us, device.good_lat, device.good_lng,
            position.lat, position.lng,
        )  # fmt: skip
    alone = device.first_track == NO_TRACK and first == last and passing == 0
    needed = 0 if alone else room_needed(world, tables, d, at_us, last - first + passing)
    if world.counts[TOLD] + needed > len(world.moments):
        return False
    flags = NO_FLAGS
    entry = rows.entry[r]
    if rows.filtered[entry]:
        flags = judge(world.devices, d, at_us, position.lat, position.lng, position.accuracy_m, position.flags)
    position.flags = flags
    device.newest_us = max(device.newest_us, at_us)
    if flags != NO_FLAGS:
        return True
    if alone:
        believe(world.devices, d, at_us, position.lat, position.lng)
    else:
        world.counts[CLOCK] = rows.clock_us[entry]
        world.counts[RECEIVED] = position.received_us
        pairs = rows.pair_slot[first:last]
        if last - first > 1:
            _by_fence(tables, pairs)
        if passing > 0:
            between = rows.way.slots[:passing]
            _by_fence(tables, between)
            cross(world, tables, d, at_us, position.lat, position.lng, position.accuracy_m, pairs, between)
        step(world, tables, d, at_us, position.lat, position.lng, position.accuracy_m, pairs, False)
    if rows.cell[r] != device.seen_cell or at_us >= device.seen_us + SEEN_EVERY_US:
        device.seen_cell = rows.cell[r]
        device.seen_us = at_us
        told.seen[world.counts[SEEN]] = r
        world.counts[SEEN] += 1
    return True


@borrowing
def catch_up_rows(
    world: World,
    tables: FenceTables,
    d: int,
    positions: Positions,
    pair_first: Int64s,
    pair_slot: Int32s,
    begin: int,
    end: int,
) -> int:
    """Folds good positions of a device again for its resumed visits; answers where it stopped, as `fold_rows` does.

    The first position says only where the device was.
    """
    for i in range(begin, end):
        world.counts[TOLD] = 0
        first, last = pair_first[i], pair_first[i + 1]
        position = positions[i]
        at_us = position.recorded_us
        if room_needed(world, tables, d, at_us, last - first) > len(world.moments):
            return i
        if i == 0 or positions[i - 1].device_id != position.device_id:
            believe(world.devices, d, at_us, position.lat, position.lng)
        else:
            pairs = pair_slot[first:last]
            step(world, tables, d, at_us, position.lat, position.lng, position.accuracy_m, pairs, True)
    return end


@in_place
def set_timer(world: World, tables: FenceTables, told: Told, d: int) -> None:
    """Asks for a look at the device when its next timer is due, unless an earlier look is asked for already."""
    device = world.devices[d]
    if device.first_track == NO_TRACK:
        return
    soonest_us = due_us(world, tables, d)
    if soonest_us < device.pending_us:
        device.pending_us = soonest_us
        told.due_device[world.counts[DUE]] = d
        told.due_us[world.counts[DUE]] = soonest_us
        world.counts[DUE] += 1


@borrowing
def fire(world: World, tables: FenceTables, told: Told, d: int, now_us: int, clock_us: int) -> None:
    """A timer: lets everything happen to a device that is due at `now_us`, told at `clock_us`."""
    world.counts[CLOCK] = clock_us
    world.counts[RECEIVED] = NONE_US
    world.counts[ACTED] = NONE_US
    world.devices[d].pending_us = NEVER_US
    k = world.devices[d].first_track
    while k != NO_TRACK:
        settle(world, tables, d, k, now_us)
        k = world.tracks[k].next
    world.devices[d].acted_us = max(world.devices[d].acted_us, world.counts[ACTED])
    sweep(world, d)
    set_timer(world, tables, told, d)


@borrowing
def fire_all(
    world: World, tables: FenceTables, told: Told, rows: Int32s, due_us: Int64s, now_us: int, clock_us: int, begin: int
) -> int:
    """Timers from `begin` on, each unless its device has another one by now; answers where it stopped, as fold_rows.

    `told` must have room for as many timers as are fired.
    """
    for i in range(begin, len(rows)):
        d = rows[i]
        if d == NO_DEVICE or world.devices[d].pending_us != due_us[i]:
            continue
        if world.counts[TOLD] + room_needed(world, tables, d, now_us, 0) > len(world.moments):
            return i
        fire(world, tables, told, d, now_us, clock_us)
    return len(rows)


@borrowing
def withdraw(world: World, tables: FenceTables, d: int, now_us: int) -> None:
    """Location consent is withdrawn: all visits of the device end."""
    world.counts[CLOCK] = now_us
    world.counts[RECEIVED] = NONE_US
    k = world.devices[d].first_track
    while k != NO_TRACK:
        settle(world, tables, d, k, now_us)
        if world.tracks[k].status <= OPEN:
            end(world, tables, d, k, BY_CONSENT, now_us)
        k = world.tracks[k].next
    sweep(world, d)
