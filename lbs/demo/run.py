"""`lbs demo` from beginning to end: everything up, a city that walks, and everything as it was before.

If anything fails on the way, what the demo started is ended all the same.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import redis

from lbs import clock
from lbs.demo.campaigns import ARRIVES_WITHIN
from lbs.demo.city import TIMEZONE
from lbs.demo.figures import Figures
from lbs.demo.home import Home
from lbs.demo.result import Bounds, summary
from lbs.demo.scene import Pace, Scene
from lbs.demo.stage import set_up

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbs.demo.screen import Screen
    from lbs.demo.stage import Stage

FRAME_EVERY_S: Final = 0.4
READ_EVERY_S: Final = 1.0
WALKERS_EVERY_S: Final = 1.0
READING_SHARE: Final = 20
"""Reading the figures takes at most one part in so many of the time: a long run must not slow itself down."""
SETTLED_FOR_S: Final = 1.5
SETTLE_MOST_S: Final = 12.0
"""After the last step: offers on their way still arrive, and phones still say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line said."""

    once: bool
    seconds: float | None
    walkers: int


class StoppedEarlyError(Exception):
    """Ctrl-C or TERM before anybody walked."""


def run(options: Options, screen: Screen) -> tuple[dict[str, Any], list[str]]:
    """The JSON of the run, and the channels on which nothing arrived.

    CommandError if the demo cannot be had, StoppedEarlyError if somebody stopped it before there was anything to tell.
    """
    home = Home()
    with ExitStack() as undo:
        undo.callback(_take_down, home, screen)
        with _stoppable():
            stage = set_up(home, screen, undo, walkers=options.walkers)
        scene = asyncio.run(_Walk(stage, options, screen).run())
        stored = stage.books.positions_stored()
        screen.goodbye(scene)
        for line in stage.doors.lines():
            screen.say(line)
        if stored < scene.tally.positions:
            screen.say(f"of {scene.tally.positions:,} positions that were answered 202, {stored:,} are stored")
    result = summary(scene.setting, scene.figures, scene.tally, stored=stored, seconds=scene.elapsed_s)
    return result | stage.doors.as_json(), [str(channel) for channel in scene.tally.silent_channels()]


def _take_down(home: Home, screen: Screen) -> None:
    # a second Ctrl-C must not leave half of it running
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with screen.step("Stopped what the demo had started") as note:
        stopped = home.down()
        note(", ".join(stopped) if stopped else "nothing: all was up before, and stays up")


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and TERM end the setting up wherever it is."""

    def stop(*_: object) -> None:
        raise StoppedEarlyError

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Walk:
    """The time during which people walk, in one event loop."""

    def __init__(self, stage: Stage, options: Options, screen: Screen) -> None:
        self._stage = stage
        self._screen = screen
        self._began_s = time.monotonic()
        scheduled_in = stage.scheduled_at + ARRIVES_WITHIN - clock.now()
        self._bounds = Bounds.of(
            once=options.once, seconds=options.seconds, scheduled_in_s=scheduled_in.total_seconds()
        )
        self._figures = Figures()
        self._pace = Pace()
        self._next_read_s = 0.0
        self._next_shown_s = 0.0

    async def run(self) -> Scene:
        """Returns the last moment, when everything has arrived."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        crowd = self._stage.crowd
        self._screen.start()
        try:
            crowd.start()
            while not self._is_over(stop):
                await self._moment(stop)
                crowd.raise_defect()
            walked_s = self._elapsed_s
            await crowd.stand_still()
            await self._settle()
        finally:
            self._screen.stop()
            await crowd.stop()
        return self._scene(walked_s)

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began_s

    def _is_over(self, stop: asyncio.Event) -> bool:
        tally = self._stage.tally
        return stop.is_set() or self._bounds.over(
            self._elapsed_s,
            all_channels=not tally.silent_channels(),
            scheduled=tally.by_campaign[self._stage.scheduled_id] > 0,
        )

    async def _moment(self, stop: asyncio.Event) -> None:
        """Show one frame and wait for the next."""
        if self._elapsed_s >= self._next_shown_s:
            with suppress(redis.RedisError):  # the console's map stands still meanwhile
                await asyncio.to_thread(self._stage.show_walkers)
            self._next_shown_s = self._elapsed_s + WALKERS_EVERY_S
        if self._elapsed_s >= self._next_read_s:
            await self._read()
            self._next_read_s = self._elapsed_s + max(READ_EVERY_S, READING_SHARE * self._figures.read_s)
        self._screen.show(self._scene(self._elapsed_s))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), FRAME_EVERY_S)

    async def _read(self) -> None:
        """Off the event loop, so that nobody's step waits for it."""
        stage = self._stage
        untimed = stage.tally.take_untimed()
        self._figures = await asyncio.to_thread(stage.books.read, clock.now())
        ids = [delivery.arrival.message_id for delivery in untimed]
        stage.tally.add_delays(untimed, await asyncio.to_thread(stage.books.received_at_s, ids))
        self._pace.note(self._elapsed_s, stage.tally.positions)

    async def _settle(self) -> None:
        """Wait until nothing is on its way any more: no message unsent, and nothing new for a while."""
        until_s = self._elapsed_s + SETTLE_MOST_S
        before: tuple[object, ...] | None = None
        while self._elapsed_s < until_s:
            await asyncio.sleep(SETTLED_FOR_S)
            await self._read()
            figures = self._figures
            state = (figures.events, figures.decisions, figures.notifications, self._stage.tally.arrivals)
            if not figures.on_the_way and state == before:
                return
            before = state

    def _scene(self, elapsed_s: float) -> Scene:
        stage = self._stage
        return Scene(
            now=clock.now().astimezone(ZoneInfo(TIMEZONE)),
            elapsed_s=elapsed_s,
            api_url=stage.api_url,
            has_console=stage.has_console,
            city=stage.city,
            setting=stage.setting,
            campaigns=stage.campaigns,
            figures=self._figures,
            tally=stage.tally,
            pace=self._pace,
            walkers=[phone.walker.at for phone in stage.phones],
        )
