"""Several loops as one: a process that does two things and ends as soon as one of them cannot go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading


class Loop(Protocol):
    def run(self, stop: threading.Event) -> None:
        """Blocks until `stop` is set."""


class Together:
    """Runs loops side by side. If one raises, all are stopped, and it is raised."""

    def __init__(self, *loops: Loop) -> None:
        self._loops = loops

    def run(self, stop: threading.Event) -> None:
        def run(loop: Loop) -> None:
            try:
                loop.run(stop)
            finally:
                # whoever ends early takes the others along: half a process would look healthy
                stop.set()

        with ThreadPoolExecutor(len(self._loops), thread_name_prefix="loop") as pool:
            ended = [pool.submit(run, loop) for loop in self._loops]
        for loop in ended:
            loop.result()
