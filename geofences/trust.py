"""Which positions move the tracker. Filters never delete: what is doubted is stored, flagged and counted. Compiled."""

# mypy: disable-error-code="misc"

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from geofences.compiled import borrowing, in_place
from geofences.model import Flag
from geofences.states import NONE_US

if TYPE_CHECKING:
    from geofences.states import Devices

MAX_ACCURACY_M: Final = 200.0
MAX_SPEED_MPS: Final = 70.0
SUSPECTS_REMEMBERED: Final = 2
"""One more that fits them, and the run outweighs the last good position."""
GOOD_FOR_US: Final = 600_000_000
"""After 10 minutes the last good position no longer speaks against a new one."""
MEAN_RADIUS_M: Final = 6_371_008.8
NO_FLAGS: Final = 0
MOCKED: Final = int(Flag.MOCKED)
INACCURATE: Final = int(Flag.INACCURATE)
IMPOSSIBLE_SPEED: Final = int(Flag.IMPOSSIBLE_SPEED)


@borrowing
def speed_mps(a_us: int, a_lat: float, a_lng: float, b_us: int, b_lat: float, b_lng: float) -> float:
    """Great-circle speed between two fixes, metres a second; infinite for a jump in no time."""
    lat_a, lat_b = math.radians(a_lat), math.radians(b_lat)
    half = (
        math.sin((lat_b - lat_a) / 2.0) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b_lng - a_lng) / 2.0) ** 2
    )
    distance_m = 2.0 * MEAN_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))
    if distance_m == 0.0:
        return 0.0
    elapsed_s = abs(b_us - a_us) / 1e6
    return math.inf if elapsed_s == 0.0 else distance_m / elapsed_s


@in_place
def judge(devices: Devices, d: int, at_us: int, lat: float, lng: float, accuracy_m: float, mocked: int) -> int:
    """The flags of one position of device row `d`, which comes in time order; NO_FLAGS means that it counts.

    `accuracy_m` is NaN when the phone did not say. Remembers doubted positions in the device's row; whoever asked
    calls `believe` for one that counts.
    """
    flags = mocked & MOCKED
    if accuracy_m > MAX_ACCURACY_M:
        flags |= INACCURATE
    if flags != NO_FLAGS:
        return flags
    device = devices[d]
    if device.good_us == NONE_US or at_us - device.good_us >= GOOD_FOR_US:
        return NO_FLAGS
    # a walker's step costs no trigonometry: a degree of latitude is 111 km, one of longitude less
    reach_deg = abs(lat - device.good_lat) + abs(lng - device.good_lng)
    if reach_deg * 111_200.0 <= MAX_SPEED_MPS * (abs(at_us - device.good_us) / 1e6):
        return NO_FLAGS
    if speed_mps(device.good_us, device.good_lat, device.good_lng, at_us, lat, lng) <= MAX_SPEED_MPS:
        return NO_FLAGS
    return NO_FLAGS if doubt(device, at_us, lat, lng) else IMPOSSIBLE_SPEED


@in_place
def believe(devices: Devices, d: int, at_us: int, lat: float, lng: float) -> None:
    """Makes this the device's last good position."""
    device = devices[d]
    device.good_us = at_us
    device.good_lat = lat
    device.good_lng = lng
    device.suspects = 0


@borrowing
def doubt(device: Any, at_us: int, lat: float, lng: float) -> bool:
    """Remembers a position that speaks against the last good one; True once so many fit each other that they count."""
    newest_us, newest_lat, newest_lng = device.suspect0_us, device.suspect0_lat, device.suspect0_lng
    if device.suspects == SUSPECTS_REMEMBERED:
        newest_us, newest_lat, newest_lng = device.suspect1_us, device.suspect1_lat, device.suspect1_lng
    fits = device.suspects > 0 and speed_mps(newest_us, newest_lat, newest_lng, at_us, lat, lng) <= MAX_SPEED_MPS
    if fits and device.suspects == SUSPECTS_REMEMBERED:
        return True
    if fits:
        device.suspect1_us = at_us
        device.suspect1_lat = lat
        device.suspect1_lng = lng
        device.suspects = 2
    else:
        device.suspect0_us = at_us
        device.suspect0_lat = lat
        device.suspect0_lng = lng
        device.suspects = 1
    return False
