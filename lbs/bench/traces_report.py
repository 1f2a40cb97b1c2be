"""The figures of `lbs bench traces` as tables of Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lbs.bench.engine_report import markdown
from lbs.runtime import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BEGIN, END = "<!-- bench traces -->", "<!-- /bench traces -->"
RULES: Final = {"standard": "`standard`", "plain": "`plain`", "postgis": "PostGIS rule"}
SCENES: Final = {
    "walk_in": "walk-in",
    "mall": "mall with neighbours",
    "kiosk": "fence smaller than the accuracy",
    "drive_by": "drive-by",
    "tunnel": "tunnel gap",
    "offline": "offline, flushed late",
    "edge": "edge, independent errors",
    "edge_drifting": "edge, drifting errors",
    "edge_sparse": "edge, 1 or 2 reports a minute",
    "spoof": "spoofed jump",
}
SIZES: Final = {
    "smaller": "0.3 to 1 accuracies",
    "like": "1 to 3 accuracies",
    "larger": "3 to 20 accuracies",
}


def for_documents(result: Mapping[str, Any]) -> str:
    """All tables, and what they are of."""
    goal = result["edge"]
    recall = "-" if goal["recall"] is None else f"{goal['recall']:.3f}"
    told = (
        f"{result['traces']} traces a scene, seed {result['seed']}: {result['reports']:,} reports. At the edge, with"
        f" independent errors, `standard` tells {goal['standard']} false enters and the PostGIS rule {goal['postgis']}:"
        f" {goal['ratio']:.3f} of them. `standard` finds {recall} of the visits of walk-in, mall and edge together."
    )
    return "\n\n".join([markdown(event_rows(result)), told, markdown(calibration_rows(result["calibration"]))])


def event_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """A row for each scene and rule; the head comes first."""
    rows = [
        [
            "scene (true visits)",
            "rule",
            "enters: false",
            "precision",
            "recall",
            "delay p50 / p95, s",
            "exits: precision",
            "recall",
            "delay p50 / p95, s",
            "dwells: precision",
            "recall",
        ]
    ]
    for scene, found in result["scenes"].items():
        for nth, (rule, title) in enumerate(RULES.items()):
            enter, leave, dwell = (found["rules"][rule][kind] for kind in ("enter", "exit", "dwell"))
            rows.append(
                [
                    f"{SCENES[scene]} ({enter['true']})" if nth == 0 else "",
                    title,
                    str(enter["false"]),
                    _share(enter["precision"]),
                    _share(enter["recall"]),
                    _delays(enter["delay_s"]),
                    _share(leave["precision"]),
                    _share(leave["recall"]),
                    _delays(leave["delay_s"]),
                    _share(dwell["precision"]),
                    _share(dwell["recall"] if dwell["told"] else None),
                ]
            )
    return rows


def calibration_rows(calibration: Mapping[str, Any]) -> list[list[str]]:
    """A row for each size and kind of fence; the head comes first."""
    rows = [
        [
            "radius of the fence",
            "shape",
            "published: mean",
            "truly inside",
            "widest bin off by",
            "as a disc: mean",
            "widest bin off by",
        ]
    ]
    for size, by_shape in calibration.items():
        for shape, found in by_shape.items():
            published, as_disc = found["published"], found["as_disc"]
            rows.append(
                [
                    SIZES[size],
                    shape,
                    f"{published['mean_confidence']:.3f}",
                    f"{published['mean_share']:.3f}",
                    _signed(published["widest"]),
                    f"{as_disc['mean_confidence']:.3f}",
                    _signed(as_disc["widest"]),
                ]
            )
    return rows


def write_between_marks(document: Path, text: str) -> None:
    """Replace what stands between the marks of this benchmark; CommandError if they are not there, once each."""
    old = document.read_text(encoding="utf-8")
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise CommandError(f"{document}: the marks {BEGIN} and {END} are not there")
    head, _, rest = old.partition(BEGIN)
    tail = rest.partition(END)[2]
    document.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _delays(delay_s: Mapping[str, float | None]) -> str:
    if delay_s["p50"] is None or delay_s["p95"] is None:
        return "-"
    return f"{round(delay_s['p50'])} / {round(delay_s['p95'])}"
