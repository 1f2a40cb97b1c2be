"""Seeded fences and walks about them: jitter, jumps, silence, doubtful positions, fences that change meanwhile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from geofences.cover import cover
from geofences.model import (
    PLAIN,
    POSITION_DTYPE,
    STANDARD,
    Circle,
    Fence,
    FenceId,
    LatLng,
    Positions,
    Profile,
    TenantId,
)

if TYPE_CHECKING:
    import random

TENANT = TenantId(1)
START_US = 1_700_000_000_000_000
S = 1_000_000
DEVICES = (1, 2, 65)
"""1 and 65 share a shard."""
PROFILES = (
    PLAIN,
    STANDARD,
    Profile(enter_after_s=0, exit_after_s=60, exit_buffer_m=30, min_confidence=0.3, dwell_s=60, hold_s=100, gap_s=0),
    Profile(enter_after_s=20, exit_after_s=0, exit_buffer_m=0, min_confidence=0, dwell_s=0, hold_s=40, gap_s=120),
    replace(PLAIN, crossed_within_s=120),
    replace(STANDARD, crossed_within_s=40),
)


def some_fences(rng: random.Random) -> list[Fence]:
    """Six circles that overlap; some change or end while people walk."""
    fences = []
    for i in range(6):
        shape = _circle(rng, LatLng(lat=60 + rng.uniform(-0.004, 0.004), lng=24 + rng.uniform(-0.008, 0.008)))
        fence = Fence(
            fence_id=FenceId(i + 1),
            version=1,
            tenant_id=TENANT,
            shape=shape,
            profile=rng.choice(PROFILES),
            cells=cover(shape),
        )
        if rng.random() < 0.4:
            at_us = START_US + rng.randint(0, 2000) * S
            fence = replace(fence, valid_to_us=at_us)
            if rng.random() < 0.7:
                moved = _circle(rng, LatLng(lat=shape.center.lat + rng.uniform(-0.001, 0.001), lng=shape.center.lng))
                fences.append(
                    replace(fence, version=2, shape=moved, cells=cover(moved), valid_from_us=at_us, valid_to_us=2**62)
                )
        fences.append(fence)
    return fences


def _circle(rng: random.Random, center: LatLng) -> Circle:
    return Circle(center=center, radius_m=rng.uniform(40, 400))


def some_walk(rng: random.Random, device_id: int) -> Positions:
    """In order of time, all of it distinct."""
    n = rng.randint(3, 60)
    at_us = START_US + rng.randint(0, 300) * S
    lat, lng = 60 + rng.uniform(-0.004, 0.004), 24 + rng.uniform(-0.008, 0.008)
    rows = np.zeros(n, dtype=POSITION_DTYPE)
    for i in range(n):
        at_us += rng.choice([1, 5, 15, 15, 15, 30, 40, 90, 300, 1900]) * S
        if rng.random() < 0.05:  # somewhere else at once
            lat, lng = 60 + rng.uniform(-0.1, 0.1), 24 + rng.uniform(-0.1, 0.1)
        lat, lng = lat + rng.gauss(0, 0.0008), lng + rng.gauss(0, 0.0016)
        accuracy_m = rng.choice([5, 20, 60, 250, float("nan")])
        mocked = 1 if rng.random() < 0.03 else 0
        rows[i] = (device_id, TENANT, at_us, at_us, lat, lng, accuracy_m, float("nan"), mocked)
        if rng.random() < 0.3:
            lat, lng = 60 + rng.uniform(-0.003, 0.003), 24 + rng.uniform(-0.006, 0.006)
    return rows


def some_order(rng: random.Random, rows: Positions) -> tuple[str, list[int]]:
    """An order of arrival, and its name: every row at least once, some twice."""
    arrival = list(range(len(rows)))
    at_us = rows["recorded_us"].tolist()
    how = rng.choice(["shuffled", "a little late", "backwards", "a buffer flushed"])
    if how == "shuffled":
        rng.shuffle(arrival)
    elif how == "a little late":
        arrival.sort(key=lambda row: at_us[row] + rng.uniform(0, 120 * S))
    elif how == "backwards":
        arrival.sort(key=lambda row: -at_us[row])
    else:
        arrival.sort(key=at_us.__getitem__)
        kept = [row for row in arrival if rows["device_id"][row] != DEVICES[0] or rng.random() < 0.5]
        arrival = [*kept, *arrival]
    return how, [*arrival, *(rng.choice(arrival) for _ in range(5))]
