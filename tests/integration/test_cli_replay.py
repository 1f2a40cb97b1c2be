"""`lbs replay` in small: an engine and a worker of its own, what is refused, what fails and how."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

import lbs.replay_watch
from lbs.commands import terminal
from lbs.replay import replay
from lbs.runtime import CommandError, resolve
from lbs.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = pytest.mark.servers

FENCES = "external_id,lat,lng,radius_m\nshop,60.17,24.94,100\n"
INSIDE, OUTSIDE = "60.17,24.94", "60.18,24.94"


def row(device: str, minute: float, place: str, more: str = ",") -> str:
    return f"{device},{1_780_000_000 + minute * 60:.0f},{place},{more}\n"


def walk() -> str:
    """In for 10 minutes with the standard profile, then away; and whatever else a file may hold."""
    header = "device_id,recorded_at,lat,lng,accuracy_m,mocked\n"
    rows = [row("007", minute / 2, INSIDE, "5,") for minute in range(20)]
    rows += [row("007", 10 + minute / 2, OUTSIDE, "5,") for minute in range(6)]
    rows += [
        row("007", 3, INSIDE, "5,"),  # again
        row("old", -60 * 25, INSIDE),
        row("wrong", 3, "0,0"),
        "short,row\n",
        row("new", 12, INSIDE, "5,true"),
    ]
    return header + "".join(rows)


@pytest.fixture
def prepared(cli: Cli, tmp_path: Path) -> Cli:
    cli.tenant("sand", sandbox=True)
    (tmp_path / "fences.csv").write_text(FENCES)
    cli.ok("import", "fences", tmp_path / "fences.csv", "--tenant", "sand")
    (tmp_path / "walk.csv").write_text(walk())
    return cli


def test_a_walk_becomes_a_visit_in_data_time(prepared: Cli, tmp_path: Path) -> None:
    cli = prepared
    with cli.running("engine", "worker"):
        found = cli.json("replay", tmp_path / "walk.csv", "--tenant", "sand")
    assert {name: found[name] for name in ("positions", "accepted", "rejected", "duplicates")} == {
        "positions": 31,
        "accepted": 27,
        "rejected": 3,
        "duplicates": 1,
    }
    assert found["rejected_by_reason"] == {"broken_row": 1, "null_island": 1, "too_old": 1}
    assert (found["visits"], found["events"], found["decisions"]) == (1, 3, 0)

    (visit,) = csv.DictReader(io.StringIO(cli.ok("export", "visits", "--tenant", "sand")))
    assert list(visit) == [
        "visit_id",
        "device_id",
        "store_id",
        "fence_id",
        "fence_external_id",
        "entered_at",
        "exited_at",
        "dwell_s",
        "ended_by",
        "positions",
        "confidence",
    ]
    assert visit["device_id"] == "007"
    assert visit["fence_external_id"] == "shop"
    assert visit["entered_at"].endswith("Z")
    assert (visit["dwell_s"], visit["ended_by"]) == ("600.0", "exit")
    events = list(csv.DictReader(io.StringIO(cli.ok("export", "events", "--tenant", "sand"))))
    assert [event["type"] for event in events] == ["visit.entered", "visit.dwelled", "visit.exited"]
    consents = cli.query("SELECT DISTINCT purpose, source, granted FROM geofences.consents ORDER BY purpose")
    assert [tuple(consent) for consent in consents] == [("location", "replay", True), ("push", "replay", True)]


def test_without_an_engine_the_replay_says_so(prepared: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lbs.replay_watch, "PATIENCE_S", 0.5)
    with pytest.raises(CommandError, match=r"the engine does not run .*`lbs up`"):
        replay(settings_of(prepared), "sand", tmp_path / "walk.csv", progress=terminal.progress)


def settings_of(cli: Cli) -> Settings:
    given: dict[str, Any] = {
        name.removeprefix("LBS_").lower(): value for name, value in cli.environment.items() if name.startswith("LBS_")
    }
    return resolve(Settings(**given))
