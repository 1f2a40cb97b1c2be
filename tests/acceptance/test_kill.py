"""kill -9 of the engine and of the worker in the middle of a replay leaves exactly what a run without a kill leaves.

LBS_TEST_KILLS makes it larger: the replay grows with the kills.
"""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.model import TenantId
from lbs.connections import sqlalchemy_url
from lbs.runtime import RunFiles
from offers.definition import CampaignDefinition
from offers.lifecycle import move_campaign
from offers.store import create_campaign

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("LBS_TEST_KILLS", "5"))
WINDOWS_S = {"engine": (0.0, 0.05), "worker": (0.3, 1.2)}
"""How long after its first sign of life a process is killed; a worker needs a moment to get anywhere."""
DEVICES, STEPS, EVERY_S = 150, 44 * KILLS, 10
STORES = 36
CLOSES = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
"""Noon in Helsinki, when the shops close: four fifths of the replay are over then."""
START = CLOSES - timedelta(seconds=36 * KILLS * EVERY_S)
SPACING_DEG = 0.004

# The unit of stock that a decision saw depends on what other shards took before, and nothing else does.
LEDGERS = {
    "visits": "SELECT v.*, NULL AS tenant_id FROM geofences.visits v ORDER BY visit_id",
    "events": "SELECT * FROM geofences.events ORDER BY shard, seq",
    "positions": "SELECT * FROM geofences.positions ORDER BY device_id, recorded_at, lat, lng",
    "decisions": (
        "SELECT decision_id, campaign_id, device_id, store_id, event_id, trigger_type, outcome, reason, event_at,"
        " decided_at, (SELECT jsonb_agg(g) FROM jsonb_array_elements(gates) g WHERE g ->> 0 <> 'stock') AS gates"
        " FROM offers.decisions ORDER BY decision_id"
    ),
    "reservations": "SELECT * FROM offers.reservations ORDER BY decision_id",
    "notifications": "SELECT * FROM offers.notifications ORDER BY notification_id",
    "campaigns": "SELECT campaign_id, reserved FROM offers.campaigns ORDER BY campaign_id",
    "shards": "SELECT shard, seq FROM geofences.shards ORDER BY shard",
}


@dataclass
class Run:
    """One replay in a database, a Redis prefix and a home of its own."""

    database_url: str
    environment: dict[str, str]
    home: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    started_s: dict[str, float] = field(default_factory=dict)

    def lbs(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "lbs", *arguments, "--json"],
            env=self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return answer

    def start(self, name: str) -> None:
        self.started_s[name] = time.time()
        with (self.home / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "lbs", name], env=self.environment, stdout=log, stderr=log
            )

    def is_up(self, name: str) -> bool:
        """Whether it has shown a sign of life since it was started last; the killed one's stays, as for a user."""
        age_s = RunFiles(self.home, name).beat_age_s()
        return age_s is not None and time.time() - age_s > self.started_s[name]

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def ledgers(self) -> dict[str, list[tuple[Any, ...]]]:
        engine = sa.create_engine(sqlalchemy_url(self.database_url))
        with engine.connect() as connection:
            found = {
                name: [tuple(map(repr, row)) for row in connection.execute(sa.text(statement))]
                for name, statement in LEDGERS.items()
            }
        engine.dispose()
        return found


def _write_inputs(folder: Path) -> None:
    """Stores on a grid; devices that wander among them, one of which is off the air now and then."""
    dice = random.Random(7)
    for profile in ("plain", "standard"):
        with (folder / f"{profile}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["external_id", "name", "lat", "lng", "timezone", "opening_hours"])
            for i in range(STORES):
                if (i % 2 == 0) == (profile == "plain"):
                    lat, lng = 60.16 + SPACING_DEG * (i // 6) / 2, 24.92 + SPACING_DEG * (i % 6)
                    writer.writerow([f"s{i}", f"Shop {i}", lat, lng, "Europe/Helsinki", "Mo-Fr 08:00-12:00"])
    spots = [[60.165 + dice.uniform(-0.006, 0.006), 24.93 + dice.uniform(-0.01, 0.01)] for _ in range(DEVICES)]
    with (folder / "positions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["device_id", "recorded_at", "lat", "lng", "accuracy_m"])
        for step in range(STEPS):
            at = START + timedelta(seconds=EVERY_S * step)
            for device, spot in enumerate(spots):
                spot[0] += dice.gauss(0, 0.0002)
                spot[1] += dice.gauss(0, 0.0004)
                if (step // 40 + device) % 9:
                    row = [f"{spot[0]:.6f}", f"{spot[1]:.6f}", dice.choice([5, 10, 30])]
                    writer.writerow([f"d{device}", at.isoformat(), *row])


def _campaigns(database_url: str, tenant_id: TenantId) -> None:
    engine = sa.create_engine(sqlalchemy_url(database_url))
    with engine.begin() as connection:
        for trigger, more in (
            ("enter", {"stock": 1_000_000, "caps": [{"count": 3}]}),
            ("dwell", {"caps": [{"count": 2, "window_s": 900}]}),
            ("exit", {"windows": {"only_while_open": True}, "caps": []}),
        ):
            made = {
                "name": trigger,
                "trigger": {"type": trigger},
                "offer": {"kind": "other"},
                "creatives": [{"title": "t"}],
                "reservation_ttl_s": 600,
                **more,
            }
            campaign_id = create_campaign(
                connection,
                tenant_id=tenant_id,
                definition=CampaignDefinition.model_validate(made),
                created_by="test",
                now=START,
            )
            for move in ("submit", "approve"):
                move_campaign(
                    connection, tenant_id=tenant_id, campaign_id=campaign_id, move=move, actor="test", now=START
                )
    engine.dispose()


def _replay(run: Run, folder: Path, *, kills: int) -> dict[str, int]:
    """Replays with both processes, each killed `kills` times at random moments while the replay goes on."""
    tenant = run.lbs("tenant", "create", "kill", "--sandbox")
    for profile in ("plain", "standard"):
        arguments = ("--tenant", "kill", "--fence-radius-m", "120", "--profile", profile)
        run.lbs("import", "stores", str(folder / f"{profile}.csv"), *arguments)
    _campaigns(run.database_url, TenantId(tenant["tenant_id"]))
    killed = {"engine": 0, "worker": 0}
    dice = random.Random(kills)
    for name in killed:
        run.start(name)
    replay = subprocess.Popen(
        [sys.executable, "-m", "lbs", "replay", str(folder / "positions.csv"), "--tenant", "kill", "--json"],
        env=run.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        due = dict.fromkeys(killed, 0.0)
        while replay.poll() is None:
            for name, count in killed.items():
                if count < kills and run.is_up(name):
                    if not due[name]:
                        due[name] = time.monotonic() + dice.uniform(*WINDOWS_S[name])
                    elif time.monotonic() > due[name]:
                        run.kill(name)
                        run.start(name)
                        killed[name] += 1
                        due[name] = 0.0
            time.sleep(0.005)
        output, errors = replay.communicate()
        assert replay.returncode == 0, errors
        assert json.loads(output.splitlines()[-1])["accepted"] > 3_000 * KILLS
    finally:
        replay.kill()
        for name in killed:
            run.kill(name)
    return killed


@pytest.fixture
def new_run(
    new_database_url: Callable[[], str], redis_url: str, redis_prefix: str, tmp_path: Path
) -> Callable[[str], Run]:
    def make(name: str) -> Run:
        database_url = new_database_url()
        home = tmp_path / name
        home.mkdir()
        environment = {
            **os.environ,
            "LBS_HOME": str(home),
            "LBS_DATABASE_URL": database_url,
            "LBS_REDIS_URL": redis_url,
            "LBS_REDIS_PREFIX": f"{redis_prefix}{name}",
        }
        return Run(database_url=database_url, environment=environment, home=home)

    return make


def test_kills_leave_no_trace_in_any_ledger(new_run: Callable[[str], Run], tmp_path: Path) -> None:
    _write_inputs(tmp_path)
    calm = new_run("calm")
    assert _replay(calm, tmp_path, kills=0) == {"engine": 0, "worker": 0}
    wild = new_run("wild")
    killed = _replay(wild, tmp_path, kills=KILLS)
    expected, found = calm.ledgers(), wild.ledgers()
    for name, rows in expected.items():
        assert found[name] == rows, f"{name}: {len(found[name])} rows instead of {len(rows)}"
    assert len(expected["visits"]) > 50 * KILLS
    assert len(expected["notifications"]) > 10 * KILLS
    # how often each dies before the replay is over depends on the machine
    assert sum(killed.values()) >= KILLS
    assert min(killed.values()) >= 1
