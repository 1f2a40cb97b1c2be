"""The cells of one fence in 32 bits each: how far each lies beyond the first, in cells of their resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geofences.model import Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RESOLUTION_SHIFT = 52
"""Where an H3 index keeps its resolution, in 4 bits."""
DIGIT_BITS = 3
FINEST = 15
LOW_32 = 0xFFFF_FFFF


def pack_cells(cells: Sequence[Cell]) -> tuple[int, NDArray[np.uint32]]:
    """The first of the sorted cells, and how to get to the others: one number each, or two if they lie far apart.

    Two if the first of the numbers is not 0: a first cell is never beyond itself.
    """
    first = cells[0]
    shift = DIGIT_BITS * (FINEST - resolution_of(first))
    steps = [(cell - first) >> shift for cell in cells]
    near = all(0 <= step <= LOW_32 and first + (step << shift) == cell for step, cell in zip(steps, cells, strict=True))
    if near:
        return first, np.array(steps, dtype=np.uint32)
    words = [1]
    for cell in cells:
        words += [cell >> 32, cell & LOW_32]
    return first, np.array(words, dtype=np.uint32)


def unpack_cells(first: int, packed: NDArray[np.uint32]) -> tuple[Cell, ...]:
    words = packed.tolist()
    if words[0] == 0:
        shift = DIGIT_BITS * (FINEST - resolution_of(first))
        return tuple(Cell(first + (step << shift)) for step in words)
    return tuple(Cell(high << 32 | low) for high, low in zip(words[1::2], words[2::2], strict=True))


def resolution_of(cell: int) -> int:
    return (cell >> RESOLUTION_SHIFT) & 0xF
