"""A day of Porto's taxis through the real command, log, engine and decider, against events computed elsewhere.

The expected events come from taking each trip alone with `ST_DWithin`'s geodesic; see the data's SOURCE.md.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.support.data import data_dir

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]

COLUMNS = "device_id=trip,recorded_at=time_utc,lng=lon"


def expected_events() -> Counter[tuple[str, str, str, str]]:
    """(device, fence, type, time) of every event."""
    path = data_dir("taxi_porto") / "expected_fence_events_150m.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8") as text:
        types = {"enter": "visit.entered", "exit": "visit.exited"}
        return Counter(
            (row["trip"], row["osm_id"], types[row["event"]], row["time_utc"]) for row in csv.DictReader(text)
        )


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
    positions = data_dir("taxi_porto") / "positions.csv.gz"
    replay = ("replay", positions, "--tenant", "porto", "--filters", "off", "--map", COLUMNS)
    expected = expected_events()

    with cli.running("engine", "worker"):
        found = cli.json(*replay, timeout_s=900)
        assert {name: found[name] for name in ("positions", "accepted", "rejected", "duplicates")} == {
            "positions": 97_097,
            "accepted": 97_097,
            "rejected": 0,
            "duplicates": 0,
        }
        assert found["events"] == expected.total() == 57_930
        assert found["visits"] == 30_121
        assert (found["corrections"], found["decisions"]) == (0, 0)

        events = csv.DictReader(io.StringIO(cli.ok("export", "events", "--tenant", "porto")))
        seen = Counter((row["device_id"], row["fence_external_id"], row["type"], row["at"]) for row in events)
        assert seen == expected

        again = cli.json(*replay, timeout_s=900)
        assert (again["accepted"], again["duplicates"], again["events"]) == (0, 97_097, 0)

    visits = list(csv.DictReader(io.StringIO(cli.ok("export", "visits", "--tenant", "porto"))))
    assert len(visits) == 30_121
    assert sum(visit["ended_by"] == "exit" for visit in visits) == 27_809
    assert all((visit["exited_at"] == "") == (visit["ended_by"] == "") for visit in visits)
