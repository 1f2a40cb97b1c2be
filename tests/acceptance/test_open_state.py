"""Real opening hours of two cities say what two independent engines agree on, and no real text crashes the parser."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from geofences.zones import zone
from offers.errors import InvalidHoursError
from offers.hours import OpeningHours
from tests.support.data import data_dir

if TYPE_CHECKING:
    from collections.abc import Iterable

AT = datetime(2026, 6, 5, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("city", "zone_name", "country", "samples"),
    [("osm_helsinki", "Europe/Helsinki", "FI", 14_689), ("osm_porto", "Europe/Lisbon", "PT", 10_104)],
)
def test_open_states_equal_those_of_two_independent_engines(
    city: str, zone_name: str, country: str, samples: int
) -> None:
    with gzip.open(data_dir(city) / "expected_open_state.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == samples
    differing = [
        row
        for row in rows
        if OpeningHours.parse(row["opening_hours"], zone=zone(zone_name), country=country).state(
            datetime.fromisoformat(row["utc"])
        )
        != row["state"]
    ]
    assert differing == []


def _texts(name: str) -> list[str]:
    path = data_dir("opening_hours_strings") / f"{name}.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n").partition("\t")[2] for line in file]


def _readable(texts: Iterable[str]) -> int:
    """How many texts can be read; each of them is also asked for its state and its next change."""
    readable = 0
    for text in texts:
        try:
            hours = OpeningHours.parse(text, zone=zone("Europe/Berlin"), country="DE")
        except InvalidHoursError:
            continue
        readable += 1
        hours.state(AT)
        change = hours.next_change(AT)
        assert change is None or change > AT
    return readable


def test_two_thirds_of_the_odd_but_clear_texts_are_read() -> None:
    texts = _texts("invalid_but_unambiguous")
    assert _readable(texts) / len(texts) > 0.66


def test_nearly_all_invalid_texts_are_refused() -> None:
    texts = _texts("invalid")
    assert _readable(texts) / len(texts) < 0.01
