"""The positions of many log entries as columns: whose they are, which fences they lie in, and in what order they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from geofences.model import POSITION_DTYPE, DeviceId
from geofences.planar import keys_of_positions
from geofences.states import NO_DEVICE
from geofences.wave import Rows, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from geofences.index import FenceIndex
    from geofences.log import Entry
    from geofences.memory import Memory
    from geofences.model import Int64s, Positions, Shard

    Meet = Callable[[Sequence[DeviceId]], Mapping[DeviceId, int]]

Identity: TypeAlias = "tuple[int, int, float, float, float | None, bool]"
"""What makes two positions of one device the same: device, recorded_us, lat, lng, accuracy_m, mocked."""
MOCKED: Final = 1
LAST_SEEN_RESOLUTION: Final = 9


class Batch:
    """The positions of all entries as columns, wave after wave."""

    def __init__(
        self, memory: Memory, index: FenceIndex, meet: Meet, found: Mapping[Shard, Sequence[tuple[str, Entry]]]
    ) -> None:
        waves = max(map(len, found.values()))
        parts: list[Entry] = []
        self._ends: list[int] = []
        n = 0
        for wave in range(waves):
            for queue in found.values():
                if wave < len(queue) and queue[wave][1].positions is not None:
                    entry = queue[wave][1]
                    parts.append(entry)
                    n += 0 if entry.positions is None else len(entry.positions)
            self._ends.append(n)
        arrays = [entry.positions for entry in parts if entry.positions is not None]
        positions = np.concatenate(arrays) if arrays else np.empty(0, dtype=POSITION_DTYPE)
        lengths = list(map(len, arrays))
        filtered = np.repeat(np.array([entry.filters for entry in parts], dtype=np.uint8), lengths)
        # a replay without filters doubts nothing, not even what the phone says of itself
        positions["flags"][filtered == 0] = 0
        device = memory.rows_of(device_ids(positions))
        strangers = np.unique(positions["device_id"][device == NO_DEVICE])
        if len(strangers) and meet(list(map(DeviceId, strangers.tolist()))):
            device = memory.rows_of(device_ids(positions))
        self._entry = np.repeat(np.arange(len(parts)), lengths)
        lat, lng = np.ascontiguousarray(positions["lat"]), np.ascontiguousarray(positions["lng"])
        pairs = index.match(
            np.ascontiguousarray(positions["tenant_id"]), lat, lng, np.ascontiguousarray(positions["recorded_us"])
        )
        self.rows = Rows(
            positions=positions,
            device=device,
            filtered=filtered,
            clock_us=np.repeat(np.array([entry.clock_us for entry in parts], dtype=np.int64), lengths),
            pair_first=np.searchsorted(pairs.position, np.arange(n + 1)),
            pair_slot=np.ascontiguousarray(pairs.slot),
            cell=keys_of_positions(lat, lng, LAST_SEEN_RESOLUTION),
            todo=np.zeros(n, dtype=np.uint8),
            flags=np.zeros(n, dtype=np.uint8),
        )
        self.told = no_told(n)

    def order(self, wave: int) -> Int64s:
        """Rows of a wave: entry by entry, device by device, in order of time."""
        start, end = (self._ends[wave - 1] if wave else 0), self._ends[wave]
        part = self.rows.positions[start:end]
        order = np.lexsort((part["recorded_us"], part["device_id"], self._entry[start:end]))
        return np.asarray(order + start, dtype=np.int64)

    def pairs_in(self, order: Int64s) -> int:
        """How many visits a wave can begin at most."""
        first = self.rows.pair_first
        return int(first[order.max() + 1] - first[order.min()])


def device_ids(rows: Positions) -> Int64s:
    return np.ascontiguousarray(rows["device_id"])


def identities(positions: Positions) -> list[Identity]:
    """What makes each position itself; accuracies are numbers of 32 bits, as the log has them."""
    return [
        (device_id, recorded_us, lat, lng, None if accuracy_m != accuracy_m else accuracy_m, bool(flags & MOCKED))  # noqa: PLR0124
        for device_id, recorded_us, lat, lng, accuracy_m, flags in positions[
            ["device_id", "recorded_us", "lat", "lng", "accuracy_m", "flags"]
        ].tolist()
    ]


def no_told(n: int) -> Told:
    return Told(
        seen=np.empty(n, dtype=np.int64), due_device=np.empty(n, dtype=np.int32), due_us=np.empty(n, dtype=np.int64)
    )
