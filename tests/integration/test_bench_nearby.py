"""`lbs bench nearby` in small: our answers are PostGIS's, and one that differs is seen."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from geofences.model import LatLng
from lbs.bench.home import bench_home
from lbs.bench.nearby import compare, run
from lbs.bench.nearby_postgis import Found
from lbs.bench.nearby_world import Question
from lbs.commands.bench_nearby import table
from lbs.runtime import CommandError

if TYPE_CHECKING:
    from pathlib import Path

KINDS = {"nearest", "within 1 km", "within 5 km", "category", "word", "two words within 5 km", "rare word"}
AT = datetime(2026, 6, 3, 9, tzinfo=UTC)
ASKED = Question(LatLng(lat=0.0, lng=0.0))
RIGHT = Found(1, 10.0, (1, 2))


@pytest.mark.servers
def test_answers_are_those_of_postgis_and_each_kind_is_timed(tmp_path: Path) -> None:
    said: list[str] = []
    with bench_home(tmp_path / "bench") as home:
        result = run(home, stores=600, campaign_count=120, questions=12, say=said.append)
    assert result["equal"] is True
    assert set(result["runs"]) == KINDS
    for name, found in result["runs"].items():
        for key in ("ms", "first_ms", "http_ms", "postgis_ms"):
            assert 0 < found[key]["p50"] <= found[key]["p99"], name
    compared = [line for line in said if "answers equal" in line]
    assert len(compared) == len(KINDS)
    assert sum(int(line.split()[-2]) for line in compared) > 500
    assert max(map(said.index, compared)) < min(i for i, line in enumerate(said) if " ms" in line)
    result["machine"] = "a machine"
    assert table(result).count(" x |") == len(KINDS)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [Found(2, 10.0, (1, 2))],
        [Found(1, 10.1, (1, 2))],
        [Found(1, 10.0, (1,))],
        [RIGHT, Found(3, 11.0, (1,))],
    ],
)
def test_an_answer_that_differs_ends_the_run(wrong: list[Found]) -> None:
    with pytest.raises(CommandError, match="otherwise"):
        compare(lambda *_: wrong, lambda *_: [RIGHT], [ASKED], [AT], name="nearest", say=lambda _: None)


def test_the_order_of_a_stores_campaigns_does_not_matter() -> None:
    said: list[str] = []
    other_way_round = [Found(1, 10.0, (2, 1))]
    compare(lambda *_: other_way_round, lambda *_: [RIGHT], [ASKED], [AT], name="nearest", say=said.append)
    assert said == ["nearest: 1 answers equal, 1 stores"]
