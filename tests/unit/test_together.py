"""Loops that run side by side end together."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from lbs.together import Together


@dataclass
class Waits:
    """Runs until it is told to stop."""

    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, stop: threading.Event) -> None:
        assert stop.wait(10)
        self.ended.set()


class Fails:
    def run(self, stop: threading.Event) -> None:
        assert not stop.is_set()
        raise LookupError("it cannot go on")


def test_one_that_cannot_go_on_takes_the_others_along_and_says_why() -> None:
    waits = Waits()
    with pytest.raises(LookupError, match="it cannot go on"):
        Together(waits, Fails()).run(threading.Event())
    assert waits.ended.is_set()


def test_all_end_when_they_are_told_to() -> None:
    loops = [Waits(), Waits()]
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    Together(*loops).run(stop)
    assert all(loop.ended.is_set() for loop in loops)
