"""What `lbs bench engine` shows of its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from lbs.bench.engine import PEERS
from lbs.bench.engine_plot import COLORS, plot
from lbs.bench.engine_report import (
    BEGIN,
    END,
    IN_BRACKETS,
    TITLES,
    for_documents,
    index_rows,
    markdown,
    rate_rows,
    write_between_marks,
)
from lbs.bench.extras import extra
from lbs.commands.bench_engine import ALL_PEERS
from lbs.runtime import CommandError

if TYPE_CHECKING:
    from pathlib import Path


def run(fences: int, rates: dict[str, float]) -> dict[str, Any]:
    return {
        "fences": fences,
        "rates": rates,
        "ratios": {name: rates["lbs"] / rate for name, rate in rates.items() if name != "lbs"},
        "ratios_with_state": {name: rates["lbs_with_state"] / rate for name, rate in rates.items()},
        "floor": 80e6,
        "cover_s": 1.25,
        "index_s": 0.5,
        "bytes_per_fence": 352.4,
        "edit_p50_us": 11.2,
        "edit_p99_us": 22.4,
        "after_churn": 0.97,
    }


RUNS = [
    run(1_000, {"lbs": 40e6, "lbs_with_state": 32e6, "postgis_join": 80e3, "shapely_strtree": 700e3}),
    run(100_000, {"lbs": 20e6, "postgis_join": 40e3, "lbs_with_state": 16e6}),
]


def test_rates_stand_beside_their_ratios_and_gaps_are_shown() -> None:
    rows = {row[0]: row[1:] for row in rate_rows(RUNS)}
    assert rows["positions/s"] == ["1,000 fences", "100,000 fences"]
    assert rows[TITLES["lbs"]] == ["40.0 M", "20.0 M"]
    assert rows[TITLES["lbs_with_state"]] == ["32.0 M", "16.0 M"]
    assert rows[TITLES["shapely_strtree"]] == ["700 k (57 x / 46 x)", "-"]
    assert rows[TITLES["postgis_join"]] == ["80.0 k (500 x / 400 x)", "40.0 k (500 x / 400 x)"]
    assert TITLES["duckdb_spatial"] not in rows


def test_the_index_is_shown_against_the_smallest_and_the_floor() -> None:
    rows = {row[0]: row[1:] for row in index_rows(RUNS)}
    assert rows["speed against 1,000 fences"] == ["100%", "50%"]
    assert rows["speed against the floor"] == ["50%", "25%"]
    assert rows["memory a fence"] == ["352 B", "352 B"]


def test_every_peer_has_a_title_and_a_color() -> None:
    assert {*PEERS, "lbs", "lbs_with_state", "tile38"} == set(TITLES) == set(COLORS)
    assert tuple(ALL_PEERS.split(",")) == PEERS


def test_documents_take_new_tables_and_keep_the_rest(tmp_path: Path) -> None:
    document = tmp_path / "some.md"
    document.write_text(f"# Before\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    text = for_documents({"runs": RUNS, "machine": "a machine"})
    for _ in range(2):
        write_between_marks(document, text)
        assert document.read_text() == f"# Before\n\n{BEGIN}\n\n{text}\n\n{END}\n\nAfter.\n"
    assert markdown(rate_rows(RUNS)) in text
    assert f"{IN_BRACKETS} Measured on a machine." in text


@pytest.mark.parametrize("text", ["", f"{BEGIN}\n", f"{END}\n{BEGIN}\n", f"{BEGIN}\n{END}\n{BEGIN}\n{END}\n"])
def test_documents_without_the_marks_stay_as_they_are(tmp_path: Path, text: str) -> None:
    document = tmp_path / "some.md"
    document.write_text(text)
    with pytest.raises(CommandError, match="are not there"):
        write_between_marks(document, "new")
    assert document.read_text() == text


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    for name, begin in (("picture.png", b"\x89PNG"), ("picture.svg", b"<?xml")):
        plot(RUNS, tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begin)


def test_what_is_missing_is_named_with_its_remedy() -> None:
    with pytest.raises(CommandError, match=r"no_such_package is not installed.*pip install 'lbs\[bench\]'"):
        extra("no_such_package")
