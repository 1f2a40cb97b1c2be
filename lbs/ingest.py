"""From the bytes of a request to columns for the log: decode, judge all positions at once, pack the good ones. Pure.

A request that cannot be read is refused as a whole (MalformedError); a position that is none is refused alone, with its
index and the reason.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import numpy as np

from geofences.model import POSITION_DTYPE, Flag
from lbs.errors import Fault, MalformedError

if TYPE_CHECKING:
    from geofences.model import Bools, DeviceId, Floats, Positions, TenantId

MAX_POSITIONS: Final = 1000
US: Final = 1_000_000
MSGPACK_TYPES: Final = frozenset({"application/msgpack", "application/x-msgpack", "application/vnd.msgpack"})

NOT_FINITE: Final = "not_finite"
OUT_OF_RANGE: Final = "out_of_range"
NULL_ISLAND: Final = "null_island"
TOO_OLD: Final = "too_old"
IN_FUTURE: Final = "in_future"

_POLE_DEG: Final = 90.0
_HALF_TURN_DEG: Final = 180.0
_MAX_SAID: Final = 1e9
"""Metres, or metres per second: more is nonsense, and would not fit float32."""
_MAX_TIME_S: Final = 1e11
"""Beyond the year 5000: still exact as a number of microseconds in 64 bits."""


class PositionBody(msgspec.Struct, gc=False):
    """One position as a phone says it. `recorded_at` is ISO 8601 with an offset, or seconds since 1970."""

    lat: float
    lng: float
    recorded_at: Annotated[datetime, msgspec.Meta(tz=True)] | float
    accuracy_m: float | None = None
    speed_mps: float | None = None
    id: Annotated[str, msgspec.Meta(max_length=200)] | int | None = None
    mocked: bool = False


class PositionsBody(msgspec.Struct):
    """Positions of one device, in any order."""

    device_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    positions: Annotated[list[PositionBody], msgspec.Meta(min_length=1, max_length=MAX_POSITIONS)]


class Rejected(msgspec.Struct, omit_defaults=True):
    """A position that was refused."""

    index: int
    reason: str
    id: str | int | None = None


class IngestAnswer(msgspec.Struct):
    """How many positions the log has, and which were refused."""

    accepted: int
    rejected: list[Rejected]


_JSON = msgspec.json.Decoder(PositionsBody)
_MSGPACK = msgspec.msgpack.Decoder(PositionsBody)


def decode(body: bytes, *, packed: bool) -> PositionsBody:
    """Reads JSON, or MessagePack if `packed`; MalformedError says what is wrong and where."""
    try:
        return _MSGPACK.decode(body) if packed else _JSON.decode(body)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$")
        where = f"body{path.rstrip('`')}"
        raise MalformedError(f"{where}: {message}", Fault(where, message)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        kind = "MessagePack" if packed else "JSON"
        message = f"malformed {kind}: {error}"
        raise MalformedError(message, Fault("body", message)) from error


def judge(
    positions: list[PositionBody],
    *,
    tenant_id: TenantId,
    device_id: DeviceId,
    received_us: int,
    horizon_s: float,
    future_s: float,
) -> tuple[Positions, list[Rejected]]:
    """The good positions as the log takes them, in the order given, and the others with their reasons.

    A negative or infinite accuracy or speed counts as not said: that is how phones say so.
    """
    lat = np.array([position.lat for position in positions], dtype=np.float64)
    lng = np.array([position.lng for position in positions], dtype=np.float64)
    at_s = _seconds([position.recorded_at for position in positions])
    reasons = _reasons(lat, lng, at_s, now_s=received_us / US, horizon_s=horizon_s, future_s=future_s)
    good = np.ones(len(positions), dtype=np.bool_)
    rejected: dict[int, Rejected] = {}
    for reason, wrong in reasons:
        if wrong.any():
            for index in np.flatnonzero(wrong & good).tolist():
                rejected[index] = Rejected(index, reason, positions[index].id)
            good &= ~wrong
    packed = np.zeros(len(positions), dtype=POSITION_DTYPE)
    packed["tenant_id"] = tenant_id
    packed["device_id"] = device_id
    packed["received_us"] = received_us
    packed["lat"] = lat
    packed["lng"] = lng
    packed["accuracy_m"] = _said([position.accuracy_m for position in positions])
    packed["speed_mps"] = _said([position.speed_mps for position in positions])
    mocked = [position.mocked for position in positions]
    if True in mocked:
        packed["flags"] = np.where(mocked, Flag.MOCKED, 0)
    if rejected:
        packed, at_s = packed[good], at_s[good]
    packed["recorded_us"] = np.rint(at_s * US)
    return packed, [rejected[index] for index in sorted(rejected)]


def _reasons(
    lat: Floats, lng: Floats, at_s: Floats, *, now_s: float, horizon_s: float, future_s: float
) -> list[tuple[str, Bools]]:
    """What is wrong with which positions; the first reason counts. NaN compares as false everywhere."""
    return [
        (NOT_FINITE, ~(np.isfinite(lat) & np.isfinite(lng) & np.isfinite(at_s))),
        (OUT_OF_RANGE, (np.abs(lat) > _POLE_DEG) | (np.abs(lng) > _HALF_TURN_DEG)),
        (NULL_ISLAND, (lat == 0.0) & (lng == 0.0)),
        (TOO_OLD, at_s < now_s - horizon_s),
        (IN_FUTURE, at_s > now_s + future_s),
    ]


def _seconds(times: list[datetime | float]) -> Floats:
    """As floats of seconds, which hold microseconds exactly for the centuries that matter."""
    said = [at.timestamp() if isinstance(at, datetime) else at for at in times]
    seconds = np.array(said, dtype=np.float64)
    beyond = np.isfinite(seconds) & (np.abs(seconds) > _MAX_TIME_S)
    return np.where(beyond, np.copysign(_MAX_TIME_S, seconds), seconds) if beyond.any() else seconds


def _said(values: list[float | None]) -> Any:
    """As float32; NaN where nothing, or nothing sensible, was said."""
    if values.count(None) == len(values):
        return np.float32(np.nan)
    said = np.array(values, dtype=np.float64)  # None becomes NaN
    return np.where((said >= 0) & (said <= _MAX_SAID), said, np.nan)
