"""Porto's taxis through the real command, log, engine and decider, against events computed elsewhere.

The expected events come from taking each trip alone with `ST_DWithin`'s geodesic; see the data's SOURCE.md.
LBS_TEST_PORTO_EVERY=1 replays all trips instead of a part.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.data import data_dir
from tests.support.porto import EVERY, rows_of_taxis

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]

COLUMNS = ("device_id", "recorded_at", "lng", "lat")
TYPES = {"enter": "visit.entered", "exit": "visit.exited"}


def taken(trip: str) -> bool:
    return int(trip) % EVERY == 0


def expected_events() -> Counter[tuple[str, str, str, str]]:
    """(device, fence, type, time) of every event."""
    rows = rows_of_taxis("expected_fence_events_150m.csv.gz")
    assert len(rows) == 57_930
    return Counter((trip, store, TYPES[event], at) for trip, _, at, store, event in rows if taken(trip))


def positions(folder: Path) -> tuple[Path, int]:
    """Those of the trips that are taken, as a file of their own, and how many there are."""
    rows = rows_of_taxis("positions.csv.gz")
    assert len(rows) == 97_097
    kept = [(trip, at, lng, lat) for trip, _, _, _, at, lng, lat in rows if taken(trip)]
    path = folder / "positions.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *kept])
    return path, len(kept)


def listed_stores(folder: Path) -> Path:
    """The 200 stores that the expected events are about, as a file of their own."""
    listed = set(json.loads((data_dir("taxi_porto") / "expected_fence_events_150m_stores.json").read_text()))
    city = json.loads((data_dir("osm_porto") / "stores.geojson").read_text(encoding="utf-8"))
    city["features"] = [feature for feature in city["features"] if feature["id"] in listed]
    assert len(city["features"]) == 200
    path = folder / "stores.geojson"
    path.write_text(json.dumps(city), encoding="utf-8")
    return path


def test_replaying_the_taxis_gives_the_expected_events(cli: Cli, tmp_path: Path) -> None:
    cli.tenant("porto", sandbox=True)
    cli.ok(
        "import", "stores", listed_stores(tmp_path), "--tenant", "porto", "--fence-radius-m", 150, "--profile", "plain"
    )
    file, n = positions(tmp_path)
    replay = ("replay", file, "--tenant", "porto", "--filters", "off")
    expected = expected_events()
    enters = sum(type_ == "visit.entered" for _, _, type_, _ in expected.elements())
    assert enters > 30_000 / EVERY * 0.8

    with cli.running("engine", "worker"):
        found = cli.json(*replay, timeout_s=900)
        assert {name: found[name] for name in ("positions", "accepted", "rejected", "duplicates")} == {
            "positions": n,
            "accepted": n,
            "rejected": 0,
            "duplicates": 0,
        }
        assert found["events"] == expected.total()
        assert found["visits"] == enters
        assert (found["corrections"], found["decisions"]) == (0, 0)

        events = csv.DictReader(io.StringIO(cli.ok("export", "events", "--tenant", "porto")))
        seen = Counter((row["device_id"], row["fence_external_id"], row["type"], row["at"]) for row in events)
        assert seen == expected

        again = cli.json(*replay, timeout_s=900)
        assert (again["accepted"], again["duplicates"], again["events"]) == (0, n, 0)

    visits = list(csv.DictReader(io.StringIO(cli.ok("export", "visits", "--tenant", "porto"))))
    assert len(visits) == enters
    assert sum(visit["ended_by"] == "exit" for visit in visits) == expected.total() - enters
    assert all((visit["exited_at"] == "") == (visit["ended_by"] == "") for visit in visits)
