"""Real opening hours of two cities say what two independent engines agree on, and where these differ, what we chose."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from geofences.zones import first_instant, zone
from offers.errors import InvalidHoursError
from offers.hours import OpeningHours
from tests.support.data import PROJECT, data_dir

CITIES = {"osm_helsinki": ("Europe/Helsinki", "FI"), "osm_porto": ("Europe/Lisbon", "PT")}
DISAGREEMENTS = Path(__file__).with_name("opening_hours_disagreements.csv")
DOCUMENT = PROJECT / "docs" / "explanation" / "opening-hours.md"


@pytest.mark.parametrize(("city", "samples"), [("osm_helsinki", 14_689), ("osm_porto", 10_104)])
def test_open_states_equal_those_of_two_independent_engines(city: str, samples: int) -> None:
    with gzip.open(data_dir(city) / "expected_open_state.csv.gz", "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == samples
    zone_name, country = CITIES[city]
    differing = [
        row
        for row in rows
        if OpeningHours.parse(row["opening_hours"], zone=zone(zone_name), country=country).state(
            datetime.fromisoformat(row["utc"])
        )
        != row["state"]
    ]
    assert differing == []


def _side(entry: dict[str, Any], city: str) -> str:
    """Whose state ours is; of a text that one of them cannot read, whether we do."""
    zone_name, country = CITIES[city]
    rules = zone(zone_name)
    try:
        hours = OpeningHours.parse(entry["opening_hours"], zone=rules, country=country)
    except InvalidHoursError:
        return "refused"
    if "js" not in entry:
        return "read"
    state = hours.state(first_instant(datetime.fromisoformat(entry["local"]), rules))
    return {entry["js"]: "js", entry["py"]: "py"}.get(state.value, "neither")


def _named() -> dict[tuple[str, int], tuple[str, str]]:
    """(data set, entry) -> (side, class)."""
    with DISAGREEMENTS.open(encoding="utf-8", newline="") as file:
        return {(row["data_set"], int(row["entry"])): (row["side"], row["class"]) for row in csv.DictReader(file)}


@pytest.mark.parametrize(("city", "entries"), [("osm_helsinki", 76), ("osm_porto", 64)])
def test_where_the_engines_disagree_we_take_the_side_that_is_named(city: str, entries: int) -> None:
    path = data_dir(city) / "opening_hours_disagreements.json"
    disagreements = json.loads(path.read_text(encoding="utf-8"))
    assert len(disagreements) == entries
    taken = {(city, i): _side(entry, city) for i, entry in enumerate(disagreements)}
    assert taken == {entry: side for entry, (side, _) in _named().items() if entry[0] == city}


def test_the_document_counts_every_class_of_disagreement() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (js|py|read|refused) \| (\d+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {(side, name): int(count) for name, side, count in rows} == Counter(_named().values())
