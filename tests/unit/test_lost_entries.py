"""What two looks at a stream say about what went missing in between."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofences.log import START, Look, id_after, lost_entries


class Stream:
    """A stream as Redis keeps it, and an engine that reads it."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self.added = 0
        self.newest = 0
        self.now = 0
        self.offset = 0
        self.handled = 0
        self.unhandled_gone = 0

    def append(self) -> None:
        self.now += 1
        self.added += 1
        self.newest = self.now
        self.ids.append(self.now)

    def handle(self) -> None:
        waiting = [entry for entry in self.ids if entry > self.offset]
        if waiting:
            self.offset = waiting[0]
            self.handled += 1

    def flush(self) -> None:
        self.unhandled_gone += len([entry for entry in self.ids if entry > self.offset])
        self.ids, self.added, self.newest = [], 0, 0

    def delete_one(self) -> None:
        waiting = [entry for entry in self.ids if entry > self.offset]
        if waiting:
            self.ids.remove(waiting[-1])
            self.unhandled_gone += 1

    def look(self) -> Look:
        self.ids = [entry for entry in self.ids if entry > self.offset]
        return Look(last_id=f"{self.newest}-0", added=self.added, length=len(self.ids))


@given(st.lists(st.sampled_from(["append", "append", "handle", "look"])))
def test_a_whole_log_never_raises_an_alarm(steps: list[str]) -> None:
    stream = Stream()
    before = stream.look()
    for step in steps:
        if step == "look":
            now = stream.look()
            assert lost_entries(before, now, offset=f"{stream.offset}-0", handled=stream.handled) is None
            before, stream.handled = now, 0
        else:
            getattr(stream, step)()


@given(
    st.lists(st.sampled_from(["append", "append", "handle"]), max_size=12),
    st.lists(st.sampled_from(["append", "handle"]), max_size=12),
    st.lists(st.sampled_from(["append", "append", "handle"]), max_size=30),
)
def test_a_flush_of_a_log_that_was_ever_handled_is_seen_and_never_counted_too_high(
    first: list[str], then: list[str], after: list[str]
) -> None:
    stream = Stream()
    stream.append()
    stream.handle()
    for step in first:
        getattr(stream, step)()
    before = stream.look()
    stream.handled = 0
    for step in then:
        getattr(stream, step)()
    stream.flush()
    for step in after:
        getattr(stream, step)()
    now = stream.look()
    lost = lost_entries(before, now, offset=f"{stream.offset}-0", handled=stream.handled)
    if stream.unhandled_gone:
        assert lost is not None
        assert lost <= stream.unhandled_gone
    if "append" not in then and "append" not in after and before.length:
        assert lost == stream.unhandled_gone


@given(st.integers(1, 20), st.integers(0, 10), st.integers(1, 5))
def test_deleted_entries_are_counted(appended: int, handled: int, deleted: int) -> None:
    stream = Stream()
    before = stream.look()
    for _ in range(appended):
        stream.append()
    for _ in range(handled):
        stream.handle()
    for _ in range(deleted):
        stream.delete_one()
    lost = lost_entries(before, stream.look(), offset=f"{stream.offset}-0", handled=stream.handled)
    assert (lost or 0) == stream.unhandled_gone


@pytest.mark.parametrize(
    ("look", "offset", "lost"),
    [
        (Look(), START, None),
        (Look(last_id="9-0", added=3, length=3), START, None),
        (Look(last_id="9-0", added=3, length=1), "5-0", None),
        (Look(), "5-0", 0),
        (Look(last_id="4-0", added=9, length=0), "5-0", 0),
        (Look(last_id="9-0", added=3, length=3), "5-0", 0),
    ],
    ids=["new", "new and filled", "whole", "gone", "its tail gone", "another one that has grown past the offset"],
)
def test_who_takes_a_shard_over_sees_whether_its_log_is_the_one_that_was_handled(
    look: Look, offset: str, lost: Any
) -> None:
    assert lost_entries(None, look, offset=offset, handled=0) == lost


def test_ids_are_compared_as_numbers() -> None:
    assert id_after("10-0", "9-5")
    assert not id_after("9-5", "9-5")
