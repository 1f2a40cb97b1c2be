"""Time zones: names to rules, coordinates to names, local wall times to instants. Knows no clock.

The rules always come from the installed `tzdata` package, never from the operating system, so that one release decides
for every process and every test. Which instant a wall time means is decided here, once, for the whole project.
"""

from __future__ import annotations

import atexit
import importlib
import importlib.resources
import threading
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

import numpy as np

from geofences.errors import InvalidPositionError, UnknownTimezoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from timezonefinder import TimezoneFinder

    from geofences.model import Floats, LatLng

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_AHEAD_DAYS = 30
# a TimezoneFinder must not be used by two threads at once; a look-up takes microseconds
_FINDER_LOCK = threading.Lock()


class _PinnedZone(ZoneInfo):
    """A zone read from the package; unlike other zones read from a file, it survives pickle and deepcopy."""

    def __reduce__(self) -> tuple[Callable[[str], ZoneInfo], tuple[str]]:
        return (zone, (self.key,))

    def __deepcopy__(self, _memo: object) -> Self:
        return self


@cache
def zone_names() -> frozenset[str]:
    """All names of the pinned database, links such as `US/Pacific` included.

    >>> "Europe/Lisbon" in zone_names(), "Etc/GMT+12" in zone_names(), "Mars/Base" in zone_names()
    (True, True, False)
    """
    return frozenset(importlib.resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@cache
def zone(name: str) -> ZoneInfo:
    """The rules of one zone; the same name always gives the same object.

    Raises `UnknownTimezoneError` for a name the pinned database does not have; names are case-sensitive.

    >>> zone("Europe/Lisbon").key
    'Europe/Lisbon'
    """
    if name not in zone_names():
        raise UnknownTimezoneError(f"unknown time zone: {name!r}")
    path = importlib.resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with path.open("rb") as file:
        return _PinnedZone.from_file(file, key=name)


def tzdata_version() -> str:
    """The IANA release in use, e.g. `2026f`."""
    return str(importlib.import_module("tzdata").IANA_VERSION)


def zone_at(latlng: LatLng) -> str:
    """The name of the zone at a point; at sea one of `Etc/GMT-14` .. `Etc/GMT+12`, whose sign is the POSIX one.

    Zones whose rules have been alike since 1970 may share one name: compare offsets, not names. Raises
    `InvalidPositionError` for a point that is not on earth.

    >>> from geofences.model import LatLng
    >>> zone_at(LatLng(lat=38.7, lng=-9.1)), zone_at(LatLng(lat=0.0, lng=-30.0))
    ('Europe/Lisbon', 'Etc/GMT+2')
    """
    return zones_at([latlng.lat], [latlng.lng])[0]


def zones_at(lats: Sequence[float] | Floats, lngs: Sequence[float] | Floats) -> list[str]:
    """`zone_at` for many points: shape (n,) degrees each, n names in the same order; about 3 us a point.

    Raises `InvalidPositionError` if any point is not on earth (the message gives its index) and
    `UnknownTimezoneError` if the polygons name a zone that the pinned rules lack (a test keeps that from shipping).
    """
    finder = _finder()
    with _FINDER_LOCK:
        ids = finder.timezone_ids_at(lngs=lngs, lats=lats, on_invalid="skip")
    bad = np.flatnonzero(ids < 0)
    if bad.size:
        raise InvalidPositionError(f"out_of_range: point {bad[0]} of {len(ids)}")
    names = [finder.zone_name_from_id(int(i)) for i in ids]
    for missing in set(names) - zone_names():
        raise UnknownTimezoneError(f"the zone polygons are newer than the time-zone rules: {missing!r}")
    return names


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """The UTC instant at which a naive wall time is first reached.

    In an overlap that is its first occurrence, in a gap the first instant after the gap.

    >>> first_instant(datetime(2026, 3, 29, 1, 30), zone("Europe/Lisbon"))  # the clock went from 01:00 to 02:00
    datetime.datetime(2026, 3, 29, 1, 0, tzinfo=datetime.timezone.utc)
    >>> first_instant(datetime(2026, 10, 25, 1, 30), zone("Europe/Lisbon"))  # 01:00 to 02:00 comes twice
    datetime.datetime(2026, 10, 25, 0, 30, tzinfo=datetime.timezone.utc)
    """
    first, second = _offsets(local, zone)
    if first < second:
        return _transition(_utc(local, second), _utc(local, first), zone)
    return _utc(local, first)


def last_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """As `first_instant`, but the last occurrence in an overlap.

    >>> last_instant(datetime(2026, 10, 25, 1, 30), zone("Europe/Lisbon"))
    datetime.datetime(2026, 10, 25, 1, 30, tzinfo=datetime.timezone.utc)
    """
    first, second = _offsets(local, zone)
    if first < second:
        return _transition(_utc(local, second), _utc(local, first), zone)
    return _utc(local, second)


def overlap(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """The wall times [from, to) that happen twice around an instant, or None if the wall time at `at` happens once.

    >>> overlap(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), zone("Europe/Lisbon"))
    (datetime.datetime(2026, 10, 25, 1, 0), datetime.datetime(2026, 10, 25, 2, 0))
    """
    first, second = _offsets(at.astimezone(zone), zone)
    if first <= second:
        return None
    span = first - second
    utc = at.astimezone(UTC)
    turn = _transition(utc - span, utc + span, zone)
    return turn.replace(tzinfo=None) + second, turn.replace(tzinfo=None) + first


def steady_offset(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime, timedelta] | None:
    """The instants [from, to) around `at` in which wall time is UTC plus that offset, and no wall time comes twice.

    Looks some weeks ahead. None around a change of the clock, for as long as it puts the clock forward or back.

    >>> begin, end, offset = steady_offset(datetime(2026, 10, 20, tzinfo=UTC), zone("Europe/Lisbon"))
    >>> f"{end:%d %H:%M}", str(offset)  # on the 25th the clock goes back at 01:00 UTC, and 01:00 to 02:00 comes twice
    ('25 00:00', '1:00:00')
    """
    offset = _offset_at(at, zone)
    begin, end = at - _DAY, at
    for days in (1, 2):  # no clock was ever put back by more than a day
        if (earlier := _offset_at(at - days * _DAY, zone)) != offset:
            begin = _transition(at - days * _DAY, at - (days - 1) * _DAY, zone) + abs(offset - earlier)
            break
    for _ in range(_AHEAD_DAYS):
        if (later := _offset_at(end + _DAY, zone)) != offset:
            end = _transition(end, end + _DAY, zone) - abs(offset - later)
            break
        end += _DAY
    return (begin, end, offset) if begin <= at < end else None


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """The UTC instant at which a local day begins and the day before is over.

    Local days so made never overlap and leave nothing out; most have 24 hours, some 23 or 25, and 30 December 2011 in
    Apia has none. Where the clock is put back to midnight exactly (Azores, Havana) the day begins at the first
    midnight; where it is put back across midnight (St John's until 2011) the day begins at the last.

    >>> day_start(date(2026, 6, 1), zone("Europe/Helsinki"))
    datetime.datetime(2026, 5, 31, 21, 0, tzinfo=datetime.timezone.utc)
    """
    midnight = datetime.combine(day, time())
    last = last_instant(midnight, zone)
    went_back_a_day = (last - _SECOND).astimezone(zone).date() < day
    return last if went_back_a_day else first_instant(midnight, zone)


def _offsets(local: datetime, zone: ZoneInfo) -> tuple[timedelta, timedelta]:
    """The UTC offsets before and after the change that makes a wall time odd; equal for an ordinary one (PEP 495)."""
    first = local.replace(tzinfo=zone, fold=0).utcoffset()
    second = local.replace(tzinfo=zone, fold=1).utcoffset()
    assert first is not None
    assert second is not None
    return first, second


def _offset_at(at: datetime, zone: ZoneInfo) -> timedelta:
    offset = at.astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _utc(local: datetime, offset: timedelta) -> datetime:
    return local.replace(tzinfo=UTC, fold=0) - offset


def _transition(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The one instant in (before, after] at which the offset changes, to the second, by bisection."""
    old = before.astimezone(zone).utcoffset()
    low, high = before.replace(microsecond=0), after.replace(microsecond=0)
    while (seconds := (high - low) // _SECOND) > 1:
        middle = low + seconds // 2 * _SECOND
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == old else (low, middle)
    return high


@cache
def _finder() -> TimezoneFinder:
    """Made at first use, in 60 ms; the polygons stay in mapped files."""
    # half a second to import, and few processes look a zone up
    from timezonefinder import TimezoneFinder  # noqa: PLC0415

    finder = TimezoneFinder()
    # left to the interpreter's end, its files are closed in the wrong order, with a warning
    atexit.register(finder.cleanup)
    return finder
