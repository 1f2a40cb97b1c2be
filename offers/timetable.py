"""Schedules and opening hours asked of thousands of stores again and again: answers are kept until they change. Pure.

What is true is for `schedule` and `hours` to say. Nothing has to be told of changes: what is kept is named by the very
texts and schedules it follows from. For times that move on; one that goes back and forth is better asked of a timetable
of its own. Threads may share one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from geofences.zones import steady_offset, zone
from offers.errors import InvalidHoursError
from offers.hours import OpeningHours, State, depends_on_place
from offers.schedule import Schedule, is_live

if TYPE_CHECKING:
    from geofences.nearby import StoreRow

MAX_KEPT: Final = 200_000
"""Answers of a kind; when there are more, all are forgotten and come anew as they are asked for."""

_ALWAYS: Final = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
_BY_PLACE: Final = object()


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Timing:
    """A schedule without its `only_while_open`, as a key: campaigns with equal schedules share one."""

    schedule: Schedule
    only_while_open: bool

    @classmethod
    def of(cls, schedule: Schedule) -> Timing:
        return cls(replace(schedule, only_while_open=False), schedule.only_while_open)


Live = tuple[bool, datetime | None]
"""Whether something is on, and when that ends; None: never, or not within `hours.HORIZON`."""


class Timetable:
    def __init__(self) -> None:
        self._windows: dict[tuple[Timing, str], tuple[datetime, datetime, Live]] = {}
        self._offsets: dict[str, tuple[datetime, datetime, timedelta]] = {}
        self._states: dict[Any, Any] = {}
        self._changes: dict[Any, tuple[datetime, datetime, datetime | None]] = {}

    def live(self, timing: Timing, store: StoreRow, at: datetime) -> Live:
        """Whether a campaign is on at a store at an instant in UTC, as `schedule.is_live` says, and until when."""
        key = timing, store.timezone
        kept = self._windows.get(key)
        if kept is None or not kept[0] <= at < kept[1]:
            found = is_live(timing.schedule, at=at, zone=zone(store.timezone))
            kept = at, found.next_change or _ALWAYS[1], (found.live, found.next_change)
            _keep(self._windows, key, kept)
        on, ends_at = kept[2]
        if not on or not timing.only_while_open:
            return kept[2]
        if not self.is_open(store, at):
            return False, None
        closes_at = self.next_change(store, at)
        return True, min((end for end in (ends_at, closes_at) if end is not None), default=None)

    def is_open(self, store: StoreRow, at: datetime) -> bool:
        """Whether a store is surely open at an instant in UTC: neither unknown hours nor none are open."""
        return self.state(store, at) is State.OPEN

    def state(self, store: StoreRow, at: datetime) -> State:
        if not store.opening_hours:
            return State.UNKNOWN
        offset = self._offset(store.timezone, at)
        if offset is None:
            hours = _hours(store)
            return State.UNKNOWN if hours is None else hours.state(at)
        key: Any = store.opening_hours, offset
        kept = self._states.get(key)
        if kept is _BY_PLACE:
            key = store.opening_hours, store.timezone, store.location
            kept = self._states.get(key)
        if kept is None or not kept[0] <= at < kept[1]:
            if len(key) == 2 and depends_on_place(store.opening_hours):  # noqa: PLR2004 - not asked of the place yet
                _keep(self._states, key, _BY_PLACE)
                return self.state(store, at)
            kept = _stretch(_hours(store), at, offset)
            _keep(self._states, key, kept)
        state: State = kept[2]
        return state

    def next_change(self, store: StoreRow, at: datetime) -> datetime | None:
        """When a store's state changes next; None: nobody knows its hours, or not within `hours.HORIZON`."""
        place = store.location if store.opening_hours and depends_on_place(store.opening_hours) else None
        key = store.opening_hours, store.timezone, place
        kept = self._changes.get(key)
        if kept is None or not kept[0] <= at < kept[1]:
            hours = _hours(store)
            change = None if hours is None else hours.next_change(at)
            kept = at, change or at + timedelta(days=1), change
            _keep(self._changes, key, kept)
        return kept[2]

    def _offset(self, zone_name: str, at: datetime) -> timedelta | None:
        """How far wall time is from UTC; None where the clock changes."""
        kept = self._offsets.get(zone_name)
        if kept is None or not kept[0] <= at < kept[1]:
            kept = steady_offset(at, zone(zone_name))
            if kept is None:
                return None
            self._offsets[zone_name] = kept
        return kept[2]


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


def _stretch(hours: OpeningHours | None, at: datetime, offset: timedelta) -> tuple[datetime, datetime, State]:
    """The state at an instant with a span of instants around it that all have it, where the clock does not change."""
    if hours is None:
        return (*_ALWAYS, State.UNKNOWN)
    local = (at + offset).replace(tzinfo=None, second=0, microsecond=0)
    state, until = hours.from_wall_minute(local)
    return local.replace(tzinfo=UTC) - offset, until.replace(tzinfo=UTC) - offset, state
