"""The tracker on traces whose truth is known, beside a plain PostGIS rule: the bounds that `lbs bench traces` shows."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from geofences.model import PLAIN, STANDARD
from lbs.bench.traces import figures
from lbs.bench.traces_calibration import calibration
from lbs.bench.traces_postgis import told_by_postgis
from lbs.bench.traces_score import DWELL, ENTER, EXIT, Event, score
from lbs.bench.traces_tracker import told_by_tracker
from lbs.bench.traces_truth import Trace, make
from lbs.settings import Settings

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.xdist_group("traces")]

TRACES = 100
SEED = 1
IN_ORDER = ("walk_in", "mall", "kiosk", "drive_by", "tunnel", "edge", "edge_drifting", "edge_sparse")
"""Scenes without late positions and without anything that filters doubt."""
SIZES = ("smaller", "like", "larger")
SHAPES = ("discs", "polygons")


@cache
def traces() -> list[Trace]:
    return make(traces=TRACES, seed=SEED)


@cache
def told(profile: str) -> list[Event]:
    return told_by_tracker(traces(), {"standard": STANDARD, "plain": PLAIN}[profile])


@cache
def calibrated() -> dict[str, Any]:
    return calibration(fences=1_500, seed=SEED)


@pytest.fixture
def postgis(database_url: str) -> list[Event]:
    return told_by_postgis(Settings(home=Path(), database_url=SecretStr(database_url)), traces())


def recall(*scenes: str) -> float:
    scored = [score(ENTER, own(scene), told("standard")) for scene in scenes]
    return sum(found.right for found in scored) / sum(found.true for found in scored)


def own(scene: str) -> list[Trace]:
    return [trace for trace in traces() if trace.scene == scene]


def test_plain_tells_what_the_rule_in_postgis_tells(postgis: list[Event]) -> None:
    numbers = {trace.trace for scene in IN_ORDER for trace in own(scene)}
    ours, theirs = (
        {event for event in events if event.trace in numbers and event.kind != DWELL}
        for events in (told("plain"), postgis)
    )
    assert len(ours) > 5_000
    assert ours == theirs


def test_standard_tells_at_most_a_tenth_of_the_rules_false_enters_at_the_edge(postgis: list[Event]) -> None:
    found = figures(traces(), {"standard": told("standard"), "plain": told("plain"), "postgis": postgis})["edge"]
    assert found["postgis"] > 500
    assert found["standard"] <= 0.1 * found["postgis"], found
    assert recall("edge") >= 0.98


def test_standard_finds_the_visits_of_walk_ins_and_of_the_edge() -> None:
    assert recall("walk_in", "edge") >= 0.98
    assert recall("tunnel", "offline", "spoof") >= 0.98


@pytest.mark.xfail(
    strict=True, reason="a stray IN beside a neighbour is confirmed: within the exit buffer nothing is OUT"
)
def test_standard_finds_the_visits_of_the_mall_too() -> None:
    assert recall("walk_in", "mall", "edge") >= 0.98


def test_standard_tells_no_enter_of_who_drives_by() -> None:
    assert score(ENTER, own("drive_by"), told("standard")).told == 0


def test_standard_is_right_about_walk_ins() -> None:
    for kind in (ENTER, DWELL, EXIT):
        found = score(kind, own("walk_in"), told("standard")).as_dict()
        assert min(found["precision"], found["recall"]) >= 0.97, (kind, found)


def test_standard_says_so_within_a_minute_and_a_half() -> None:
    enter, leave = (score(kind, own("walk_in"), told("standard")).as_dict()["delay_s"] for kind in (ENTER, EXIT))
    assert 30.0 <= enter["p50"] <= 45.0
    assert enter["p95"] <= 90.0
    assert 60.0 <= leave["p50"] <= 100.0


def test_a_visit_that_was_delivered_late_and_out_of_order_is_one_visit() -> None:
    for kind in (ENTER, DWELL, EXIT):
        found = score(kind, own("offline"), told("standard")).as_dict()
        assert min(found["precision"], found["recall"]) >= 0.97, (kind, found)


ASKED_FOR = pytest.mark.xfail(
    strict=True, reason="the published formula takes the border as straight, and the fence as centred on the report"
)
"""docs/benchmarks.md shows by how much, and that a disc of the same area would do; the formula is a promise, so it
stays until that changes."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("formula", ["as_disc", pytest.param("published", marks=ASKED_FOR)])
def test_a_probability_is_calibrated(size: str, shape: str, formula: str) -> None:
    found = calibrated()[size][shape][formula]
    assert found["well_filled"] >= 5
    assert abs(found["widest"]) <= 0.03


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_published_confidence_is_never_too_modest_and_at_most_0_14_too_sure(size: str, shape: str) -> None:
    assert -0.14 <= calibrated()[size][shape]["published"]["widest"] <= 0.03
