"""`lbs bench traces`: two profiles and a plain PostGIS rule against a known truth, and how calibrated confidence is.

Nothing here depends on speed: the same seed gives the same figures on any machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from geofences.model import PROFILES
from lbs.bench.traces_calibration import calibration
from lbs.bench.traces_postgis import told_by_postgis
from lbs.bench.traces_score import ENTER, KINDS, Event, score
from lbs.bench.traces_tracker import told_by_tracker
from lbs.bench.traces_truth import make

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lbs.bench.home import BenchHome
    from lbs.bench.traces_truth import Trace

STEPS: Final = 5
CALIBRATION_FENCES: Final = 3_000
"""Of each size."""
FOUND_IN: Final = ("walk_in", "mall", "edge")
"""Scenes over which the recall of the goal is taken."""
Told = dict[str, "list[Event]"]
"""By rule."""


def run(home: BenchHome, *, traces: int, seed: int, step: Callable[[str], None]) -> dict[str, Any]:
    """The figures; `step` is told what comes next, STEPS times."""
    step("making traces")
    made = make(traces=traces, seed=seed)
    told: Told = {}
    for name in ("standard", "plain"):
        step(f"following them with profile {name}")
        told[name] = told_by_tracker(made, PROFILES[name])
    step("asking PostGIS")
    told["postgis"] = told_by_postgis(home.settings, made)
    step("calibrating confidence")
    return figures(made, told) | {
        "traces": traces,
        "seed": seed,
        "calibration": calibration(fences=CALIBRATION_FENCES, seed=seed),
    }


def figures(traces: Sequence[Trace], told: Mapping[str, Sequence[Event]]) -> dict[str, Any]:
    """Scores by scene and rule, and what becomes of the false enters at the edge."""
    scenes: dict[str, list[Trace]] = {}
    for trace in traces:
        scenes.setdefault(trace.scene, []).append(trace)
    scored = {
        scene: {
            "reports": sum(len(trace.positions) for trace in own),
            "rules": {
                rule: {kind: score(kind, own, events).as_dict() for kind in KINDS} for rule, events in told.items()
            },
        }
        for scene, own in scenes.items()
    }
    return {
        "reports": sum(len(trace.positions) for trace in traces),
        "scenes": scored,
        "edge": _edge(scored),
    }


def _edge(scored: Mapping[str, Any]) -> dict[str, Any]:
    """False enters of both rules there, and the share of visits that `standard` finds in FOUND_IN."""
    standard, postgis = (scored["edge"]["rules"][rule][ENTER]["false"] for rule in ("standard", "postgis"))
    found = [scored[scene]["rules"]["standard"][ENTER] for scene in FOUND_IN]
    true = sum(enter["true"] for enter in found)
    return {
        "standard": standard,
        "postgis": postgis,
        "ratio": standard / max(postgis, 1),
        "recall": sum(enter["right"] for enter in found) / true if true else None,
    }
