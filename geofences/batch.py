"""The positions of many log entries as columns: whose they are, which fences they lie in, and in what order they go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import numpy as np

from geofences.compiled import borrowing
from geofences.model import POSITION_DTYPE, DeviceId
from geofences.states import NO_DEVICE
from geofences.wave import FOLD, Rows, Told, first_pairs, line_up

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from geofences.index import FenceIndex
    from geofences.log import Entry
    from geofences.memory import Memory
    from geofences.model import Floats, Int32s, Int64s, Positions, Shard
    from geofences.states import Devices

    Uint8s = NDArray[np.uint8]

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
        parts: list[Positions] = []
        filtered, clock_us = [], []
        ends = [0]
        for wave in range(waves):
            n = ends[-1]
            for queue in found.values():
                if wave < len(queue) and (packed := queue[wave][1].positions) is not None:
                    parts.append(packed)
                    filtered.append(queue[wave][1].filters)
                    clock_us.append(queue[wave][1].clock_us)
                    n += len(packed)
            ends.append(n)
        self._ends = ends
        # a copy of them all: joining bytes spares numpy from comparing the fields of every part
        positions: Positions = np.frombuffer(
            bytearray().join(np.ascontiguousarray(part).data for part in parts), dtype=POSITION_DTYPE
        )
        entry = np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts])
        doubtful = np.array(filtered, dtype=np.uint8)
        columns = _Columns(*(np.empty(len(positions), dtype=kind) for kind in ("i8", "i4", "f8", "f8", "i8")))
        _spread(positions, entry, doubtful, columns)
        device = memory.rows_of(columns.device_id)
        strangers = np.unique(columns.device_id[device == NO_DEVICE])
        if len(strangers) and meet(list(map(DeviceId, strangers.tolist()))):
            device = memory.rows_of(columns.device_id)
        cell = np.empty(len(positions), dtype=np.int64)
        pairs = index.match(
            columns.tenant_id, columns.lat, columns.lng, columns.recorded_us, key_res=LAST_SEEN_RESOLUTION, key=cell
        )
        self.rows = Rows(
            positions=positions,
            device=device,
            entry=entry,
            filtered=doubtful,
            clock_us=np.array(clock_us, dtype=np.int64),
            pair_first=first_pairs(pairs, len(positions)),
            pair_slot=np.ascontiguousarray(pairs.slot),
            cell=cell,
            todo=np.zeros(len(positions), dtype=np.uint8),
            way=index.way(),
        )
        self.told = no_told(len(positions))

    def line_up(self, wave: int, devices: Devices) -> tuple[Int64s, int]:
        """Rows of a wave in the order they are folded in, each marked, and how many runs of a device have to ask."""
        begin, end = self._ends[wave], self._ends[wave + 1]
        order = np.empty(end - begin, dtype=np.int64)
        n, asking = line_up(self.rows, devices, begin, end, np.empty((2, end - begin), dtype=np.int32), order)
        return order[:n], asking

    def folded(self, wave: int) -> Positions:
        """The positions of a wave that were folded, with their flags."""
        own = slice(self._ends[wave], self._ends[wave + 1])
        kept = self.rows.todo[own] == FOLD
        positions = self.rows.positions[own]
        return positions if kept.all() else positions[kept]

    def seen(self, n: int) -> Positions:
        """Positions that changed where their device was last: the first `n` that a fold named."""
        seen = np.empty(n, dtype=POSITION_DTYPE)
        _take(self.rows.positions, self.told.seen, seen)
        return seen

    def pairs_in(self, wave: int) -> int:
        """How many visits a wave can begin at most."""
        first = self.rows.pair_first
        return int(first[self._ends[wave + 1]] - first[self._ends[wave]])


class _Columns(NamedTuple):
    """What matching and looking devices up read, each of shape (n,)."""

    device_id: Int64s
    tenant_id: Int32s
    lat: Floats
    lng: Floats
    recorded_us: Int64s


@borrowing
def _spread(positions: Positions, entry: Int32s, filtered: Uint8s, columns: _Columns) -> None:
    """Fills the columns. What may not be doubted loses its flags, even what the phone says of itself."""
    for i in range(len(positions)):
        position = positions[i]
        columns.device_id[i] = position.device_id
        columns.tenant_id[i] = position.tenant_id
        columns.lat[i] = position.lat
        columns.lng[i] = position.lng
        columns.recorded_us[i] = position.recorded_us
        if not filtered[entry[i]]:
            position.flags = 0


@borrowing
def _take(positions: Positions, rows: Int64s, out: Positions) -> None:
    for i in range(len(out)):
        out[i] = positions[rows[i]]


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
