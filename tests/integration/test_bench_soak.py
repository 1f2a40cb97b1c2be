"""`lbs bench soak` in small: the road carries the load, and its oracle sees what the ledger gets wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from lbs.bench.home import bench_home
from lbs.bench.soak import check, run
from lbs.bench.soak_report import PARTS, as_text, draw
from lbs.connections import Role, database

if TYPE_CHECKING:
    from pathlib import Path

DEVICES = 200


@pytest.mark.servers
def test_a_small_load_leaves_no_wrong_pair_and_a_wrong_one_is_seen(tmp_path: Path) -> None:
    passed_s: list[int] = []
    with bench_home(tmp_path / "bench") as home:
        result = run(
            home, minutes=0.1, share=0.3, edits_a_second=10, say=lambda _: None, forward=passed_s.append,
            devices=DEVICES, measured_s=2.0,
        )  # fmt: skip
        assert (result["missing_pairs"], result["extra_pairs"], result["refused"]) == (0, 0, 0)
        assert result["checked_pairs"] > 100
        assert result["edits"] > 10
        assert sum(passed_s) > 0

        system = database(home.settings, Role.SYSTEM)
        longest = "(SELECT visit_id FROM geofences.visits WHERE status <> 'retracted' ORDER BY positions DESC LIMIT 1)"
        with system.begin() as connection:
            connection.execute(sa.text(f"DELETE FROM geofences.visits WHERE visit_id = {longest}"))  # noqa: S608 - our own text
        assert check(home, DEVICES)["missing_pairs"] > 0
        with system.begin() as connection:
            other = "fence_id = (SELECT max(fence_id) FROM geofences.fences)"
            connection.execute(sa.text(f"UPDATE geofences.visits SET {other} WHERE visit_id = {longest}"))  # noqa: S608 - our own text
        assert check(home, DEVICES)["extra_pairs"] > 0
        system.dispose()

    result["machine"] = "a machine"
    assert as_text(result).count("of 3 |") == PARTS
    draw(result, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000
