"""From the bytes of a request to columns for the log: decode, judge all positions at once, pack the good ones. Pure.

A request that cannot be read is refused as a whole (MalformedError); a position that is none is refused alone, with its
index and the reason.
"""

from __future__ import annotations

import math
import struct
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import numpy as np

from geofences.model import POSITION_DTYPE, DeviceId, Flag, TenantId
from lbs.errors import Fault, MalformedError
from lbs.ingest_rows import HALF_TURN_DEG, POLE_DEG, US, fill

if TYPE_CHECKING:
    from geofences.model import Floats, Positions

MAX_POSITIONS: Final = 1000
MSGPACK_TYPES: Final = frozenset({"application/msgpack", "application/x-msgpack", "application/vnd.msgpack"})

NOT_FINITE: Final = "not_finite"
OUT_OF_RANGE: Final = "out_of_range"
NULL_ISLAND: Final = "null_island"
TOO_OLD: Final = "too_old"
IN_FUTURE: Final = "in_future"


class PositionBody(msgspec.Struct, gc=False):
    """One position as a phone says it. `recorded_at` is ISO 8601 with an offset, or seconds since 1970."""

    lat: float
    lng: float
    recorded_at: Annotated[datetime, msgspec.Meta(tz=True)] | float
    accuracy_m: float | None = None
    speed_mps: float | None = None
    id: Annotated[str, msgspec.Meta(max_length=200)] | int | None = None
    mocked: bool = False


DeviceName = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
"""The client's own id of a device."""


class PositionsBody(msgspec.Struct):
    """Positions of one device, in any order."""

    device_id: DeviceName
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
    earliest_s, latest_s = received_us / US - horizon_s, received_us / US + future_s
    said = _columns(
        [position.lat for position in positions],
        [position.lng for position in positions],
        _seconds([position.recorded_at for position in positions]),
        _or_nan([position.accuracy_m for position in positions]),
        _or_nan([position.speed_mps for position in positions]),
    )
    packed = np.zeros(len(positions), dtype=POSITION_DTYPE)
    refused = fill(packed, said, tenant_id, device_id, received_us, earliest_s, latest_s)
    mocked = [position.mocked for position in positions]
    if True in mocked:
        packed["flags"] = np.where(mocked, Flag.MOCKED, 0)
    if not refused:
        return packed, []
    reasons = _reasons(said[0], said[1], said[2], earliest_s=earliest_s, latest_s=latest_s)
    good = np.array([not reason for reason in reasons])
    return packed[good], [Rejected(i, reason, positions[i].id) for i, reason in enumerate(reasons) if reason]


def warm_up() -> None:
    """Compiles what is compiled, before a request waits for it."""
    there = PositionBody(lat=1.0, lng=1.0, recorded_at=0.0)
    judge([there], tenant_id=TenantId(0), device_id=DeviceId(0), received_us=0, horizon_s=1.0, future_s=1.0)


def _reasons(lat: Floats, lng: Floats, at_s: Floats, *, earliest_s: float, latest_s: float) -> list[str]:
    """What is wrong with each position, the first reason counting; empty for a good one."""
    faults = [
        (NOT_FINITE, ~(np.isfinite(lat) & np.isfinite(lng) & np.isfinite(at_s))),
        (OUT_OF_RANGE, (np.abs(lat) > POLE_DEG) | (np.abs(lng) > HALF_TURN_DEG)),
        (NULL_ISLAND, (lat == 0.0) & (lng == 0.0)),
        (TOO_OLD, at_s < earliest_s),
        (IN_FUTURE, at_s > latest_s),
    ]
    found: list[str] = np.select([wrong for _, wrong in faults], [reason for reason, _ in faults], default="").tolist()
    return found


def _seconds(times: list[datetime | float]) -> list[float]:
    """Since 1970; a float holds microseconds exactly for the centuries that are accepted."""
    return [at.timestamp() if isinstance(at, datetime) else at for at in times]


def _or_nan(values: list[float | None]) -> list[float]:
    nothing_said = values.count(None)
    if nothing_said == len(values):
        return [math.nan] * nothing_said
    return [math.nan if value is None else value for value in values]


def _columns(*columns: list[float]) -> Floats:
    """One row a column. NumPy would take four times as long to read the lists."""
    pack = struct.Struct(f"{len(columns[0])}d").pack
    return np.frombuffer(b"".join([pack(*column) for column in columns]), dtype=np.float64).reshape(len(columns), -1)
