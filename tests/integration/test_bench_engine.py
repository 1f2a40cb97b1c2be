"""`lbs bench engine` with its servers: all peers agree, the figures are complete, and a Tile38 is left as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lbs.bench.engine import measure_peer
from lbs.bench.engine_answers import MismatchError
from lbs.bench.engine_ours import OurIndex
from lbs.bench.engine_tile38 import Channels
from lbs.bench.engine_workload import Workload, make
from tests.support.cli import Cli, command_environment
from tests.support.tile38 import Server, stand_in

if TYPE_CHECKING:
    from pathlib import Path

    from lbs.bench.engine import Measured

PEERS = {"postgis_prepared", "postgis_join", "redis_geosearch", "shapely_strtree", "duckdb_spatial"}
RATES = {"lbs", "lbs_with_state", *PEERS}


@pytest.mark.servers
def test_all_peers_give_the_same_answers(tmp_path: Path) -> None:
    cli = Cli(command_environment(tmp_path / "home"), tmp_path / "home")
    picture = tmp_path / "bench.png"
    arguments = (
        "bench",
        "engine",
        "--fences",
        "400",
        "--rounds",
        "1",
        "--positions",
        "100000",
        "--plot",
        picture,
        "--json",
    )
    result = json.loads(cli.ok(*arguments, timeout_s=280).splitlines()[-1])

    (run,) = result["runs"]
    assert run["equal"] is True
    assert set(run["rates"]) == RATES
    assert all(rate > 0 for rate in run["rates"].values())
    assert set(run["compared"]) == PEERS
    assert all(compared["pairs"] > 10 for compared in run["compared"].values())
    assert {name: run[name] for name in ("fences", "positions")} == {"fences": 400, "positions": 100_000}
    assert min(run[name] for name in ("build_s", "edit_p50_us", "edit_p99_us", "floor", "after_churn", "events")) > 0
    assert "ix_fences_shape" in run["explain"]["postgis_prepared"]
    assert "ix_fences_shape" in run["explain"]["postgis_join"]
    assert "SPATIAL_JOIN" in run["explain"]["duckdb_spatial"]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "home" / "bench" / "postgres").exists()


def test_what_is_no_list_is_refused_at_once(tmp_path: Path) -> None:
    cli = Cli(command_environment(tmp_path / "home"), tmp_path / "home")
    for wrong in (("--fences", "many"), ("--peers", "mongodb"), ("--tile38", "nowhere")):
        done = cli.run("bench", "engine", *wrong)
        assert done.returncode == 2
        assert wrong[0] in done.stderr


def measure(server: Server, workload: Workload) -> Measured:
    ours = OurIndex()
    ours.prepare(workload)
    host, port, *_ = server.server_address
    answers = ours.answers(len(workload.lat))
    return measure_peer(Channels(str(host), int(port)), [ours], answers, workload, rounds=1)


def test_a_tile38_agrees_and_is_left_as_it_was() -> None:
    with stand_in() as server:
        server.channels["somebody's"] = ("other", ["CIRCLE", "0", "0", "1"])
        measured = measure(server, make(40, devices=60, reports=4))
        assert measured.agreement.pairs > 10
        assert list(server.channels) == ["somebody's"]
        assert not server.objects


def test_a_wrong_tile38_is_found() -> None:
    with stand_in() as server:
        server.wrong = True
        with pytest.raises(MismatchError, match="only lbs has"):
            measure(server, make(40, devices=60, reports=4))
