"""Recorded traces of real devices: taxis in Porto, phones in Switzerland, buses in Liverpool."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from geofences.model import POSITION_DTYPE, Positions
from geofences.visits import to_us
from tests.support.data import data_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def real_traces() -> list[Positions]:
    """Each in order of time, without a device yet; the calling test is skipped where the data is missing."""
    return [*_porto(), *_swiss(), *_liverpool()]


def _porto() -> Iterator[Positions]:
    trips: dict[str, list[tuple[int, float, float, float]]] = {}
    with gzip.open(data_dir("taxi_porto") / "positions.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            at_us = to_us(datetime.fromisoformat(row["time_utc"]))
            trips.setdefault(row["trip"], []).append((at_us, float(row["lat"]), float(row["lon"]), np.nan))
    yield from map(_trace, trips.values())


def _swiss() -> Iterator[Positions]:
    folder = data_dir("gps_swiss_accuracy")
    for name in ("google_trajectory", "gpsies_trajectory", "posmo_trajectory"):
        with (folder / f"{name}.csv").open() as file:
            rows = [
                (
                    _utc_us(row["tracked_at"][:26]),
                    float(row["latitude"]),
                    float(row["longitude"]),
                    float(row["accuracy"]),
                )
                for row in csv.DictReader(file, delimiter=";")
            ]
        yield _trace(rows)


def _liverpool() -> Iterator[Positions]:
    buses: dict[str, list[tuple[int, float, float, float]]] = {}
    with (data_dir("bus_liverpool") / "route14_outbound.csv").open() as file:
        for row in csv.DictReader(file):
            place = float(row["latitude"]), float(row["longitude"])
            buses.setdefault(row["vehicle_id"], []).append((_utc_us(row["timestamp"]), *place, np.nan))
    yield from map(_trace, buses.values())


def _utc_us(text: str) -> int:
    at = datetime.fromisoformat(text)
    return to_us(at if at.tzinfo else at.replace(tzinfo=UTC))


def _trace(rows: Iterable[tuple[int, float, float, float]]) -> Positions:
    ordered = sorted(set(rows))
    trace = np.zeros(len(ordered), dtype=POSITION_DTYPE)
    for i, (at_us, lat, lng, accuracy_m) in enumerate(ordered):
        trace[i] = (0, 0, at_us, at_us, lat, lng, accuracy_m, np.nan, 0)
    return trace
