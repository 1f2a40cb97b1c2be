"""`lbs match` works without any server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cli import Cli, command_environment

if TYPE_CHECKING:
    from pathlib import Path

FENCES = "id,lat,lng,radius_m\nnorth,60.2,24.9,500\nwide,60.1,24.9,50000\n"
POSITIONS = "latitude,longitude\n60.2,24.9\nnowhere,24.9\n60.0,24.9\n10,24.9\n"
PAIRS = "position,fence_external_id\n0,north\n0,wide\n2,wide\n"


def test_pairs_name_positions_by_their_row(tmp_path: Path) -> None:
    cli = Cli(command_environment(tmp_path / "home"), tmp_path / "home")
    fences, positions, output = (tmp_path / name for name in ("fences.csv", "positions.csv", "pairs.csv"))
    fences.write_text(FENCES)
    positions.write_text(POSITIONS)
    given = ("match", "--fences", fences, "--positions", positions)

    assert cli.ok(*given) == PAIRS
    found = cli.json(*given, "--output", output)
    assert output.read_text() == PAIRS
    assert {name: found[name] for name in ("positions", "fences", "pairs")} == {"positions": 4, "fences": 2, "pairs": 3}
    assert found["build_s"] > 0
    assert found["rate"] > 0
    assert not (tmp_path / "home").exists()
