"""SlotTable: which slots belong to a key, as a hash table that grows and shrinks without a pause. One writer.

Readers need no lock: a bucket is replaced, never changed; a key stands in the table only when its value does. A place
whose bucket became empty keeps its key until the table is next rewritten, which also drops the remains of old buckets.
Rewriting takes a few places with every edit; meanwhile edits go into the old table, which readers use, and the new one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geofences.compiled import compiled, release_fence

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from geofences.model import Int32s, Int64s

FREE = 0
"""A place without a key. No key may be 0."""
NOTHING = -1
"""The value of a key without entries; values >= 0 are the one entry, others say where a bucket begins."""
MIX, MIX_HINT = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)
"""2^64 over the golden ratio, and another large odd number."""
FRESH_LOAD, FULL_LOAD, LAST_LOAD = 0.68, 0.76, 0.9
"""Share of places taken: after rewriting, when it begins, and when it must be complete."""
FRESH_POOL, FULL_POOL = 2.0, 0.8
"""Room for buckets after rewriting, and the share taken when rewriting begins."""
LEAST_PLACES, LEAST_POOL, POOL_PER_KEY = 64, 256, 0.5
MOVED_PLACES = 128
"""With every edit: some 5 us."""
AHEAD_OF_FILLING = 1.25
"""The new table fills by so much faster than the room left in the old one shrinks."""
MANY_KEYS = 4_096
FITS, FILLING, OVERFULL = range(3)
USED, LIVE, TOP, ENTRIES = range(4)
"""Counts of a table: places with a key, keys with entries, words of the pool taken, entries in buckets and their
headers."""


class Buckets(NamedTuple):
    """A table's arrays. They belong together: places in `pool` stand in `values`."""

    keys: Int64s
    """Shape (places,)."""
    values: Int32s
    """Shape (places,)."""
    pool: Int32s
    """Buckets: how many entries follow, then these, rising."""
    hints: NDArray[np.uint8]
    """Shape (places + 1,): a bit for each key there is, so that most keys that are not there need no search."""
    counts: Int64s
    """Shape (4,): USED, LIVE, TOP, ENTRIES; only the writer reads them."""


@compiled
def home_of(key: int, places: int) -> int:
    """Where the search for a key begins: the high bits of its product, scaled to the number of places."""
    mixed = (np.uint64(key) ^ (np.uint64(key) >> np.uint64(32))) * MIX
    return np.int64(((mixed >> np.uint64(32)) * np.uint64(places)) >> np.uint64(32))  # type: ignore[return-value]


@compiled
def hint_of(key: int, places: int) -> tuple[int, int]:
    """The byte of `hints` and the bit in it that belong to a key: 8 bits a place, by other bits than `home_of`."""
    mixed = (np.uint64(key) ^ (np.uint64(key) >> np.uint64(29))) * MIX_HINT
    bit = ((mixed >> np.uint64(32)) * np.uint64(8 * places)) >> np.uint64(32)
    return np.int64(bit >> np.uint64(3)), np.int64(bit & np.uint64(7))  # type: ignore[return-value]


@compiled
def place_of(keys: Int64s, key: int) -> int:
    """The place of a key, or the free place where it would go."""
    places = len(keys)
    place = home_of(key, places)
    while keys[place] != key and keys[place] != FREE:
        place += 1
        if place == places:
            place = 0
    return place


@compiled
def _count_at(table: Buckets, place: int) -> int:
    if table.keys[place] == FREE or table.values[place] == NOTHING:
        return 0
    value = table.values[place]
    return 1 if value >= 0 else table.pool[-2 - value]


@compiled
def entries_of(table: Buckets, key: int) -> Int32s:
    """The entries of a key, rising."""
    place = place_of(table.keys, key)
    count = _count_at(table, place)
    found = np.empty(count, dtype=np.int32)
    value = table.values[place]
    if count and value >= 0:
        found[0] = value
    elif count:
        found[:] = table.pool[-1 - value : -1 - value + count]
    return found


@compiled
def _set(table: Buckets, place: int, key: int, entries: Int32s, count: int) -> None:
    """Give a place its key and entries; the pool must have room for them."""
    old_count = _count_at(table, place)
    table.counts[LIVE] += (1 if count else 0) - (1 if old_count else 0)
    table.counts[ENTRIES] += (count + 1 if count > 1 else 0) - (old_count + 1 if old_count > 1 else 0)
    if count > 1:
        top = table.counts[TOP]
        table.pool[top] = count
        table.pool[top + 1 : top + 1 + count] = entries[:count]
        table.counts[TOP] = top + 1 + count
        release_fence()
        table.values[place] = -2 - top
    else:
        table.values[place] = entries[0] if count else NOTHING
    if table.keys[place] == FREE:
        release_fence()
        table.keys[place] = key
        byte, bit = hint_of(key, len(table.keys))
        release_fence()
        table.hints[byte] |= np.uint8(1 << bit)
        table.counts[USED] += 1


@compiled
def _place_single(table: Buckets, place: int, key: int, entry: int) -> None:
    """Give a free place a key and its only entry."""
    table.values[place] = entry
    byte, bit = hint_of(key, len(table.keys))
    release_fence()
    table.keys[place] = key
    table.hints[byte] |= np.uint8(1 << bit)
    table.counts[USED] += 1
    table.counts[LIVE] += 1


@compiled
def _room(table: Buckets, keys: Int64s) -> int:
    """Words of the pool that putting one entry under each key may take."""
    words = 0
    for key in keys:
        words += _count_at(table, place_of(table.keys, key)) + 2
    return words


@compiled
def _fill_of(table: Buckets, keys: Int64s) -> int:
    """Whether an edit of these keys fits: FITS, or should have the table rewritten, or cannot be done before it is."""
    places = table.counts[USED] + len(keys)
    words = table.counts[TOP] + _room(table, keys)
    if places > LAST_LOAD * len(table.keys) or words > len(table.pool):
        return OVERFULL
    return FILLING if places > FULL_LOAD * len(table.keys) or words > FULL_POOL * len(table.pool) else FITS


@compiled
def _put(table: Buckets, keys: Int64s, entry: int) -> int:
    """Add an entry to each key unless the table is OVERFULL; returns how full it was."""
    fill = _fill_of(table, keys)
    if fill == OVERFULL:
        return fill
    for key in keys:
        place = place_of(table.keys, key)
        if table.keys[place] == FREE:
            _place_single(table, place, key, entry)
            continue
        count = _count_at(table, place)
        value = table.values[place]
        entries = np.empty(count + 1, dtype=np.int32)
        at = 0
        for i in range(count):
            old = value if value >= 0 else table.pool[-1 - value + i]
            if old < entry:
                entries[at] = old
                at += 1
        entries[at] = entry
        for i in range(at, count):
            entries[i + 1] = value if value >= 0 else table.pool[-1 - value + i]
        _set(table, place, key, entries, count + 1)
    return fill


@compiled
def _drop(table: Buckets, keys: Int64s, entry: int) -> int:
    """Take an entry away from each key unless the table is OVERFULL; returns how full it was."""
    fill = _fill_of(table, keys)
    if fill == OVERFULL:
        return fill
    for key in keys:
        place = place_of(table.keys, key)
        count = _count_at(table, place)
        value = table.values[place]
        entries = np.empty(count + 1, dtype=np.int32)
        kept = 0
        for i in range(count):
            old = value if value >= 0 else table.pool[-1 - value + i]
            if old != entry:
                entries[kept] = old
                kept += 1
        if kept < count:
            _set(table, place, key, entries, kept)
    return fill


@compiled
def _copy_key(table: Buckets, place: int, target: Buckets, target_place: int) -> None:
    """Give a place in the target what stands in a place here; the target's pool must have room for it."""
    value = table.values[place]
    if value >= NOTHING:
        single = np.empty(1, dtype=np.int32)
        single[0] = value
        _set(target, target_place, table.keys[place], single, 1 if value >= 0 else 0)
        return
    first, count = -1 - value, table.pool[-2 - value]
    _set(target, target_place, table.keys[place], table.pool[first : first + count], count)


@compiled
def _mirror(table: Buckets, keys: Int64s, target: Buckets) -> bool:
    """Give keys in the target what they have here; False if the target's pool has no room."""
    if target.counts[TOP] + _room(table, keys) > len(target.pool):
        return False
    for key in keys:
        _copy_key(table, place_of(table.keys, key), target, place_of(target.keys, key))
    return True


@compiled
def _move(table: Buckets, first: int, end: int, target: Buckets) -> bool:
    """The same for the keys of a run of places that are not in the target yet."""
    for place in range(first, end):
        key, value = table.keys[place], table.values[place]
        if key == FREE or value == NOTHING:
            continue
        target_place = place_of(target.keys, key)
        if target.keys[target_place] == key:
            continue
        if value >= 0:
            _place_single(target, target_place, key, value)
        else:
            if target.counts[TOP] + table.pool[-2 - value] + 1 > len(target.pool):
                return False
            _copy_key(table, place, target, target_place)
    return True


@compiled
def _pairs(table: Buckets, keys: Int64s, entries: Int32s) -> int:
    """Write every (key, entry) there is, in no order; returns how many."""
    row = 0
    for place in range(len(table.keys)):
        value = table.values[place]
        for i in range(_count_at(table, place)):
            keys[row] = table.keys[place]
            entries[row] = value if value >= 0 else table.pool[-1 - value + i]
            row += 1
    return row


@compiled
def _fill(table: Buckets, keys: Int64s, entries: Int32s) -> None:
    """Fill an empty table from pairs sorted by key, then entry."""
    first = 0
    for row in range(1, len(keys) + 1):
        if row == len(keys) or keys[row] != keys[first]:
            _set(table, place_of(table.keys, keys[first]), keys[first], entries[first:row], row - first)
            first = row


class SlotTable:
    """Readers use `buckets`, which is replaced when it was rewritten."""

    def __init__(self, *, on_replaced: Callable[[], None]) -> None:
        self.buckets = _empty(0, 0)
        self._on_replaced = on_replaced
        self._next: Buckets | None = None
        self._moved = 0
        self._filled = 0, 0
        """USED and TOP when rewriting began."""

    def __len__(self) -> int:
        """How many keys have entries."""
        return int(self.buckets.counts[LIVE])

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for buckets in (self.buckets, self._next) if buckets for array in buckets)

    def put(self, keys: Int64s, entry: int) -> None:
        """Add an entry to each of some distinct keys."""
        self._edit(_put, keys, entry)

    def drop(self, keys: Int64s, entry: int) -> None:
        """Take an entry away from each of some distinct keys."""
        self._edit(_drop, keys, entry)

    def _edit(self, change: Callable[[Buckets, Int64s, int], int], keys: Int64s, entry: int) -> None:
        fill = change(self.buckets, keys, entry)
        if fill == OVERFULL:
            self._rewrite_now(keys)
            fill = change(self.buckets, keys, entry)
            assert fill != OVERFULL
        if self._next is not None:
            if not _mirror(self.buckets, keys, self._next):
                self._rewrite_now(keys)
        elif fill == FILLING:
            self._begin(0, 0)
        if self._next is not None:
            self._step(max(MOVED_PLACES, self._due()))

    def finish(self) -> None:
        """Completes a rewriting that has begun, with a pause: two tables take twice the memory."""
        if self._next is not None:
            self._step(len(self.buckets.keys))

    def put_many(self, keys: Int64s, entries: Int32s) -> None:
        """Add entries to keys, both of shape (n,), each pair once: faster than one by one, with a pause."""
        if not len(keys):
            return
        held = self._entry_count()
        if len(keys) < MANY_KEYS or len(keys) < held // 8:
            order = np.argsort(entries, kind="stable")
            begins = np.flatnonzero(np.diff(entries[order], prepend=-1))
            for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(keys)], strict=True):
                rows = order[begin:end]
                self.put(keys[rows], int(entries[rows[0]]))
            return
        old_keys, old_entries = np.empty(held, dtype=np.int64), np.empty(held, dtype=np.int32)
        count = _pairs(self.buckets, old_keys, old_entries)
        assert count == held
        keys, entries = np.concatenate([old_keys, keys]), np.concatenate([old_entries, entries])
        order = np.lexsort((entries, keys))
        keys, entries = keys[order], entries[order]
        runs = np.diff(np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1], [True]])))
        words = int(np.sum(runs[runs > 1] + 1))
        self.buckets = _empty(len(runs), words)
        self._next = None
        _fill(self.buckets, keys, entries)
        self._on_replaced()

    def _entry_count(self) -> int:
        counts, values = self.buckets.counts, self.buckets.values
        in_buckets = int(np.sum((values < NOTHING) & (self.buckets.keys != FREE)))
        return int(counts[LIVE]) - in_buckets + int(counts[ENTRIES]) - in_buckets

    def _due(self) -> int:
        """Places to move at once, so that the new table is complete before the old one is full."""
        buckets, (used, top) = self.buckets, self._filled
        pool = (int(buckets.counts[TOP]) - top) / max(len(buckets.pool) - top, 1)
        places = (int(buckets.counts[USED]) - used) / max(LAST_LOAD * len(buckets.keys) - used, 1.0)
        return int(AHEAD_OF_FILLING * max(pool, places) * len(buckets.keys)) - self._moved

    def _begin(self, more_keys: int, more_words: int) -> None:
        counts = self.buckets.counts
        self._next = _empty(int(counts[LIVE]) + more_keys, int(counts[ENTRIES]) + more_words)
        self._moved = 0
        self._filled = int(counts[USED]), int(counts[TOP])

    def _step(self, places: int) -> None:
        assert self._next is not None
        end = min(self._moved + places, len(self.buckets.keys))
        if not _move(self.buckets, self._moved, end, self._next):
            self._rewrite_now(np.empty(0, dtype=np.int64))
            return
        self._moved = end
        if end == len(self.buckets.keys):
            self.buckets, self._next = self._next, None
            self._on_replaced()

    def _rewrite_now(self, keys: Int64s) -> None:
        """With a pause: when edits are so large that rewriting could not keep up with them."""
        self._begin(2 * len(keys), 4 * _room(self.buckets, keys))
        self._step(len(self.buckets.keys))


def _empty(keys: int, words: int) -> Buckets:
    """Room for keys, and for buckets that take so many words now; for keys that have none yet as well."""
    places = max(LEAST_PLACES, int(keys / FRESH_LOAD) + 1)
    words = max(LEAST_POOL, int(FRESH_POOL * words), int(POOL_PER_KEY * keys))
    return Buckets(
        keys=np.zeros(places, dtype=np.int64),
        values=np.zeros(places, dtype=np.int32),
        pool=np.zeros(words, dtype=np.int32),
        hints=np.zeros(places + 1, dtype=np.uint8),
        counts=np.zeros(4, dtype=np.int64),
    )
