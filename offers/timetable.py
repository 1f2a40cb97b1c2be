"""Schedules and opening hours asked of thousands of stores again and again: answers are kept until they change. Pure.

What is true is for `schedule` and `hours` to say. Nothing has to be told of changes: what is kept is named by the very
texts and schedules it follows from. For times that move on; one that goes back and forth is better asked of a timetable
of its own. Threads may share one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from geofences.zones import steady_offset, zone
from offers.errors import InvalidHoursError
from offers.hours import OpeningHours, State, depends_on_place
from offers.schedule import Schedule, is_live

if TYPE_CHECKING:
    from geofences.nearby import StoreRow

MAX_KEPT: Final = 200_000
"""Answers of a kind; when there are more, all are forgotten and come anew as they are asked for."""

FOREVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
_DAY: Final = timedelta(days=1)
_BY_PLACE: Final = object()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Timing:
    """A schedule without its `only_while_open`, as a key: campaigns with equal schedules share one."""

    schedule: Schedule
    only_while_open: bool

    @classmethod
    def of(cls, schedule: Schedule) -> Timing:
        return cls(replace(schedule, only_while_open=False), schedule.only_while_open)


class Live(NamedTuple):
    """Whether something is on, until when that surely holds, and when it ends if it is.

    `ends_at` None: never, or not within `hours.HORIZON`.
    """

    on: bool
    until: datetime
    ends_at: datetime | None


class Spell(NamedTuple):
    """A store's state in all instants [since, until)."""

    since: datetime
    until: datetime
    state: State


class Timetable:
    def __init__(self) -> None:
        self._windows: dict[tuple[Timing, str], tuple[datetime, Live]] = {}
        self._offsets: dict[str, tuple[datetime, datetime, timedelta]] = {}
        self._spells: dict[Any, Any] = {}
        self._changes: dict[Any, tuple[datetime, datetime, datetime | None]] = {}

    def live(self, timing: Timing, store: StoreRow, at: datetime) -> Live:
        """Whether a campaign is on at a store at an instant in UTC, as `schedule.is_live` says."""
        key = timing, store.timezone
        kept = self._windows.get(key)
        if kept is None or not kept[0] <= at < kept[1].until:
            found = is_live(timing.schedule, at=at, zone=zone(store.timezone))
            kept = at, Live(found.live, found.next_change or FOREVER, found.next_change)
            _keep(self._windows, key, kept)
        live = kept[1]
        if not live.on or not timing.only_while_open:
            return live
        spell = self.spell(store, at)
        if spell.state is not State.OPEN:
            return Live(on=False, until=min(live.until, spell.until), ends_at=None)
        closes_at = self.next_change(store, at)
        ends_at = min((end for end in (live.ends_at, closes_at) if end is not None), default=None)
        return Live(on=True, until=min(live.until, closes_at or spell.until), ends_at=ends_at)

    def is_open(self, store: StoreRow, at: datetime) -> bool:
        """Whether a store is surely open at an instant in UTC: neither unknown hours nor none are open."""
        return self.spell(store, at).state is State.OPEN

    def spell(self, store: StoreRow, at: datetime) -> Spell:
        """A store's state at an instant in UTC, and instants around it with the same."""
        if not store.opening_hours:
            return _UNKNOWN
        steady = self._steady(store.timezone, at)
        if steady is None:  # the clock changes: too rare to be remembered
            hours = _hours(store)
            return Spell(at, at, State.UNKNOWN if hours is None else hours.state(at))
        offset = steady[2]
        key: Any = store.opening_hours, offset
        kept = self._spells.get(key)
        if kept is None and depends_on_place(store.opening_hours):
            kept = _BY_PLACE
            _keep(self._spells, key, kept)
        if kept is _BY_PLACE:
            key = store.opening_hours, store.timezone, store.location
            kept = self._spells.get(key)
        if kept is None or not kept.since <= at < kept.until:
            kept = _spell(_hours(store), at, offset)
            _keep(self._spells, key, kept)
        found: Spell = kept
        return found

    def next_change(self, store: StoreRow, at: datetime) -> datetime | None:
        """When a store's state changes next; None: nobody knows its hours, or not within `hours.HORIZON`."""
        place = store.location if store.opening_hours and depends_on_place(store.opening_hours) else None
        key = store.opening_hours, store.timezone, place
        kept = self._changes.get(key)
        if kept is None or not kept[0] <= at < kept[1]:
            change = self._look_for_change(store, at)
            kept = at, change or at + _DAY, change
            _keep(self._changes, key, kept)
        return kept[2]

    def _look_for_change(self, store: StoreRow, at: datetime) -> datetime | None:
        hours = _hours(store)
        if hours is None:
            return None
        spell, steady = self.spell(store, at), self._steady(store.timezone, at)
        # mostly the clock does not change before the store does, and then the spell's end is the answer
        if steady and at < spell.until < steady[1] and _spell(hours, spell.until, steady[2]).state is not spell.state:
            return spell.until
        return hours.next_change(at)

    def _steady(self, zone_name: str, at: datetime) -> tuple[datetime, datetime, timedelta] | None:
        """Between which instants wall time is how far from UTC; None where the clock changes."""
        kept = self._offsets.get(zone_name)
        if kept is None or not kept[0] <= at < kept[1]:
            kept = steady_offset(at, zone(zone_name))
            if kept is not None:
                self._offsets[zone_name] = kept
        return kept


_UNKNOWN: Final = Spell(datetime(1, 1, 1, tzinfo=UTC), FOREVER, State.UNKNOWN)


def _keep(kept: dict[Any, Any], key: object, value: object) -> None:
    if len(kept) >= MAX_KEPT:
        kept.clear()
    kept[key] = value


def _hours(store: StoreRow) -> OpeningHours | None:
    """None where there are none, or none that can be read (an import may have brought them)."""
    if not store.opening_hours:
        return None
    try:
        return OpeningHours.parse(store.opening_hours, zone=zone(store.timezone), location=store.location)
    except InvalidHoursError:
        return None


def _spell(hours: OpeningHours | None, at: datetime, offset: timedelta) -> Spell:
    """Where the clock does not change."""
    if hours is None:
        return _UNKNOWN
    local = (at + offset).replace(tzinfo=None, second=0, microsecond=0)
    state, until = hours.from_wall_minute(local)
    return Spell(local.replace(tzinfo=UTC) - offset, until.replace(tzinfo=UTC) - offset, state)
