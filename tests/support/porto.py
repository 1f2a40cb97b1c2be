"""Porto over HTTP and through the commands: a part of its taxis, positions and polygons, or all of them.

LBS_TEST_PORTO_EVERY=1 takes all. What is expected of a part is the same part of what is expected of all: the peers
looked at each trip, position and polygon alone. `test_porto_match.py` asks the index alone about all in any case.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from typing import TYPE_CHECKING, Any, Final

from tests.support.data import data_dir

if TYPE_CHECKING:
    from pathlib import Path

EVERY: Final = int(os.environ.get("LBS_TEST_PORTO_EVERY", "4"))


def rows_of_taxis(name: str) -> list[list[str]]:
    """A file about the taxis, without its header."""
    with gzip.open(data_dir("taxi_porto") / name, "rt", encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))[1:]


def some_polygons(folder: Path) -> tuple[Path, set[str]]:
    """Polygons in a file of their own, and their ids."""
    with gzip.open(data_dir("osm_porto") / "polygons.geojson.gz", "rt", encoding="utf-8") as file:
        city: dict[str, Any] = json.load(file)
    assert len(city["features"]) == 13_559
    city["features"] = city["features"][::EVERY]
    path = folder / "polygons.geojson.gz"
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        json.dump(city, file)
    return path, {feature["id"] for feature in city["features"]}
