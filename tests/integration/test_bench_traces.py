"""`lbs bench traces` as it is called: all scenes and rules are scored, and the tables say what the JSON says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lbs.bench.traces_report import BEGIN, END, RULES, SCENES, for_documents, write_between_marks
from lbs.bench.traces_scenes import SCENES as MADE
from lbs.runtime import CommandError
from tests.support.cli import Cli, command_environment

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.servers
def test_every_scene_is_scored_by_every_rule(tmp_path: Path) -> None:
    cli = Cli(command_environment(tmp_path / "home"), tmp_path / "home")
    printed = cli.ok("bench", "traces", "--traces", 3, "--seed", 2, "--json", timeout_s=280)
    result = json.loads(printed.splitlines()[-1])

    assert list(result["scenes"]) == list(SCENES) == list(MADE)
    assert all(list(found["rules"]) == list(RULES) for found in result["scenes"].values())
    walk_in = result["scenes"]["walk_in"]["rules"]
    assert all(walk_in[rule]["enter"]["true"] == 3 for rule in RULES)
    assert walk_in["postgis"]["enter"]["told"] == walk_in["plain"]["enter"]["told"] >= 3
    assert (result["traces"], result["seed"]) == (3, 2)
    assert set(result["calibration"]) == {"smaller", "like", "larger"}
    assert not (tmp_path / "home" / "bench" / "postgres").exists()

    text = for_documents(result)
    assert f"| {SCENES['mall']} (" in text
    assert text.count("PostGIS rule |") == len(SCENES)


def test_tables_go_between_the_marks(tmp_path: Path) -> None:
    document = tmp_path / "benchmarks.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between_marks(document, "new")
    assert document.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    document.write_text("no marks")
    with pytest.raises(CommandError, match="are not there"):
        write_between_marks(document, "new")
