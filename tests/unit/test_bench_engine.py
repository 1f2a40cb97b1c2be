"""`lbs bench engine` compares before it times, and finds what is wrong."""

# mypy: allow-untyped-calls

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from shapely import geometry

from geofences.index import FenceIndex
from geofences.states import Told
from lbs.bench.engine import measure_peer
from lbs.bench.engine_answers import Answers, MismatchError, border_distance_m, compare
from lbs.bench.engine_duckdb import CUT_OFF, DuckJoin, circle_rings
from lbs.bench.engine_edits import measure_edits
from lbs.bench.engine_ours import OurIndex
from lbs.bench.engine_strtree import Tree
from lbs.bench.engine_tracker import OurTracker, expected_events
from lbs.bench.engine_workload import Workload, make
from tests.support.shapes import GEOD

if TYPE_CHECKING:
    from geofences.model import Fence, Floats
    from lbs.bench.engine_peer import Peer

FENCES = 300


@pytest.fixture(scope="module")
def workload() -> Workload:
    return make(FENCES, devices=500, reports=8)


@pytest.fixture(scope="module")
def ours(workload: Workload) -> OurIndex:
    return indexed(workload)


def indexed(workload: Workload) -> OurIndex:
    ours = OurIndex()
    ours.prepare(workload)
    return ours


def measure(peer: Peer, ours: OurIndex, workload: Workload) -> Any:
    return measure_peer(peer, [ours], ours.answers(len(workload.lat)), workload, rounds=1)


def away_m(lat: Any, lng: Any, other_lat: Any, other_lng: Any) -> Any:
    return GEOD.inv(lng, lat, other_lng, other_lat)[2]


def without(answers: Answers, k: int) -> Answers:
    return Answers(position=np.delete(answers.position, k), fence=np.delete(answers.fence, k))


def with_pair(answers: Answers, position: int, fence: int) -> Answers:
    return Answers(position=np.append(answers.position, position), fence=np.append(answers.fence, fence))


def compared(workload: Workload, ours: Answers, theirs: Answers, tolerance_m: Floats | None = None) -> Any:
    if tolerance_m is None:
        tolerance_m = np.full(FENCES, 1e-6)
    n = len(workload.lat)
    return compare("peer", ours, theirs, workload=workload, positions=n, tolerance_m=tolerance_m)


class TestWorkload:
    def test_repeats(self) -> None:
        first, second = make(50, devices=20, reports=3), make(50, devices=20, reports=3)
        assert first.positions.tobytes() == second.positions.tobytes()
        assert first.fences.vertex_lat.tobytes() == second.fences.vertex_lat.tobytes()
        assert make(50, seed=8, devices=20, reports=3).positions.tobytes() != first.positions.tobytes()

    def test_is_what_it_says(self, workload: Workload, ours: OurIndex) -> None:
        fences = workload.fences
        assert 0.6 < fences.is_circle.mean() < 0.8
        polygons = [geometry.Polygon(fences.ring(i)) for i in np.flatnonzero(~fences.is_circle).tolist()]
        assert all(polygon.is_valid and polygon.exterior.is_ccw for polygon in polygons)
        assert all(7 <= len(polygon.exterior.coords) <= 61 for polygon in polygons)
        assert np.all(np.diff(workload.at_us) >= 0)
        inside = np.unique(ours.answers(len(workload.lat)).position)
        assert 0.05 < len(inside) / len(workload.lat) < 0.4

    def test_polygons_lie_within_their_radius(self, workload: Workload) -> None:
        fences = workload.fences
        of = np.repeat(np.arange(FENCES), np.diff(fences.first_vertex))
        reach_m = away_m(fences.lat[of], fences.lng[of], fences.vertex_lat, fences.vertex_lng)
        assert np.all(reach_m <= fences.radius_m[of])

    def test_circles_lie_within_their_boxes(self, workload: Workload) -> None:
        fences = workload.fences
        lat, lng, radius_m = (c[fences.is_circle] for c in (fences.lat, fences.lng, fences.radius_m))
        west, south, east, north = fences.circle_boxes().T
        for azimuth_deg in np.linspace(0.0, 360.0, 16, endpoint=False):
            x, y, _ = GEOD.fwd(lng, lat, np.full(len(lat), azimuth_deg), radius_m)
            assert np.all((west < x) & (x < east) & (south < y) & (y < north))


class TestComparison:
    def test_equal_answers_agree_in_any_order(self, workload: Workload, ours: OurIndex) -> None:
        answers = ours.answers(len(workload.lat))
        turned = Answers(position=answers.position[::-1], fence=answers.fence[::-1])
        agreement = compared(workload, answers, turned)
        assert agreement.pairs == len(answers.position) > 0
        assert agreement.near_border == 0

    def test_a_missing_pair_is_an_error_that_names_it(self, workload: Workload, ours: OurIndex) -> None:
        answers = ours.answers(len(workload.lat))
        away = border_distance_m(
            workload.fences, answers.fence, workload.lat[answers.position], workload.lng[answers.position]
        )
        k = int(away.argmax())
        named = rf"only lbs has position {answers.position[k]} .* in fence {answers.fence[k]} "
        with pytest.raises(MismatchError, match=named):
            compared(workload, answers, without(answers, k))
        with pytest.raises(MismatchError, match=named.replace("lbs", "peer")):
            compared(workload, without(answers, k), answers)

    def test_a_pair_too_many_is_an_error(self, workload: Workload, ours: OurIndex) -> None:
        answers = ours.answers(len(workload.lat))
        outside = int(np.setdiff1d(np.arange(len(workload.lat)), answers.position)[0])
        with pytest.raises(MismatchError, match=f"only peer has position {outside} .* in fence 7 "):
            compared(workload, answers, with_pair(answers, outside, 7))

    def test_a_pair_twice_is_an_error(self, workload: Workload, ours: OurIndex) -> None:
        answers = ours.answers(len(workload.lat))
        twice = with_pair(answers, int(answers.position[0]), int(answers.fence[0]))
        with pytest.raises(MismatchError, match="peer names a pair twice"):
            compared(workload, answers, twice)
        with pytest.raises(MismatchError, match="lbs names a pair twice"):
            compared(workload, twice, answers)

    def test_a_difference_is_let_through_only_as_near_to_the_border_as_explained(
        self, workload: Workload, ours: OurIndex
    ) -> None:
        answers = ours.answers(len(workload.lat))
        at = workload.lat[answers.position], workload.lng[answers.position]
        away = border_distance_m(workload.fences, answers.fence, *at)
        tolerance_m = np.full(FENCES, np.inf)
        tolerance_m[answers.fence[0]] = away[0] * 1.001
        agreement = compared(workload, answers, without(answers, 0), tolerance_m)
        assert agreement.near_border == 1
        assert agreement.widest_m == pytest.approx(away[0])
        tolerance_m[answers.fence[0]] = away[0] * 0.999
        with pytest.raises(MismatchError):
            compared(workload, answers, without(answers, 0), tolerance_m)

    def test_fences_that_a_peer_cannot_answer_for_are_left_out(self, workload: Workload, ours: OurIndex) -> None:
        answers = ours.answers(len(workload.lat))
        kept = workload.fences.is_circle[answers.fence]
        circles = Answers(position=answers.position[kept], fence=answers.fence[kept])
        tolerance_m = np.where(workload.fences.is_circle, 1e-6, np.nan)
        assert compared(workload, answers, circles, tolerance_m).pairs == len(circles.position) < len(answers.position)

    def test_nothing_to_compare_is_an_error(self, workload: Workload) -> None:
        nothing = Answers(position=np.empty(0, dtype=np.int64), fence=np.empty(0, dtype=np.int64))
        with pytest.raises(MismatchError, match="no position"):
            compared(workload, nothing, nothing)

    def test_distances_to_borders_are_those_of_geodesics(self, workload: Workload) -> None:
        fences = workload.fences
        polygon = int(np.flatnonzero(~fences.is_circle)[0])
        lat, lng = fences.lat[[polygon]], fences.lng[[polygon]]
        ring = fences.ring(polygon)
        part = np.linspace(0.0, 1.0, 2_000)[:, None]
        border = np.concatenate([a + part * (b - a) for a, b in pairwise(ring)])
        nearest_m = min(away_m(lat.repeat(len(border)), lng.repeat(len(border)), border[:, 1], border[:, 0]))
        found = border_distance_m(fences, np.array([polygon]), lat, lng)
        assert found[0] == pytest.approx(nearest_m, rel=1e-3)


class Liar(Tree):
    """Forgets one pair, and does not bear being timed."""

    def answers(self, n: int) -> Answers:
        return without(super().answers(n), 5)

    def run(self, n: int) -> None:
        raise AssertionError(f"timed over {n} positions before its answers were right")


class TestPeers:
    def test_shapely_agrees(self, workload: Workload, ours: OurIndex) -> None:
        measured = measure(Tree(), ours, workload)
        assert measured.agreement.positions == len(workload.lat)
        assert measured.agreement.pairs > 500
        assert {name: len(rates) for name, rates in measured.rates.items()} == {"shapely_strtree": 1, "lbs": 1}

    def test_duckdb_agrees(self, workload: Workload, ours: OurIndex) -> None:
        assert measure(DuckJoin(), ours, workload).agreement.pairs > 500

    def test_a_wrong_peer_is_never_timed(self, workload: Workload, ours: OurIndex) -> None:
        with pytest.raises(MismatchError, match="lbs and shapely_strtree differ at 300 fences in 1 of"):
            measure(Liar(), ours, workload)

    def test_a_wrong_engine_is_never_timed(self, workload: Workload) -> None:
        wrong = indexed(workload)
        fence = int(wrong.answers(len(workload.lat)).fence[0])
        wrong.index.close(wrong.index.fence_at(int(np.flatnonzero(wrong.fence_of_slot == fence)[0])).fence_id, 1, 0)
        with pytest.raises(MismatchError, match="only shapely_strtree has"):
            measure(Tree(), wrong, workload)

    def test_rings_for_circles_cut_off_no_more_than_stated(self) -> None:
        lat, lng, radius_m = (
            np.array([-60.0, 0.0, 65.9]),
            np.array([10.0, -170.0, 25.0]),
            np.array([500.0, 50.0, 500.0]),
        )
        for i, ring in enumerate(circle_rings(lat, lng, radius_m)):
            part = np.linspace(0.0, 1.0, 21)[:, None]
            border = np.concatenate([a + part * (b - a) for a, b in pairwise(ring)])
            reach_m = away_m(lat[[i]].repeat(len(border)), lng[[i]].repeat(len(border)), border[:, 1], border[:, 0])
            assert radius_m[i] * (1.0 - CUT_OFF) <= reach_m.min()
            assert reach_m.max() <= radius_m[i] + 1e-3


class TestEdits:
    def test_leave_the_answers_as_they_were(self, workload: Workload, ours: OurIndex) -> None:
        report = measure_edits(ours, workload, rounds=1).report()
        assert report["edits"]["change"]["n"] == FENCES // 10
        assert 0 < report["edit_p50_us"] <= report["edit_p99_us"]
        assert report["forget_us"] > 0
        assert report["after_churn"] > 0

    def test_an_index_that_loses_a_fence_is_found(
        self, workload: Workload, ours: OurIndex, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add = FenceIndex.add

        def lose(index: FenceIndex, fence: Fence) -> int:
            slot = add(index, fence)
            if fence.version > 2:
                index.close(fence.fence_id, fence.version, 0)
            return slot

        monkeypatch.setattr(FenceIndex, "add", lose)
        with pytest.raises(MismatchError, match="answers otherwise after edits"):
            measure_edits(ours, workload, rounds=1)


class TestState:
    def test_enters_and_exits_follow_from_the_answers(self, workload: Workload, ours: OurIndex) -> None:
        answers = ours.answers(len(workload.lat))
        assert OurTracker(ours, workload).check(answers) > 50

    def test_expected_events_are_those_of_a_plain_loop(self, workload: Workload, ours: OurIndex) -> None:
        answers = ours.answers(len(workload.lat))
        good = np.random.default_rng(3).random(len(workload.lat)) < 0.8
        inside: dict[int, set[int]] = {}
        for position, fence in zip(answers.position.tolist(), answers.fence.tolist(), strict=True):
            inside.setdefault(position, set()).add(fence)
        was: dict[int, set[int]] = {}
        events = []
        for row in np.flatnonzero(good).tolist():
            device, at_us = int(workload.positions["device_id"][row]), int(workload.at_us[row])
            now, before = inside.get(row, set()), was.get(device, set())
            events += [(device, at_us, fence, int(Told.ENTERED)) for fence in now - before]
            events += [(device, at_us, fence, int(Told.EXITED)) for fence in before - now]
            was[device] = now
        assert expected_events(answers, workload, good).tolist() == sorted(events)

    def test_a_tracker_that_differs_is_found(self, workload: Workload, ours: OurIndex) -> None:
        answers = ours.answers(len(workload.lat))
        with pytest.raises(MismatchError, match=r"lbs_with_state tells .* missing"):
            OurTracker(ours, workload).check(with_pair(answers, len(workload.lat) - 1, 7))
