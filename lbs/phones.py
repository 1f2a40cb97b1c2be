"""What existing phone apps send, read as positions: OwnTracks, Traccar Client, OsmAnd. Pure.

An app that queues repeats whatever it is refused, and some never go on to the next. So only a body that no such app
sends is refused as a whole (MalformedError); of the rest, each message is a position or has the reason why it is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec

from lbs.errors import Fault, MalformedError
from lbs.ingest import MAX_POSITIONS, PositionBody

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_A_POSITION: Final = "not_a_position"
"""Without coordinates, or with something in place of a number or a time, or said by the app to be no fix."""
ENCRYPTED: Final = "encrypted"

KMH_MPS: Final = 1000 / 3600
KNOT_MPS: Final = 1852 / 3600
MS_FROM: Final = 1e11
"""Times from here on are milliseconds: as such they are past 1973, as seconds they would lie after the year 5000."""
MAX_PARAMETERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What one request said, in its order."""

    said: list[PositionBody | str]
    """Positions, or why a message is none."""
    name: str | None = None
    """Of the device, where the format has one."""


class _Location(msgspec.Struct, gc=False):
    """OwnTracks' `_type: location`; `vel` is in km/h."""

    lat: float
    lon: float
    tst: float
    acc: float | None = None
    vel: float | None = None


class _Coords(msgspec.Struct, gc=False):
    latitude: float
    longitude: float
    accuracy: float | None = None
    speed: float | None = None


class _Fix(msgspec.Struct, gc=False):
    """A location of the library in Traccar Client since 9.0; speed is in m/s, -1 where unknown."""

    timestamp: str | float
    coords: _Coords
    mock: bool = False


def read_owntracks(body: bytes) -> Heard:
    """One message, or a list of them. Messages of other kinds than locations are nothing to us, and no fault."""
    if not body.strip():
        return Heard(said=[])  # a friend was deleted in the app
    said: list[PositionBody | str] = []
    for message in _listed(_json(body)):
        kind = message.get("_type") if isinstance(message, dict) else None
        if kind == "location":
            said.append(_from_owntracks(message))
        elif kind == "encrypted":
            said.append(ENCRYPTED)
        elif not isinstance(kind, str):
            said.append(NOT_A_POSITION)
    return Heard(said=said)


def read_traccar_json(body: bytes) -> Heard:
    """`{device_id, location}`, as Traccar Client sends since 9.0; `location` may be a list."""
    root = _json(body)
    if not isinstance(root, dict):
        raise _malformed("body", "expected an object with `device_id` and `location`")
    name = root.get("device_id")
    fixes = _listed(root.get("location"))
    return Heard(said=[_from_fix(fix) for fix in fixes], name=name if isinstance(name, str) else None)


def read_parameters(text: str, *, now_s: float) -> Heard:
    """The OsmAnd protocol's query string or form, one position. Its speed is in knots; without a time it is now."""
    try:
        given = dict(reversed(parse_qsl(text, max_num_fields=MAX_PARAMETERS)))  # of two of one name the first counts
    except ValueError as error:
        raise _malformed("query", f"more than {MAX_PARAMETERS} parameters") from error
    return Heard(said=[_from_parameters(given, now_s)], name=given.get("id") or given.get("deviceid"))


def _from_owntracks(message: dict[str, Any]) -> PositionBody | str:
    try:
        # some senders quote their numbers
        there = msgspec.convert(message, _Location, strict=False)
    except msgspec.ValidationError:
        return NOT_A_POSITION
    return PositionBody(
        lat=there.lat,
        lng=there.lon,
        recorded_at=there.tst,
        accuracy_m=there.acc or None,
        speed_mps=None if there.vel is None else there.vel * KMH_MPS,
    )


def _from_fix(message: Any) -> PositionBody | str:
    try:
        fix = msgspec.convert(message, _Fix, strict=False)
        recorded_s = _seconds(str(fix.timestamp))
    except (msgspec.ValidationError, ValueError, OverflowError):
        return NOT_A_POSITION
    return PositionBody(
        lat=fix.coords.latitude,
        lng=fix.coords.longitude,
        recorded_at=recorded_s,
        accuracy_m=fix.coords.accuracy or None,
        speed_mps=fix.coords.speed,
        mocked=fix.mock,
    )


def _from_parameters(given: Mapping[str, str], now_s: float) -> PositionBody | str:
    lat, _, lng = given.get("location", "").partition(",")
    speed = given.get("speed")
    try:
        if not _truth(given.get("valid", "true")):
            return NOT_A_POSITION
        return PositionBody(
            lat=float(given.get("lat", lat)),
            lng=float(given.get("lon", lng)),
            recorded_at=_seconds(given["timestamp"]) if "timestamp" in given else now_s,
            # Traccar Client before 9.0 says 0 for what it does not know
            accuracy_m=float(given.get("accuracy", 0)) or None,
            speed_mps=None if speed is None else float(speed) * KNOT_MPS,
            mocked=_truth(given.get("mock", "false")),
        )
    except (ValueError, OverflowError):
        return NOT_A_POSITION


def _seconds(text: str) -> float:
    """Since 1970, of seconds, milliseconds, or an ISO 8601 time, which is UTC if it does not say; ValueError.

    >>> _seconds("1780315200") == _seconds("1780315200000") == _seconds("2026-06-01 12:00:00")
    True
    >>> _seconds("2026-06-01T15:00:00.5+03:00") - _seconds("2026-06-01T12:00:00Z")
    0.5
    """
    try:
        number = float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()
    return number / 1000 if abs(number) >= MS_FROM else number


def _truth(text: str) -> bool:
    return text.lower() in {"true", "1"}


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed("body", f"malformed JSON: {error}") from error


def _listed(value: Any) -> list[Any]:
    messages = value if isinstance(value, list) else [value]
    if len(messages) > MAX_POSITIONS:
        raise _malformed("body", f"more than {MAX_POSITIONS} messages")
    return messages


def _malformed(where: str, message: str) -> MalformedError:
    return MalformedError(f"{where}: {message}", Fault(where, message))
