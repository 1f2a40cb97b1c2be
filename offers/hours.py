"""OSM opening hours as a value: is the store open at an instant, and when does that change next. Knows no clock.

The library `opening_hours` reads the rules; which instant a wall time means is decided by `geofences.zones`, so that
one time-zone database rules. Syntax: https://wiki.openstreetmap.org/wiki/Key:opening_hours/specification
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import opening_hours

from geofences.zones import first_instant, last_instant, overlap
from geofences.zones import zone as pinned_zone
from offers.errors import InvalidHoursError
from offers.hours_text import clarified, corrected, fallbacks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from geofences.model import LatLng

HORIZON = timedelta(days=366)
"""How far ahead a change is looked for: without a limit some real texts cost the library half a minute."""

MAX_TEXT = 1024
"""Characters; OSM itself allows 255."""

_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)
_NOON = time(12)
_SUN = re.compile(r"sunrise|sunset|dawn|dusk", re.IGNORECASE)
_HOLIDAY = re.compile(r"\b[PS]H\b", re.IGNORECASE)
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


_Rules = tuple[opening_hours.OpeningHours, ...]
_STRENGTH = {state: -rank for rank, state in enumerate(State)}
_STATES = {
    opening_hours.State.OPEN: State.OPEN,
    opening_hours.State.UNKNOWN: State.UNKNOWN,
    opening_hours.State.CLOSED: State.CLOSED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A text as the library is given it, and what that depends on."""

    plain: str
    parts: tuple[str, ...]
    """Each is a fallback for those before it."""
    corrected: bool
    """It could not be read as it was written."""
    by_sun: bool
    holidays: bool


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
    _reading: Reading = field(compare=False, repr=False)
    _rules: _Rules = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str, *, zone: ZoneInfo, country: str | None = None, location: LatLng | None = None) -> Self:
        """Read an OSM `opening_hours` text.

        `country` (ISO 3166 alpha-2) decides what `PH` means; without it the country at `location` does, and a place
        without a known calendar has no holidays. `location` is also where the sun rises; without it sunrise is 07:00
        and sunset 19:00. Texts read are kept, so that reading one again costs some microseconds.

        Raises `InvalidHoursError`, whose message shows where the text stops making sense.
        """
        calendar = country.upper() if country else None
        reading = _reading_of(text)
        # the place is part of the cache's key only where it matters: a chain's stores share their texts
        place = location if reading.by_sun or (reading.holidays and calendar is None) else None
        rules = _read_parts(reading, calendar, place, pinned_zone("Etc/GMT") if place else None)
        return cls(text=text, zone=zone, country=calendar, location=location, _reading=reading, _rules=rules)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd in the text though readable, for whoever imported it."""
        read_as = () if self.corrected_to is None else (f"read as {self.corrected_to!r}",)
        return (*read_as, *(warning for part in self._rules for warning in part.warnings))

    @property
    def corrected_to(self) -> str | None:
        """What a text that cannot be read as it is written was taken for; None for one that can."""
        return self._reading.plain if self._reading.corrected else None

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
        change = self._next(local, local + HORIZON)
        return self._state_at(local), local + HORIZON if change is None else max(change, local + _MINUTE)

    def _state_at(self, local: datetime) -> State:
        states = (_STATES[part.state(local)[0]] for part in self._rules_on(local.date()))
        return next((state for state in states if state is not State.CLOSED), State.CLOSED)

    def _states(self, first: datetime, last: datetime) -> Iterator[State]:
        """The states at the wall minutes first..last, both included."""
        yield self._state_at(first)
        for change in self._changes(first, last):
            yield self._state_at(change)

    def _changes(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The wall times in (after, until] at which state or comment change, ascending."""
        local = after
        while (change := self._next(local, until)) is not None and change <= until:
            yield change
            local = change

    def _next(self, local: datetime, until: datetime) -> datetime | None:
        rules = self._rules_on(local.date())
        changes = (part.next_change(local) for part in rules)
        change = min((change.replace(tzinfo=None) for change in changes if change is not None), default=None)
        if self._reading.by_sun and self.location:
            day, last = local.date() + _DAY, min(change or until, until).date()
            while day <= last:
                if self._rules_on(day) is not rules:  # the clock is changed, and the sun's wall times with it
                    return datetime.combine(day, time())
                day += _DAY
        return change

    def _rules_on(self, day: date) -> _Rules:
        """The rules with the sun's wall times as the pinned database has them on a day, from its noon."""
        if not self._reading.by_sun or self.location is None:
            return self._rules
        offset = datetime.combine(day, _NOON, self.zone).utcoffset() or timedelta()
        return _read_parts(self._reading, self.country, self.location, _steady_zone(offset) or self.zone)


def depends_on_place(text: str) -> bool:
    """Whether opening hours may mean something else elsewhere: by the sun, or by the holidays of a country."""
    try:
        reading = _reading_of(text)
    except InvalidHoursError:  # what nobody can read means nothing anywhere
        return False
    return reading.by_sun or reading.holidays


def wall_minute(at: datetime, zone: ZoneInfo) -> datetime:
    assert at.tzinfo is not None, "instants are aware"
    return at.astimezone(zone).replace(tzinfo=None, fold=0, second=0, microsecond=0)


def _steady_zone(offset: timedelta) -> ZoneInfo | None:
    """A zone that never changed its clock, whose rules are therefore the library's too; None between whole hours."""
    hours, rest = divmod(offset, timedelta(hours=1))
    return None if rest else pinned_zone(f"Etc/GMT{-hours:+d}" if hours else "Etc/GMT")


@lru_cache(maxsize=16_384)
def _read_parts(reading: Reading, country: str | None, location: LatLng | None, zone: ZoneInfo | None) -> _Rules:
    return tuple(_read(part, country, location, zone) for part in reading.parts)


def _read(
    plain: str, country: str | None, location: LatLng | None, zone: ZoneInfo | None
) -> opening_hours.OpeningHours:
    coords = None if location is None else (location.lat, location.lng)
    try:
        return opening_hours.OpeningHours(
            plain, timezone=zone, country=country, coords=coords, max_interval_days=HORIZON.days
        )
    except _UnknownCountryError:
        return _read(plain, None, location, zone)
    except TypeError:  # the library's own list of zones lacks this one: the sun keeps its default times
        return _read(plain, country, None, None)
    except _InvalidCoordinatesError as error:
        raise InvalidHoursError(str(error)) from error


@lru_cache(maxsize=16_384)
def _reading_of(text: str) -> Reading:
    """The text in words that the library reads as they are meant; corrected only if it cannot be read as it is."""
    if len(text) > MAX_TEXT:
        raise InvalidHoursError(f"opening hours longer than {MAX_TEXT} characters")
    for corrects in (False, True):
        words = corrected(text) if corrects else text
        for plain in (clarified(words), words):
            if opening_hours.validate(plain):
                parts = tuple(fallbacks(plain))
                return Reading(
                    plain=plain,
                    parts=parts if all(map(opening_hours.validate, parts)) else (plain,),
                    corrected=corrects,
                    by_sun=bool(_SUN.search(plain)),
                    holidays=bool(_HOLIDAY.search(plain)),
                )
    raise InvalidHoursError(_fault(text))


def _fault(text: str) -> str:
    try:
        opening_hours.OpeningHours(text)
    except _ParserError as error:
        found = _COLUMN.search(str(error))
        column = int(found[1]) if found else 1
        return f"cannot read opening hours at column {column}: {text[column - 1 :][:40]!r}"
    raise AssertionError("a text that can be read has no fault")
