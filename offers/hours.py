"""OSM opening hours as a value: is the store open at an instant, and when does that change next. Knows no clock.

The library `opening_hours` reads the rules; which instant a wall time means is decided by `geofences.zones`, so that
one time-zone database rules. Syntax: https://wiki.openstreetmap.org/wiki/Key:opening_hours/specification
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import opening_hours

from geofences.zones import first_instant, last_instant, overlap
from offers.errors import InvalidHoursError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from geofences.model import LatLng

HORIZON = timedelta(days=366)
"""How far ahead a change is looked for: without a limit some real texts cost the library half a minute."""

MAX_TEXT = 1024
"""Characters; OSM itself allows 255."""

_MINUTE = timedelta(minutes=1)
_SUN = re.compile(r"sunrise|sunset|dawn|dusk", re.IGNORECASE)
_HOLIDAY = re.compile(r"\b[PS]H\b")
_COLUMN = re.compile(r"--> \d+:(\d+)")

# the library's stub file leaves its exceptions out
_ParserError: type[Exception] = vars(opening_hours)["ParserError"]
_UnknownCountryError: type[Exception] = vars(opening_hours)["UnknownCountryError"]
_InvalidCoordinatesError: type[Exception] = vars(opening_hours)["InvalidCoordinatesError"]


class State(StrEnum):
    """What opening hours say of an instant, strongest first."""

    OPEN = "open"
    UNKNOWN = "unknown"
    CLOSED = "closed"


_STRENGTH = {state: -rank for rank, state in enumerate(State)}
_STATES = {
    opening_hours.State.OPEN: State.OPEN,
    opening_hours.State.UNKNOWN: State.UNKNOWN,
    opening_hours.State.CLOSED: State.CLOSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningHours:
    """Opening hours of one store in its zone; made with `parse`, equal if made of equal words.

    Local intervals are half-open, to the minute: `10:00-18:00` is open at 10:00:00 and closed at 18:00:00. Where the
    clock is put back, the first occurrence of a wall time opens and the last one closes; where it is put forward over
    one, the first instant after the gap does. What `unknown` and open ends (`10:00+`) mean is the library's reading.

    >>> from datetime import UTC
    >>> from geofences.zones import zone
    >>> hours = OpeningHours.parse("Mo-Fr 08:00-18:00; PH off", zone=zone("Europe/Helsinki"), country="FI")
    >>> hours.state(datetime(2026, 6, 1, 12, tzinfo=UTC))
    <State.OPEN: 'open'>
    >>> hours.next_change(datetime(2026, 6, 1, 12, tzinfo=UTC))
    datetime.datetime(2026, 6, 1, 15, 0, tzinfo=datetime.timezone.utc)
    """

    text: str
    zone: ZoneInfo
    country: str | None = None
    location: LatLng | None = None
    _rules: opening_hours.OpeningHours = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, *, zone: ZoneInfo, country: str | None = None, location: LatLng | None = None) -> Self:
        """Read an OSM `opening_hours` text.

        `country` (ISO 3166 alpha-2) decides what `PH` means; without it the country at `location` does, and a place
        without a known calendar has no holidays. `location` is also where the sun rises; without it sunrise is 07:00
        and sunset 19:00. Texts read are kept, so that reading one again costs some microseconds.

        Raises `InvalidHoursError`, whose message shows where the text stops making sense.
        """
        calendar = country.upper() if country else None
        # the place is part of the cache's key only where it matters: a chain's stores share their texts
        needs_place = depends_on_place(text) if calendar is None else _SUN.search(text)
        rules = _read(text, calendar, location, zone) if needs_place else _read(text, calendar, None, None)
        return cls(text=text, zone=zone, country=calendar, location=location, _rules=rules)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd in the text though readable, for whoever imported it."""
        return tuple(self._rules.warnings)

    def is_open(self, at: datetime) -> bool:
        """Whether the store is surely open at an aware instant: unknown is not open."""
        return self.state(at) is State.OPEN

    def state(self, at: datetime) -> State:
        """Open, closed or unknown at an aware instant."""
        local = wall_minute(at, self.zone)
        repeated = overlap(at, self.zone)
        if repeated is None:
            return self._state_at(local)
        begin, end = repeated
        # what was open when the hour began closes in its second pass at the earliest
        if at.astimezone(self.zone).fold == 0:
            return max(self._states(begin - _MINUTE, local), key=_STRENGTH.__getitem__)
        # what opens later in the hour has opened in its first pass already
        return max(self._states(local, end - _MINUTE), key=_STRENGTH.__getitem__)

    def next_change(self, at: datetime) -> datetime | None:
        """The first UTC instant after an aware `at` with another state; None if there is none within `HORIZON`."""
        now = self.state(at)
        repeated = overlap(at, self.zone)
        local = wall_minute(at, self.zone) if repeated is None else repeated[0] - _MINUTE
        waiting: list[datetime] = []  # in a repeated hour one wall time is two instants, and the second may come late
        for change in self._changes(local, local + HORIZON):
            first = first_instant(change, self.zone)
            for instant in sorted(waiting):
                if instant <= first and self.state(instant) is not now:
                    return instant
            found = {first, last_instant(change, self.zone), *(late for late in waiting if late > first)}
            waiting = [instant for instant in found if instant > at]
        return next((instant for instant in sorted(waiting) if self.state(instant) is not now), None)

    def from_wall_minute(self, local: datetime) -> tuple[State, datetime]:
        """The state at a wall minute that comes once, and the wall time until which it surely is the same."""
        change = self._rules.next_change(local)
        if change is None:
            return self._state_at(local), local + HORIZON
        return self._state_at(local), max(change.replace(tzinfo=None, fold=0), local + _MINUTE)

    def _state_at(self, local: datetime) -> State:
        return _STATES[self._rules.state(local)[0]]

    def _states(self, first: datetime, last: datetime) -> Iterator[State]:
        """The states at the wall minutes first..last, both included."""
        yield self._state_at(first)
        for change in self._changes(first, last):
            yield self._state_at(change)

    def _changes(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The wall times in (after, until] at which state or comment change, ascending."""
        local = after
        while (change := self._rules.next_change(local)) is not None:
            change = change.replace(tzinfo=None, fold=0)
            if change > until:
                return
            if change > local:  # with a zone (sun times only) the library may look back in a repeated hour
                yield change
            local = max(change, local + _MINUTE)


def depends_on_place(text: str) -> bool:
    """Whether opening hours may mean something else elsewhere: by the sun, or by the holidays of a country."""
    return bool(_SUN.search(text) or _HOLIDAY.search(text))


def wall_minute(at: datetime, zone: ZoneInfo) -> datetime:
    assert at.tzinfo is not None, "instants are aware"
    return at.astimezone(zone).replace(tzinfo=None, fold=0, second=0, microsecond=0)


@lru_cache(maxsize=16_384)
def _read(text: str, country: str | None, location: LatLng | None, zone: ZoneInfo | None) -> opening_hours.OpeningHours:
    if len(text) > MAX_TEXT:
        raise InvalidHoursError(f"opening hours longer than {MAX_TEXT} characters")
    coords = None if location is None else (location.lat, location.lng)
    try:
        return opening_hours.OpeningHours(
            text, timezone=zone if coords else None, country=country, coords=coords, max_interval_days=HORIZON.days
        )
    except _UnknownCountryError:
        return _read(text, None, location, zone)
    except TypeError:  # the library's own list of zones lacks this one: the sun keeps its default times
        return _read(text, country, None, None)
    except _InvalidCoordinatesError as error:
        raise InvalidHoursError(str(error)) from error
    except _ParserError as error:
        found = _COLUMN.search(str(error))
        column = int(found[1]) if found else 1
        raise InvalidHoursError(f"cannot read opening hours at column {column}: {text[column - 1 :][:40]!r}") from error
