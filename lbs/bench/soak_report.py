"""What `lbs bench soak` found, as a table and as a picture of lag and memory over time."""

# mypy: allow-untyped-calls

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbs.bench.extras import extra

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PARTS = 3
"""The load is told in so many parts of equal length: what is bounded does not grow from one to the next."""
LAG_COLOR, ENGINE_COLOR, API_COLOR = "#c0392b", "#0b6e4f", "#3566a8"


def as_text(result: Mapping[str, Any]) -> str:
    """Markdown."""
    lines = [
        "| part of the load | oldest entry that waits, s: median / longest | engine, MB | API, MB |",
        "|---|--:|--:|--:|",
    ]
    for number, part in enumerate(_parts(result), 1):
        oldest = sorted(look["oldest_s"] for look in part)
        lines.append(
            f"| {number} of {PARTS} | {oldest[len(oldest) // 2]:.2f} / {oldest[-1]:.2f}"
            f" | {max(look['engine_mb'] for look in part):.0f} | {max(look['api_mb'] for look in part):.0f} |"
        )
    minutes = result["seconds"] / 60
    lines.append(
        f"\nThe road carries {result['most_positions_s']:,.0f} positions/s here. {minutes:g} minutes at"
        f" {result['positions_s']:,.0f}/s with {result['edits']:,} edits of fences: {result['refused']:,} refused, the"
        f" latest request sent {result['latest_request_s']:.2f} s after its time, all handled"
        f" {result['drained_s']:.1f} s after the end. Of {result['checked_positions']:,} positions PostGIS finds"
        f" {result['checked_pairs']:,} in fences: {result['missing_pairs']} missing in the ledger,"
        f" {result['extra_pairs']} too many. Measured on {result['machine']}."
    )
    return "\n".join(lines)


def draw(result: Mapping[str, Any], file: Path) -> None:
    """Lag above, memory below; the file's ending says the format."""
    extra("matplotlib").use("agg")
    pyplot = extra("matplotlib.pyplot")
    figure, (lag, memory) = pyplot.subplots(2, 1, figsize=(9.0, 5.2), layout="constrained", sharex=True)
    looks = result["looks"]
    minutes = [look["at_s"] / 60 for look in looks]
    lag.plot(minutes, [look["oldest_s"] for look in looks], color=LAG_COLOR, linewidth=1.2)
    lag.set(ylabel="oldest entry, s", ylim=(0, None))
    lag.set_title(
        f"{result['positions_s']:,.0f} positions/s, {result['edits'] / result['seconds']:.0f} edits/s", loc="left",
        fontsize=13, fontweight="bold",
    )  # fmt: skip
    for name, color, title in (("engine_mb", ENGINE_COLOR, "engine"), ("api_mb", API_COLOR, "API")):
        memory.plot(minutes, [look[name] for look in looks], color=color, linewidth=1.8, label=title)
    memory.legend(loc="lower right", frameon=False, ncols=2)
    memory.set(xlabel="minutes", ylabel="memory, MB", ylim=(0, None))
    for axes in (lag, memory):
        axes.grid(visible=True, axis="y", color="#e4e7ea", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=150, facecolor="white")
    pyplot.close(figure)


def _parts(result: Mapping[str, Any]) -> list[list[Mapping[str, Any]]]:
    looks = result["looks"]
    length_s = result["seconds"] / PARTS
    return [[look for look in looks if min(PARTS - 1, int(look["at_s"] / length_s)) == part] for part in range(PARTS)]
