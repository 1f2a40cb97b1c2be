"""FenceRecords: fence versions written into the arrays of FenceTables, and read back. One writer.

Keeps no Python object of a fence. What a slot holds is complete before `put` returns, its times last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geofences import geo
from geofences.errors import InvalidGeometryError, NotFoundError
from geofences.fence_tables import (
    AREA_DTYPE,
    BOX_DTYPE,
    CIRCLE_DTYPE,
    FENCE_DTYPE,
    NEVER_US,
    NO_STORE,
    NONE,
    PROFILE_DTYPE,
    Records,
)
from geofences.geodesy import E2, EQUATOR_M, HALF_TURN_DEG, circle_area_m2
from geofences.growing import Pool
from geofences.model import Area, Circle, Fence, FenceId, Floats, Int64s, LatLng, Profile, StoreId, TenantId
from geofences.outline import (
    BANDED_EDGES,
    ENTRIES_PER_EDGE,
    LARGEST_STEP_DEG,
    band_edges,
    measure,
    read_wkb,
    step_of,
    to_steps,
)
from geofences.packed_keys import pack_keys, unpack_keys, words_for

if TYPE_CHECKING:
    from collections.abc import Callable

US_PER_S = 1_000_000
FIRST_SLOTS = 64
LAST_EDIT = 2**31 - 1
"""Then numbers begin anew; only those of edits during one batch are compared."""
BOUNDS_MARGIN_DEG = 1e-6
"""10 cm: more than rounding, and more than the 1 cm that a verdict may be off."""
FLOAT32_STEP = 1.2e-7
"""Twice what rounding to 32 bits may change, relatively."""
STEP_TOLERANCE = 1.0
"""In steps: a vertex is half a step off at most, each way."""
WIDE_TOLERANCE_DEG = 1e-12
FENCE_FIELDS, AREA_FIELDS = FENCE_DTYPE.names or (), AREA_DTYPE.names or ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldFence:
    """One fence version as the index holds it: without its shape and cells, which are numbers in its tables."""

    fence_id: FenceId
    version: int
    tenant_id: TenantId
    profile: Profile
    store_id: StoreId | None
    external_id: str
    valid_from_us: int
    valid_to_us: int


class FenceRecords:
    """Slots are taken by `put` and given back by `recycle`, some time after `clear`."""

    def __init__(self, *, on_replaced: Callable[[], None]) -> None:
        self.fences = Pool(FENCE_DTYPE, rows=FIRST_SLOTS, on_replaced=on_replaced)
        self.shapes = Pool(CIRCLE_DTYPE, rows=FIRST_SLOTS, on_replaced=on_replaced)
        self.areas = Pool(AREA_DTYPE, on_replaced=on_replaced)
        self.vertices = Pool(np.int32, width=2, on_replaced=on_replaced)
        self.wide_vertices = Pool(np.float64, width=2, on_replaced=on_replaced)
        self.bands = Pool(np.int32, on_replaced=on_replaced)
        self.profiles: Records = np.zeros(0, dtype=PROFILE_DTYPE)
        self._on_replaced = on_replaced
        self._keys = Pool(np.uint32, on_replaced=_nobody)
        self._names = Pool(np.uint8, rows=1024, on_replaced=_nobody)
        self._profile_rows: dict[Profile, int] = {}
        self._profiles: list[Profile] = []
        self._lines = np.empty((256, 2), dtype=np.float64)
        self._band_lists = np.empty(0, dtype=np.int32)
        self._measured = np.empty(6, dtype=np.float64)

    @property
    def nbytes(self) -> int:
        return sum(pool.nbytes for pool in self._pools()) + self.profiles.nbytes

    def reserve(self, slots: int) -> None:
        """Make room for so many fences, at once."""
        self.fences.reserve(slots)
        self.shapes.reserve(slots)

    def put(self, fence: Fence, keys: Int64s, born: int) -> int:
        """Write one version into a free slot by an edit of that number; raises InvalidGeometryError for a bad area.

        `keys` are those it will stand under.
        """
        shape, tenant_id = fence.shape, fence.tenant_id
        slot = self.fences.take(1)
        own = self.shapes.take(1)
        assert own == slot
        if isinstance(shape, Circle):
            radius_m = shape.radius_m
            area_m2 = circle_area_m2(radius_m)
            self.shapes.data[slot] = (*_circle_row(shape.center, radius_m), tenant_id)
        else:
            radius_m = 0.0
            try:
                area_m2 = self._put_area(slot, shape, tenant_id)
            except InvalidGeometryError:
                self.fences.give_back(slot, 1)
                self.shapes.give_back(slot, 1)
                raise
        self.shapes.wrote(slot, 1)
        key_words = words_for(keys)
        first_word = self._keys.take(key_words)
        pack_keys(keys, self._keys.data[first_word : first_word + key_words])
        self._keys.wrote(first_word, key_words)
        name = fence.external_id.encode()
        self.fences.data[slot] = (
            fence.fence_id,
            NO_STORE if fence.store_id is None else fence.store_id,
            fence.valid_from_us,
            fence.valid_to_us,
            radius_m,
            keys[0],
            tenant_id,
            fence.version,
            self._profile_row(fence.profile),
            NONE,
            first_word,
            _filled(self._names, np.frombuffer(name, dtype=np.uint8)) if name else 0,
            area_m2,
            born & LAST_EDIT,
            len(keys),
            key_words,
            len(name),
        )
        self.fences.wrote(slot, 1)
        return slot

    def change(self, slot: int, field: str, value: int) -> None:
        self.fences.data[field][slot] = value
        self.fences.wrote(slot, 1)

    def clear(self, slot: int) -> None:
        """From now on the slot is never in force; what it holds stays until `recycle`."""
        self.change(slot, "valid_to_us", NEVER_US)

    def recycle(self, slot: int) -> None:
        """Give back a cleared slot and all that belongs to it."""
        *_, first_word, name, _, _, _, key_words, name_size = self.fences.data[slot].item()
        if self.is_area(slot):
            row = int(self.shapes.data.view(BOX_DTYPE)["area"][slot])
            area = dict(zip(AREA_FIELDS, self.areas.data[row].item(), strict=True))
            pool = self.wide_vertices if area["is_wide"] else self.vertices
            pool.give_back(area["first"], area["end"] - area["first"])
            self.wide_vertices.give_back(area["border_first"], area["border_end"] - area["border_first"])
            if area["band_count"]:
                first, count = area["band_first"], area["band_count"]
                self.bands.give_back(first, int(self.bands.data[first + count]))
            self.areas.give_back(row, 1)
        self._keys.give_back(first_word, key_words)
        self._names.give_back(name, name_size)
        self.fences.give_back(slot, 1)
        self.shapes.give_back(slot, 1)

    def is_area(self, slot: int) -> bool:
        return bool(self.fences.data["radius_m"][slot] == 0.0)

    def keys_of(self, slot: int) -> Int64s:
        """The keys that it was put with."""
        fence = self.fences.data[slot].item()
        *_, first_word, _, _, _, key_count, key_words, _ = fence
        return unpack_keys(
            fence[FENCE_FIELDS.index("first_key")], self._keys.data[first_word : first_word + key_words], key_count
        )

    def fence_at(self, slot: int) -> HeldFence:
        """What a slot holds. Raises NotFoundError."""
        if not 0 <= slot < self.fences.used_rows or self.fences.data["valid_to_us"][slot] == NEVER_US:
            raise NotFoundError(f"slot {slot} holds no fence")
        fence = dict(zip(FENCE_FIELDS, self.fences.data[slot].item(), strict=True))
        name = self._names.data[fence["name"] : fence["name"] + fence["name_size"]]
        return HeldFence(
            fence_id=FenceId(fence["fence_id"]),
            version=fence["version"],
            tenant_id=TenantId(fence["tenant_id"]),
            profile=self._profiles[fence["profile"]],
            store_id=None if fence["store_id"] == NO_STORE else StoreId(fence["store_id"]),
            external_id=name.tobytes().decode(),
            valid_from_us=fence["valid_from_us"],
            valid_to_us=fence["valid_to_us"],
        )

    def _put_area(self, slot: int, shape: Area, tenant_id: TenantId) -> float:
        lines, rows = self._read(shape)
        measure(lines, rows, self._measured)
        south, west, north, east, area_m2, at_seam = self._measured.tolist()
        step_deg = step_of(max(north - south, east - west) / 2.0)
        is_wide = step_deg > LARGEST_STEP_DEG
        tolerance = WIDE_TOLERANCE_DEG if is_wide else STEP_TOLERANCE
        if is_wide:
            origin_lat, origin_lng, step_deg = 0.0, 0.0, 1.0
            first = _filled(self.wide_vertices, lines[:rows])
        else:
            origin_lat, origin_lng = (south + north) / 2.0, (west + east) / 2.0
            first = self.vertices.take(rows)
            to_steps(lines, rows, origin_lat, origin_lng, step_deg, self.vertices.data, first)
            self.vertices.wrote(first, rows)
        border_first, border_end = NONE, NONE
        if at_seam:
            edges = geo.area_columns([shape]).edges[0]
            border_first = _filled(self.wide_vertices, _as_lines(edges))
            border_end = border_first + 3 * len(edges)
        band_first, band_count = 0, 0
        if rows > BANDED_EDGES:
            band_first, band_count = self._put_bands(lines, rows, 2.0 * tolerance * step_deg)
        row = self.areas.take(1)
        self.areas.data[row] = (
            origin_lat,
            origin_lng,
            step_deg,
            tolerance,
            (south - origin_lat) / step_deg,
            (north - south) / step_deg,
            first,
            first + rows,
            border_first,
            border_end,
            band_first,
            band_count,
            is_wide,
            bool(at_seam),
        )
        self.areas.wrote(row, 1)
        boxes = self.shapes.data.view(BOX_DTYPE)
        boxes[slot] = (*_bounds(south, west, north, east), row, (0, 0), tenant_id)
        return float(area_m2)

    def _read(self, shape: Area) -> tuple[Floats, int]:
        wkb = np.frombuffer(bytearray(shape.wkb), dtype=np.uint8)
        if len(wkb) // 12 >= len(self._lines):
            self._lines = np.empty((len(wkb) // 8, 2), dtype=np.float64)
        rows = read_wkb(wkb, self._lines)
        if not rows:
            raise InvalidGeometryError("an area is no little-endian WKB of a multipolygon")
        return self._lines, rows

    def _put_bands(self, lines: Floats, rows: int, margin_deg: float) -> tuple[int, int]:
        room = (ENTRIES_PER_EDGE + 2) * rows
        if len(self._band_lists) < room:
            self._band_lists = np.empty(room, dtype=np.int32)
        count = band_edges(lines, rows, margin_deg, self._band_lists)
        return _filled(self.bands, self._band_lists[: self._band_lists[count]]), count

    def finish(self) -> None:
        """Completes arrays that are being replaced."""
        for pool in self._pools():
            pool.finish()

    def _pools(self) -> tuple[Pool, ...]:
        tables = self.fences, self.shapes, self.areas, self.vertices, self.wide_vertices, self.bands
        return (*tables, self._keys, self._names)

    def _profile_row(self, profile: Profile) -> int:
        row = self._profile_rows.get(profile)
        if row is None:
            row = len(self._profile_rows)
            seconds = (
                profile.enter_after_s, profile.exit_after_s, profile.dwell_s, profile.hold_s, profile.gap_s,
                profile.crossed_within_s,
            )  # fmt: skip
            new = np.zeros(1, dtype=PROFILE_DTYPE)
            new[0] = (*(round(s * US_PER_S) for s in seconds), profile.exit_buffer_m, profile.min_confidence)
            self.profiles = np.concatenate([self.profiles, new])
            self._profile_rows[profile] = row
            self._profiles.append(profile)
            self._on_replaced()
        return row


def _circle_row(center: LatLng, radius_m: float) -> tuple[float, float, float, float]:
    phi, lam = math.radians(center.lat), math.radians(center.lng)
    w2 = 1.0 - E2 * math.sin(phi) ** 2
    prime_vertical_m = EQUATOR_M / math.sqrt(w2)
    across_m = prime_vertical_m * math.cos(phi)
    chord_m = radius_m - radius_m**3 * w2 * w2 / (24.0 * EQUATOR_M**2 * (1.0 - E2))
    z_m = prime_vertical_m * (1.0 - E2) * math.sin(phi)
    return across_m * math.cos(lam), across_m * math.sin(lam), z_m, chord_m


def _bounds(south: float, west: float, north: float, east: float) -> tuple[float, float, float, float]:
    """With a margin that is larger than rounding; a box that reaches 180 degrees is open to both sides."""
    across = west - BOUNDS_MARGIN_DEG < -HALF_TURN_DEG or east + BOUNDS_MARGIN_DEG > HALF_TURN_DEG
    return (
        south - _margin_deg(south),
        -math.inf if across else west - _margin_deg(west),
        north + _margin_deg(north),
        math.inf if across else east + _margin_deg(east),
    )


def _margin_deg(at_deg: float) -> float:
    return BOUNDS_MARGIN_DEG + FLOAT32_STEP * abs(at_deg)


def _filled(pool: Pool, rows: np.ndarray) -> int:
    first = pool.take(len(rows))
    pool.data[first : first + len(rows)] = rows
    pool.wrote(first, len(rows))
    return first


def _as_lines(edges: Floats) -> Floats:
    """Each edge as a line of its own: a row (2, 0), then its ends."""
    lines = np.zeros((len(edges), 3, 2), dtype=np.float64)
    lines[:, 0, 0] = 2.0
    lines[:, 1], lines[:, 2] = edges[:, :2], edges[:, 2:]
    return lines.reshape(-1, 2)


def _nobody() -> None:
    """Nobody but the records reads this pool."""
