"""Many scenes, each at a place of its own on the earth: what the rules are given, and what is true of it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final

import numpy as np

from geofences.model import POSITION_DTYPE, STANDARD, LatLng, Positions
from lbs.bench.traces_plane import Plane
from lbs.bench.traces_scenes import SCENES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from geofences.model import Area, Circle
    from lbs.bench.traces_scenes import Scene

BEGIN_S: Final = 1_760_000_000
US_PER_S: Final = 1_000_000
TRUE_VISIT_S: Final = STANDARD.enter_after_s
"""Being inside for less is no visit."""
TRUE_DWELL_S: Final = STANDARD.dwell_s
TENANT: Final = 1
NORTHERNMOST_DEG, EASTERNMOST_DEG = 60, 178
"""Scenes are a degree apart, so that no fence is near another scene's phone."""
MOST_SCENES: Final = (2 * NORTHERNMOST_DEG) * (2 * EASTERNMOST_DEG)


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedFence:
    fence_id: int
    trace: int
    shape: Circle | Area


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueVisit:
    """Somebody was inside, for `TRUE_VISIT_S` or longer."""

    fence_id: int
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One phone: device_id is `trace` + 1."""

    trace: int
    scene: str
    fences: tuple[TracedFence, ...]
    positions: Positions
    """In order of arrival; equal `received_us` are one request. `recorded_us` need not be in order."""
    visits: tuple[TrueVisit, ...]


def make(*, scenes: Iterable[str] = tuple(SCENES), traces: int, seed: int) -> list[Trace]:
    """So many traces of each scene. The same seed makes the same traces of a scene, whatever else is made."""
    numbers = count()
    fence_ids = count(1)
    made = []
    for scene in scenes:
        rng = np.random.default_rng([seed, *scene.encode()])
        made += [_trace(next(numbers), scene, SCENES[scene](rng), fence_ids, seed) for _ in range(traces)]
    return made


def _trace(number: int, name: str, scene: Scene, fence_ids: Iterator[int], seed: int) -> Trace:
    plane = Plane(origin=_origin(number, seed))
    fences = tuple(
        TracedFence(fence_id=next(fence_ids), trace=number, shape=shape.shape(plane)) for shape in scene.shapes
    )
    visits = [
        TrueVisit(fence_id=fence.fence_id, from_us=_us(from_s), until_us=_us(until_s))
        for fence, shape in zip(fences, scene.shapes, strict=True)
        for from_s, until_s in scene.path.stays(shape)
        if until_s - from_s >= TRUE_VISIT_S
    ]
    return Trace(
        trace=number, scene=name, fences=fences, positions=_positions(number, scene, plane), visits=tuple(visits)
    )


def _origin(number: int, seed: int) -> LatLng:
    """A whole degree for each number, seeded, none twice."""
    places = np.random.default_rng([seed, 0]).permutation(MOST_SCENES)
    row, column = divmod(int(places[number]), 2 * EASTERNMOST_DEG)
    return LatLng(lat=row - NORTHERNMOST_DEG + 0.5, lng=column - EASTERNMOST_DEG + 0.5)


def _positions(number: int, scene: Scene, plane: Plane) -> Positions:
    reports = scene.reports
    rows = np.zeros(len(reports), dtype=POSITION_DTYPE)
    rows["device_id"], rows["tenant_id"] = number + 1, TENANT
    rows["recorded_us"], rows["received_us"] = (
        BEGIN_S * US_PER_S + (reports[name] * US_PER_S).astype(np.int64) for name in ("recorded_s", "received_s")
    )
    rows["lat"], rows["lng"] = plane.degrees(np.column_stack([reports["east_m"], reports["north_m"]]))
    rows["accuracy_m"], rows["speed_mps"] = reports["accuracy_m"], np.nan
    rows["flags"] = reports["mocked"]
    return rows


def _us(at_s: float) -> int:
    return BEGIN_S * US_PER_S + round(at_s * US_PER_S)
