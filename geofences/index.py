"""FenceIndex: which positions of a batch lie in which fence versions. In memory, pure; knows no database and no clock.

One writer, any number of reading threads without a lock. A bucket is replaced, never changed; a slot's columns are
complete before a bucket names it, and a forgotten slot is given away only after the next `forget_before`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import repeat
from typing import TYPE_CHECKING

import h3.api.basic_int as h3  # type: ignore[import-untyped]
import numpy as np

from geofences.columns import NEVER_US, Columns
from geofences.errors import ConflictError, InvalidPositionError, NotFoundError
from geofences.fence_records import FenceRecords
from geofences.fence_tables import BOX_DTYPE, FenceTables
from geofences.model import UNKNOWN_ACCURACY_M, Cell, Fence, FenceId, Floats, Int32s, Int64s, LatLng, Pairs
from geofences.ragged import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIRST_SLOTS = 64
SIGMAS_PER_ACCURACY = 1.515
"""The radius that holds 68 % of a round Gaussian error, in its standard deviations."""
BLOCK = 16_384
"""Positions that are matched at once: their candidates then fit into memory and mostly into the cache."""
NO_DOUBT_M = 1e-6
"""Less is no error at all, and its square would leave the range of numbers."""
NO_SLOTS: Int32s = np.empty(0, dtype=np.int32)


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
    sigma_m = np.where(np.isnan(accuracy_m), UNKNOWN_ACCURACY_M, accuracy_m) / SIGMAS_PER_ACCURACY
    sure = sigma_m < NO_DOUBT_M
    sigma_m = np.where(sure, 1.0, sigma_m)
    across = (-signed_distance_m / (sigma_m * math.sqrt(2.0))).tolist()
    beyond_border = 0.5 * np.fromiter(map(math.erfc, across), dtype=np.float64, count=len(across))
    within_area = -np.expm1(-area_m2 / (2.0 * math.pi * sigma_m * sigma_m))
    return np.where(sure, signed_distance_m >= 0.0, np.minimum(beyond_border, within_area))


class FenceIndex:
    """Fence versions by H3 cell. A position is looked up once in every resolution in use, then tested exactly."""

    def __init__(self, fences: Iterable[Fence] = ()) -> None:
        self.columns = Columns.empty(FIRST_SLOTS)
        """Read by slot. Replaced when it grows: take it after the slots, and only once."""
        self._records = FenceRecords(on_replaced=lambda: None)
        self._buckets: dict[int, Int32s] = {}
        self._cells_by_res: Counter[int] = Counter()
        """How many cells of fences there are in each resolution in use."""
        self._versions: dict[FenceId, tuple[int, ...]] = {}
        """Slots of each fence by rising version."""
        self._resting: list[int] = []
        self._top = 0
        self._held = 0
        self.add_all(list(fences))

    def __len__(self) -> int:
        """How many versions are held, closed ones included."""
        return self._held

    def add(self, fence: Fence) -> int:
        """Take in one version of a fence and return its slot; raises as `add_all`."""
        return self.add_all([fence])[0]

    def add_all(self, fences: Sequence[Fence]) -> list[int]:
        """Take in fence versions and return their slots; their cells must contain their shapes, as `cover` makes them.

        Raises ConflictError if a version is here already or comes twice, ValueError if one has no cells; then none is
        taken in.
        """
        if not fences:
            return []
        self._check_new(fences)
        slots = [self._new_slot(fence) for fence in fences]
        self.columns.fill(np.array(slots, dtype=np.int32), fences)
        self._fill_buckets(slots, fences)
        version = self.columns.version
        for slot, fence in zip(slots, fences, strict=True):
            held = (*self._versions.get(fence.fence_id, ()), slot)
            self._versions[fence.fence_id] = tuple(sorted(held, key=lambda s: int(version[s])))
            self._link(fence.fence_id)
        self._held += len(fences)
        return slots

    def close(self, fence_id: FenceId, version: int, valid_to_us: int) -> None:
        """End a version at that time: it stays for positions recorded before. Raises NotFoundError."""
        slot = self.slot_of(fence_id, version)
        if slot is None:
            raise NotFoundError(f"fence {fence_id} version {version} is not in the index")
        self.columns.fence[slot] = replace(self.fence_at(slot), valid_to_us=valid_to_us)
        self.columns.valid_to_us[slot] = valid_to_us
        self._records.change(slot, "valid_to_us", valid_to_us)

    def forget_before(self, horizon_us: int) -> int:
        """Remove the versions that ended at or before the horizon; returns how many.

        Their slots rest until the next call, so that a batch that is being matched meanwhile finds nothing in them.
        """
        for slot in self._resting:
            self._records.recycle(slot)
        valid_to_us = self.columns.valid_to_us[: self._top]
        self._resting = np.flatnonzero((valid_to_us <= horizon_us) & (valid_to_us != NEVER_US)).tolist()
        for slot in self._resting:
            self._forget(slot)
        return len(self._resting)

    @property
    def tables(self) -> FenceTables:
        """The arrays of this moment, for compiled code; take them once for a piece of work."""
        records, shapes = self._records, self._records.shapes.data
        return FenceTables(
            fences=records.fences.data,
            profiles=records.profiles,
            circles=shapes,
            boxes=shapes.view(BOX_DTYPE),
            areas=records.areas.data,
            vertices=records.vertices.data,
            wide_vertices=records.wide_vertices.data,
            bands=records.bands.data,
            cell_keys=np.zeros(1, dtype=np.int64),
            cell_values=np.zeros(1, dtype=np.int32),
            cell_pool=np.zeros(1, dtype=np.int32),
        )

    def slot_of(self, fence_id: FenceId, version: int) -> int | None:
        slots = self._versions.get(fence_id, ())
        return next((slot for slot in slots if self.columns.version[slot] == version), None)

    def slot_in_force(self, fence_id: FenceId, at_us: int) -> int | None:
        """The newest version with valid_from_us <= at_us < valid_to_us."""
        columns = self.columns
        for slot in reversed(self._versions.get(fence_id, ())):
            if columns.valid_from_us[slot] <= at_us < columns.valid_to_us[slot]:
                return slot
        return None

    def current_slot(self, fence_id: FenceId) -> int | None:
        """The slot of the newest version, closed or not; None if no version is held."""
        slots = self._versions.get(fence_id)
        return slots[-1] if slots else None

    def fence_at(self, slot: int) -> Fence:
        """The version in a slot, with its `valid_to_us` as it is now. Raises NotFoundError for an empty slot."""
        fence: Fence | None = self.columns.fence[slot]
        if fence is None:
            raise NotFoundError(f"slot {slot} holds no fence")
        return fence

    def fence_ids(self, slot: Int32s) -> Int64s:
        return self.columns.fence_id[slot]

    def min_confidence(self, slot: Int32s) -> Floats:
        return self.columns.min_confidence[slot]

    def area_m2(self, slot: Int32s) -> Floats:
        return self.columns.area_m2[slot]

    def valid_to_us(self, slot: int) -> int:
        return int(self.columns.valid_to_us[slot])

    def contains(self, slot: int, lat: float, lng: float) -> bool:
        """Whether one position lies in the shape of a slot, at whatever time."""
        inside = self.columns.inside(np.array([slot], dtype=np.int32), np.array([lat]), np.array([lng]))
        return bool(inside[0])

    def match(self, tenant_id: Int32s, lat: Floats, lng: Floats, at_us: Int64s) -> Pairs:
        """All (position, fence version) with the position inside, of its tenant, in force at its time.

        Columns of shape (n,): degrees in [-90, 90] and [-180, 180], and microseconds; a version is in force for
        valid_from_us <= at_us < valid_to_us. The border counts as inside. The verdict is that of the WGS 84 geodesic
        for circles and of GEOS in lon/lat for areas.
        """
        blocks = [
            self._match_block(begin, tenant_id[part], lat[part], lng[part], at_us[part])
            for begin in range(0, len(lat), BLOCK)
            for part in (slice(begin, begin + BLOCK),)
        ]
        return Pairs(
            position=np.concatenate([np.empty(0, dtype=np.int64), *(block.position for block in blocks)]),
            slot=np.concatenate([NO_SLOTS, *(block.slot for block in blocks)]),
        )

    def measure(self, slot: Int32s, lat: Floats, lng: Floats) -> Floats:
        """Signed distance of each pair to its fence's border, shape (k,), metres: >= 0 inside, negative outside.

        The slots must hold fences. The sign agrees with `match`.
        """
        return self.columns.signed_distance_m(slot, lat, lng)

    def _match_block(self, begin: int, tenant_id: Int32s, lat: Floats, lng: Floats, at_us: Int64s) -> Pairs:
        position, slot = self._candidates(lat, lng)
        columns = self.columns
        kept = np.flatnonzero(columns.tenant_id[slot] == tenant_id[position])
        position, slot = position[kept], slot[kept]
        kept = np.flatnonzero(columns.near(slot, lat[position], lng[position]))
        position, slot = position[kept], slot[kept]
        at = at_us[position]
        kept = np.flatnonzero((columns.valid_from_us[slot] <= at) & (at < columns.valid_to_us[slot]))
        position, slot = position[kept], slot[kept]
        inside = columns.inside(slot, lat[position], lng[position])
        return Pairs(position=position[inside] + begin, slot=slot[inside])

    def _candidates(self, lat: Floats, lng: Floats) -> tuple[Int64s, Int32s]:
        """(position, slot) of all fences that have the position's cell, sorted."""
        found = [self._candidates_at(res, lat, lng) for res in sorted(self._cells_by_res)]
        if len(found) == 1:
            return found[0]
        position = np.concatenate([np.empty(0, dtype=np.int64), *(p for p, _ in found)])
        slot = np.concatenate([NO_SLOTS, *(s for _, s in found)])
        order = np.lexsort((slot, position))
        return position[order], slot[order]

    def _candidates_at(self, res: int, lat: Floats, lng: Floats) -> tuple[Int64s, Int32s]:
        cells, which = np.unique(cells_of(lat, lng, res), return_inverse=True)
        buckets = [self._buckets.get(cell, NO_SLOTS) for cell in cells.tolist()]
        count = np.fromiter(map(len, buckets), dtype=np.int64, count=len(buckets))
        first = np.cumsum(count) - count
        position, element = expand(first[which], count[which])
        return position, np.concatenate([NO_SLOTS, *buckets])[element]

    def _new_slot(self, fence: Fence) -> int:
        slot = self._records.put(fence)
        while slot >= len(self.columns.fence_id):
            self.columns = self.columns.grown(2 * len(self.columns.fence_id))
        self._top = max(self._top, slot + 1)
        return slot

    def _check_new(self, fences: Sequence[Fence]) -> None:
        new: set[tuple[FenceId, int]] = set()
        for fence in fences:
            key = (fence.fence_id, fence.version)
            if key in new or self.slot_of(*key) is not None:
                raise ConflictError(f"fence {fence.fence_id} version {fence.version} is in the index already")
            if not fence.cells:
                raise ValueError(f"fence {fence.fence_id} version {fence.version} has no cells")
            new.add(key)

    def _fill_buckets(self, slots: Sequence[int], fences: Sequence[Fence]) -> None:
        """Replace the buckets of all cells of these fences by longer ones, sorted by slot."""
        cell = np.fromiter((c for fence in fences for c in fence.cells), dtype=np.int64)
        slot = np.repeat(np.array(slots, dtype=np.int32), [len(fence.cells) for fence in fences])
        order = np.lexsort((slot, cell))
        cells, begins = np.unique(cell[order], return_index=True)
        by_res = Counter(self._cells_by_res)
        for key, new in zip(cells.tolist(), np.split(slot[order], begins[1:]), strict=True):
            old = self._buckets.get(key)
            self._buckets[key] = new.copy() if old is None else np.sort(np.concatenate([old, new]))
            by_res[h3.get_resolution(key)] += len(new)
        self._cells_by_res = by_res

    def _forget(self, slot: int) -> None:
        fence = self.fence_at(slot)
        for cell in fence.cells:
            bucket = self._buckets[cell]
            rest = bucket[bucket != slot]
            if len(rest):
                self._buckets[cell] = rest
            else:
                del self._buckets[cell]
        self._cells_by_res = self._cells_by_res - Counter(map(h3.get_resolution, fence.cells))
        rest_of_fence = tuple(s for s in self._versions[fence.fence_id] if s != slot)
        if rest_of_fence:
            self._versions[fence.fence_id] = rest_of_fence
        else:
            del self._versions[fence.fence_id]
        self._link(fence.fence_id)
        self._records.clear(slot)
        self.columns.clear(slot)
        self._held -= 1

    def _link(self, fence_id: FenceId) -> None:
        slots = self._versions.get(fence_id, ())
        for slot, after in zip(slots, (*slots[1:], -1), strict=False):
            self._records.change(slot, "next_slot", after)
