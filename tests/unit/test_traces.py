"""`lbs bench traces`: the truth of its traces is what it claims, errors are as large as said, scores count right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geofences import geo
from geofences.model import Circle, LatLng
from geofences.states import MOMENT_DTYPE, NONE_US, Told
from lbs.bench.traces_calibration import disc_confidence
from lbs.bench.traces_plane import Convex, Disc, Plane, Walk, some_shape
from lbs.bench.traces_scenes import SCENES, SIGMAS_PER_ACCURACY, Phone, kiosk
from lbs.bench.traces_score import DWELL, ENTER, EXIT, Event, score
from lbs.bench.traces_tracker import _as_told
from lbs.bench.traces_truth import BEGIN_S, US_PER_S, Trace, TrueVisit, make

BEGIN_US = BEGIN_S * US_PER_S
SQUARE = Convex(corners_m=np.array([[0.0, 0.0], [100.0, 0.0], [100.0, 100.0], [0.0, 100.0]]))


def at(seconds: float) -> int:
    return BEGIN_US + round(seconds * US_PER_S)


def test_a_path_is_inside_between_its_crossings_of_the_border() -> None:
    walk = Walk(np.array([-50.0, 50.0])).to(np.array([50.0, 50.0]), 1.0).stay(200.0).to(np.array([50.0, -30.0]), 1.0)
    path = walk.path()
    ((from_s, until_s),) = path.stays(SQUARE)
    assert from_s == pytest.approx(50.0, abs=0.26)
    assert until_s == pytest.approx(350.0, abs=0.26)


def test_a_path_that_ends_inside_is_refused() -> None:
    path = Walk(np.array([-50.0, 50.0])).to(np.array([50.0, 50.0]), 1.0).path()
    with pytest.raises(AssertionError, match="begins and ends outside"):
        list(path.stays(SQUARE))


def test_the_planes_geometry_agrees_with_that_of_the_product() -> None:
    rng = np.random.default_rng(5)
    for lat in (-59.5, 0.5, 47.5):
        plane = Plane(origin=LatLng(lat=lat, lng=11.5))
        for _ in range(20):
            shape = some_shape(rng, 20.0, 150.0)
            at_m = rng.uniform(-200.0, 200.0, (200, 2))
            theirs_m = geo.signed_distance_m(shape.shape(plane), *plane.degrees(at_m))
            ours_m = shape.depth_m(at_m)
            apart = np.abs(theirs_m) > 0.02
            assert np.array_equal(ours_m[apart] >= 0.0, theirs_m[apart] >= 0.0)
            inside = theirs_m > 0.02
            assert np.allclose(ours_m[inside], theirs_m[inside], atol=0.02)


@pytest.mark.parametrize("depth_m", [-30.0, -5.0, 5.0, 20.0])
def test_a_spot_lies_as_far_from_the_border_as_asked(depth_m: float) -> None:
    rng = np.random.default_rng(6)
    plane = Plane(origin=LatLng(lat=40.5, lng=1.5))
    for _ in range(10):
        shape = some_shape(rng, 60.0, 150.0)
        spot_m, outward = shape.spot(rng, depth_m)
        found_m = geo.signed_distance_m(shape.shape(plane), *plane.degrees(spot_m[None]))
        assert found_m[0] == pytest.approx(depth_m, abs=1.0)
        assert shape.depth_m((spot_m + outward * 200.0)[None])[0] < 0.0


@pytest.mark.parametrize("drift_s", [0.0, 60.0])
def test_68_percent_of_the_reports_are_within_their_accuracy(drift_s: float) -> None:
    rng = np.random.default_rng(7)
    path = Walk(np.zeros(2)).stay(200_000.0).path()
    rows = Phone(every_s=10.0, accuracy_m=20.0, drift_s=drift_s).reports(rng, path)
    off_m = np.hypot(rows["east_m"], rows["north_m"])
    assert len(rows) == pytest.approx(20_000, rel=0.02)
    assert (off_m <= rows["accuracy_m"]).mean() == pytest.approx(0.6826, abs=0.02)
    east = rows["east_m"] / rows["accuracy_m"]
    kept = float(np.corrcoef(east[:-1], east[1:])[0, 1])
    assert kept == pytest.approx(math.exp(-10.0 / 60.0) if drift_s else 0.0, abs=0.03)


def test_the_same_seed_makes_the_same_traces_and_another_one_others() -> None:
    first, again, other = (make(traces=3, seed=seed) for seed in (4, 4, 5))
    assert [trace.positions.tobytes() for trace in first] == [trace.positions.tobytes() for trace in again]
    assert [trace.visits for trace in first] == [trace.visits for trace in again]
    assert not {trace.positions.tobytes() for trace in first} & {trace.positions.tobytes() for trace in other}


def test_scenes_are_what_they_say() -> None:
    made = make(traces=40, seed=8)
    by_scene = {scene: [trace for trace in made if trace.scene == scene] for scene in SCENES}
    visits = {scene: sum(len(trace.visits) for trace in own) for scene, own in by_scene.items()}
    assert visits["drive_by"] == 0
    assert visits["walk_in"] == visits["kiosk"] == visits["offline"] == visits["spoof"] == 40
    assert visits["mall"] > 60
    assert all(8 <= visits[scene] <= 32 for scene in ("edge", "edge_drifting", "edge_sparse"))
    late = [trace for trace in by_scene["offline"] if (np.diff(trace.positions["recorded_us"]) < 0).any()]
    assert len(late) > 30
    assert all((np.diff(trace.positions["received_us"]) >= 0).all() for trace in made)
    assert all((np.diff(trace.positions["recorded_us"]) > 0).all() for trace in by_scene["edge"])
    silences = [np.diff(trace.positions["recorded_us"]).max() / US_PER_S for trace in by_scene["tunnel"]]
    assert sum(silence > 300.0 for silence in silences) > 15
    assert any((trace.positions["flags"] == 1).any() for trace in by_scene["spoof"])
    origins = {(int(trace.positions["lat"][0]), int(trace.positions["lng"][0])) for trace in made}
    assert len(origins) > 0.95 * len(made)


def test_a_kiosk_is_smaller_than_the_accuracy() -> None:
    rng = np.random.default_rng(9)
    for _ in range(20):
        scene = kiosk(rng)
        assert scene.shapes[0].reach_m < float(np.median(scene.reports["accuracy_m"]))


def trace(*visits: tuple[float, float], reports: tuple[float, ...] = ()) -> Trace:
    (made,) = make(scenes=["walk_in"], traces=1, seed=1)
    positions = np.repeat(made.positions[:1], len(reports))
    positions["recorded_us"] = [at(seconds) for seconds in reports]
    true = tuple(TrueVisit(fence_id=1, from_us=at(from_s), until_us=at(until_s)) for from_s, until_s in visits)
    return Trace(trace=0, scene="walk_in", fences=made.fences, positions=positions, visits=true)


def event(kind: str, at_s: float, clock_s: float, *, taken_back: bool = False) -> Event:
    return Event(kind=kind, trace=0, fence_id=1, at_us=at(at_s), clock_us=at(clock_s), taken_back=taken_back)


def test_one_enter_is_right_for_a_visit_and_further_ones_are_false() -> None:
    told = [event(ENTER, 95, 130), event(ENTER, 400, 430), event(ENTER, 30, 60), event(EXIT, 500, 560)]
    found = score(ENTER, [trace((100, 500))], told)
    assert (found.told, found.true, found.right, found.false, found.delays_s) == (3, 1, 1, 2, (30.0,))


def test_a_visit_that_nobody_told_is_missed() -> None:
    shown = score(ENTER, [trace((100, 500), (900, 1200))], [event(ENTER, 120, 150)]).as_dict()
    assert (shown["precision"], shown["recall"]) == (1.0, 0.5)


def test_what_was_taken_back_is_false() -> None:
    found = score(ENTER, [trace((100, 500))], [event(ENTER, 110, 140, taken_back=True)])
    assert (found.right, found.false, found.taken_back) == (0, 1, 1)


def test_an_exit_is_right_within_a_minute_of_the_first_report_after_it() -> None:
    silent = trace((100, 500), reports=(450, 900, 910))
    assert score(EXIT, [silent], [event(EXIT, 900, 900)]).right == 1
    assert score(EXIT, [silent], [event(EXIT, 961, 961)]).right == 0
    assert score(EXIT, [silent], [event(EXIT, 439, 439)]).right == 0


def test_a_dwell_is_true_only_of_a_visit_that_lasted() -> None:
    found = score(DWELL, [trace((100, 210), (300, 700))], [event(DWELL, 425, 425), event(DWELL, 220, 220)])
    assert (found.true, found.right, found.false, found.delays_s) == (1, 1, 1, (5.0,))


def moment(told: Told, clock_s: float, entered_s: float, *, root_id: int = 0, exited_s: float | None = None) -> np.void:
    row = np.zeros(1, dtype=MOMENT_DTYPE)
    row["told"], row["clock_us"], row["entered_us"], row["root_id"] = told, at(clock_s), at(entered_s), root_id
    row["device_id"], row["fence_id"], row["tenant_id"] = 1, 1, 1
    row["dwelled_us"], row["exited_us"] = NONE_US, NONE_US if exited_s is None else at(exited_s)
    return np.void(row[0])


def test_a_visit_that_replaces_another_is_one_enter_told_when_the_first_was() -> None:
    root = 77
    found = _as_told(
        [
            moment(Told.ENTERED, 130, 100, root_id=root),
            moment(Told.ENTERED, 300, 80, root_id=root),
            moment(Told.RETRACTED, 300, 100, root_id=root),
            moment(Told.EXITED, 560, 80, root_id=root, exited_s=500),
        ]
    )
    assert found == [event(ENTER, 80, 130), event(EXIT, 500, 560)]


def test_a_visit_that_was_taken_back_stays_one_enter_that_was_told() -> None:
    found = _as_told([moment(Told.ENTERED, 130, 100), moment(Told.RETRACTED, 300, 100)])
    assert found == [event(ENTER, 100, 130, taken_back=True)]


def test_a_corrected_exit_is_told_when_it_was_corrected() -> None:
    found = _as_told(
        [
            moment(Told.ENTERED, 130, 100),
            moment(Told.EXITED, 560, 100, exited_s=500),
            moment(Told.CORRECTED, 700, 100, exited_s=520),
        ]
    )
    assert found == [event(ENTER, 100, 130), event(EXIT, 520, 700)]


def test_disc_confidence_is_exact_at_the_centre_and_on_the_border() -> None:
    radius_m, accuracy_m = np.array([10.0, 30.0, 60.0]), np.array([30.0, 30.0, 30.0])
    sigma_m = accuracy_m / SIGMAS_PER_ACCURACY
    area_m2 = math.pi * radius_m**2
    ratio = (radius_m / sigma_m) ** 2
    centre = disc_confidence(radius_m, accuracy_m, area_m2)
    border = disc_confidence(np.zeros(3), accuracy_m, area_m2)
    assert np.allclose(centre, -np.expm1(-ratio / 2.0), atol=1e-9)
    assert np.allclose(border, 0.5 * (1.0 - np.exp(-ratio) * np.i0(ratio)), atol=2e-3)


def test_disc_confidence_is_the_share_of_true_places_inside() -> None:
    rng = np.random.default_rng(10)
    disc = Disc(center_m=np.zeros(2), radius_m=25.0)
    area_m2 = math.pi * disc.radius_m**2
    for off_m, accuracy_m in ((5.0, 20.0), (15.0, 40.0), (24.0, 10.0)):
        places_m = np.array([off_m, 0.0]) + rng.normal(0.0, accuracy_m / SIGMAS_PER_ACCURACY, (200_000, 2))
        share = (disc.depth_m(places_m) >= 0.0).mean()
        believed = disc_confidence(np.array([25.0 - off_m]), np.array([accuracy_m]), np.array([area_m2]))[0]
        assert believed == pytest.approx(share, abs=0.005)


def test_a_disc_is_a_circle_of_its_radius() -> None:
    shape = Disc(center_m=np.zeros(2), radius_m=70.0).shape(Plane(origin=LatLng(lat=10.5, lng=20.5)))
    assert isinstance(shape, Circle)
    assert shape.radius_m == 70.0
