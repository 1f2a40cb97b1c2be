"""The live view: one screen that fits 100 by 30 characters and grows from there. Takes a scene, knows no servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich import box
from rich.align import Align
from rich.layout import Layout
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from lbs.demo.figures import DELIVERED_AND_BEYOND, ON_THE_WAY, SENT_AND_BEYOND
from lbs.demo.map import CityMap, Frame, Layer
from lbs.demo.scene import Kind, Scene
from lbs.demo.tally import CHANNELS
from offers.model import NotificationState, Outcome

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

CHROME: Final = "grey50"
QUIET: Final = "grey62"
STORE: Final = "grey42"
WALKER: Final = "bright_cyan"
GOOD: Final = "bright_green"
HELD_BACK: Final = "yellow"
BRIGHT: Final = "bold bright_white"
KIND_STYLES: Final = {
    Kind.VISIT: WALKER,
    Kind.OFFERED: GOOD,
    Kind.SUPPRESSED: HELD_BACK,
    Kind.ARRIVED: "bright_magenta",
}
ARRIVED: Final = KIND_STYLES[Kind.ARRIVED]
SPARKS: Final = "▁▂▃▄▅▆▇█"
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
HEADER_LINES: Final = 2
TILE_LINES: Final = 4
TABLES_LINES: Final = 9
FRAME_LINES: Final = 2
FOOTER_LINES: Final = 1
MAP_SHARE: Final = 0.29
REASONS: Final = {
    "consent": "no consent to push",
    "reachable": "no channel",
    "staleness": "too late",
    "confidence": "position unsure",
    "already_inside": "was inside already",
    "window": "outside its hours",
    "open": "store closed",
    "cap": "had it already",
    "stock": "out of stock",
}
"""The gates in a shopper's words; a gate without any shows its own name."""


def render(scene: Scene, *, width: int, height: int) -> Layout:
    """The whole screen."""
    map_width = max(26, int(width * MAP_SHARE))
    right_width = width - map_width
    feed_lines = height - HEADER_LINES - TILE_LINES - TABLES_LINES - FOOTER_LINES - FRAME_LINES
    root = Layout()
    root.split_column(
        Layout(_header(scene), size=HEADER_LINES, name="header"),
        Layout(name="body"),
        Layout(_footer(scene), size=FOOTER_LINES, name="footer"),
    )
    root["body"].split_row(Layout(_map(scene), size=map_width), Layout(name="right"))
    root["right"].split_column(
        Layout(_tiles(scene), size=TILE_LINES),
        Layout(name="tables", size=TABLES_LINES),
        Layout(_feed(scene, lines=max(0, feed_lines), width=right_width - 4)),
    )
    root["tables"].split_row(Layout(_channels(scene)), Layout(_decisions(scene, lines=TABLES_LINES - FRAME_LINES)))
    return root


def _header(scene: Scene) -> RenderableType:
    minutes, seconds = divmod(int(scene.elapsed_s), 60)
    setting = scene.setting
    about = Text.assemble(
        (" LBS ", "bold black on bright_cyan"),
        ("  Helsinki", BRIGHT),
        (f"   {setting.stores:,} stores   {setting.devices:,} walkers   tenant {setting.tenant}", QUIET),
    )
    links = Text.assemble(
        (" API ", CHROME),
        (scene.api_url, f"link {scene.api_url}"),
        ("   OpenAPI ", CHROME),
        ("/openapi.json", f"link {scene.api_url}/openapi.json"),
    )
    if scene.has_console:
        links.append("   Console ", CHROME).append("/console/", f"link {scene.api_url}/console/")
    grid = Table.grid(expand=True)
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_row(about, Text(f"{minutes:02d}:{seconds:02d} ", BRIGHT))
    grid.add_row(links, "")
    return grid


def _footer(scene: Scene) -> RenderableType:
    legend = Text.assemble(
        (" ⠶", STORE), (" store  ", CHROME), ("⠶", WALKER), (" walker  ", CHROME), ("⠶", ARRIVED), (" offer", CHROME)
    )
    refused = scene.tally.rejected + scene.tally.failed_requests
    trouble = f"{refused:,} refused or failed requests   " if refused else ""
    grid = Table.grid(expand=True)
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_row(legend, Text.assemble((trouble, HELD_BACK), ("Ctrl-C stops ", CHROME)))
    return grid


def _map(scene: Scene) -> RenderableType:
    shops = [shop.spot for shop in scene.city.shops]
    layers = [
        Layer(spots=shops, style=Style.parse(STORE)),
        Layer(spots=scene.walkers, style=Style.parse(WALKER)),
        Layer(spots=scene.lit(), style=Style.parse(f"bold {ARRIVED}")),
    ]
    return _panel(CityMap(frame=Frame.about(shops), layers=layers), "The city")


def _tiles(scene: Scene) -> RenderableType:
    figures, tally = scene.figures, scene.tally
    p50_ms, p99_ms = tally.delay_ms(0.50), tally.delay_ms(0.99)
    waiting = figures.on_the_way
    tiles = [
        ("Positions", f"{tally.positions:,}", f"{scene.pace.per_s:.0f}/s {sparkline(list(scene.pace.history), 8)}"),
        ("Visits", f"{figures.visits:,}", f"{figures.inside:,} inside"),
        ("Offers", f"{figures.outcome(Outcome.OFFERED):,}", f"of {figures.decisions.total():,} asked"),
        ("Arrived", f"{sum(tally.arrivals.values()):,}", f"{waiting:,} waiting" if waiting else "none waiting"),
        (
            "Delivery",
            "-" if p50_ms is None else f"{p50_ms:,.0f} ms",
            "" if p99_ms is None else f"p99 {p99_ms:,.0f} ms",
        ),
    ]
    grid = Table.grid(expand=True)
    for _ in tiles:
        grid.add_column(ratio=1)
    grid.add_row(*(_panel(Text.assemble((big, BRIGHT), "\n", (small, QUIET)), title) for title, big, small in tiles))
    return grid


def _channels(scene: Scene) -> RenderableType:
    table = Table(box=None, expand=True, padding=(0, 0, 0, 1), header_style=CHROME)
    table.add_column("")
    for name in ("sent", "deliv.", "opened", "failed"):
        table.add_column(name, justify="right")
    table.add_column("arrived", justify="right", style=ARRIVED)
    for channel in CHANNELS:
        figures = scene.figures
        failed = figures.messages(channel, [NotificationState.FAILED])
        table.add_row(
            str(channel),
            f"{figures.messages(channel, SENT_AND_BEYOND):,}",
            f"{figures.messages(channel, DELIVERED_AND_BEYOND):,}",
            f"{figures.messages(channel, [NotificationState.OPENED]):,}",
            Text(f"{failed:,}", "bright_red" if failed else CHROME),
            f"{scene.tally.arrivals[channel]:,}",
        )
    waiting = {state: sum(scene.figures.messages(channel, [state]) for channel in CHANNELS) for state in ON_THE_WAY}
    table.add_section()
    note = "   ".join(f"{count:,} {state}" for state, count in waiting.items())
    grid = Table.grid(expand=True)
    grid.add_row(table)
    grid.add_row(Text(f"\n {note}", QUIET))
    return _panel(grid, "Messages")


def _decisions(scene: Scene, *, lines: int) -> RenderableType:
    rows = [("offered", scene.figures.outcome(Outcome.OFFERED), GOOD)]
    rows += [(REASONS.get(gate, gate), count, HELD_BACK) for gate, count in scene.figures.reasons().most_common()]
    most = max(count for _, count, _ in rows) or 1
    table = Table.grid(expand=True, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1)
    for name, count, style in rows[:lines]:
        table.add_row(Text(name, style), f"{count:,}", _Bar(count / most, style))
    return _panel(table, "Decisions")


def _feed(scene: Scene, *, lines: int, width: int) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1, 0, 0))
    table.add_column(width=8, style=CHROME)
    table.add_column(width=8)
    table.add_column(ratio=5, no_wrap=True, overflow="ellipsis")
    if width >= WIDE:
        table.add_column(ratio=4, no_wrap=True, overflow="ellipsis", style=QUIET)
    table.add_column(width=18, no_wrap=True, overflow="ellipsis", style=QUIET)
    for item in scene.feed(lines):
        style = KIND_STYLES[item.kind]
        at = f"{item.at.astimezone(scene.now.tzinfo):%H:%M:%S}"
        note = REASONS.get(item.note, item.note)
        what = Text(
            item.where if item.kind is Kind.VISIT else item.what, "" if item.kind is Kind.SUPPRESSED else "default"
        )
        cells: list[Text | str] = [at, Text(item.kind, style), what]
        if width >= WIDE:
            cells.append(Text("" if item.kind is Kind.VISIT else item.where))
        table.add_row(*cells, note)
    return _panel(table, "Just now")


WIDE: Final = 84
"""From here on the feed has room for the store beside the campaign."""


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
    '▁▄█'
    """
    shown = values[-width:]
    most = max(shown, default=0)
    if not most:
        return ""
    return "".join(SPARKS[min(len(SPARKS) - 1, int(value / most * (len(SPARKS) - 1) + 0.5))] for value in shown)


def _panel(content: RenderableType, title: str) -> Panel:
    return Panel(
        content,
        title=Text(title, CHROME),
        title_align="left",
        border_style="grey30",
        box=box.ROUNDED,
        padding=(0, 1),
    )


def goodbye(scene: Scene) -> RenderableType:
    """The totals, once everything has stopped."""
    figures, tally = scene.figures, scene.tally
    table = Table(box=box.SIMPLE_HEAD, header_style=CHROME, title="What came of it", title_justify="left")
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
    return Align.left(table)
