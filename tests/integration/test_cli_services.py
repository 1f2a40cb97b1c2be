"""`lbs up`, `down`, `status`, `doctor`: a whole installation of its own, under a home of its own."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from lbs.daemons import birth, living_pid, start, stop_all
from lbs.runtime import RunFiles, secret_key
from tests.support.cli import Cli, command_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

NAMES = ["postgres", "redis", "api", "engine", "worker", "scheduler"]
KEYS = ["running", "api_url", "console_url", "database_url", "redis_url", "processes"]


@pytest.fixture
def homely(tmp_path: Path) -> Iterator[Cli]:
    """The command with nothing given but a home."""
    tmp_path.chmod(0o755)  # as root, PostgreSQL's own account must get in
    home = tmp_path / "home"
    cli = Cli(command_environment(home), home)
    yield cli
    cli.run("down")


def pids(status: Any) -> dict[str, int | None]:
    return {process["name"]: process["pid"] for process in status["processes"]}


def test_a_home_comes_up_stays_and_goes_down(homely: Cli) -> None:
    cli = homely
    assert cli.json("status")["running"] is False
    assert "start it with `lbs up`" in cli.fails("migrate")

    status = cli.json("up")
    assert list(status) == KEYS
    assert status["running"] is True
    assert [process["name"] for process in status["processes"]] == NAMES
    assert all(set(process) == {"name", "pid", "healthy"} for process in status["processes"])
    with urllib.request.urlopen(f"{status['api_url']}/healthz", timeout=10) as answer:  # noqa: S310 - our own
        assert answer.status == 200

    # a second `up` changes nothing, and starts only what is missing
    assert cli.json("up") == status
    engine = pids(status)["engine"]
    assert engine is not None
    os.kill(engine, signal.SIGKILL)
    assert cli.json("status")["running"] is False
    mended = cli.json("up")
    assert mended["running"] is True
    assert {name for name, pid in pids(mended).items() if pid != pids(status)[name]} == {"engine"}

    assert "the API runs at" in cli.fails("up", "--port", 1)
    doctor = cli.json("doctor")
    assert doctor["healthy"], doctor
    assert {check["name"] for check in doctor["checks"]} >= {"postgis", "schema", "partitions", "engine lag"}

    # a demo leaves what is up for real as it is
    refused = cli.fails("demo", "--once", "--json")
    assert "may not call receivers on loopback" in refused
    assert "lbs down" in refused
    assert pids(cli.json("status")) == pids(mended)

    assert cli.json("down")["stopped"] == [*NAMES[2:], *NAMES[:2]]
    assert all(birth(pid) is None for pid in pids(mended).values() if pid is not None)
    assert cli.json("status")["running"] is False
    assert cli.json("down")["stopped"] == []

    # the API comes back where clients know it
    assert cli.json("up")["api_url"] == status["api_url"]


def test_in_the_foreground_a_term_stops_everything(homely: Cli) -> None:
    process = subprocess.Popen(
        homely.command("up", "--foreground", "--json"), env=homely.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    status = json.loads(process.stdout.readline())
    assert status["running"] is True
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert all(birth(pid) is None for pid in pids(status).values() if pid is not None)


def test_a_pid_that_is_somebody_elses_now_is_never_ended(tmp_path: Path) -> None:
    files = RunFiles(tmp_path, "engine")
    files.pid.parent.mkdir(parents=True)
    files.pid.write_text(f"{os.getpid()} {birth(os.getpid())}-another\n")
    assert living_pid(files) is None
    assert stop_all(tmp_path) == []
    assert not files.pid.exists()


def test_a_process_that_ends_is_seen_even_if_nobody_has_waited_for_it(tmp_path: Path) -> None:
    files = RunFiles(tmp_path, "engine")
    # without a database it ends at once; the run's own servers, if given, are none of its business
    start(files, environment=command_environment(tmp_path, LBS_DATABASE_URL="", LBS_REDIS_URL=""))
    give_up_at = time.monotonic() + 60
    while living_pid(files) is not None:
        assert time.monotonic() < give_up_at
        time.sleep(0.1)
    assert "lbs up" in files.log.read_text()


def test_the_secret_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    made = secret_key(tmp_path / "home")
    assert len(made) >= 32
    assert secret_key(tmp_path / "home") == made
    assert stat.S_IMODE((tmp_path / "home" / "secret_key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["secret_key"]
