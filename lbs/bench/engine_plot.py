"""The picture of `lbs bench engine`: positions a second by number of fences, one line an engine."""

# mypy: allow-untyped-calls

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, Any, Final

from lbs.bench.engine_report import OURS, TITLES
from lbs.bench.extras import extra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

COLORS: Final = {
    "lbs": "#0b6e4f",
    "lbs_with_state": "#3aa17e",
    "duckdb_spatial": "#b8860b",
    "shapely_strtree": "#3566a8",
    "redis_geosearch": "#c0392b",
    "tile38": "#7d3c98",
    "postgis_join": "#5d6d7e",
    "postgis_prepared": "#95a0ab",
}
FLOOR_COLOR: Final = "#555555"
LEAST_GAP: Final = 0.19
"""Between two labels, in powers of ten."""


def plot(runs: Sequence[Mapping[str, Any]], file: Path) -> None:
    """Draw the runs into a file; its ending says the format (png, svg, pdf)."""
    extra("matplotlib").use("agg")
    pyplot = extra("matplotlib.pyplot")
    figure, axes = pyplot.subplots(figsize=(9.0, 5.2), layout="constrained")
    sizes = [run["fences"] for run in runs]
    ends: list[tuple[float, str, str]] = []
    for name in (name for name in TITLES if any(name in run["rates"] for run in runs)):
        points = [(run["fences"], run["rates"][name]) for run in runs if name in run["rates"]]
        own = name in OURS
        axes.plot(
            *zip(*points, strict=True), color=COLORS[name], marker="o", markersize=5, linewidth=2.6 if own else 1.6
        )
        ends.append((points[-1][1], TITLES[name], COLORS[name]))
    floors = [run["floor"] for run in runs]
    axes.plot(sizes, floors, color=FLOOR_COLOR, linestyle=(0, (2, 3)), linewidth=1.2)
    ends.append((floors[-1], "floor: one cache miss", FLOOR_COLOR))
    axes.set(xscale="log", yscale="log", xlabel="fences", ylabel="positions matched a second, one core")
    axes.set_title("Which fences is a position in?", loc="left", fontsize=13, fontweight="bold")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.minorticks_off()
    axes.grid(visible=True, axis="y", color="#e4e7ea", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_formatter(lambda value, _: _short(value))
    _name_lines(axes, sizes, ends)
    figure.savefig(file, dpi=150, facecolor="white")
    pyplot.close(figure)


def _short(value: float) -> str:
    """A power of ten as people say it.

    >>> _short(1e7), _short(1e4), _short(100.0)
    ('10 M', '10 k', '100')
    """
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def _name_lines(axes: Any, sizes: Sequence[int], ends: Sequence[tuple[float, str, str]]) -> None:
    """Each line's name at its right end, moved up where two would overlap."""
    lowest = 0.0
    for value, title, color in sorted(ends):
        place = max(log10(value), lowest)
        lowest = place + LEAST_GAP
        axes.annotate(
            title,
            (sizes[-1], 10**place),
            xytext=(10, 0),
            textcoords="offset points",
            color=color,
            va="center",
            fontsize=9.5,
            fontweight="bold" if title in map(TITLES.get, OURS) else "normal",
            annotation_clip=False,
        )
