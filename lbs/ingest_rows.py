"""The inner loop of judging positions, compiled: thirty calls of NumPy cost more than all else of a small request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geofences.compiled import compiled

if TYPE_CHECKING:
    from geofences.model import Floats, Positions

POLE_DEG = 90.0
HALF_TURN_DEG = 180.0
MOST_SAID = 1e9
"""Metres, or metres per second: more is nonsense, and would not fit float32."""
US = 1_000_000.0


@compiled
def fill(  # noqa: PLR0917 - a compiled function is called by position
    packed: Positions,
    said: Floats,
    tenant_id: int,
    device_id: int,
    received_us: int,
    earliest_s: float,
    latest_s: float,
) -> int:
    """Writes one row of `packed` for each column of `said`, without its flags; answers how many must be refused.

    `said` is (5, n), float64: lat and lng in degrees, recorded_at in seconds since 1970, accuracy in metres, speed in
    metres per second, the latter two NaN where not said. Rows to be refused hold anything. NaN compares as false.
    """
    refused = 0
    for i in range(len(packed)):
        lat, lng, at_s, accuracy_m, speed_mps = said[0, i], said[1, i], said[2, i], said[3, i], said[4, i]
        row = packed[i]
        row["tenant_id"] = tenant_id
        row["device_id"] = device_id
        row["received_us"] = received_us
        row["lat"] = lat
        row["lng"] = lng
        row["accuracy_m"] = accuracy_m if 0.0 <= accuracy_m <= MOST_SAID else np.nan
        row["speed_mps"] = speed_mps if 0.0 <= speed_mps <= MOST_SAID else np.nan
        on_earth = abs(lat) <= POLE_DEG and abs(lng) <= HALF_TURN_DEG and (lat != 0.0 or lng != 0.0)
        if on_earth and earliest_s <= at_s <= latest_s:
            row["recorded_us"] = np.int64(np.rint(at_s * US))
        else:
            refused += 1
    return refused
