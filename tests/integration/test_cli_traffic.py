"""`lbs traffic` tells what the API tells, after a replay of real taxis."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from geofences.model import SHARDS
from geofences.zones import zone
from tests.support.api import wait_for
from tests.support.data import data_dir
from tests.support.footfall import Clock, Recount, Visit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1200)]

ROWS: Final = int(os.environ.get("LBS_TEST_TAXI_ROWS", "4000"))
"""Of about 97,000 positions; 0 for all of them."""
COLUMNS: Final = "device_id=trip,recorded_at=time_utc,lng=lon"
LISBON: Final = zone("Europe/Lisbon")
OWNED: Final = "SELECT count(*) FROM geofences.shards WHERE leased_until > clock_timestamp()"


def _some_taxis(folder: Path) -> Path:
    with gzip.open(data_dir("taxi_porto") / "positions.csv.gz", "rt", encoding="utf-8") as text:
        lines = [line for number, line in enumerate(text) if not ROWS or number <= ROWS]
    path = folder / "positions.csv"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def _some_stores(folder: Path) -> Path:
    """The 200 stores that the data's own events are about."""
    listed = set(json.loads((data_dir("taxi_porto") / "expected_fence_events_150m_stores.json").read_text()))
    city = json.loads((data_dir("osm_porto") / "stores.geojson").read_text(encoding="utf-8"))
    city["features"] = [feature for feature in city["features"] if feature["id"] in listed]
    path = folder / "stores.geojson"
    path.write_text(json.dumps(city), encoding="utf-8")
    return path


def _busiest(cli: Cli) -> tuple[str, list[Visit]]:
    """The store that most taxis came to, with its ledger as it is exported."""
    ledgers: dict[str, list[Visit]] = {}
    for row in csv.DictReader(io.StringIO(cli.ok("export", "visits", "--tenant", "porto"))):
        if row["exited_at"]:
            at = datetime.fromisoformat(row["entered_at"])
            visit = Visit(hash(row["device_id"]), at, float(row["dwell_s"]), row["ended_by"])
            ledgers.setdefault(row["fence_external_id"], []).append(visit)
    return max(ledgers.items(), key=lambda one: sum(visit.counts for visit in one[1]))


def test_the_figures_of_real_taxis_are_those_of_a_recount(cli: Cli, tmp_path: Path) -> None:
    cli.tenant("porto", sandbox=True)
    fences = ("--fence-radius-m", 300, "--profile", "plain")
    cli.ok("import", "stores", _some_stores(tmp_path), "--tenant", "porto", *fences, timeout_s=600)
    with cli.running("engine", "worker", "scheduler"):
        wait_for(lambda: cli.query(OWNED)[0][0] == SHARDS, give_up_s=120)
        cli.json(
            "replay", _some_taxis(tmp_path), "--tenant", "porto", "--filters", "off", "--map", COLUMNS, timeout_s=900
        )
        store, ledger = _busiest(cli)
        day = min(visit.entered_at for visit in ledger).astimezone(LISBON).date()
        span = ("--from", str(day - timedelta(days=1)), "--to", str(day + timedelta(days=3)))
        asked = ("traffic", store, "--tenant", "porto", *span)
        due = "SELECT 1 FROM geofences.traffic_due WHERE what <> 'month' LIMIT 1"
        wait_for(lambda: not cli.query(due), give_up_s=300)
    counted = Recount(ledger, Clock(LISBON, day - timedelta(days=40), day + timedelta(days=40)), k=5)
    told = 0
    for grain in ("hour", "day", "week"):
        for item in json.loads(cli.ok(*asked, "--grain", grain, "--format", "json"))["items"]:
            begins = datetime.fromisoformat(item["starts_at"])
            expected = counted.told(grain, begins if grain == "hour" else begins.date())
            for name in ("visits", "visitors", "new_visitors", "returning_visitors", "passers_by"):
                assert item[name] == expected[name], (grain, begins, name)
                told += item[name] is not None
    assert told > 0
    assert "withheld" in cli.ok(*asked, "--grain", "hour")
    rows = list(csv.DictReader(io.StringIO(cli.ok(*asked, "--format", "csv"))))
    assert len(rows) == 4
    assert date.fromisoformat(rows[1]["starts_at"][:10]) == day


def test_a_store_that_nobody_has_is_said_to_be_none(cli: Cli) -> None:
    cli.tenant("acme")
    assert "no store 'x'" in cli.fails("traffic", "x", "--tenant", "acme")
