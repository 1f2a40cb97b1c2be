"""Whether published confidence is calibrated: of the positions of confidence p a share p should really be inside.

Reports are uniform in the fence, as only they have a confidence to publish. The true place of each is drawn a round
Gaussian error of accuracy / 1.515 away from it: that is where people are, given the report, if before it they were as
likely to be in one place about the fence as in another (a flat prior). They are binned by what `geofences.index`
publishes, and the share of true places inside is held against the mean confidence of each bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from geofences.index import confidence
from geofences.model import STANDARD, LatLng
from lbs.bench.traces_plane import Disc, Plane, Shape, log_uniform, some_shape
from lbs.bench.traces_scenes import SIGMAS_PER_ACCURACY
from lbs.bench.traces_tracker import index_of
from lbs.bench.traces_truth import Trace, TracedFence

if TYPE_CHECKING:
    from geofences.model import Bools, Floats

BINS: Final = 20
WELL_FILLED: Final = 2_000
"""Positions in a bin: the share's standard error is below 0.0112 then."""
REPORTS_A_FENCE: Final = 200
TURNS: Final = 64
"""Directions in which a disc's border is looked for."""
SIZES: Final = {
    "smaller": (0.3, 1.0),
    "like": (1.0, 3.0),
    "larger": (3.0, 20.0),
}
"""Radius of a fence in accuracies, from and to, log-uniform."""
ACCURACY_M: Final = (4.0, 60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """n reports that lie in a fence, as columns."""

    published: Floats
    """By `geofences.index.confidence`."""
    as_disc: Floats
    """By `disc_confidence`: of the same three numbers."""
    truly: Bools
    is_disc: Bools


def calibration(*, fences: int, seed: int) -> dict[str, Any]:
    """By size of the fences: bins of both formulas, and how far each is off at most in a well-filled bin."""
    found = {}
    for size, (least, most) in SIZES.items():
        rng = np.random.default_rng([seed, *size.encode()])
        drawn = sample(rng, fences=fences, least=least, most=most)
        shapes = {"discs": drawn.is_disc, "polygons": ~drawn.is_disc}
        found[size] = {
            name: {
                "published": _bins(drawn.published[rows], drawn.truly[rows]),
                "as_disc": _bins(drawn.as_disc[rows], drawn.truly[rows]),
            }
            for name, rows in shapes.items()
        }
    return found


def sample(rng: np.random.Generator, *, fences: int, least: float, most: float) -> Sample:
    """Reports about so many fences of `least` to `most` accuracies in radius."""
    accuracy_m = np.array([log_uniform(rng, *ACCURACY_M) for _ in range(fences)])
    shapes = [some_shape(rng, a * least, a * most) for a in accuracy_m.tolist()]
    plane = Plane(origin=LatLng(lat=50.0, lng=8.0))
    traced = tuple(TracedFence(fence_id=i + 1, trace=0, shape=s.shape(plane)) for i, s in enumerate(shapes))
    index = index_of(
        [Trace(trace=0, scene="", fences=traced, positions=np.empty(0, dtype=np.void), visits=())], STANDARD
    )
    reported_m = [_places_in(rng, shape) for shape in shapes]
    slot = np.repeat(np.arange(fences, dtype=np.int32), list(map(len, reported_m)))
    error_m = rng.normal(size=(len(slot), 2)) * (accuracy_m[slot] / SIGMAS_PER_ACCURACY)[:, None]
    truly_m = np.split(np.concatenate(reported_m) + error_m, np.flatnonzero(np.diff(slot)) + 1)
    columns = (
        index.measure(slot, *plane.degrees(np.concatenate(reported_m))),
        accuracy_m[slot],
        index.area_m2(slot),
    )
    return Sample(
        published=confidence(*columns),
        as_disc=disc_confidence(*columns),
        truly=np.concatenate([shape.depth_m(m) >= 0.0 for shape, m in zip(shapes, truly_m, strict=True)]),
        is_disc=np.array([isinstance(shape, Disc) for shape in shapes])[slot],
    )


def _places_in(rng: np.random.Generator, shape: Shape) -> Floats:
    """Uniform; as many of them as fall into the shape."""
    places_m = shape.center_m + rng.uniform(-shape.reach_m, shape.reach_m, (REPORTS_A_FENCE, 2))
    return np.asarray(places_m[shape.depth_m(places_m) >= 0.0])


def disc_confidence(signed_distance_m: Floats, accuracy_m: Floats, area_m2: Floats) -> Floats:
    """Probability that a position inside lies in a disc of that area whose border is so far away; shape (n,).

    Exact for discs: 1 - Q1(rho / sigma, r / sigma) with Marcum's Q, rho the distance to the centre, r the radius. Here
    as the mean of 1 - exp(-R^2 / (2 sigma^2)) over all directions, R being how far the border is in each.
    Accuracies are above 0.
    """
    sigma_m = accuracy_m / SIGMAS_PER_ACCURACY
    radius_m = np.sqrt(area_m2 / math.pi)
    off_m = np.maximum(radius_m - signed_distance_m, 0.0)[:, None]
    turn = 2.0 * math.pi * (np.arange(TURNS) + 0.5) / TURNS
    across_m = np.sqrt(np.maximum(radius_m[:, None] ** 2 - (off_m * np.sin(turn)) ** 2, 0.0))
    border_m = across_m - off_m * np.cos(turn)
    return np.asarray(-np.expm1(-(border_m**2) / (2.0 * sigma_m[:, None] ** 2)).mean(axis=1))


def _bins(believed: Floats, truly: Bools) -> dict[str, Any]:
    place = np.minimum((believed * BINS).astype(np.int64), BINS - 1)
    rows = [
        {
            "from": nth / BINS,
            "n": int(here.sum()),
            "confidence": float(believed[here].mean()),
            "share": float(truly[here].mean()),
        }
        for nth in range(BINS)
        if (here := place == nth).any()
    ]
    filled = [row["share"] - row["confidence"] for row in rows if row["n"] >= WELL_FILLED]
    return {
        "bins": rows,
        "well_filled": len(filled),
        "widest": max(filled, key=abs, default=None),
        "mean_confidence": float(believed.mean()),
        "mean_share": float(truly.mean()),
    }
