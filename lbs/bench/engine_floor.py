"""What no engine could beat on this machine: every position's bytes read once, and one cache miss for each.

The miss is a look-up at a place that follows from the coordinates, in a table as large as the index; it waits for none
before it. No cell is worked out, no shape tested, no state kept: the distance to this says what is still to be won.
"""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit

from lbs.bench.engine_peer import undisturbed

if TYPE_CHECKING:
    from lbs.bench.engine_workload import Workload

SMALLEST_TABLE = 2**13
"""Entries of 8 bytes."""


def floor_rate(workload: Workload, *, index_bytes: int, rounds: int) -> float:
    """Positions a second, the median of so many rounds on one core."""
    table = np.arange(max(SMALLEST_TABLE, 2 ** int(np.log2(max(index_bytes, 8) / 8))), dtype=np.int64)
    device_id = np.ascontiguousarray(workload.positions["device_id"])
    columns = (workload.lat, workload.lng, workload.at_us, device_id, workload.tenant_id)
    touch = _compiled()
    touch(*(column[:1] for column in columns), table)
    rates = []
    for _ in range(rounds):
        with undisturbed():
            begin = time.perf_counter()
            touch(*columns, table)
            rates.append(len(workload.lat) / (time.perf_counter() - begin))
    return median(rates)


def _compiled() -> Any:
    return njit(nogil=True)(_touch)


def _touch(lat: Any, lng: Any, at_us: Any, device_id: Any, tenant_id: Any, table: Any) -> int:  # noqa: PLR0917 - compiled
    mask = np.int64(len(table) - 1)
    total = np.int64(0)
    for i in range(len(lat)):
        # a multiplicative hash: neighbouring places go to far entries, so that hardly two positions share a cache line
        key = np.int64(lat[i] * 1e6) * np.int64(0x5851F42D4C957F2D) + np.int64(lng[i] * 1e6)
        key *= np.int64(0x2545F4914F6CDD1D)
        total += table[(key >> 20) & mask] + at_us[i] + device_id[i] + tenant_id[i]
    return int(total)
