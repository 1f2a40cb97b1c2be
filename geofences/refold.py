"""A device's past folded again: what a late position, or a fence change learned late, makes of its visits.

Positions of a device are a set, and its visits follow from the set alone. So a late position is put where it belongs,
everything from there on is folded again with the same code, and the difference to what was told is told: nothing but
corrections depends on the order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from geofences.ids import visit_id_of
from geofences.model import FenceId
from geofences.states import ENDINGS, MOMENT_DTYPE, NEVER_US, NONE_US, Ended, Status, Told
from geofences.tracks import DUE, OPEN, SEEN, TOLD, resume
from geofences.wave import FOLD, Rows, catch_up_rows, fire, first_pairs, fold_rows, room_needed
from geofences.wave import Told as ToldColumns

if TYPE_CHECKING:
    from geofences.index import FenceIndex
    from geofences.memory import Memory
    from geofences.model import Positions
    from geofences.states import Moments

Key = tuple[int, int]
"""A visit of one device: fence_id and entered_us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What Postgres remembers of a device from a time on at which it was about no fence."""

    positions: Positions
    """Stored ones since then, with their flags, in order of time."""
    visits: Moments
    """Rows of the ledger that were not settled by then, retracted ones too; root_id is 0 where it is their own."""
    good: tuple[int, float, float] | None
    """The last good position before."""
    suspects: tuple[tuple[int, float, float], ...]
    """Doubted positions between that and the start, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a refold changes."""

    positions: Positions
    """The late positions, with their flags."""
    reflagged: Positions
    """Stored positions whose flags changed."""
    moments: Moments
    details: dict[int, dict[str, Any]]
    """By place in `moments`, what a correction is due to."""
    timers_us: list[int]


def refold(
    memory: Memory,
    index: FenceIndex,
    d: int,
    late: Positions,
    story: Story,
    *,
    settled_us: int,
    clock_us: int,
    filtered: bool,
    because: str,
) -> Outcome:
    """Folds device row `d` again from the start of its story, `late` (shape (k,), maybe none) among its positions.

    The device's live visits in memory become those of the new past, with timers fired up to `settled_us`; `clock_us` is
    when all this is told.
    """
    positions = np.concatenate([story.positions, late])
    is_late = np.arange(len(positions)) >= len(story.positions)
    order = np.lexsort(
        (
            positions["flags"] & 1,
            np.nan_to_num(positions["accuracy_m"], nan=-1.0),
            positions["lng"],
            positions["lat"],
            positions["recorded_us"],
        )
    )
    positions, is_late = positions[order], is_late[order]
    flags = positions["flags"].copy()
    told, timers_us = _fold_again(memory, index, d, positions, story, settled_us=settled_us, filtered=filtered)
    differs = ~is_late & (flags != positions["flags"])
    newest_us = max([memory.world.devices["newest_us"][d], *late["recorded_us"].tolist()])
    memory.world.devices["newest_us"][d] = newest_us
    cause: dict[str, Any] = {"because": because}
    if len(late):
        cause["recorded_us"] = int(late["recorded_us"].min())
    new = _last_of_each(told)
    stored = _still_to_be_seen(story)
    _give_roots(memory, d, new, stored, _Ways(story, positions[positions["flags"] == 0]))
    moments, details = _differences(stored, new, clock_us=clock_us, cause=cause)
    return Outcome(
        positions=positions[is_late],
        reflagged=positions[differs],
        moments=moments,
        details=details,
        timers_us=timers_us,
    )


def _fold_again(
    memory: Memory,
    index: FenceIndex,
    d: int,
    positions: Positions,
    story: Story,
    *,
    settled_us: int,
    filtered: bool,
) -> tuple[Moments, list[int]]:
    """Everything told on the way, and the timer set at the end; flags the positions anew."""
    n = len(positions)
    device = memory.world.devices[d : d + 1]
    seen = device["seen_us"].copy(), device["seen_cell"].copy()
    memory.forget_tracks(d)
    memory.trust(d, story.good, story.suspects)
    device["acted_us"] = NONE_US
    pairs = index.match(*(np.ascontiguousarray(positions[name]) for name in ("tenant_id", "lat", "lng", "recorded_us")))
    memory.make_room(tracks=len(pairs.slot) + len(story.visits))
    _resume_older(memory, index, d, positions, story.visits)
    rows = Rows(
        positions=positions,
        device=np.full(n, d, dtype=np.int32),
        entry=np.zeros(n, dtype=np.int32),
        filtered=np.full(1, filtered, dtype=np.uint8),
        clock_us=np.full(1, settled_us, dtype=np.int64),
        pair_first=first_pairs(pairs, n),
        pair_slot=np.ascontiguousarray(pairs.slot),
        cell=np.zeros(n, dtype=np.int64),
        todo=np.full(n, FOLD, dtype=np.uint8),
        way=index.way(),
    )
    columns = ToldColumns(
        seen=np.empty(n, dtype=np.int64),
        due_device=np.empty(n + 2, dtype=np.int32),
        due_us=np.empty(n + 2, dtype=np.int64),
    )
    counts = memory.world.counts
    parts: list[Moments] = []
    order, done = np.arange(n, dtype=np.int64), 0
    counts[SEEN] = counts[DUE] = counts[TOLD] = 0
    while done < n:
        before = done
        done = fold_rows(memory.world, index.tables, rows, order, columns, done)
        parts.append(memory.world.moments[: counts[TOLD]].copy())
        if done == before and counts[TOLD] == 0:
            memory.make_room(moments=2 * len(memory.world.moments))
        counts[TOLD] = counts[SEEN] = counts[DUE] = 0
    memory.make_room(moments=room_needed(memory.world, index.tables, d, settled_us, 0))
    fire(memory.world, index.tables, columns, d, settled_us, settled_us)
    parts.append(memory.world.moments[: counts[TOLD]].copy())
    timers_us = columns.due_us[: counts[DUE]].tolist()
    counts[TOLD] = counts[DUE] = 0
    device = memory.world.devices[d : d + 1]
    device["seen_us"], device["seen_cell"] = seen
    return np.concatenate(parts), timers_us


def catch_up(memory: Memory, index: FenceIndex, positions: Positions) -> None:
    """Brings resumed visits up to the newest good position of their devices; tells nothing, for it was told.

    `positions` are good ones in order of device and time, of each device the first no later than the oldest `as_of_us`
    of its visits. What is believed of the devices stays as it is.
    """
    pairs = index.match(*(np.ascontiguousarray(positions[name]) for name in ("tenant_id", "lat", "lng", "recorded_us")))
    pair_first = first_pairs(pairs, len(positions))
    pair_slot = np.ascontiguousarray(pairs.slot)
    begins = np.flatnonzero(np.diff(positions["device_id"], prepend=-1)).tolist()
    for begin, end in pairwise([*begins, len(positions)]):
        d = memory.row_of(int(positions["device_id"][begin]))
        as_known = memory.world.devices[d : d + 1].copy()
        done = begin
        while done < end:
            done = catch_up_rows(memory.world, index.tables, d, positions, pair_first, pair_slot, done, end)
            if done < end:
                memory.make_room(moments=2 * len(memory.world.moments))
        memory.world.counts[TOLD] = 0
        as_known["first_track"] = memory.world.devices["first_track"][d]
        memory.world.devices[d : d + 1] = as_known


def _resume_older(memory: Memory, index: FenceIndex, d: int, positions: Positions, visits: Moments) -> None:
    """Visits that began before the oldest position that is still kept go on as they were: open, and last seen then."""
    if not len(positions):
        return
    oldest_us = int(positions["recorded_us"][0])
    lasting = (visits["status"] != Status.RETRACTED) & (visits["ended_by"] != Ended.CROSSED)
    for visit in visits[(visits["entered_us"] < oldest_us) & lasting]:
        slot = index.slot_of(FenceId(int(visit["fence_id"])), int(visit["fence_version"]))
        if slot is None:
            continue
        as_then = visit.copy()
        as_then["status"], as_then["out_since_us"], as_then["dwell_waits"] = OPEN, NONE_US, 0
        as_then["last_in_us"] = min(int(visit["last_in_us"]), oldest_us)
        as_then["as_of_us"] = NONE_US  # the first position that it lives through tells how it stands
        if visit["dwelled_us"] > oldest_us:
            as_then["dwelled_us"] = NONE_US
        resume(memory.world, d, np.array([as_then]), slot)


def _last_of_each(moments: Moments) -> dict[Key, Moments]:
    """How each visit stands in the end; candidates that an OUT ended are left out."""
    last = {(int(m["fence_id"]), int(m["entered_us"])): m for m in moments}
    return {key: moment.copy() for key, moment in last.items() if not came_to_nothing(moment)}


def came_to_nothing(moment: Any) -> bool:
    """A candidate that an OUT ended: no row is kept of it. One that fell silent is kept, for a late position."""
    return bool(
        moment["status"] == Status.RETRACTED and moment["told"] == Told.STATE and moment["settled_us"] == NONE_US
    )


def _differences(
    stored: Moments, new: dict[Key, Moments], *, clock_us: int, cause: dict[str, Any]
) -> tuple[Moments, dict[int, dict[str, Any]]]:
    """Rows to write and events to tell so that the stored visits become the new ones, fence by fence."""
    old = {(int(visit["fence_id"]), int(visit["entered_us"])): visit for visit in stored}
    made: list[Moments] = []
    details: dict[int, dict[str, Any]] = {}

    def tell(visit: Moments, told: Told, at_us: int, was: Moments | None = None) -> None:
        moment = visit.copy()
        moment["told"], moment["at_us"], moment["clock_us"], moment["received_us"] = told, at_us, clock_us, NONE_US
        if told is not Told.STATE:
            details[len(made)] = cause | ({} if was is None else {"was": _facts(was), "is": _facts(visit)})
        made.append(moment)

    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if after is None:
            assert before is not None
            _tell_gone(before, tell, clock_us=clock_us)
            continue
        if before is None or _row(before) != _row(after):
            tell(after, Told.STATE, NONE_US)
        if before is not None and before["status"] == Status.RETRACTED:
            before = None
        _tell_news(before, after, tell)
    moments = np.array(made, dtype=MOMENT_DTYPE) if made else np.empty(0, dtype=MOMENT_DTYPE)
    return moments, details


def _tell_gone(before: Moments, tell: Any, *, clock_us: int) -> None:
    if before["status"] == Status.RETRACTED:
        return
    gone = before.copy()
    gone["status"], gone["out_since_us"], gone["dwell_waits"] = Status.RETRACTED, NONE_US, 0
    gone["settled_us"] = clock_us if before["settled_us"] == NONE_US else before["settled_us"]
    if before["status"] == Status.CANDIDATE:
        tell(gone, Told.STATE, NONE_US)
    else:
        tell(gone, Told.RETRACTED, int(before["entered_us"]), before)


def _tell_news(before: Moments | None, after: Moments, tell: Any) -> None:
    """Events for what is true now and was not told before, and one correction for what was told and is not true."""
    was_told = before is not None and before["status"] != Status.CANDIDATE
    if after["status"] in {Status.CANDIDATE, Status.RETRACTED}:
        if was_told and before is not None:
            tell(after, Told.RETRACTED, int(after["entered_us"]), before)
        return
    if after["ended_by"] == Ended.CROSSED:
        if not was_told:
            tell(after, Told.CROSSED, int(after["entered_us"]))
        elif before is not None and _facts(before) != _facts(after):
            tell(after, Told.CORRECTED, int(after["entered_us"]), before)
        return
    if not was_told:
        tell(after, Told.ENTERED, int(after["entered_us"]))
    wrong = False
    for name, told in (("dwelled_us", Told.DWELLED), ("exited_us", Told.EXITED)):
        told_us = int(before[name]) if was_told and before is not None else NONE_US
        is_us = int(after[name])
        if told_us == NONE_US and is_us != NONE_US:
            tell(after, told, is_us)
        wrong |= told_us not in (NONE_US, is_us)
    if was_told and before is not None:
        wrong |= before["ended_by"] not in (Ended.NOT, after["ended_by"])
        if wrong:
            tell(after, Told.CORRECTED, int(after["entered_us"]), before)


def _still_to_be_seen(story: Story) -> Moments:
    """Without crossings that began at a position which is no longer kept: nothing can be said of them any more."""
    oldest_us = int(story.positions["recorded_us"].min(initial=NEVER_US))
    crossed = story.visits["ended_by"] == Ended.CROSSED
    gone = crossed & (story.visits["entered_us"] < oldest_us) & (story.good is None)
    return np.asarray(story.visits[~gone])


class _Ways:
    """Where the ways began that led through fences: a crossing may have happened at any time between two positions."""

    def __init__(self, story: Story, good: Positions) -> None:
        before = [] if story.good is None else [story.good[0]]
        known = story.positions["recorded_us"][story.positions["flags"] == 0]
        self._told_us = np.array([*before, *known.tolist()], dtype=np.int64)
        self._now_us = np.array([*before, *good["recorded_us"].tolist()], dtype=np.int64)

    def span_us(self, visit: Moments, *, now: bool) -> tuple[int, int]:
        """When a visit began and ended at the earliest and latest, by the positions of then or of now."""
        if visit["ended_by"] != Ended.CROSSED:
            return int(visit["entered_us"]), _end_us(visit)
        at_us = self._now_us if now else self._told_us
        earlier = at_us[at_us < visit["entered_us"]]
        begin_us = int(earlier.max()) if len(earlier) else int(visit["entered_us"]) - 1
        return begin_us + 1, int(visit["settled_us"]) - 1


def _root(key: Key, after: Moments, before: Moments | None, stored: Moments, ways: _Ways) -> int:
    """The visit that this one is told to be: itself, or the earliest stored one of the fence that it overlaps."""
    if before is not None:
        return int(before["root_id"])
    own = stored[(stored["fence_id"] == key[0]) & (stored["status"] != Status.CANDIDATE)]
    begin_us, end_us = ways.span_us(after, now=True)
    spans_us = [ways.span_us(visit, now=False) for visit in own]
    overlaps = [visit for visit, (one, other) in zip(own, spans_us, strict=True) if one <= end_us and begin_us <= other]
    if not overlaps:
        return 0
    first = min(overlaps, key=lambda visit: int(visit["entered_us"]))
    return int(first["root_id"]) or visit_id_of(first)


def _end_us(visit: Moments) -> int:
    return NEVER_US if visit["exited_us"] == NONE_US else int(visit["exited_us"])


def _row(visit: Moments) -> tuple[object, ...]:
    """All that the ledger's row holds."""
    told = {"told", "at_us", "clock_us", "received_us"}
    return tuple(visit[name].item() for name in MOMENT_DTYPE.names or () if name not in told)


def _facts(visit: Moments) -> dict[str, Any]:
    """What people are told of a visit, times in microseconds."""

    def at(name: str) -> int | None:
        return None if visit[name] == NONE_US else int(visit[name])

    return {
        "status": Status(int(visit["status"])).name.lower(),
        "entered_us": at("entered_us"),
        "dwelled_us": at("dwelled_us"),
        "exited_us": at("exited_us"),
        "ended_by": ENDINGS[int(visit["ended_by"])],
    }


def _give_roots(memory: Memory, d: int, new: dict[Key, Moments], stored: Moments, ways: _Ways) -> None:
    """Says of each visit which one it is told to be; live ones carry that on, for what will be told of them later."""
    old = {(int(visit["fence_id"]), int(visit["entered_us"])): visit for visit in stored}
    for key, visit in new.items():
        visit["root_id"] = _root(key, visit, old.get(key), stored, ways)
    tracks = memory.world.tracks
    for k in memory.tracks_of(d):
        tracks["root_id"][k] = new[int(tracks["fence_id"][k]), int(tracks["entered_us"][k])]["root_id"]
