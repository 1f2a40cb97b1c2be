"""Pool: rows of one array, taken and given back in runs. It grows a few rows at a time, so that no writer waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import DTypeLike, NDArray

GROW_AT = 0.95
"""How full an array is when a larger one is begun."""
GROWTH = 1.15
RESERVED = 1.08
COPIED_BYTES = 16_384
"""Copied into the larger array whenever rows are taken: about 2 us."""
COPIED_PER_TAKEN = 32
"""And so many rows for each that is taken, so that the larger array is complete in time."""


class Pool:
    """Readers use `data` without a lock; it is replaced when a larger array is complete."""

    def __init__(
        self, dtype: DTypeLike, *, width: int | None = None, rows: int = 64, on_replaced: Callable[[], None]
    ) -> None:
        self._tail = () if width is None else (width,)
        self.data: NDArray[Any] = np.zeros((rows, *self._tail), dtype=dtype)
        self._on_replaced = on_replaced
        self._next: NDArray[Any] | None = None
        self._copied = 0
        self._top = 0
        self._free: dict[int, list[int]] = {}
        """Runs that were given back, by their length."""

    @property
    def used_rows(self) -> int:
        """No row from here on was ever taken."""
        return self._top

    @property
    def nbytes(self) -> int:
        return self.data.nbytes + (0 if self._next is None else self._next.nbytes)

    def reserve(self, rows: int) -> None:
        """Make room for so many rows more, at once."""
        if self._top + rows > len(self.data):
            self._begin(int(RESERVED * (self._top + rows)) + 16)
            self._copy(len(self.data))

    def take(self, rows: int) -> int:
        """The first of so many rows that are now the caller's; call `wrote` when they are filled."""
        if self._next is not None:
            self._copy(max(COPIED_BYTES // self._row_bytes(), COPIED_PER_TAKEN * rows))
        free = self._free.get(rows)
        if free:
            return free.pop()
        first = self._split(rows)
        if first is not None:
            return first
        if self._top + rows > len(self.data):
            self._grow_now(rows)
        first, self._top = self._top, self._top + rows
        if self._next is None and self._top > GROW_AT * len(self.data):
            self._begin(int(GROWTH * len(self.data)) + 16 + rows)
        return first

    def wrote(self, first: int, rows: int) -> None:
        """Rows changed: a larger array that is being filled must have them too."""
        if self._next is not None and first < self._copied:
            self._next[first : first + rows] = self.data[first : first + rows]

    def finish(self) -> None:
        """Completes a larger array that has begun, with a pause."""
        if self._next is not None:
            self._copy(len(self.data))

    def give_back(self, first: int, rows: int) -> None:
        if rows:
            self._free.setdefault(rows, []).append(first)

    def _split(self, rows: int) -> int | None:
        """From a free run of twice the length; others are left whole, so that runs do not crumble."""
        free = self._free.get(2 * rows) if rows > 1 else None
        if not free:
            return None
        first = free.pop()
        self.give_back(first + rows, rows)
        return first

    def _grow_now(self, rows: int) -> None:
        if self._next is None or len(self._next) < self._top + rows:
            self._next = None
            self._begin(int(GROWTH * (self._top + rows)) + 16)
        self._copy(len(self.data))

    def _begin(self, rows: int) -> None:
        self._next = np.empty((rows, *self._tail), dtype=self.data.dtype)
        self._copied = 0

    def _copy(self, rows: int) -> None:
        assert self._next is not None
        end = min(self._copied + rows, len(self.data))
        self._next[self._copied : end] = self.data[self._copied : end]
        self._copied = end
        if end == len(self.data):
            self.data, self._next = self._next, None
            self._on_replaced()

    def _row_bytes(self) -> int:
        return self.data.strides[0]
