"""The positions of one batch as columns: what each of them says of which fences, worked out for all at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geofences.index import FenceIndex, cells_of, confidence
from geofences.model import (
    POSITION_DTYPE,
    DeviceId,
    FenceId,
    Flag,
    Floats,
    Int32s,
    Int64s,
    Positions,
    TenantId,
    Verdict,
)
from geofences.visits import Identity, StoredPosition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from geofences.tracker import Visit

LAST_SEEN_RESOLUTION = 9


@dataclass(frozen=True, slots=True)
class Word:
    """One position's word on one fence."""

    slot: int
    verdict: Verdict
    confidence: float


class Batch:
    """All positions of a batch; rows are numbered through all its entries."""

    def __init__(
        self,
        arrays: Sequence[Positions],
        *,
        index: FenceIndex,
        visits_of: Callable[[DeviceId], Mapping[FenceId, Visit]],
    ) -> None:
        self._index = index
        self._columns = np.concatenate(arrays) if arrays else np.empty(0, dtype=POSITION_DTYPE)
        self._next = 0
        self.stored = [_stored(row) for row in self._columns.tolist()]
        self.known: set[Identity] = set()
        """Identities of positions that are stored already or came earlier in this batch."""
        columns = self._columns
        self._cells = cells_of(columns["lat"], columns["lng"], LAST_SEEN_RESOLUTION).tolist()
        self._words = self._inside_words()
        self._add_outside_words(visits_of)

    def next_rows(self, n: int) -> Iterator[int]:
        """Rows of the next entry, which has `n`: device by device, each in time order."""
        start, self._next = self._next, self._next + n
        entry = self._columns[start : start + n]
        order = np.lexsort((entry["lng"], entry["lat"], entry["recorded_us"], entry["device_id"]))
        return iter((order + start).tolist())

    def cell_r9(self, row: int) -> int:
        return int(self._cells[row])

    def words(self, row: int, visits: Mapping[FenceId, Visit]) -> dict[FenceId, Word]:
        """What this position says: of every fence it lies in, and of those the device was inside before."""
        words = self._words[row]
        at_us = self.stored[row].recorded_us
        for fence_id in visits.keys() - words.keys():
            slot = self._index.slot_in_force(fence_id, at_us)
            if slot is not None:
                words[fence_id] = Word(slot, Verdict.OUT, 0.0)
        return words

    def _inside_words(self) -> list[dict[FenceId, Word]]:
        columns, index = self._columns, self._index
        pairs = index.match(columns["tenant_id"], columns["lat"], columns["lng"], columns["recorded_us"])
        words: list[dict[FenceId, Word]] = [{} for _ in range(len(columns))]
        believed = self._confidence(pairs.position, pairs.slot)
        enough = believed >= index.min_confidence(pairs.slot)
        for row, fence_id, slot, is_in, value in zip(
            pairs.position.tolist(),
            index.fence_ids(pairs.slot).tolist(),
            pairs.slot.tolist(),
            enough.tolist(),
            believed.tolist(),
            strict=True,
        ):
            words[row][fence_id] = Word(slot, Verdict.IN if is_in else Verdict.NEITHER, value)
        return words

    def _confidence(self, rows: Int64s, slots: Int32s) -> Floats:
        columns, index = self._columns, self._index
        distance_m = index.measure(slots, columns["lat"][rows], columns["lng"][rows])
        return confidence(distance_m, columns["accuracy_m"][rows].astype(np.float64), index.area_m2(slots))

    def _add_outside_words(self, visits_of: Callable[[DeviceId], Mapping[FenceId, Visit]]) -> None:
        """For fences that need a distance before they say OUT: those the device is in, or will be in this batch."""
        wanted: dict[DeviceId, set[FenceId]] = {}
        for row, position in enumerate(self.stored):
            inside = wanted.setdefault(position.device_id, set(visits_of(position.device_id)))
            inside.update(self._words[row])
        rows, slots, fence_ids = [], [], []
        for row, position in enumerate(self.stored):
            for fence_id in wanted[position.device_id] - self._words[row].keys():
                slot = self._index.slot_in_force(fence_id, position.recorded_us)
                if slot is not None and self._index.fence_at(slot).profile.exit_buffer_m > 0:
                    rows.append(row)
                    slots.append(slot)
                    fence_ids.append(fence_id)
        if not rows:
            return
        at, slot_column = np.array(rows, dtype=np.int64), np.array(slots, dtype=np.int32)
        distance_m = self._index.measure(slot_column, self._columns["lat"][at], self._columns["lng"][at])
        for row, slot, fence_id, outside_m in zip(rows, slots, fence_ids, (-distance_m).tolist(), strict=True):
            buffer_m = self._index.fence_at(slot).profile.exit_buffer_m
            self._words[row][fence_id] = Word(slot, Verdict.OUT if outside_m > buffer_m else Verdict.NEITHER, 0.0)


def _stored(row: tuple[int, int, int, int, float, float, float, float, int]) -> StoredPosition:
    device_id, tenant_id, recorded_us, received_us, lat, lng, accuracy_m, speed_mps, flags = row
    return StoredPosition(
        tenant_id=TenantId(tenant_id),
        device_id=DeviceId(device_id),
        recorded_us=recorded_us,
        received_us=received_us,
        lat=lat,
        lng=lng,
        accuracy_m=None if math.isnan(accuracy_m) else accuracy_m,
        speed_mps=None if math.isnan(speed_mps) else speed_mps,
        flags=Flag(flags),
    )
