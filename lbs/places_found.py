"""What every search by place shares: where it starts from, and cursors that say how far it has come."""

from __future__ import annotations

import base64
import struct

from geofences.index import cell_center
from geofences.model import LatLng
from lbs.errors import Fault, MalformedError

_PLACE = struct.Struct("<dq")


def origin_of(lat: float | None, lng: float | None, cell: str | None) -> LatLng:
    """Where to search from; MalformedError unless there is exactly one place."""
    if cell is not None and lat is None and lng is None:
        return cell_center(cell)
    if cell is None and lat is not None and lng is not None:
        return LatLng(lat=lat, lng=lng)
    fault = Fault("query", "give lat and lng, or cell")
    raise MalformedError(fault.message, fault)


def cursor_of_place(place: tuple[float, int]) -> str:
    """The very bits of the distance: the next page must begin exactly after it."""
    return base64.urlsafe_b64encode(_PLACE.pack(*place)).rstrip(b"=").decode("ascii")


def place_of_cursor(cursor: str) -> tuple[float, int]:
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        distance_m, store_id = _PLACE.unpack(raw)
    except (ValueError, struct.error) as error:
        fault = Fault("query.cursor", "not a cursor of this list: take `next_cursor` of the page before")
        raise MalformedError(fault.message, fault) from error
    return distance_m, store_id
