"""A table of slots by key answers as a dictionary of sets does, whatever is put in and taken out meanwhile."""

from __future__ import annotations

import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.cell_table import FREE, SlotTable, entries_of

if TYPE_CHECKING:
    from geofences.model import Int64s

EDITS = st.lists(
    st.tuples(st.booleans(), st.sets(st.integers(1, 12), min_size=1, max_size=5), st.integers(0, 9)), max_size=60
)


def new_table() -> SlotTable:
    return SlotTable(on_replaced=lambda: None)


def column(*keys: int) -> Int64s:
    return np.array(sorted(keys), dtype=np.int64)


def held(table: SlotTable) -> dict[int, list[int]]:
    """What is in the table, by key, from its arrays alone."""
    keys = [key for key in table.buckets.keys.tolist() if key != FREE]
    assert len(keys) == len(set(keys))
    found = {key: entries_of(table.buckets, key).tolist() for key in keys}
    return {key: entries for key, entries in found.items() if entries}


@given(EDITS)
@settings(max_examples=150, deadline=None)
def test_a_table_holds_what_a_dictionary_of_sets_holds(edits: list[tuple[bool, set[int], int]]) -> None:
    table = new_table()
    expected: defaultdict[int, set[int]] = defaultdict(set)
    for is_put, wanted, entry in edits:
        keys = {key for key in wanted if not is_put or entry not in expected[key]}
        if keys:
            (table.put if is_put else table.drop)(column(*keys), entry)
        for key in keys:
            (expected[key].add if is_put else expected[key].discard)(entry)
    assert held(table) == {key: sorted(entries) for key, entries in expected.items() if entries}
    assert len(table) == len(held(table))


@pytest.mark.parametrize("keys_there_are", [50, 3_000, 10**7])
def test_it_grows_and_sheds_what_is_old_while_it_is_edited(keys_there_are: int) -> None:
    rng = np.random.default_rng(keys_there_are)
    table, puts = new_table(), []
    expected: defaultdict[int, set[int]] = defaultdict(set)
    for entry in range(6_000):
        keys = np.unique(rng.integers(1, 1 + keys_there_are, rng.integers(1, 9)))
        table.put(keys, entry)
        puts.append(keys)
        for key in keys.tolist():
            expected[key].add(entry)
        if entry >= 500 and entry % 3:
            old = entry - 500
            table.drop(puts[old], old)
            for key in puts[old].tolist():
                expected[key].discard(old)
    assert held(table) == {key: sorted(entries) for key, entries in expected.items() if entries}
    assert table.nbytes < 40 * (sum(map(len, expected.values())) + 500)


def test_many_at_once_are_as_many_one_by_one() -> None:
    rng = np.random.default_rng(9)
    pairs = np.unique(np.stack([rng.integers(1, 4_000, 20_000), rng.integers(0, 5_000, 20_000)], axis=1), axis=0)
    at_once, one_by_one = new_table(), new_table()
    half = len(pairs) // 2
    for part in (pairs[:half], pairs[half:], pairs[:0]):
        at_once.put_many(part[:, 0].copy(), part[:, 1].astype(np.int32))
    for entry in np.unique(pairs[:, 1]).tolist():
        one_by_one.put(pairs[pairs[:, 1] == entry, 0].copy(), entry)
    assert held(at_once) == held(one_by_one)


def test_a_bucket_larger_than_the_pool_makes_it_larger() -> None:
    table = new_table()
    for entry in range(2_000):
        table.put(column(7, 8), entry)
    assert held(table) == {7: list(range(2_000)), 8: list(range(2_000))}


def test_readers_find_what_lasts_while_the_table_is_rewritten() -> None:
    table, stop, wrong = new_table(), threading.Event(), []
    lasting = column(*range(1, 200))
    table.put(lasting, 5)

    def read() -> None:
        while not stop.is_set():
            buckets = table.buckets
            for key in lasting.tolist():
                entries = entries_of(buckets, key).tolist()
                if 5 not in entries or entries != sorted(entries):
                    wrong.append((key, entries))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for entry in range(10, 4_000):
        table.put(column(entry % 199 + 1, 1_000 + entry), entry)
        if entry >= 50:
            table.drop(column((entry - 40) % 199 + 1, 1_000 + entry - 40), entry - 40)
    stop.set()
    for reader in readers:
        reader.join()
    assert wrong == []
