"""Where the demo speaks: a live view on a terminal, plain lines anywhere else. Both go to standard error."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from lbs.demo.panels import CHROME, GOOD, QUIET, goodbye
from lbs.demo.scene import plain_line
from lbs.demo.view import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from lbs.demo.scene import Scene

LINE_EVERY_S: Final = 5.0
LEAST_WIDTH: Final = 80
LEAST_HEIGHT: Final = 24


class Screen(Protocol):
    """Steps first; then, between `start` and `stop`, moments as they pass; then the totals."""

    def step(self, what: str) -> AbstractContextManager[Callable[[str], None]]: ...
    def say(self, text: str) -> None: ...
    def start(self) -> None: ...
    def show(self, scene: Scene) -> None: ...
    def stop(self) -> None: ...
    def goodbye(self, scene: Scene) -> None: ...


def make_screen(*, plain: bool) -> Screen:
    """The live view if standard error is a terminal with room for it, and nobody asked for plain lines."""
    console = Console(stderr=True, highlight=False)
    roomy = console.width >= LEAST_WIDTH and console.height >= LEAST_HEIGHT
    return LiveScreen(console) if console.is_terminal and roomy and not plain else PlainScreen()


class PlainScreen:
    """A line a step, and one every few seconds."""

    def __init__(self) -> None:
        self._next_s = 0.0

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[str], None]]:
        notes: list[str] = []
        began_s = time.monotonic()
        yield notes.append
        _line(f"{what}: {', '.join(notes)} ({time.monotonic() - began_s:.1f} s)")

    def say(self, text: str) -> None:
        _line(text)

    def start(self) -> None:
        _line("People start walking")

    def show(self, scene: Scene) -> None:
        if scene.elapsed_s >= self._next_s:
            self._next_s = scene.elapsed_s + LINE_EVERY_S
            _line(plain_line(scene))

    def stop(self) -> None:
        pass

    def goodbye(self, scene: Scene) -> None:
        _line(plain_line(scene))


def _line(text: str) -> None:
    sys.stderr.write(f"demo: {text}\n")
    sys.stderr.flush()


class LiveScreen:
    """The alternate screen while people walk; what was on the terminal before is there again afterwards."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[str], None]]:
        notes: list[str] = []
        began_s = time.monotonic()
        with self._console.status(Text(what, QUIET), spinner="dots"):
            yield notes.append
        took_s = time.monotonic() - began_s
        line = Text.assemble((" ✓ ", GOOD), what, ("  " + ", ".join(notes), QUIET), (f"  {took_s:.1f} s", CHROME))
        self._console.print(line, soft_wrap=True)

    def say(self, text: str) -> None:
        self._console.print(Text(f"   {text}", CHROME), soft_wrap=True)

    def start(self) -> None:
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._live.start()

    def show(self, scene: Scene) -> None:
        if self._live is not None:
            width, height = self._console.size
            self._live.update(render(scene, width=width, height=height), refresh=True)

    def stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def goodbye(self, scene: Scene) -> None:
        self._console.print(goodbye(scene))
