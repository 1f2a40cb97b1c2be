"""The inner loops of matching, compiled: columns of positions in, pairs of position and fence out, stage by stage.

Each stage is one loop over a block, so that the processor waits for many places of memory at once; a block's columns
stay in its cache. Nothing here needs Python, and nothing is written but the columns of the block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geofences.cell_table import FREE, NOTHING, Buckets, entries_of, hint_of, home_of
from geofences.compiled import acquire_fence, compiled, compiled_loosely, prefetch
from geofences.fence_tables import NONE, FenceTables
from geofences.geodesy import E2, EQUATOR_M, EXACT_WITHIN_M
from geofences.insideness import area_holds
from geofences.nearness import confidence_of, signed_distance_m
from geofences.planar import Plane, to_faces, to_keys, to_units

if TYPE_CHECKING:
    from geofences.model import Floats, Int32s, Int64s

__all__ = [
    "BLOCK",
    "NONE",
    "FenceTables",
    "confidence_columns",
    "confidence_of",
    "holds",
    "link_versions",
    "match_columns",
    "measure_columns",
    "signed_distance_m",
    "slot_of_version",
]

BLOCK = 16_384
"""Positions that are matched at once: their columns fit into the second-level cache."""
OUT, IN, AREA, AT_BORDER = 0, 1, 2, 3
"""What a candidate is: AREA waits for its exact test, AT_BORDER for the geodesic."""
AHEAD = 4
"""Candidates between fetching an area's row, fetching its vertices, and testing it."""
LINE_VERTICES, LINES_AHEAD = 8, 8
"""Vertices in a line of the cache, and lines fetched ahead."""
Bytes = NDArray[np.uint8]


@compiled
def _sieve(keys: Int64s, n: int, hints: Bytes, rows: Int32s) -> int:
    """The rows whose key may stand in the table; returns how many."""
    size = len(hints) - 1
    kept = 0
    for row in range(n):
        byte, bit = hint_of(keys[row], size)
        rows[kept] = row
        kept += (int(hints[byte]) >> bit) & 1
    return kept


@compiled
def _probe(keys: Int64s, table: Int64s, rows: Int32s, n: int, places: Int32s) -> int:
    """Those of n rows whose key stands in the table, kept in place, and where; returns how many."""
    size = len(table)
    hits = 0
    for i in range(n):
        row = rows[i]
        key = keys[row]
        place = home_of(key, size)
        while table[place] != key and table[place] != FREE:
            place += 1
            if place == size:
                place = 0
        rows[hits], places[hits] = row, place
        hits += table[place] != FREE
    return hits


@compiled
def _values(values: Int32s, pool: Int32s, places: Int32s, hits: int) -> int:
    """Replace places by the values in them; returns how many entries these have. Keys were read before: a fence."""
    acquire_fence()
    entries = 0
    for i in range(hits):
        value = values[places[i]]
        places[i] = value
        entries += 1 if value >= NOTHING else pool[-2 - value]
    return entries


@compiled
def _expand(
    rows: Int32s, values: Int32s, hits: int, pool: Int32s, out_rows: Int32s, out_entries: Int32s, n: int
) -> int:
    """Append every entry of the values to the candidates, of which there are n; returns how many there are now."""
    for i in range(hits):
        row, value = rows[i], values[i]
        if value >= 0:
            out_rows[n], out_entries[n] = row, value
            n += 1
        elif value != NOTHING:
            for place in range(-1 - value, -1 - value + pool[-2 - value]):
                out_rows[n], out_entries[n] = row, pool[place]
                n += 1
    return n


@compiled
def _by_position(rows: Int32s, entries: Int32s, n: int, positions: int) -> tuple[Int32s, Int32s]:
    """Candidates of several resolutions in the order of (position, entry)."""
    begins = np.zeros(positions + 1, dtype=np.int32)
    for i in range(n):
        begins[rows[i] + 1] += 1
    for row in range(positions):
        begins[row + 1] += begins[row]
    ends = begins[:-1].copy()
    out_rows, out_entries = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    for i in range(n):
        row, entry = rows[i], entries[i]
        place = ends[row]
        while place > begins[row] and out_entries[place - 1] > entry:
            out_entries[place] = out_entries[place - 1]
            place -= 1
        out_entries[place] = entry
        out_rows[ends[row]] = row
        ends[row] += 1
    return out_rows, out_entries


@compiled_loosely
def _sift(
    tables: FenceTables,
    rows: Int32s,
    entries: Int32s,
    n: int,
    tenant_id: Int32s,
    lat: Floats,
    lng: Floats,
    x: Floats,
    y: Floats,
    z: Floats,
    verdicts: Bytes,
) -> None:
    """Circles by the chord between earth-centred coordinates, areas by their bounds; only the position's own tenant.

    A slot that is newer than these tables belongs to no batch that began with them.
    """
    slots = len(tables.circles)
    for i in range(n):
        row, slot = rows[i], entries[i] >> 1
        verdicts[i] = OUT
        if slot >= slots:
            continue
        if entries[i] & 1:
            box = tables.boxes[slot]
            in_box = (lat[row] >= box.south) & (lat[row] <= box.north) & (lng[row] >= box.west) & (lng[row] <= box.east)
            verdicts[i] = AREA if in_box & (box.tenant_id == tenant_id[row]) else OUT
        else:
            circle = tables.circles[slot]
            prime_vertical_m = EQUATOR_M / np.sqrt(1.0 - E2 * z[row] * z[row])
            dx_m = x[row] * prime_vertical_m - circle.x_m
            dy_m = y[row] * prime_vertical_m - circle.y_m
            dz_m = z[row] * ((1.0 - E2) * prime_vertical_m) - circle.z_m
            square = dx_m * dx_m + dy_m * dy_m + dz_m * dz_m
            limit_m = np.float64(circle.chord_m)
            past = square - limit_m * limit_m
            verdict = IN if past <= 0.0 else OUT
            verdict = AT_BORDER if abs(past) < 2.0 * EXACT_WITHIN_M * limit_m + EXACT_WITHIN_M**2 else verdict
            verdicts[i] = verdict if circle.tenant_id == tenant_id[row] else OUT


@compiled
def _settle_areas(
    tables: FenceTables, rows: Int32s, entries: Int32s, n: int, lat: Floats, lng: Floats, verdicts: Bytes
) -> None:
    """Exact tests of areas. What they will read is fetched a few candidates ahead, as a test is too long to overlap."""
    waiting = np.empty(n, dtype=np.int32)
    count = 0
    for i in range(n):
        waiting[count] = i
        count += verdicts[i] == AREA
    for k in range(count + 2 * AHEAD):
        if k < count:
            prefetch(tables.areas, tables.boxes[entries[waiting[k]] >> 1].area)
        if AHEAD <= k < count + AHEAD:
            area = tables.areas[min(tables.boxes[entries[waiting[k - AHEAD]] >> 1].area, len(tables.areas) - 1)]
            for vertex in range(area.first, min(area.end, area.first + LINES_AHEAD * LINE_VERTICES), LINE_VERTICES):
                prefetch(tables.vertices, vertex)
        if k >= 2 * AHEAD:
            i = waiting[k - 2 * AHEAD]
            row = tables.boxes[entries[i] >> 1].area
            holds_it = row < len(tables.areas) and area_holds(tables, row, lat[rows[i]], lng[rows[i]])
            verdicts[i] = IN if holds_it else OUT


@compiled
def _collect(
    tables: FenceTables,
    rows: Int32s,
    entries: Int32s,
    n: int,
    at_us: Int64s,
    verdicts: Bytes,
    begin: int,
    out_position: Int64s,
    out_slot: Int32s,
    out_near: Bytes,
    pairs: int,
) -> int:
    """Append those inside a version in force at the position's time; returns how many pairs there are now."""
    for i in range(n):
        if verdicts[i] == OUT:
            continue
        row, slot = rows[i], entries[i] >> 1
        if slot >= len(tables.fences) or (i and rows[i - 1] == row and entries[i - 1] == entries[i]):
            continue
        fence = tables.fences[slot]
        out_position[pairs], out_slot[pairs] = begin + row, slot
        out_near[pairs] = verdicts[i] == AT_BORDER
        in_force = (fence.valid_from_us <= at_us[row]) & (at_us[row] < fence.valid_to_us)
        pairs += in_force & (fence.born < tables.sealed[0])
    return pairs


@compiled
def match_columns(
    tables: FenceTables,
    plane: Plane,
    resolutions: Int64s,
    tenant_id: Int32s,
    lat: Floats,
    lng: Floats,
    at_us: Int64s,
    key_res: int,
    key: Int64s,
) -> tuple[Int64s, Int32s, Bytes]:
    """All pairs (position, slot) by rising position and slot, and whether the geodesic must still be asked about it.

    `resolutions` are those of the cells in the table; the other columns are those of `FenceIndex.match`. `key` is
    filled with the positions' keys at `key_res` unless it is empty.
    """
    n = min(BLOCK, len(lat))
    x, y, z = np.empty(n, dtype=np.float64), np.empty(n, dtype=np.float64), np.empty(n, dtype=np.float64)
    east, north = np.empty(n, dtype=np.float64), np.empty(n, dtype=np.float64)
    face, keys = np.empty(n, dtype=np.uint8), np.empty(n, dtype=np.int64)
    hit_rows, hit_values = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    rows, entries = np.empty(2 * n, dtype=np.int32), np.empty(2 * n, dtype=np.int32)
    verdicts = np.empty(2 * n, dtype=np.uint8)
    position, slot = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int32)
    near = np.empty(n, dtype=np.uint8)
    pairs = 0
    for begin in range(0, len(lat), BLOCK):
        end = min(begin + BLOCK, len(lat))
        m = end - begin
        block_lat, block_lng = lat[begin:end], lng[begin:end]
        to_units(block_lat, block_lng, x, y, z)
        to_faces(plane, block_lat, block_lng, x, y, z, face)
        if len(key):
            to_keys(plane, key_res, x[:m], y[:m], z[:m], face, key[begin:end], east, north)
        candidates, levels = 0, 0
        for res in resolutions:
            to_keys(plane, res, x[:m], y[:m], z[:m], face, keys, east, north)
            hits = _sieve(keys, m, tables.cell_hints, hit_rows)
            hits = _probe(keys, tables.cell_keys, hit_rows, hits, hit_values)
            new = _values(tables.cell_values, tables.cell_pool, hit_values, hits)
            if candidates + new > len(rows):
                rows = _longer(rows, 2 * (candidates + new))
                entries = _longer(entries, 2 * (candidates + new))
                verdicts = np.empty(2 * (candidates + new), dtype=np.uint8)
            levels += new > 0
            candidates = _expand(hit_rows, hit_values, hits, tables.cell_pool, rows, entries, candidates)
        if levels > 1:
            rows, entries = _by_position(rows, entries, candidates, m)
            verdicts = np.empty(candidates, dtype=np.uint8)
        _sift(tables, rows, entries, candidates, tenant_id[begin:end], block_lat, block_lng, x, y, z, verdicts)
        _settle_areas(tables, rows, entries, candidates, block_lat, block_lng, verdicts)
        if pairs + candidates > len(position):
            room = 2 * (pairs + candidates)
            position, slot, near = _longer(position, room), _longer(slot, room), _longer(near, room)
        pairs = _collect(
            tables, rows, entries, candidates, at_us[begin:end], verdicts, begin, position, slot, near, pairs
        )
    return position[:pairs], slot[:pairs], near[:pairs]


@compiled
def _longer(column: np.ndarray, size: int) -> np.ndarray:
    longer = np.empty(size, dtype=column.dtype)
    longer[: len(column)] = column
    return longer


@compiled
def holds(tables: FenceTables, slot: int, lat: float, lng: float) -> bool:
    """Whether a position lies in the shape of a slot, at whatever time; for circles right to 1.5 cm."""
    if tables.fences[slot].radius_m > 0.0:
        return signed_distance_m(tables, slot, lat, lng) >= 0.0
    return area_holds(tables, tables.boxes[slot].area, lat, lng)


@compiled
def measure_columns(tables: FenceTables, slot: Int32s, lat: Floats, lng: Floats, out: Floats) -> None:
    """Signed distance of each pair; all columns of shape (k,)."""
    for i in range(len(slot)):
        out[i] = signed_distance_m(tables, slot[i], lat[i], lng[i], np.inf)


@compiled
def confidence_columns(distance_m: Floats, accuracy_m: Floats, area_m2: Floats, out: Floats) -> None:
    for i in range(len(out)):
        out[i] = confidence_of(distance_m[i], accuracy_m[i], area_m2[i])


@compiled
def slot_of_version(ids: Buckets, fences: NDArray[np.void], fence_id: int, version: int) -> int:
    """The slot that holds a version of a fence; NONE if none does. `ids` has slots by the complement of the id."""
    for slot in entries_of(ids, ~fence_id):
        if fences[slot].version == version:
            return int(slot)
    return NONE


@compiled
def link_versions(ids: Buckets, fences: NDArray[np.void], fence_id: int) -> Int32s:
    """Let each version of a fence name the slot of the next; returns the slots by rising version."""
    slots = entries_of(ids, ~fence_id)
    for i in range(1, len(slots)):
        slot, at = slots[i], i
        while at > 0 and fences[slots[at - 1]].version > fences[slot].version:
            slots[at] = slots[at - 1]
            at -= 1
        slots[at] = slot
    for i in range(len(slots)):
        after = slots[i + 1] if i + 1 < len(slots) else NONE
        if fences[slots[i]].next_slot != after:
            fences[slots[i]].next_slot = after
    return slots
