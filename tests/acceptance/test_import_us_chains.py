"""Two real uploads: 16,288 stores all over the world, and 7,715 rows that are 953 stores."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from geofences.import_columns import STORE_FIELDS, ColumnMap
from geofences.import_files import open_upload, read_rows
from geofences.importing import read_stores
from geofences.zones import zone
from tests.support.data import data_dir

if TYPE_CHECKING:
    from geofences.importing import Upload
    from geofences.places import StoreInput

AT = datetime(2026, 6, 1, tzinfo=UTC)


def upload(name: str, column_map: str) -> Upload[StoreInput]:
    with open_upload(data_dir("stores_us_chains") / name) as text:
        return read_stores(read_rows(text), columns=ColumnMap.parse(column_map, STORE_FIELDS), at=AT)


def test_every_row_of_a_worldwide_chain_becomes_a_store() -> None:
    read = upload("stores.csv", "external_id=store_id,lng=lon,timezone=")
    assert (read.rows, len(read.accepted), read.duplicates, read.refused) == (16_288, 16_288, 0, [])


def test_zones_from_coordinates_agree_with_the_chains_own() -> None:
    """By offset in summer and winter, as zones of one rule have several names."""
    read = upload("stores.csv", "external_id=store_id,timezone=")
    differing = [store for _, store in read.accepted.values() if not _same_time(store)]
    # where a border runs through a town, chain and polygon may each be right
    assert len(differing) <= 9


def _same_time(store: StoreInput) -> bool:
    chain, found = zone(str(store.attributes["timezone_from_chain"])), zone(store.timezone)
    winter_and_summer = (AT.replace(month=1), AT.replace(month=7))
    return all(at.astimezone(chain).utcoffset() == at.astimezone(found).utcoffset() for at in winter_and_summer)


def test_zones_that_the_chain_gives_are_kept() -> None:
    read = upload("stores.csv", "external_id=store_id,timezone=timezone_from_chain")
    kept = {store.timezone for _, store in read.accepted.values()}
    assert len(kept) == 32
    assert not read.refused


def test_an_upload_full_of_duplicates_becomes_953_stores() -> None:
    read = upload("carlsjr_raw_with_duplicates.csv", "external_id=id,lat=latitude,lng=longitude,timezone=")
    assert read.rows == 7_715
    assert len(read.accepted) == 953
    assert read.duplicates + len(read.accepted) + len(read.refused) == 7_715
    assert all(refusal.reason for refusal in read.refused)
    # the known names need no map at all
    assert upload("carlsjr_raw_with_duplicates.csv", "").accepted == read.accepted
