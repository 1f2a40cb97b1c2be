"""`lbs demo --once --json` as a person runs it: offers really arrive by every channel, and nothing is left behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from lbs.local import remove_servers
from tests.support.servers import create_database, drop_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbs.local import Servers

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

COMMAND = [sys.executable, "-m", "lbs", "demo"]
WALKERS = "90"
"""Enough for every channel, and light on a machine that runs other tests."""


@pytest.fixture
def home() -> Iterator[Path]:
    """A home in a folder that every account may enter; pytest's own tmp_path is closed to all but its maker."""
    with tempfile.TemporaryDirectory(prefix="lbs-demo-test-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        yield home
        left = processes_of(home)
        for process in left:
            process.kill()
        remove_servers(home)
        assert left == []


@pytest.fixture
def given(servers: Servers, redis_prefix: str) -> Iterator[dict[str, str]]:
    """Settings that lead to the run's servers, with a database of this test's own: quicker than private ones."""
    name = f"lbs_demo_{secrets.token_hex(6)}"
    yield {
        "LBS_DATABASE_URL": create_database(servers.database_url, name),
        "LBS_REDIS_URL": servers.redis_url,
        "LBS_REDIS_PREFIX": redis_prefix.replace(":", "."),
    }
    drop_database(servers.database_url, name)


def environment(home: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBS_")}
    return {**inherited, "LBS_HOME": str(home), **more}


def processes_of(home: Path) -> list[psutil.Process]:
    """Whatever runs for this home: ours know it from their environment, the servers from their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            named = str(home) in " ".join(process.cmdline())
            if named or process.environ().get("LBS_HOME") == str(home):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def check(result: dict[str, Any]) -> None:
    assert result["console_url"].endswith("/console/")
    assert "/app/?key=lbs_pk_" in result["app_url"]
    roles = {person["role"] for person in result["people"] if person["password"] and "@" in person["email"]}
    assert roles == {"marketer", "approver", "store_manager", "analyst", "operator"}
    assert (result["stores"], result["fences"], result["devices"]) == (1_009, 1_009, int(WALKERS))
    assert result["positions"] > 0
    assert result["positions_stored"] == result["positions"], "what is answered 202 is kept"
    assert result["visits"] > 0
    assert result["events"] >= result["visits"]
    assert result["decisions"]["offered"] > 0
    assert result["decisions"]["suppressed"] > 0
    assert result["suppressed"]["consent"] > 0
    for channel in ("webpush", "webhook", "inbox"):
        counts = result["notifications"][channel]
        assert result["arrived"][channel] > 0
        assert counts["sent"] >= counts["delivered"] > 0
        assert counts["failed"] == 0
    assert 0 < result["delivery_ms"]["p50"] <= result["delivery_ms"]["p99"]


def test_the_demo_delivers_on_every_channel_and_leaves_nothing_running(home: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--once", "--json", "--walkers", WALKERS],
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    check(json.loads(done.stdout.splitlines()[-1]))
    assert processes_of(home) == []


def test_ctrl_c_ends_what_the_demo_started_beside_the_servers_it_was_given(home: Path, given: dict[str, str]) -> None:
    with subprocess.Popen(
        [*COMMAND, "--walkers", WALKERS],
        env=environment(home, **given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "start walking" in line:
                break
        time.sleep(3)
        demo.send_signal(signal.SIGINT)
        said, _ = demo.communicate(timeout=120)

    assert demo.returncode == 0
    assert "Good bye" in said
    assert not (home / "postgres").exists()
    assert processes_of(home) == []


def test_ctrl_c_while_the_servers_start_leaves_none_of_them(home: Path) -> None:
    with subprocess.Popen(
        COMMAND, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        for line in demo.stderr:
            if "listens on" in line:
                break
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=120)

    assert demo.returncode == 130
    assert processes_of(home) == []
