"""The tracker's rules once more, written for the eye: slow, in order only, one fence at a time. An oracle for tests."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geofences.geodesy import geodesic_distance_m
from geofences.model import FOREVER_US, Circle, DeviceId, EndedBy, Fence, Verdict, VisitStatus
from tests.support.reference_fold import NEVER_US, Fold, Visit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geofences.model import Positions
    from geofences.states import Moments

MAX_ACCURACY_M, MAX_SPEED_MPS, GOOD_FOR_US, BELIEVED = 200.0, 70.0, 600_000_000, 3
RADIUS_M = 6_371_008.8
NONE_US = -(2**62)


SAMPLES_A_METRE = 4


@dataclass(frozen=True, slots=True)
class Crossing:
    """A way through a fence between two positions outside it, to a quarter of a metre."""

    device_id: int
    fence_id: int
    entered_us: int
    exited_us: int
    speed_mps: float

    @property
    def length_m(self) -> float:
        return self.speed_mps * (self.exited_us - self.entered_us) / 1e6


def reference_ledger(
    fences: Sequence[Fence], rows: Positions, end_us: int
) -> tuple[list[tuple[Any, ...]], list[Crossing]]:
    """Visits that there are at `end_us`, and crossings.

    A visit is device, fence, entered, exited, dwelled, status, ended_by, positions.
    """
    by_fence: dict[int, list[Fence]] = {}
    for fence in sorted(fences, key=lambda f: f.version):
        by_fence.setdefault(fence.fence_id, []).append(fence)
    ledger: list[tuple[Any, ...]] = []
    crossings: list[Crossing] = []
    for device_id in sorted(set(rows["device_id"].tolist())):
        own = rows[rows["device_id"] == device_id]
        own = own[np.argsort(own["recorded_us"], kind="stable")]
        good = own[_good(own)]
        for versions in by_fence.values():
            ledger += _visits(versions, good, end_us, crossings)
    return sorted(ledger), crossings


def _visits(versions: list[Fence], good: Positions, end_us: int, crossings: list[Crossing]) -> list[tuple[Any, ...]]:
    fold = Fold(profile=versions[0].profile, visit=None, last_us=-NEVER_US, events=[], finished=[])
    here: Moments | None = None
    for position in [*good, None]:
        at_us = end_us if position is None else int(position["recorded_us"])
        _live_through_changes(fold, versions, here, at_us)
        if position is None:
            fold.settle(end_us)
            break
        fence = next((f for f in versions if f.valid_from_us <= at_us < f.valid_to_us), None)
        fold.settle(at_us)
        about_it = fold.visit is not None and not fold.visit.finished
        inside = fence is not None and _distance_m(fence, position) >= 0
        if here is not None and not about_it and not inside:
            crossings += itertools.islice(_crossings(versions, here, position), 1)
        if fence is None:
            fold.settle(at_us)
            fold.last_us = at_us
        else:
            verdict, believed = _verdict(fence, position)
            fold.verdict(
                verdict, fence=fence, device_id=DeviceId(int(position["device_id"])), at_us=at_us, confidence=believed
            )
        here = position
    visits = {visit.entered_us: visit for visit in fold.finished}
    if fold.visit is not None:
        visits[fold.visit.entered_us] = fold.visit
    return [_row(visit) for visit in visits.values() if visit.status is not VisitStatus.RETRACTED]


def _crossings(versions: list[Fence], a: Moments, b: Moments) -> Iterator[Crossing]:
    elapsed_us = int(b["recorded_us"]) - int(a["recorded_us"])
    speed_mps = _speed_mps(a, b)
    if not 1 < elapsed_us <= versions[0].profile.crossed_within_s * 1e6 or speed_mps > MAX_SPEED_MPS:
        return
    n = math.ceil(speed_mps * elapsed_us / 1e6 * SAMPLES_A_METRE) + 1
    share = np.linspace(0, 1, n)
    for fence in versions:
        shape = fence.shape
        assert isinstance(shape, Circle)
        lat, lng = (float(a[name]) + share * (float(b[name]) - float(a[name])) for name in ("lat", "lng"))
        center = np.full(n, shape.center.lat), np.full(n, shape.center.lng)
        inside = np.flatnonzero(geodesic_distance_m(*center, lat, lng) <= shape.radius_m)
        if not len(inside) or inside[0] == 0 or inside[-1] == n - 1:
            continue
        entered_us, exited_us = (int(a["recorded_us"]) + int(share[inside[i]] * elapsed_us) for i in (0, -1))
        if fence.valid_from_us <= entered_us < fence.valid_to_us:
            yield Crossing(int(a["device_id"]), fence.fence_id, entered_us, exited_us, speed_mps)


def _live_through_changes(fold: Fold, versions: list[Fence], here: Moments | None, until_us: int) -> None:
    while fold.visit is not None and not fold.visit.finished:
        version = next(f for f in versions if f.version == fold.visit.fence_version)
        if until_us < version.valid_to_us or version.valid_to_us == FOREVER_US:
            return
        ends_us = version.valid_to_us
        fold.settle(ends_us)
        after = next((f for f in versions if f.valid_from_us <= ends_us < f.valid_to_us), None)
        if after is not None and here is not None and _distance_m(after, here) >= 0:
            fold.carry_over(after.version)
        else:
            fold.end(ends_us, EndedBy.FENCE_CHANGED)


def _verdict(fence: Fence, position: Moments) -> tuple[Verdict, float]:
    inside_m = _distance_m(fence, position)
    if inside_m < 0:
        beyond = -inside_m > fence.profile.exit_buffer_m
        return (Verdict.OUT if beyond else Verdict.NEITHER), 0.0
    accuracy_m = 20.0 if math.isnan(position["accuracy_m"]) else float(position["accuracy_m"])
    sigma_m = accuracy_m / 1.515
    assert isinstance(fence.shape, Circle)
    area_m2 = math.pi * fence.shape.radius_m**2
    believed = min(
        0.5 * math.erfc(-inside_m / (sigma_m * math.sqrt(2))), 1 - math.exp(-area_m2 / (2 * math.pi * sigma_m**2))
    )
    return (Verdict.IN if believed >= fence.profile.min_confidence else Verdict.NEITHER), believed


def _distance_m(fence: Fence, position: Moments) -> float:
    shape = fence.shape
    assert isinstance(shape, Circle)
    one = (np.array([float(value)]) for value in (shape.center.lat, shape.center.lng, position["lat"], position["lng"]))
    return shape.radius_m - float(geodesic_distance_m(*one)[0])


def _good(rows: Positions) -> list[int]:
    """Places of the positions that count."""
    good: list[int] = []
    run: list[int] = []
    for i, row in enumerate(rows):
        if row["flags"] & 1 or row["accuracy_m"] > MAX_ACCURACY_M:
            continue
        last = rows[good[-1]] if good else None
        if (
            last is None
            or row["recorded_us"] - last["recorded_us"] >= GOOD_FOR_US
            or _speed_mps(last, row) <= MAX_SPEED_MPS
        ):
            good.append(i)
            run = []
            continue
        run = [*run, i] if run and _speed_mps(rows[run[-1]], row) <= MAX_SPEED_MPS else [i]
        if len(run) == BELIEVED:
            good.append(i)
            run = []
    return good


def _speed_mps(a: Moments, b: Moments) -> float:
    lat_a, lat_b = math.radians(a["lat"]), math.radians(b["lat"])
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin(math.radians(b["lng"] - a["lng"]) / 2) ** 2
    )
    metres = 2 * RADIUS_M * math.asin(min(1.0, math.sqrt(half)))
    seconds = abs(int(b["recorded_us"]) - int(a["recorded_us"])) / 1e6
    return 0.0 if metres == 0 else math.inf if seconds == 0 else metres / seconds


def _row(visit: Visit) -> tuple[Any, ...]:
    def at(us: int | None) -> int:
        return NONE_US if us is None else us

    return (
        visit.device_id,
        visit.fence_id,
        visit.entered_us,
        at(visit.exited_us),
        at(visit.dwelled_us),
        str(visit.status),
        str(visit.ended_by),
        visit.positions,
    )
