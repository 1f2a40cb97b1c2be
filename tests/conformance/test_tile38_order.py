"""Tile38's own fence tests, as data: where its words mean the same as ours, our events come in the same order.

Fences are in force since always and of profile `plain`; moves are an hour apart, as Tile38 knows neither times nor
speeds. What differs is in docs/explanation/tile38.md.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from geofences.cover import cover
from geofences.geo import parse_geometry
from geofences.index import FenceIndex
from geofences.model import PLAIN, POSITION_DTYPE, Area, Circle, Fence, FenceId, LatLng, TenantId
from geofences.states import EVENT_TYPES
from lbs.bench.memory_past import Follower, MemoryPast, entry_of
from tests.support.data import data_dir

TENANT = TenantId(1)
DEVICE = 7
HOUR_US = 3_600_000_000
BEGIN_US = 1_760_000_000_000_000
THEIRS = {"visit.entered": "enter", "visit.exited": "exit"}
SAME_WORDS = frozenset(THEIRS.values())


def sequence(name: str) -> dict[str, Any]:
    listed = json.loads((data_dir("vectors_tile38_fences") / "sequences.json").read_text(encoding="utf-8"))
    (found,) = (entry for entry in listed if entry["test"] == name)
    return dict(found)


def shape_of(fence: dict[str, Any]) -> Circle | Area:
    match fence["kind"]:
        case "circle":
            return Circle(center=LatLng(lat=fence["lat"], lng=fence["lon"]), radius_m=fence["radius_m"])
        case "bounds":
            west, south, east, north = (fence[name] for name in ("min_lon", "min_lat", "max_lon", "max_lat"))
            ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
            return parse_geometry({"type": "Polygon", "coordinates": [ring]})[0]
        case _:
            return parse_geometry(fence["geometry"])[0]


def told(fences: list[dict[str, Any]], moves: list[dict[str, Any]]) -> list[list[str]]:
    """What we tell at each move, in Tile38's words; the fences' ids go up in their order."""
    index = FenceIndex(
        Fence(
            fence_id=FenceId(i + 1),
            version=1,
            tenant_id=TENANT,
            shape=shape_of(fence),
            profile=PLAIN,
            cells=cover(shape_of(fence)),
        )
        for i, fence in enumerate(fences)
    )
    past = MemoryPast(TENANT)
    follower = Follower(index, past)
    found = []
    for nth, move in enumerate(moves):
        row = np.zeros(1, dtype=POSITION_DTYPE)
        row["device_id"], row["tenant_id"] = DEVICE, TENANT
        row["recorded_us"] = row["received_us"] = BEGIN_US + nth * HOUR_US
        row["lat"], row["lng"] = move["lat"], move["lon"]
        row["accuracy_m"], row["speed_mps"] = 5.0, np.nan
        before = len(past.events)
        follower.take([entry_of(row, int(row["recorded_us"][0]))])
        names = [str(EVENT_TYPES[int(event["told"])]) for event in past.events[before:]]
        ids = [fences[int(event["fence_id"]) - 1]["id"] for event in past.events[before:]]
        found.append([f"{THEIRS[name]}:{fence}" for name, fence in zip(names, ids, strict=True)])
    return found


def shared(move: dict[str, Any]) -> list[str]:
    """Tile38's events with a word that means the same here."""
    return [event for event in move["expect"] if event.partition(":")[0] in SAME_WORDS]


@pytest.mark.parametrize(
    "name", ["fence_basic_test", "fence_eecio_test (issue 578) enter,exit,cross", "fence_eecio_test (issue 578) all"]
)
def test_enters_and_exits_come_as_tile38_tells_them(name: str) -> None:
    given = sequence(name)
    assert told(given["fences"], given["moves"]) == [shared(move) for move in given["moves"]]


def test_a_move_from_two_fences_into_two_others_tells_the_exits_first() -> None:
    given = sequence("fence_channel_message_order_test")
    before, move = given["moves"]
    first, second = told(given["fences"], [before, move])
    assert first == ["enter:A", "enter:B"]
    assert second == shared(move) == ["exit:A", "exit:B", "enter:C", "enter:D"]


def test_in_one_position_the_order_is_that_of_the_fence_ids() -> None:
    given = sequence("fence_channel_message_order_test")
    turned = list(reversed(given["fences"]))
    _, second = told(turned, given["moves"])
    assert second == ["enter:D", "enter:C", "exit:B", "exit:A"]


def test_whoever_asks_tile38_for_inside_and_outside_is_told_enter_and_exit_here() -> None:
    given = sequence("fence_detect_inside_test")
    assert [shared(move) for move in given["moves"]] == [[], []]
    assert told(given["fences"], given["moves"]) == [["enter:F"], ["exit:F"]]


def test_a_jump_over_a_fence_tells_nothing() -> None:
    given = sequence("fence_eecio_test (issue 578) enter,exit,cross")
    assert given["moves"][-1]["expect"] == ["cross:F"]
    assert told(given["fences"], given["moves"])[-1] == []
