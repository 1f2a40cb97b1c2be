"""Passing through: fences that a straight way between two positions meets, though both ends lie outside. Compiled."""

# mypy: disable-error-code="misc"

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from geofences.cell_table import FREE, NOTHING, place_of
from geofences.compiled import borrowing
from geofences.nearness import signed_distance_m
from geofences.planar import Plane, plane, to_faces, to_keys, to_units
from geofences.trust import MAX_SPEED_MPS, speed_mps

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from geofences.fence_tables import FenceTables
    from geofences.model import Floats, Int32s, Int64s
    from geofences.planar import Faces

SPACING_M: Final = 2.0
"""Cells are looked up so often along a way: a shorter one through a fence may go unseen."""
MOST_STEPS: Final = 512
"""Of a longer way, so many places are looked at: what a position costs has an end."""
LEAST_STEP_M: Final = 1.0
"""Along a border, a way is followed in such steps, or in MOST_STEPS of them."""
HALVINGS: Final = 12
"""Of such a step, to find where a border is met."""
SAFE_SHARE: Final = 0.98
"""Of the measured distance to a border: so far one can go and not be beyond it; distances are right to 1 %."""
METERS_A_DEGREE: Final = 111_700.0
"""No degree of a meridian or of the equator is longer."""


class Way(NamedTuple):
    """What it takes to find the fences that a way meets."""

    within_us: int
    """The longest time between two positions for which any fence asks; 0: none does."""
    tenants: NDArray[np.uint8]
    """By tenant_id, 1 for those with fences that ask."""
    resolutions: Int64s
    plane: Plane
    slots: Int32s
    """Receives what is found; has room for every fence."""
    lat: Floats
    lng: Floats
    x: Floats
    y: Floats
    z: Floats
    east: Floats
    north: Floats
    face: Faces
    keys: Int64s


def way_among(tables: FenceTables, resolutions: Int64s, asking: Collection[int]) -> Way:
    """For these fences, whose cells have these resolutions, and the tenants with fences that ask."""
    within_us = int(tables.profiles["crossed_us"].max(initial=0)) if asking else 0
    tenants = np.zeros(max(asking, default=0) + 1, dtype=np.uint8)
    tenants[list(asking)] = 1
    n = MOST_STEPS if within_us else 0
    lat, lng, x, y, z, east, north = np.empty((7, n), dtype=np.float64)
    return Way(
        within_us=within_us,
        tenants=tenants,
        resolutions=resolutions,
        plane=plane(),
        slots=np.empty(len(tables.fences) if within_us else 0, dtype=np.int32),
        lat=lat,
        lng=lng,
        x=x,
        y=y,
        z=z,
        east=east,
        north=north,
        face=np.empty(n, dtype=np.uint8),
        keys=np.empty(n, dtype=np.int64),
    )


@borrowing
def _length_m(lat1: float, lng1: float, lat2: float, lng2: float) -> float:
    """No shorter than the way is; straight in degrees, as the borders of areas are."""
    east = abs(_eastward(lng1, lng2)) * math.cos(math.radians(min(abs(lat1), abs(lat2))))
    return METERS_A_DEGREE * math.hypot(lat2 - lat1, east)


@borrowing
def _eastward(lng1: float, lng2: float) -> float:
    """The shorter way round, degrees."""
    return (lng2 - lng1 + 540.0) % 360.0 - 180.0


@borrowing
def _between(share: float, lat1: float, lng1: float, lat2: float, lng2: float) -> tuple[float, float]:
    lng = lng1 + share * _eastward(lng1, lng2)
    return lat1 + share * (lat2 - lat1), (lng + 540.0) % 360.0 - 180.0


@borrowing
def fences_between(
    tables: FenceTables,
    way: Way,
    tenant_id: int,
    elapsed_us: int,
    lat1: float,
    lng1: float,
    lat2: float,
    lng2: float,
) -> int:
    """How many fences of a tenant have a cell on the way and ask to be told of it; `way.slots` are they, each once.

    None for what is no way but a jump: faster than `trust.MAX_SPEED_MPS`.
    """
    if not 1 < elapsed_us <= way.within_us or tenant_id >= len(way.tenants) or way.tenants[tenant_id] == 0:
        return 0
    if speed_mps(0, lat1, lng1, elapsed_us, lat2, lng2) > MAX_SPEED_MPS:
        return 0
    found = 0
    steps = min(math.ceil(_length_m(lat1, lng1, lat2, lng2) / SPACING_M), MOST_STEPS)
    n = max(steps - 1, 0)
    for i in range(n):
        way.lat[i], way.lng[i] = _between((i + 1) / steps, lat1, lng1, lat2, lng2)
    to_units(way.lat[:n], way.lng[:n], way.x, way.y, way.z)
    to_faces(way.plane, way.lat[:n], way.lng[:n], way.x, way.y, way.z, way.face)
    for res in way.resolutions:
        to_keys(way.plane, res, way.x[:n], way.y, way.z, way.face, way.keys, way.east, way.north)
        for i in range(n):
            if i == 0 or way.keys[i] != way.keys[i - 1]:
                found = _add(tables, way, tenant_id, elapsed_us, way.keys[i], found)
    return found


@borrowing
def _add(tables: FenceTables, way: Way, tenant_id: int, elapsed_us: int, key: int, found: int) -> int:
    """Appends the fences of a cell that are not there yet; returns how many are there then."""
    place = place_of(tables.cell_keys, key)
    if tables.cell_keys[place] == FREE:
        return found
    value = tables.cell_values[place]
    if value == NOTHING:
        return found
    n = 1 if value >= 0 else tables.cell_pool[-2 - value]
    for i in range(n):
        slot = (value if value >= 0 else tables.cell_pool[-1 - value + i]) >> 1
        fence = tables.fences[slot]
        if fence.tenant_id != tenant_id or tables.profiles[fence.profile].crossed_us < elapsed_us:
            continue
        known = False
        for j in range(found):
            known |= way.slots[j] == slot
        if not known:
            way.slots[found] = slot
            found += 1
    return found


@borrowing
def passage(
    tables: FenceTables, slot: int, lat1: float, lng1: float, lat2: float, lng2: float
) -> tuple[float, float, float]:
    """Where a way that begins and ends outside a slot's shape comes into it and leaves it for good.

    Both as shares of the way, and how far from the border it comes inside, metres; (-1, -1, 0) if it does not meet the
    shape, or an end lies inside.
    """
    coming, leaving, deepest_m = -1.0, -1.0, 0.0
    length_m = _length_m(lat1, lng1, lat2, lng2)
    if (
        signed_distance_m(tables, slot, lat1, lng1, length_m) >= 0.0
        or signed_distance_m(tables, slot, lat2, lng2, length_m) >= 0.0
    ):
        return coming, leaving, deepest_m
    share = before = 0.0
    least_share = max(LEAST_STEP_M / length_m, 1.0 / MOST_STEPS)
    was_inside = False
    while share < 1.0:
        lat, lng = _between(share, lat1, lng1, lat2, lng2)
        inside_m = signed_distance_m(tables, slot, lat, lng, length_m)
        if (inside_m >= 0.0) != was_inside:
            was_inside = inside_m >= 0.0
            at = _border(tables, slot, before, share, was_inside, lat1, lng1, lat2, lng2)
            coming = at if coming < 0.0 else coming
            leaving = at
        deepest_m = max(deepest_m, inside_m)
        before = share
        share += max(SAFE_SHARE * abs(inside_m) / length_m, least_share)
    if was_inside:
        leaving = _border(tables, slot, before, 1.0, False, lat1, lng1, lat2, lng2)
    return coming, leaving, deepest_m


@borrowing
def _border(
    tables: FenceTables,
    slot: int,
    low: float,
    high: float,
    high_is_inside: bool,
    lat1: float,
    lng1: float,
    lat2: float,
    lng2: float,
) -> float:
    """The share of the way, between two of which one lies inside, at which it meets the border."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        lat, lng = _between(middle, lat1, lng1, lat2, lng2)
        if (signed_distance_m(tables, slot, lat, lng, 1.0) >= 0.0) == high_is_inside:
            high = middle
        else:
            low = middle
    return high if high_is_inside else low
