"""The live view: one screen that fits 100 by 30 characters and grows from there. Takes a scene, knows no servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.layout import Layout
from rich.style import Style
from rich.table import Table
from rich.text import Text

from lbs.demo.map import CityMap, Frame, Layer
from lbs.demo.panels import (
    ARRIVED,
    BRIGHT,
    CHROME,
    GOOD,
    HELD_BACK,
    QUIET,
    REASONS,
    STORE,
    WALKER,
    decisions,
    messages,
    panel,
    tiles,
)
from lbs.demo.scene import Kind

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lbs.demo.scene import Scene

KIND_STYLES: Final = {
    Kind.VISIT: WALKER,
    Kind.OFFERED: GOOD,
    Kind.SUPPRESSED: HELD_BACK,
    Kind.ARRIVED: ARRIVED,
}
HEADER_LINES: Final = 2
TILE_LINES: Final = 4
TABLES_LINES: Final = 9
FRAME_LINES: Final = 2
FOOTER_LINES: Final = 1
WIDE: Final = 84
"""From here on the feed has room for the store beside the campaign."""
MAP_SHARE: Final = 0.28
MAP_LEAST_WIDTH: Final = 26
MESSAGES_WIDTH: Final = 40


def render(scene: Scene, *, width: int, height: int) -> Layout:
    """The whole screen."""
    map_width = max(MAP_LEAST_WIDTH, int(width * MAP_SHARE))
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
        Layout(tiles(scene), size=TILE_LINES),
        Layout(name="tables", size=TABLES_LINES),
        Layout(_feed(scene, lines=max(0, feed_lines), width=right_width - 4)),
    )
    root["tables"].split_row(
        Layout(messages(scene), size=MESSAGES_WIDTH), Layout(decisions(scene, lines=TABLES_LINES - FRAME_LINES))
    )
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
    local = Text.assemble((f"{scene.now:%a %H:%M} there", QUIET), (f"   {minutes:02d}:{seconds:02d} ", BRIGHT))
    grid.add_row(about, local)
    grid.add_row(links, "")
    return grid


def _footer(scene: Scene) -> RenderableType:
    legend = Text.assemble(
        (" ⠶", STORE), (" store  ", CHROME), ("⠶", WALKER), (" walker  ", CHROME), ("⠶", ARRIVED), (" offer", CHROME)
    )
    refused = scene.tally.rejected + scene.tally.failures.total()
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
    return panel(CityMap(frame=Frame.about(shops), layers=layers), "The city")


def _feed(scene: Scene, *, lines: int, width: int) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1, 0, 0))
    table.add_column(width=8, style=CHROME)
    table.add_column(width=8)
    table.add_column(ratio=5, no_wrap=True, overflow="ellipsis")
    if width >= WIDE:
        table.add_column(ratio=4, no_wrap=True, overflow="ellipsis", style=QUIET)
    table.add_column(width=18, no_wrap=True, overflow="ellipsis", style=QUIET)
    for item in scene.feed(lines):
        note = REASONS.get(item.note, item.note)
        cells: list[str | Text] = [
            f"{item.at.astimezone(scene.now.tzinfo):%H:%M:%S}",
            Text(item.kind, KIND_STYLES[item.kind]),
            item.what,
        ]
        if width >= WIDE:
            cells += [item.where, note]
        else:
            # of an offer the store says more than the phone
            cells.append(item.where if item.kind is Kind.OFFERED else note)
        table.add_row(*cells)
    return panel(table, "Just now")
