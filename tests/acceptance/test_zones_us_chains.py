"""The zone found for 16,288 real stores gives the offset that the chain publishes, but for the rows listed here."""

from __future__ import annotations

import csv
import time
from collections import Counter
from datetime import UTC, datetime
from enum import StrEnum

from geofences.zones import zone, zones_at
from tests.support.data import data_dir

WINTER = datetime(2026, 1, 15, 12, tzinfo=UTC)
SUMMER = datetime(2026, 7, 15, 12, tzinfo=UTC)


class ChainIsWrong(StrEnum):
    """Why a published zone is not the store's."""

    BEFORE_THE_SPLIT = "Ciudad Juarez left America/Ojinaga's rules in November 2022; the chain's list was not changed"
    BORDER_TOWN = "Mexico's border towns keep the summer time of the USA; the chain gives the zone of the capital"


# by store_id: the published zone, and why it is not the store's
EXCEPTED = {
    "32646-126547": ("America/Ojinaga", ChainIsWrong.BEFORE_THE_SPLIT),
    "71855-307039": ("America/Ojinaga", ChainIsWrong.BEFORE_THE_SPLIT),
    "32552-121206": ("America/Ojinaga", ChainIsWrong.BEFORE_THE_SPLIT),
    "57971-292102": ("America/Ojinaga", ChainIsWrong.BEFORE_THE_SPLIT),
    "49146-267185": ("America/Ojinaga", ChainIsWrong.BEFORE_THE_SPLIT),
    "68066-302977": ("America/Ojinaga", ChainIsWrong.BEFORE_THE_SPLIT),
    "49764-271068": ("America/Ojinaga", ChainIsWrong.BEFORE_THE_SPLIT),
    "52758-282926": ("America/Mexico_City", ChainIsWrong.BORDER_TOWN),  # Matamoros
    "51113-277184": ("America/Mexico_City", ChainIsWrong.BORDER_TOWN),  # Piedras Negras
}


def _same_offsets(one: str, other: str) -> bool:
    return all(
        at.astimezone(zone(one)).utcoffset() == at.astimezone(zone(other)).utcoffset() for at in (WINTER, SUMMER)
    )


def test_found_zones_have_the_published_offsets_in_winter_and_in_summer() -> None:
    with (data_dir("stores_us_chains") / "stores.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["timezone_from_chain"]]
    assert len(rows) == 16_288
    begin = time.perf_counter()
    found = zones_at([float(row["lat"]) for row in rows], [float(row["lon"]) for row in rows])
    assert time.perf_counter() - begin < 10
    differing = {
        row["store_id"]: row["timezone_from_chain"]
        for row, name in zip(rows, found, strict=True)
        if not _same_offsets(row["timezone_from_chain"], name)
    }
    assert differing == {store_id: published for store_id, (published, _) in EXCEPTED.items()}


def test_the_excepted_rows_are_few_and_have_reasons() -> None:
    assert Counter(why for _, why in EXCEPTED.values()) == {
        ChainIsWrong.BEFORE_THE_SPLIT: 7,
        ChainIsWrong.BORDER_TOWN: 2,
    }
