"""What an engine remembers of devices: growing columns, and where each device is in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from geofences.compiled import borrowing
from geofences.model import SHARDS, TenantId
from geofences.states import (
    DEVICE_DTYPE,
    MOMENT_DTYPE,
    NEVER_US,
    NO_DEVICE,
    NO_ROW,
    NO_TRACK,
    NONE_US,
    TRACK_DTYPE,
)
from geofences.tracks import COUNTS, FREE, World
from geofences.trust import believe, doubt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geofences.model import DeviceId, Int32s, Int64s, Shard
    from geofences.states import Devices

FIRST_ROWS: Final = 1_024
FIRST_MOMENTS: Final = 65_536
EMPTY: Final = -(2**63)
"""A place of the directory that holds no device."""
SPREAD: Final = -7_046_029_254_386_353_131
"""The golden ratio in 64 bits: an odd factor that spreads ids over the directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What the engine has to know of a device when it first meets it."""

    tenant_id: TenantId
    scope: TenantId
    """LIVE, or the tenant itself if it is a sandbox: it follows its replay's clock."""
    consented: bool
    floor_us: int = NONE_US
    """When location consent was last withdrawn."""
    newest_us: int | None = None
    """Time of the newest position of any kind."""
    good: tuple[int, float, float] | None = None
    """Time and place of the newest good position."""
    acted_us: int = NONE_US
    """When the newest of its visits was settled: a position before that comes late."""
    suspects: tuple[tuple[int, float, float], ...] = ()
    """Positions since then that were flagged for an impossible speed, oldest first."""


@borrowing
def _place(key: int, mask: int) -> int:
    spread = key * SPREAD
    return int((spread ^ (spread >> 29)) & mask)


@borrowing
def _enter(keys: Int64s, values: Int32s, key: int, value: int) -> None:
    mask = len(keys) - 1
    at = _place(key, mask)
    while keys[at] != EMPTY and keys[at] != key:
        at = (at + 1) & mask
    keys[at] = key
    values[at] = value


@borrowing
def _enter_all(keys: Int64s, values: Int32s, devices: Devices) -> None:
    for row in range(len(devices)):
        if devices[row].used:
            _enter(keys, values, devices[row].device_id, row)


@borrowing
def _find(keys: Int64s, values: Int32s, wanted: Int64s, found: Int32s) -> None:
    mask = len(keys) - 1
    for i in range(len(wanted)):
        at = _place(wanted[i], mask)
        while keys[at] != EMPTY and keys[at] != wanted[i]:
            at = (at + 1) & mask
        found[i] = NO_DEVICE if keys[at] == EMPTY else values[at]


class Memory:
    """Devices and their tracks. `world` changes when something grows: take it anew after each call here."""

    def __init__(self) -> None:
        self._keys, self._values = _directory(FIRST_ROWS)
        self._top = 0
        self._unused: list[int] = []
        self.world = World(
            devices=np.zeros(FIRST_ROWS, dtype=DEVICE_DTYPE),
            tracks=np.zeros(FIRST_ROWS, dtype=TRACK_DTYPE),
            free=np.arange(FIRST_ROWS, dtype=np.int32)[::-1].copy(),
            moments=np.zeros(FIRST_MOMENTS, dtype=MOMENT_DTYPE),
            counts=np.zeros(COUNTS, dtype=np.int64),
        )
        self.world.counts[FREE] = FIRST_ROWS

    def __len__(self) -> int:
        return self._top - len(self._unused)

    def rows_of(self, device_ids: Int64s) -> Int32s:
        """Row of each device, NO_DEVICE for those never met; shape (n,)."""
        found = np.empty(len(device_ids), dtype=np.int32)
        _find(self._keys, self._values, device_ids, found)
        return found

    def row_of(self, device_id: int) -> int:
        return int(self.rows_of(np.array([device_id], dtype=np.int64))[0])

    def meet(self, device_id: DeviceId, facts: DeviceFacts) -> int:
        """Takes in a device and answers its row."""
        if self._unused:
            row = self._unused.pop()
        else:
            if self._top == len(self.world.devices):
                self.world = self.world._replace(devices=_doubled(self.world.devices))
            row, self._top = self._top, self._top + 1
        if 2 * self._top > len(self._keys):
            self._widen_directory()
        _enter(self._keys, self._values, device_id, row)
        self.remember(row, device_id, facts)
        return row

    def remember(self, row: int, device_id: DeviceId, facts: DeviceFacts) -> None:
        """Sets a row to what Postgres knows of a device; it has no tracks then."""
        newest_us = NONE_US if facts.newest_us is None else facts.newest_us
        _remember(
            self.world.devices, row, device_id, facts.tenant_id, facts.scope, facts.consented, newest_us,
            facts.floor_us, facts.acted_us,
        )  # fmt: skip
        self.trust(row, facts.good, facts.suspects)

    def trust(
        self, row: int, good: tuple[int, float, float] | None, suspects: Sequence[tuple[int, float, float]]
    ) -> None:
        """Sets the last good position of a device, and what was doubted since."""
        _believe_row(self.world.devices, row, *(good or (NONE_US, 0.0, 0.0)))
        for at_us, lat, lng in suspects:
            _doubt_row(self.world.devices, row, at_us, lat, lng)

    def make_room(self, *, tracks: int = 0, moments: int = 0) -> None:
        """Sees to it that so many tracks are free, and so many moments can be told from the start."""
        world = self.world
        while world.counts[FREE] < tracks:
            old = len(world.tracks)
            wide = _doubled(world.tracks)
            free = np.empty(len(wide), dtype=np.int32)
            n = int(world.counts[FREE])
            free[:n] = world.free[:n]
            free[n : n + old] = np.arange(len(wide) - 1, old - 1, -1)
            world.counts[FREE] += old
            world = world._replace(tracks=wide, free=free)
        while len(world.moments) < moments:
            world = world._replace(moments=_doubled(world.moments))
        self.world = world

    def forget_tracks(self, row: int) -> None:
        """Drops all live visits of a device without a word."""
        world = self.world
        tracks = self.tracks_of(row)
        n = int(world.counts[FREE])
        world.free[n : n + len(tracks)] = tracks
        world.counts[FREE] += len(tracks)
        world.devices["first_track"][row] = NO_TRACK

    def forget_shards(self, shards: Sequence[Shard]) -> None:
        """Drops all devices of some shards: another engine has them now, or they must be read again."""
        used = self.world.devices[: self._top]
        gone = np.flatnonzero((used["used"] != 0) & np.isin(used["device_id"] % SHARDS, list(shards)))
        if not len(gone):
            return
        self._forget(gone)

    def blank(self, device_id: DeviceId, at_us: int) -> None:
        """Leaves a device of which nothing is known and that may not be located, for whoever knows it by its row."""
        row = self.row_of(device_id)
        if row != NO_DEVICE:
            tenant_id, scope = (TenantId(int(self.world.devices[name][row])) for name in ("tenant_id", "scope"))
            self.forget_tracks(row)
            facts = DeviceFacts(tenant_id=tenant_id, scope=scope, consented=False, floor_us=at_us)
            self.remember(row, device_id, facts)

    def forget_devices(self, device_ids: Sequence[DeviceId]) -> None:
        """Drops some devices, as if they had never been met."""
        if not device_ids:
            return
        rows = np.unique(self.rows_of(np.array(device_ids, dtype=np.int64)))
        self._forget(rows[rows != NO_DEVICE].astype(np.int64))

    def _forget(self, rows: Int64s) -> None:
        for row in rows.tolist():
            self.forget_tracks(row)
        self.world.devices[rows] = np.zeros((), dtype=DEVICE_DTYPE)
        self._unused += rows.tolist()
        self._widen_directory()

    def in_fence(self, fence_id: int) -> Int64s:
        """Rows of the devices with a live visit of a fence."""
        devices, tracks = self.world.devices[: self._top], self.world.tracks
        about_some = np.flatnonzero((devices["used"] != 0) & (devices["first_track"] != NO_TRACK))
        inside = [row for row in about_some.tolist() if fence_id in tracks["fence_id"][self.tracks_of(row)]]
        return np.array(inside, dtype=np.int64)

    def beyond(self, at_us: int, *, tenant_id: int) -> Int64s:
        """Rows of a tenant's devices that had a position, or of which a timer did something, at that time or after."""
        devices = self.world.devices[: self._top]
        own = (devices["used"] != 0) & (devices["tenant_id"] == tenant_id)
        return np.flatnonzero(own & ((devices["newest_us"] >= at_us) | (devices["acted_us"] >= at_us)))

    def tracks_of(self, row: int) -> list[int]:
        """Rows in `world.tracks` of a device's live visits."""
        found = []
        k = int(self.world.devices["first_track"][row])
        while k != NO_TRACK:
            found.append(k)
            k = int(self.world.tracks["next"][k])
        return found

    def _widen_directory(self) -> None:
        self._keys, self._values = _directory(4 * max(FIRST_ROWS, self._top))
        _enter_all(self._keys, self._values, self.world.devices[: self._top])


@borrowing
def _remember(
    devices: Devices,
    row: int,
    device_id: int,
    tenant_id: int,
    scope: int,
    consented: bool,
    newest_us: int,
    floor_us: int,
    acted_us: int,
) -> None:
    device = devices[row]
    device.device_id = device_id
    device.tenant_id = tenant_id
    device.scope = scope
    device.consented = consented
    device.used = 1
    device.newest_us = newest_us
    device.floor_us = floor_us
    device.acted_us = acted_us
    device.seen_us = NONE_US
    device.seen_cell = 0
    device.pending_us = NEVER_US
    device.first_track = NO_TRACK
    device.last_row = NO_ROW


@borrowing
def _believe_row(devices: Devices, row: int, at_us: int, lat: float, lng: float) -> None:
    believe(devices, row, at_us, lat, lng)


@borrowing
def _doubt_row(devices: Devices, row: int, at_us: int, lat: float, lng: float) -> None:
    doubt(devices[row], at_us, lat, lng)


def _directory(at_least: int) -> tuple[Int64s, Int32s]:
    size = 1 << (2 * at_least - 1).bit_length()
    return np.full(size, EMPTY, dtype=np.int64), np.zeros(size, dtype=np.int32)


def _doubled(rows: np.ndarray) -> np.ndarray:
    wide = np.zeros(2 * len(rows), dtype=rows.dtype)
    wide[: len(rows)] = rows
    return wide
