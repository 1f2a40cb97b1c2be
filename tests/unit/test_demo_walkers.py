"""The demo's people: they keep to human speed, start where they should, and their phones are as good as they say."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from pyproj import Geod

from lbs.demo.city import Plane, Spot, load_city
from lbs.demo.walkers import SPEED_MPS, SPEED_SPREAD, STAY_S, Gps, Walker

MIDDLE = Spot(x_m=0, y_m=0)
FAR_GOALS = [Spot(x_m=x_m, y_m=y_m) for x_m in (-300, 0, 300) for y_m in (-300, 0, 300)]


def walker(seed: int, *, gap_m: float = 5) -> Walker:
    return Walker.outside(Random(seed), FAR_GOALS, radius_m=60, gap_m=gap_m)


@pytest.mark.parametrize("seed", range(20))
def test_starts_just_outside_the_fence_of_its_goal(seed: int) -> None:
    person = walker(seed)

    assert person.at.distance_m(person.goal) == pytest.approx(65)


@pytest.mark.parametrize("seed", range(20))
def test_is_inside_the_fence_once_the_gap_is_walked(seed: int) -> None:
    person = walker(seed)

    person.walk(5.1 / person.speed_mps)

    assert person.at.distance_m(person.goal) < 60


def test_never_walks_faster_than_people_do() -> None:
    person = walker(1)
    for _ in range(2_000):
        before = person.at
        person.walk(3)
        assert before.distance_m(person.at) <= 3 * SPEED_MPS * (1 + SPEED_SPREAD) + 1e-9


def test_goes_to_its_goal_stays_and_walks_on() -> None:
    person = walker(2)
    first = person.goal

    person.walk(65 / person.speed_mps + 0.1)

    assert person.at == first
    assert STAY_S[0] - 0.1 <= person.stays_s <= STAY_S[1]

    person.walk(person.stays_s + 10)

    assert person.goal != first
    assert person.at.distance_m(first) == pytest.approx(10 * person.speed_mps)


def test_a_long_pause_of_the_program_is_walked_like_many_short_ones() -> None:
    slow, quick = walker(3), walker(3)

    slow.walk(600)
    for _ in range(600):
        quick.walk(1)

    assert slow.at.distance_m(quick.at) < 1e-6


def test_the_same_seed_walks_the_same_way() -> None:
    ways = []
    for _ in range(2):
        person = walker(4)
        gps = Gps(rng=person.rng, accuracy_m=12)
        way = []
        for _ in range(50):
            person.walk(5)
            way.append(gps.see(person.at, after_s=5))
        ways.append(way)

    assert ways[0] == ways[1]


@pytest.mark.parametrize("accuracy_m", [5.0, 30.0])
def test_two_thirds_of_the_fixes_lie_within_the_accuracy_they_claim(accuracy_m: float) -> None:
    rng = Random(5)
    errors_m = [
        Gps(rng=rng, accuracy_m=accuracy_m).see(MIDDLE, after_s=5).spot.distance_m(MIDDLE) for _ in range(5_000)
    ]

    share = sum(error_m <= accuracy_m for error_m in errors_m) / len(errors_m)

    assert share == pytest.approx(0.68, abs=0.02)


def test_errors_wander_and_do_not_jump() -> None:
    gps = Gps(rng=Random(6), accuracy_m=20)
    spots = [gps.see(MIDDLE, after_s=1).spot for _ in range(2_000)]

    steps_m = [a.distance_m(b) for a, b in pairwise(spots)]

    # independent errors would lie sqrt(pi) sigmas apart on average
    assert sum(steps_m) / len(steps_m) < 0.3 * gps.sigma_m * math.sqrt(math.pi)


def test_the_plane_agrees_with_the_ellipsoid() -> None:
    plane = load_city().plane
    geod = Geod(ellps="WGS84")
    for spot in (Spot(x_m=0, y_m=800), Spot(x_m=500, y_m=0), Spot(x_m=-400, y_m=-700)):
        here, there = plane.place(MIDDLE), plane.place(spot)
        _, _, distance_m = geod.inv(here.lng, here.lat, there.lng, there.lat)

        assert distance_m == pytest.approx(MIDDLE.distance_m(spot), rel=0.004)


def test_the_plane_and_back() -> None:
    plane = Plane(middle=load_city().plane.middle)
    spot = Spot(x_m=123.4, y_m=-567.8)

    assert plane.spot(plane.place(spot)).distance_m(spot) < 1e-6
