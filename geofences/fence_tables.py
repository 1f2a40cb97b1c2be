"""FenceTables: all that compiled code may ask about fences, as arrays. One writer, any number of readers.

A fence version has a slot: its row in `fences` and in `circles` or `boxes`. Nothing here is a Python object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from geofences.model import Floats, Int32s, Int64s

NO_STORE = 0
"""The `store_id` of a fence that belongs to no store."""
NONE = -1
"""A slot, row or place that is not there."""
NEVER_US = -(2**62)
"""The `valid_to_us` of a slot that holds nothing."""

FENCE_DTYPE = np.dtype(
    [
        ("fence_id", np.int64),
        ("store_id", np.int64),
        ("valid_from_us", np.int64),
        ("valid_to_us", np.int64),
        ("radius_m", np.float64),  # of a circle; 0: an area
        ("first_key", np.int64),
        ("tenant_id", np.int32),
        ("version", np.int32),
        ("profile", np.int32),
        ("next_slot", np.int32),
        ("keys", np.int32),  # where its keys begin in their pool
        ("name", np.int32),  # where its external id begins in its pool
        ("area_m2", np.float32),
        ("born", np.int32),  # number of the edit that wrote it
        ("key_count", np.uint16),
        ("key_words", np.uint16),
        ("name_size", np.uint16),
    ],
    align=True,
)
"""One fence version, by slot. `next_slot` is the slot of the fence's next version, NONE if there is none."""

CIRCLE_DTYPE = np.dtype(
    [
        ("x_m", np.float64),
        ("y_m", np.float64),
        ("z_m", np.float64),
        ("chord_m", np.float32),
        ("tenant_id", np.int32),
    ],
    align=True,
)
"""What a candidate is tested by: earth-centred WGS 84 coordinates of the centre, and the chord under the radius."""

BOX_DTYPE = np.dtype(
    [
        ("south", np.float32),
        ("west", np.float32),
        ("north", np.float32),
        ("east", np.float32),
        ("area", np.int32),  # row in `areas`
        ("spare", np.int32, (2,)),
        ("tenant_id", np.int32),
    ],
    align=True,
)
"""The same 32 bytes for an area: bounds in degrees, a little wider than it, open to the sides if it lies at 180."""

AREA_DTYPE = np.dtype(
    [
        ("origin_lat", np.float64),
        ("origin_lng", np.float64),
        ("step_deg", np.float64),
        ("tolerance", np.float64),  # in steps: so near to an edge counts as on it
        ("band_south", np.float64),  # in steps
        ("band_height", np.float64),  # in steps
        ("first", np.int32),  # rings: rows in `vertices`, or in `wide_vertices`
        ("end", np.int32),
        ("border_first", np.int32),  # the border if it is not the rings: rows in `wide_vertices`
        ("border_end", np.int32),
        ("band_first", np.int32),  # place in `bands`
        ("band_count", np.int32),  # 0: none
        ("is_wide", np.int32),
        ("is_at_180", np.int32),
    ],
    align=True,
)
"""One polygon or multipolygon. A vertex lies `step_deg` times its numbers from the origin.

Lines of vertices follow each other, rings closed: a row (n, 0), then n vertices, lat and lng.
"""

PROFILE_DTYPE = np.dtype(
    [
        ("enter_after_us", np.int64),
        ("exit_after_us", np.int64),
        ("dwell_us", np.int64),
        ("hold_us", np.int64),
        ("gap_us", np.int64),
        ("crossed_us", np.int64),
        ("exit_buffer_m", np.float64),
        ("min_confidence", np.float64),
    ],
    align=True,
)

UNSEALED = 2**62
Records = NDArray[np.void]
Vertices = NDArray[np.int32]


class FenceTables(NamedTuple):
    """The arrays of one moment. They may grow by being replaced: take the tables once for a piece of work."""

    fences: Records
    """Shape (slots,), FENCE_DTYPE."""
    profiles: Records
    """Shape (few,), PROFILE_DTYPE: the distinct profiles in use."""
    circles: Records
    """Shape (slots,), CIRCLE_DTYPE; shares its memory with `boxes`."""
    boxes: Records
    """Shape (slots,), BOX_DTYPE."""
    areas: Records
    """Shape (rows,), AREA_DTYPE."""
    vertices: Vertices
    """Shape (rows, 2): lat and lng of areas up to a few degrees across, in steps."""
    wide_vertices: Floats
    """Shape (rows, 2): lat and lng of the others, in degrees."""
    bands: Int32s
    """For areas with many edges: where each band of latitude begins, then the edges it holds, by their first vertex."""
    cell_keys: Int64s
    """Hash table of cells in the plane; 0 is an empty place."""
    cell_values: Int32s
    """What each holds: one entry, or where a bucket of them begins in `cell_pool`."""
    cell_pool: Int32s
    """Buckets: how many entries follow, then the entries by rising slot."""
    cell_hints: NDArray[np.uint8]
    """A bit for each key: most positions have none, and end there."""
    sealed: Int64s
    """Shape (1,): slots born at or after this edit are not for readers of these tables: arrays were replaced since."""
