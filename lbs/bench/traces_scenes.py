"""What people and their phones do, scene by scene: fences, a true path, and the reports of it. Seeded, pure.

A report is off by a round Gaussian error of accuracy / 1.515, as the radius of 68 % that phones give means it. Errors
of one phone are independent of each other except where a scene says that they drift.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from lbs.bench.traces_plane import (
    Convex,
    Path,
    Shape,
    Walk,
    direction,
    log_uniform,
    place_within,
    rotated,
    some_shape,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from geofences.model import Floats

SIGMAS_PER_ACCURACY: Final = 1.515
UNDERWAY_S: Final = 1.0
"""From a report to its arrival, while the phone is online."""
DRIFT_S: Final = 60.0
"""Time in which a drifting error forgets all but 1 / e of itself."""
WALKING_MPS: Final = (1.0, 1.7)
DRIVING_MPS: Final = (10.0, 20.0)

REPORT_DTYPE: Final = np.dtype(
    [
        ("recorded_s", "f8"),
        ("received_s", "f8"),
        ("east_m", "f8"),
        ("north_m", "f8"),
        ("accuracy_m", "f8"),
        ("mocked", "?"),
    ]
)
Reports = NDArray[Any]
"""Shape (n,), dtype REPORT_DTYPE, in order of arrival; equal `received_s` are one request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One phone's story."""

    shapes: tuple[Shape, ...]
    path: Path
    reports: Reports


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    every_s: float
    """Between reports, give or take a fifth."""
    accuracy_m: float
    """Its median; each report's own differs by some 20 %."""
    drift_s: float = 0.0

    def reports(self, rng: np.random.Generator, path: Path) -> Reports:
        """All along a path, each received when it was recorded."""
        lasts_s = float(path.at_s[-1])
        steps_s = self.every_s * rng.uniform(0.8, 1.2, int(lasts_s / (0.8 * self.every_s)) + 2)
        at_s = np.cumsum(steps_s) - steps_s[0] * rng.random()
        at_s = at_s[at_s <= lasts_s]
        rows = np.zeros(len(at_s), dtype=REPORT_DTYPE)
        rows["recorded_s"], rows["received_s"] = at_s, at_s + UNDERWAY_S
        rows["accuracy_m"] = self.accuracy_m * np.exp(rng.normal(0.0, 0.2, len(at_s)))
        error = _drifting(rng, at_s, self.drift_s) * (rows["accuracy_m"] / SIGMAS_PER_ACCURACY)[:, None]
        rows["east_m"], rows["north_m"] = (path.places_m(at_s) + error).T
        return rows


def _drifting(rng: np.random.Generator, at_s: Floats, drift_s: float) -> Floats:
    """Errors in standard deviations, shape (n, 2): a Gauss-Markov process, or independent ones."""
    error: Floats = rng.normal(size=(len(at_s), 2))
    if drift_s > 0.0:
        keeps = np.exp(-np.diff(at_s) / drift_s)
        for i, kept in enumerate(keeps.tolist(), 1):
            error[i] = kept * error[i - 1] + math.sqrt(1.0 - kept * kept) * error[i]
    return error


def walk_in(rng: np.random.Generator) -> Scene:
    """Somebody walks to a shop, is in it for some minutes, and walks away."""
    shape = some_shape(rng, 25.0, 150.0)
    path, *_ = _visit(rng, shape, log_uniform(rng, 180.0, 1500.0))
    phone = Phone(every_s=rng.uniform(5.0, 20.0), accuracy_m=log_uniform(rng, 4.0, 25.0))
    return Scene(shapes=(shape,), path=path, reports=phone.reports(rng, path))


def mall(rng: np.random.Generator) -> Scene:
    """Shops side by side along a passage; somebody is in one to three of them, one after the other."""
    widths_m = rng.uniform(12.0, 40.0, int(rng.integers(4, 9)))
    walls_m = np.concatenate([[0.0], np.cumsum(widths_m)])
    back_m = rng.uniform(20.0, 40.0)
    turned = rng.uniform(0.0, 2.0 * math.pi)
    shops = tuple(
        Convex(corners_m=np.array([[west, 0.0], [east, 0.0], [east, back_m], [west, back_m]]))
        for west, east in zip(walls_m[:-1].tolist(), walls_m[1:].tolist(), strict=True)
    )
    speed_mps = rng.uniform(*WALKING_MPS)
    walk = Walk(np.array([-200.0, -5.0]))
    for chosen in np.sort(rng.choice(len(shops), int(rng.integers(1, 4)), replace=False)).tolist():
        door_m = np.array([shops[chosen].center_m[0], -5.0])
        walk.to(door_m, speed_mps).to(place_within(rng, shops[chosen], 3.0), speed_mps)
        walk.stay(log_uniform(rng, 180.0, 900.0)).to(door_m, speed_mps)
    path = walk.to(np.array([walls_m[-1] + 200.0, -5.0]), speed_mps).path()
    path = replace(path, corners_m=rotated(path.corners_m, turned))
    phone = Phone(every_s=rng.uniform(5.0, 15.0), accuracy_m=log_uniform(rng, 4.0, 12.0))
    return Scene(
        shapes=tuple(Convex(corners_m=rotated(shop.corners_m, turned)) for shop in shops),
        path=path,
        reports=phone.reports(rng, path),
    )


def kiosk(rng: np.random.Generator) -> Scene:
    """A visit of a fence that is smaller than the accuracy of the reports."""
    shape = some_shape(rng, 4.0, 10.0)
    path, *_ = _visit(rng, shape, log_uniform(rng, 180.0, 900.0))
    phone = Phone(every_s=rng.uniform(5.0, 20.0), accuracy_m=log_uniform(rng, 15.0, 50.0))
    return Scene(shapes=(shape,), path=path, reports=phone.reports(rng, path))


def drive_by(rng: np.random.Generator) -> Scene:
    """A car passes, at times through the fence, which takes it less than 30 s."""
    shape = some_shape(rng, 40.0, 120.0)
    path = _pass(rng, shape)
    phone = Phone(every_s=rng.uniform(2.0, 10.0), accuracy_m=log_uniform(rng, 4.0, 20.0))
    return Scene(shapes=(shape,), path=path, reports=phone.reports(rng, path))


def tunnel(rng: np.random.Generator) -> Scene:
    """Nothing is heard for minutes: amid a stay, from a stay until far away, or while somebody drives under a fence."""
    shape = some_shape(rng, 40.0, 150.0)
    phone = Phone(every_s=rng.uniform(5.0, 20.0), accuracy_m=log_uniform(rng, 4.0, 20.0))
    silence_s = rng.uniform(300.0, 1200.0)
    kind = rng.integers(3)
    if kind == 0:
        path, in_s, _ = _visit(rng, shape, silence_s + 480.0)
        gap_s = in_s + 240.0, in_s + 240.0 + silence_s
    elif kind == 1:
        path, in_s, out_s = _visit(rng, shape, silence_s)
        gap_s = in_s + 180.0, out_s + rng.uniform(40.0, 100.0)
    else:
        path = _pass(rng, shape)
        ((in_s, out_s),) = list(path.stays(shape)) or [(20.0, 20.0)]
        gap_s = in_s - 15.0, out_s + 15.0
    reports = phone.reports(rng, path)
    heard = (reports["recorded_s"] < gap_s[0]) | (reports["recorded_s"] > gap_s[1])
    return Scene(shapes=(shape,), path=path, reports=reports[heard])


def offline(rng: np.random.Generator) -> Scene:
    """A visit while the phone is offline: what it kept comes in batches, later and out of order, among new reports."""
    scene = walk_in(rng)
    ((in_s, out_s),) = scene.path.stays(scene.shapes[0])
    from_s, until_s = in_s - rng.uniform(0.0, 120.0), out_s + rng.uniform(-0.5 * (out_s - in_s), 150.0)
    return replace(scene, reports=_kept_back(rng, scene.reports, from_s, until_s))


def _kept_back(rng: np.random.Generator, reports: Reports, from_s: float, until_s: float) -> Reports:
    rows = reports.copy()
    kept = np.flatnonzero((rows["recorded_s"] >= from_s) & (rows["recorded_s"] < until_s))
    batches = [kept[i : i + 12] for i in range(0, len(kept), 12)]
    sent_s = until_s
    for nth in rng.permutation(len(batches)).tolist():
        sent_s += rng.uniform(2.0, 20.0)
        rows["received_s"][batches[nth]] = sent_s
    newest_first = rng.random() < 0.5  # noqa: PLR2004 - one in two
    return rows[np.lexsort((-rows["recorded_s"] if newest_first else rows["recorded_s"], rows["received_s"]))]


def edge(rng: np.random.Generator) -> Scene:
    """Somebody stands for minutes 5 to 30 m outside a border, or inside it."""
    return _stand_at_the_edge(rng, every_s=rng.uniform(5.0, 15.0), drift_s=0.0)


def edge_drifting(rng: np.random.Generator) -> Scene:
    """The same, with errors that drift."""
    return _stand_at_the_edge(rng, every_s=rng.uniform(5.0, 15.0), drift_s=DRIFT_S)


def edge_sparse(rng: np.random.Generator) -> Scene:
    """The same, with a report or two a minute."""
    return _stand_at_the_edge(rng, every_s=rng.uniform(30.0, 60.0), drift_s=0.0)


def _stand_at_the_edge(rng: np.random.Generator, *, every_s: float, drift_s: float) -> Scene:
    shape = some_shape(rng, 50.0, 150.0)
    depth_m = rng.uniform(5.0, 30.0)
    outside = rng.random() < 0.5  # noqa: PLR2004 - one in two
    spot_m, outward = shape.spot(rng, -depth_m if outside else min(depth_m, 0.9 * shape.depth_most_m))
    away_m = spot_m + outward * 200.0
    speed_mps = rng.uniform(*WALKING_MPS)
    path = Walk(away_m).to(spot_m, speed_mps).stay(rng.uniform(300.0, 1200.0)).to(away_m, speed_mps).path()
    phone = Phone(every_s=every_s, accuracy_m=log_uniform(rng, 5.0, 60.0), drift_s=drift_s)
    return Scene(shapes=(shape,), path=path, reports=phone.reports(rng, path))


def spoof(rng: np.random.Generator) -> Scene:
    """Amid a stay fixes jump far away, mostly into a fence there: 5 to 30 mocked ones, or 1 to 3 that are not."""
    jump_m = direction(rng) * rng.uniform(2_000.0, 10_000.0)
    phone = Phone(every_s=rng.uniform(5.0, 15.0), accuracy_m=log_uniform(rng, 4.0, 25.0))
    shape = some_shape(rng, 40.0, 150.0)
    path, in_s, _ = _visit(rng, shape, 600.0)
    reports = phone.reports(rng, path)
    first = int(np.searchsorted(reports["recorded_s"], in_s + 180.0))
    kind = rng.integers(3)
    fixes = slice(first, first + int(rng.integers(5, 31) if kind == 0 else rng.integers(1, 4)))
    reports["east_m"][fixes] += jump_m[0]
    reports["north_m"][fixes] += jump_m[1]
    reports["mocked"][fixes] = kind == 0
    there = shape.moved(jump_m)
    return Scene(shapes=(shape,) if kind == 2 else (shape, there), path=path, reports=reports)  # noqa: PLR2004


def _visit(rng: np.random.Generator, shape: Shape, lasts_s: float) -> tuple[Path, float, float]:
    """A walk in from afar, some places inside, and a walk away; the path, and when it enters and leaves."""
    speed_mps = rng.uniform(*WALKING_MPS)
    away_m = shape.reach_m + 200.0
    walk = Walk(shape.center_m + direction(rng) * away_m)
    places = int(rng.integers(1, 4))
    for _ in range(places):
        walk.to(place_within(rng, shape, 0.2 * shape.depth_most_m), speed_mps).stay(lasts_s / places)
    path = walk.to(shape.center_m + direction(rng) * away_m, speed_mps).path()
    ((in_s, out_s),) = path.stays(shape)
    return path, in_s, out_s


def _pass(rng: np.random.Generator, shape: Shape) -> Path:
    along = direction(rng)
    aside_m = np.array([-along[1], along[0]]) * rng.uniform(0.0, shape.reach_m + 40.0)
    begin_m, end_m = (shape.center_m + aside_m + along * way_m for way_m in (-700.0, 700.0))
    return Walk(begin_m).to(end_m, rng.uniform(*DRIVING_MPS)).path()


SCENES: Final[dict[str, Callable[[np.random.Generator], Scene]]] = {
    "walk_in": walk_in,
    "mall": mall,
    "kiosk": kiosk,
    "drive_by": drive_by,
    "tunnel": tunnel,
    "offline": offline,
    "edge": edge,
    "edge_drifting": edge_drifting,
    "edge_sparse": edge_sparse,
    "spoof": spoof,
}
