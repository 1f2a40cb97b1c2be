"""The keys of one fence's cells in 32 bits each: how far each lies from the first in q and r, 16 bits each. Compiled.

Kept so that the fence can be taken out of its cells again without asking H3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geofences.compiled import compiled

if TYPE_CHECKING:
    from geofences.model import Int64s

Words = NDArray[np.uint32]
Q_SHIFT = 27
"""As in `planar`: a key holds q above this bit and r below."""
HALF_RANGE = 2**15
LOW_32 = 0xFFFF_FFFF


@compiled
def _step(first: int, key: int) -> int:
    """The word for a key; -1 if it lies too far from the first, or on another face."""
    r_mask = (1 << Q_SHIFT) - 1
    d_q = (key >> Q_SHIFT) - (first >> Q_SHIFT) + HALF_RANGE
    d_r = (key & r_mask) - (first & r_mask) + HALF_RANGE
    fits = 0 <= d_q < 2 * HALF_RANGE and 0 <= d_r < 2 * HALF_RANGE
    return (d_q << 16) | d_r if fits else -1


@compiled
def words_for(keys: Int64s) -> int:
    """How many words the keys take: one each, or two if they lie far apart."""
    for key in keys:
        if _step(keys[0], key) < 0:
            return 2 * len(keys)
    return len(keys)


@compiled
def pack_keys(keys: Int64s, words: Words) -> None:
    """Fill as many words as `words_for` says."""
    if len(words) == len(keys):
        for i in range(len(keys)):
            words[i] = _step(keys[0], keys[i])
        return
    for i in range(len(keys)):
        words[2 * i], words[2 * i + 1] = keys[i] >> 32, keys[i] & LOW_32


@compiled
def unpack_keys(first: int, words: Words, count: int) -> Int64s:
    """The keys again, `count` of them."""
    keys = np.empty(count, dtype=np.int64)
    r_mask = (1 << Q_SHIFT) - 1
    for i in range(count):
        if len(words) == count:
            d_q, d_r = (np.int64(words[i]) >> 16) - HALF_RANGE, (np.int64(words[i]) & 0xFFFF) - HALF_RANGE
            keys[i] = (((first >> Q_SHIFT) + d_q) << Q_SHIFT) + (first & r_mask) + d_r
        else:
            keys[i] = (np.int64(words[2 * i]) << 32) | np.int64(words[2 * i + 1])
    return keys
