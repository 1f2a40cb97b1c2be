"""Ragged columns: rows of different length laid end to end, named by where each begins and how long it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from geofences.model import Int64s


def expand(first: Int64s, count: Int64s) -> tuple[Int64s, Int64s]:
    """Every element of every row, row by row.

    `first` and `count` have shape (n,): row i holds the elements first[i] .. first[i] + count[i] - 1. Returns two
    columns of shape (sum(count),): the row, and the element.

    >>> row, element = expand(np.array([10, 0, 4]), np.array([2, 0, 3]))
    >>> row.tolist(), element.tolist()
    ([0, 0, 2, 2, 2], [10, 11, 4, 5, 6])
    """
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    row = np.repeat(np.arange(len(count), dtype=np.int64), count)
    element = np.arange(total, dtype=np.int64) + np.repeat(first - ends + count, count)
    return row, element
