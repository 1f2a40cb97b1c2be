"""FenceIndex: which positions of a batch lie in which fence versions. In memory, pure; knows no database and no clock.

One writer, any number of reading threads without a lock. A bucket is replaced, never changed; a slot is complete before
a bucket names it, and a forgotten slot is given away only after the next `forget_before`. A batch sees the fences there
were when it began and perhaps some that came since; none of it half.
"""

from __future__ import annotations

import heapq
from collections import Counter
from itertools import repeat
from typing import TYPE_CHECKING

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np

from geofences.cell_table import SlotTable
from geofences.compiled import keep_results
from geofences.errors import ConflictError, InvalidGeometryError, InvalidPositionError, NotFoundError
from geofences.fence_records import FIRST_SLOTS, FenceRecords, HeldFence
from geofences.fence_tables import BOX_DTYPE, NONE, UNSEALED, FenceTables
from geofences.geodesy import EXACT_WITHIN_M, geodesic_distance_m, lat_lng_of
from geofences.kernel import (
    BLOCK,
    confidence_columns,
    link_versions,
    match_columns,
    measure_columns,
    slot_of_version,
)
from geofences.model import FOREVER_US, Area, Cell, Fence, FenceId, Floats, Int32s, Int64s, LatLng, Pairs, TenantId
from geofences.passing import Way, way_among
from geofences.planar import keys_of_cell_lists, keys_of_cells, plane, resolution_of, resolution_of_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["BLOCK", "FIRST_SLOTS", "FenceIndex", "cell_center", "cell_of", "cells_of", "confidence"]

MANY_FENCES = 256
"""From so many on they are taken in together, and the table is rewritten for them."""
NO_KEYS = np.empty(0, dtype=np.int64)


def cell_of(position: LatLng, res: int) -> Cell:
    """The H3 cell of one position."""
    return Cell(h3.latlng_to_cell(position.lat, position.lng, res))


def cell_center(text: str) -> LatLng:
    """The middle of an H3 cell written in hexadecimal; InvalidPositionError if it is none.

    >>> center = cell_center("891126d338fffff")
    >>> round(center.lat, 4), round(center.lng, 4)
    (60.1702, 24.9375)
    """
    try:
        cell = int(text, 16)
    except ValueError:
        cell = 0
    if not 0 < cell < 2**63 or not h3.is_valid_cell(cell):
        raise InvalidPositionError("cell: not an H3 cell")
    lat, lng = h3.cell_to_latlng(cell)
    return LatLng(lat=lat, lng=lng)


def cells_of(lat: Floats, lng: Floats, res: int) -> Int64s:
    """The H3 cells of positions, shape (n,)."""
    encoded = map(h3.latlng_to_cell, lat.tolist(), lng.tolist(), repeat(res))
    return np.fromiter(encoded, dtype=np.int64, count=len(lat))


def confidence(signed_distance_m: Floats, accuracy_m: Floats, area_m2: Floats) -> Floats:
    """Probability that a position really lies in a fence, shape (k,), in [0, 1].

    p = min(Phi(d / sigma), 1 - exp(-area / (2 pi sigma^2))) with sigma = accuracy / 1.515: the border is taken as
    straight, the fence as no better than a disc of its area about the position. `accuracy_m` is the radius of 68 %,
    >= 0; NaN counts as 20 m, and 0 leaves no doubt: 1 from the border inward, else 0.

    >>> d, accuracy, area = (np.array(c) for c in ([0.0, 30.0, -1.0], [20.0, np.nan, 0.0], [1e4, 1e4, 1e4]))
    >>> confidence(d, accuracy, area).round(3).tolist()
    [0.5, 0.988, 0.0]
    """
    believed = np.empty(len(signed_distance_m), dtype=np.float64)
    confidence_columns(_floats(signed_distance_m), _floats(accuracy_m), _floats(area_m2), believed)
    return believed


class FenceIndex:
    """Fence versions by cell. A position is looked up once in every resolution in use, then tested exactly."""

    def __init__(self, fences: Iterable[Fence] = ()) -> None:
        keep_results()
        self._ready = False
        self._edits = 0
        self._held = 0
        self._records = FenceRecords(on_replaced=self._publish)
        self._cells = SlotTable(on_replaced=self._publish)
        """Entries are twice the slot, plus 1 for an area."""
        self._ids = SlotTable(on_replaced=self._publish)
        """Slots of each fence, by the complement of its id."""
        self._fences_by_res: Counter[int] = Counter()
        """How many fences there are in each resolution."""
        self._resolutions: Int64s = np.empty(0, dtype=np.int64)
        self._asking: Counter[TenantId] = Counter()
        """How many fences of each tenant ask to be told who passes through."""
        self._ending: list[tuple[int, int]] = []
        """A heap of (valid_to_us, slot) of versions that end."""
        self._resting: list[int] = []
        self._ready = True
        self._publish()
        self.add_all(list(fences))

    def __len__(self) -> int:
        """How many versions are held, closed ones included."""
        return self._held

    @property
    def tables(self) -> FenceTables:
        """The arrays of this moment, for compiled code: take them once for a piece of work."""
        return self._tables

    @property
    def nbytes(self) -> int:
        """Bytes of everything that is held for the fences."""
        return self._records.nbytes + self._cells.nbytes + self._ids.nbytes

    def add(self, fence: Fence) -> int:
        """Take in one version of a fence and return its slot; raises as `add_all`."""
        self._check(fence)
        self._edits += 1
        keys = keys_of_cells(fence.cells)
        slot = self._records.put(fence, keys, self._edits)
        self._name(fence, keys, slot)
        return slot

    def add_all(self, fences: Sequence[Fence]) -> list[int]:
        """Take in fence versions and return their slots; their cells must contain their shapes, as `cover` makes them.

        Raises ConflictError if a version is here already or comes twice, ValueError if one has no cells or its id is
        negative, InvalidGeometryError if an area is none; then none is taken in.
        """
        self._check_new(fences)
        if len(fences) < MANY_FENCES:
            return self._add_few(fences)
        self._edits += 1
        keys, of = keys_of_cell_lists([fence.cells for fence in fences])
        begins = np.searchsorted(of, np.arange(len(fences) + 1))
        own_keys = np.split(keys, begins[1:-1])
        self._records.reserve(len(fences))
        slots = self._records_of(fences, own_keys)
        slot_column = np.array(slots, dtype=np.int32)
        fence_ids = np.array([fence.fence_id for fence in fences], dtype=np.int64)
        self._ids.put_many(~fence_ids, slot_column)
        distinct, counts = np.unique(fence_ids, return_counts=True)
        for fence_id in (distinct if self._held else distinct[counts > 1]).tolist():
            self._link(FenceId(fence_id))
        entries = 2 * slot_column + np.array([isinstance(fence.shape, Area) for fence in fences], dtype=np.int32)
        self._cells.put_many(keys, entries[of])
        for slot, fence in zip(slots, fences, strict=True):
            self._hold(fence, slot)
        return slots

    def _add_few(self, fences: Sequence[Fence]) -> list[int]:
        self._edits += 1
        keys = [keys_of_cells(fence.cells) for fence in fences]
        slots = self._records_of(fences, keys)
        for slot, own_keys, fence in zip(slots, keys, fences, strict=True):
            self._name(fence, own_keys, slot)
        return slots

    def close(self, fence_id: FenceId, version: int, valid_to_us: int) -> None:
        """End a version at that time: it stays for positions recorded before. Raises NotFoundError."""
        slot = self.slot_of(fence_id, version)
        if slot is None:
            raise NotFoundError(f"fence {fence_id} version {version} is not in the index")
        self._records.change(slot, "valid_to_us", valid_to_us)
        heapq.heappush(self._ending, (valid_to_us, slot))

    def forget_before(self, horizon_us: int) -> int:
        """Remove the versions that ended at or before the horizon; returns how many.

        Their slots rest until the next call, so that a batch that is being matched meanwhile finds nothing in them.
        """
        for slot in self._resting:
            self._records.recycle(slot)
        self._resting = []
        while self._ending and self._ending[0][0] <= horizon_us:
            ended_us, slot = heapq.heappop(self._ending)
            if self.valid_to_us(slot) == ended_us:  # else it was forgotten already, or closed at another time since
                self._forget(slot)
        return len(self._resting)

    def slot_of(self, fence_id: FenceId, version: int) -> int | None:
        slot = slot_of_version(self._ids.buckets, self._records.fences.data, fence_id, version)
        return None if slot == NONE else int(slot)

    def slot_in_force(self, fence_id: FenceId, at_us: int) -> int | None:
        """The newest version with valid_from_us <= at_us < valid_to_us."""
        fences = self._records.fences.data
        for slot in self._by_version(fence_id)[::-1].tolist():
            if fences["valid_from_us"][slot] <= at_us < fences["valid_to_us"][slot]:
                return int(slot)
        return None

    def current_slot(self, fence_id: FenceId) -> int | None:
        """The slot of the newest version, closed or not; None if no version is held."""
        slots = self._by_version(fence_id)
        return int(slots[-1]) if len(slots) else None

    def fence_at(self, slot: int) -> HeldFence:
        """The version in a slot, made anew each time. Raises NotFoundError for an empty slot."""
        return self._records.fence_at(slot)

    def fence_ids(self, slot: Int32s) -> Int64s:
        return np.asarray(self._records.fences.data["fence_id"][slot])

    def min_confidence(self, slot: Int32s) -> Floats:
        return np.asarray(self._records.profiles["min_confidence"][self._records.fences.data["profile"][slot]])

    def area_m2(self, slot: Int32s) -> Floats:
        return np.asarray(self._records.fences.data["area_m2"][slot], dtype=np.float64)

    def valid_to_us(self, slot: int) -> int:
        return int(self._records.fences.data["valid_to_us"][slot])

    def contains(self, slot: int, lat: float, lng: float) -> bool:
        """Whether one position lies in the shape of a slot, at whatever time."""
        return bool(self.measure(np.array([slot], dtype=np.int32), np.array([lat]), np.array([lng]))[0] >= 0.0)

    def match(
        self, tenant_id: Int32s, lat: Floats, lng: Floats, at_us: Int64s, *, key_res: int = 0, key: Int64s = NO_KEYS
    ) -> Pairs:
        """All (position, fence version) with the position inside, of its tenant, in force at its time.

        Columns of shape (n,): degrees in [-90, 90] and [-180, 180], and microseconds; a version is in force for
        valid_from_us <= at_us < valid_to_us. The border counts as inside. The verdict is that of the WGS 84 geodesic
        for circles and of straight edges in lon/lat for areas. On the way `key`, if given, is filled with the planar
        keys of the positions at resolution `key_res`, as `keys_of_positions` has them.
        """
        tables = self._tables
        lat, lng = _floats(lat), _floats(lng)
        position, slot, near = match_columns(
            tables,
            plane(),
            self._resolutions,
            np.ascontiguousarray(tenant_id, dtype=np.int32),
            lat,
            lng,
            np.ascontiguousarray(at_us, dtype=np.int64),
            key_res,
            key,
        )
        rows = np.flatnonzero(near)
        if len(rows):
            outside = _to_border_m(tables, slot[rows], lat[position[rows]], lng[position[rows]]) < 0.0
            position, slot = np.delete(position, rows[outside]), np.delete(slot, rows[outside])
        return Pairs(position=position, slot=slot)

    def finish(self) -> None:
        """After many edits: completes the growth that is under way in one pause, so that its memory comes back."""
        for growing in (self._cells, self._ids, self._records):
            growing.finish()

    def way(self) -> Way:
        """What it takes to find the fences that a device passed through; for one batch, as fences may change after."""
        return way_among(self._tables, self._resolutions, +self._asking)

    def measure(self, slot: Int32s, lat: Floats, lng: Floats) -> Floats:
        """Signed distance of each pair to its fence's border, shape (k,), metres: >= 0 inside, negative outside.

        The slots must hold fences. The sign agrees with `match`.
        """
        tables = self._tables
        slot, lat, lng = np.ascontiguousarray(slot, dtype=np.int32), _floats(lat), _floats(lng)
        distance_m = np.empty(len(slot), dtype=np.float64)
        measure_columns(tables, slot, lat, lng, distance_m)
        near = np.abs(distance_m) < EXACT_WITHIN_M
        rows = np.flatnonzero(near & (tables.fences["radius_m"][slot] > 0.0)) if near.any() else ()
        if len(rows):
            distance_m[rows] = _to_border_m(tables, slot[rows], lat[rows], lng[rows])
        return distance_m

    def _publish(self) -> None:
        """Give readers the arrays as they are; those of before show nothing that comes from now on."""
        if not self._ready:
            return
        records, shapes, cells = self._records, self._records.shapes.data, self._cells.buckets
        before = getattr(self, "_tables", None)
        self._tables = FenceTables(
            fences=records.fences.data,
            profiles=records.profiles,
            circles=shapes,
            boxes=shapes.view(BOX_DTYPE),
            areas=records.areas.data,
            vertices=records.vertices.data,
            wide_vertices=records.wide_vertices.data,
            bands=records.bands.data,
            cell_keys=cells.keys,
            cell_values=cells.values,
            cell_pool=cells.pool,
            cell_hints=cells.hints,
            sealed=np.array([UNSEALED], dtype=np.int64),
        )
        if before is not None:
            before.sealed[0] = self._edits

    def _check(self, fence: Fence) -> None:
        if not fence.cells or fence.fence_id < 0:
            raise ValueError(f"fence {fence.fence_id} version {fence.version} has no cells or a negative id")
        if self._held and self.slot_of(fence.fence_id, fence.version) is not None:
            raise ConflictError(f"fence {fence.fence_id} version {fence.version} is in the index already")

    def _check_new(self, fences: Sequence[Fence]) -> None:
        new: set[tuple[FenceId, int]] = set()
        for fence in fences:
            self._check(fence)
            key = (fence.fence_id, fence.version)
            if key in new:
                raise ConflictError(f"fence {fence.fence_id} version {fence.version} comes twice")
            new.add(key)

    def _records_of(self, fences: Sequence[Fence], keys: Sequence[Int64s]) -> list[int]:
        """Write fences into slots that nothing names yet."""
        slots: list[int] = []
        try:
            slots.extend(self._records.put(fence, own, self._edits) for fence, own in zip(fences, keys, strict=True))
        except InvalidGeometryError:
            for slot in slots:
                self._records.clear(slot)
                self._records.recycle(slot)
            raise
        return slots

    def _name(self, fence: Fence, keys: Int64s, slot: int) -> None:
        """Let a slot be found: by its id, after its older versions, and under its keys."""
        self._ids.put(_id_key(fence.fence_id), slot)
        self._link(fence.fence_id)
        self._cells.put(keys, _entry(slot, fence))
        self._hold(fence, slot)

    def _hold(self, fence: Fence, slot: int) -> None:
        self._held += 1
        if fence.profile.crossed_within_s:
            self._asking[fence.tenant_id] += 1
        self._count(resolution_of(fence.cells[0]), 1)
        if fence.valid_to_us != FOREVER_US:
            heapq.heappush(self._ending, (fence.valid_to_us, slot))

    def _forget(self, slot: int) -> None:
        self._edits += 1
        keys = self._records.keys_of(slot)
        self._cells.drop(keys, 2 * slot + self._records.is_area(slot))
        self._count(resolution_of_key(int(keys[0])), -1)
        fence = self._records.fence_at(slot)
        if fence.profile.crossed_within_s:
            self._asking[fence.tenant_id] -= 1
        self._ids.drop(_id_key(fence.fence_id), slot)
        self._link(fence.fence_id)
        self._records.clear(slot)
        self._held -= 1
        self._resting.append(slot)

    def _by_version(self, fence_id: FenceId) -> Int32s:
        return link_versions(self._ids.buckets, self._records.fences.data, fence_id)

    def _link(self, fence_id: FenceId) -> None:
        """Let each version of a fence name the next."""
        for slot in self._by_version(fence_id):
            self._records.fences.wrote(slot, 1)

    def _count(self, res: int, fences: int) -> None:
        """Keep the resolutions in use, which are looked up with every position."""
        before, now = self._fences_by_res[res], self._fences_by_res[res] + fences
        self._fences_by_res[res] = now
        if not before or not now:
            in_use = [r for r, count in self._fences_by_res.items() if count]
            self._resolutions = np.array(sorted(in_use), dtype=np.int64)


def _entry(slot: int, fence: Fence) -> int:
    return 2 * slot + isinstance(fence.shape, Area)


def _id_key(fence_id: FenceId) -> Int64s:
    return np.array([~fence_id], dtype=np.int64)


def _floats(column: Floats) -> Floats:
    return np.ascontiguousarray(column, dtype=np.float64)


def _to_border_m(tables: FenceTables, slot: Int32s, lat: Floats, lng: Floats) -> Floats:
    """Signed distances to circles by the geodesic."""
    circles = tables.circles[slot]
    center_lat, center_lng = lat_lng_of(circles["x_m"], circles["y_m"], circles["z_m"])
    away_m = geodesic_distance_m(center_lat, center_lng, lat, lng)
    return np.asarray(tables.fences["radius_m"][slot] - away_m)
