"""The panels with numbers: tiles, messages by channel, decisions by reason. How numbers look is decided here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lbs.demo.figures import DELIVERED_AND_BEYOND, SENT_AND_BEYOND
from lbs.demo.tally import CHANNELS
from offers.model import NotificationState, Outcome

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from lbs.demo.scene import Scene

CHROME: Final = "grey50"
QUIET: Final = "grey62"
STORE: Final = "grey42"
WALKER: Final = "bright_cyan"
GOOD: Final = "bright_green"
HELD_BACK: Final = "yellow"
ARRIVED: Final = "bright_magenta"
BRIGHT: Final = "bold bright_white"
SPARKS: Final = "▁▂▃▄▅▆▇█"
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
REASONS: Final = {
    "consent": "no consent to push",
    "reachable": "no channel",
    "staleness": "too late",
    "confidence": "position unsure",
    "already_inside": "was inside already",
    "dwell": "left too soon",
    "audience": "not for them",
    "window": "outside its hours",
    "open": "store closed",
    "quiet_hours": "wants quiet",
    "stacking": "another came first",
    "cool_down": "too soon again",
    "cap": "had it already",
    "stock": "out of stock",
    "budget": "budget spent",
}
"""The gates in a shopper's words; a gate without any shows its own name."""


def tiles(scene: Scene) -> RenderableType:
    figures, tally = scene.figures, scene.tally
    shown = [
        ("Positions", compact(tally.positions), f"{scene.pace.per_s:.0f}/s {sparkline(list(scene.pace.history), 5)}"),
        ("Visits", compact(figures.visits), f"{compact(figures.inside, upto=999)} inside"),
        ("Offers", compact(figures.outcome(Outcome.OFFERED)), f"of {compact(figures.decisions.total())}"),
        ("Arrived", compact(sum(tally.arrivals.values())), f"{compact(figures.on_the_way, upto=999)} to send"),
        ("Delivery", duration(tally.delay_ms(0.50)), f"p99 {duration(tally.delay_ms(0.99))}"),
    ]
    grid = Table.grid(expand=True)
    for _ in shown:
        grid.add_column(ratio=1)
    grid.add_row(
        *(
            panel(Text.assemble((big, BRIGHT), "\n", (small, QUIET), no_wrap=True), title, right=0)
            for title, big, small in shown
        )
    )
    return grid


def compact(number: int, *, upto: int = 99_999) -> str:
    """In full up to a limit, then in thousands or millions: never more than six characters.

    >>> compact(12_345), compact(123_456), compact(1_234_567), compact(1_234, upto=999)
    ('12,345', '123k', '1.2M', '1.2k')
    """
    if number <= upto:
        return f"{number:,}"
    size, unit = (1_000_000, "M") if number >= 1_000_000 else (1_000, "k")  # noqa: PLR2004 - a million
    return f"{number / size:.0f}{unit}" if number >= 10 * size else f"{number / size:.1f}{unit}"


def duration(ms: float | None) -> str:
    """In three figures.

    >>> duration(48.2), duration(1234.5), duration(None)
    ('48 ms', '1.2 s', '-')
    """
    if ms is None:
        return "-"
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.1f} s"  # noqa: PLR2004 - a second


def messages(scene: Scene) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 0, 0, 1))
    table.add_column(no_wrap=True)
    for _ in range(4):
        table.add_column(justify="right", no_wrap=True)
    table.add_row("", *(Text(name, CHROME) for name in ("sent", "deliv'd", "failed")), Text("arrived", ARRIVED))
    for channel in CHANNELS:
        failed = scene.figures.messages(channel, [NotificationState.FAILED])
        table.add_row(
            str(channel),
            compact(scene.figures.messages(channel, SENT_AND_BEYOND)),
            compact(scene.figures.messages(channel, DELIVERED_AND_BEYOND)),
            Text(compact(failed), "bright_red" if failed else CHROME),
            Text(compact(scene.tally.arrivals[channel]), ARRIVED),
        )
    opened = sum(scene.figures.messages(channel, [NotificationState.OPENED]) for channel in CHANNELS)
    note = Text(f"{opened:,} opened, {scene.figures.on_the_way:,} still to send", QUIET, no_wrap=True)
    return panel(Group(table, "", note), "Messages")


def decisions(scene: Scene, *, lines: int) -> RenderableType:
    rows = [("offered", scene.figures.outcome(Outcome.OFFERED), GOOD)]
    rows += [(REASONS.get(gate, gate), count, HELD_BACK) for gate, count in scene.figures.reasons().most_common()]
    most = max(count for _, count, _ in rows) or 1
    table = Table.grid(expand=True, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1)
    for name, count, style in rows[:lines]:
        table.add_row(Text(name, style), compact(count), _Bar(count / most, style))
    return panel(table, "Decisions")


class _Bar:
    """A bar of eighths of a character."""

    def __init__(self, share: float, style: str) -> None:
        self._share = share
        self._style = style

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console
        eighths = round(self._share * options.max_width * 8)
        whole, rest = divmod(eighths, 8)
        yield Text("█" * whole + (EIGHTHS[rest] if rest else ""), self._style, no_wrap=True, end="")


def sparkline(values: list[float], width: int) -> str:
    """The last values as a row of bars.

    >>> sparkline([0, 4, 8], 8)
    '▁▅█'
    """
    shown = values[-width:]
    most = max(shown, default=0)
    if not most:
        return ""
    return "".join(SPARKS[min(len(SPARKS) - 1, int(value / most * (len(SPARKS) - 1) + 0.5))] for value in shown)


def panel(content: RenderableType, title: str, *, right: int = 1) -> Panel:
    return Panel(
        content,
        title=Text(title, CHROME),
        title_align="left",
        border_style="grey30",
        box=box.ROUNDED,
        padding=(0, right, 0, 1),
    )


def goodbye(scene: Scene) -> RenderableType:
    """The totals, once everything has stopped."""
    figures, tally = scene.figures, scene.tally
    table = Table(box=box.SIMPLE_HEAD, header_style=CHROME, title="\nWhat came of it", title_justify="left")
    for name in ("", "sent", "delivered", "opened", "failed", "arrived"):
        table.add_column(name, justify="left" if not name else "right")
    for channel in CHANNELS:
        table.add_row(
            str(channel),
            f"{figures.messages(channel, SENT_AND_BEYOND):,}",
            f"{figures.messages(channel, DELIVERED_AND_BEYOND):,}",
            f"{figures.messages(channel, [NotificationState.OPENED]):,}",
            f"{figures.messages(channel, [NotificationState.FAILED]):,}",
            Text(f"{tally.arrivals[channel]:,}", ARRIVED),
        )
    return table
