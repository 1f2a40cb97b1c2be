"""Engine and worker show their numbers, if they are told where."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from lbs.local_process import choose_port

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytestmark = pytest.mark.servers


def shown(port: int) -> dict[str, float]:
    """Every number by its name; those of several labels by name and labels."""
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except urllib.error.URLError:
            assert time.monotonic() < deadline, "nobody shows metrics"
            time.sleep(0.1)
        else:
            return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_engine_and_worker_count_what_they_do(cli: Cli) -> None:
    port = choose_port(None)
    cli.environment["LBS_METRICS_PORT"] = str(port)
    cli.tenant("road", sandbox=True)
    stores = cli.home / "stores.csv"
    stores.write_text("external_id,name,lat,lng,timezone\ns1,Shop,60.17,24.94,Europe/Helsinki\n")
    cli.ok("import", "stores", stores, "--tenant", "road", "--fence-radius-m", "100", "--profile", "plain")
    positions = cli.home / "positions.csv"
    rows = [f"phone,2026-06-01T12:{minute:02}:00Z,60.17,24.94" for minute in range(10)]
    positions.write_text("\n".join(["device_id,recorded_at,lat,lng", *rows]) + "\n")
    with cli.running("engine", "worker"):
        cli.ok("replay", positions, "--tenant", "road")
        engine, worker = shown(port), shown(port + 1)
    assert engine["lbs_engine_shards_owned"] == 64
    assert engine["lbs_engine_positions_total"] == 10
    assert engine["lbs_engine_entries_total"] >= 10 / 1000
    assert engine["lbs_engine_commit_seconds_count"] >= 1
    assert engine["lbs_engine_batch_seconds_count"] >= 1
    assert 0 <= engine["lbs_engine_fences_age_seconds"] < 5
    assert engine["lbs_engine_buried_entries_total"] == 0
    assert engine["lbs_engine_log_losses_total"] == 0
    assert worker["lbs_worker_events_waiting"] == 0


def test_a_taken_port_is_said_in_one_line(cli: Cli) -> None:
    port = choose_port(None)
    cli.environment["LBS_METRICS_PORT"] = str(port)
    with cli.running("engine"):
        shown(port)
        assert "change LBS_METRICS_PORT" in cli.fails("engine")
