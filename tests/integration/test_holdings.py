"""What is held of a device is told and goes: no table and no column is forgotten."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
import sqlalchemy as sa

from lbs.connections import sqlalchemy_url
from lbs.erasure import KEPT_WITHOUT_DEVICE, STEPS
from lbs.holdings import NOT_TOLD, SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers

TELLING: Final = re.compile(
    r"device|person|user|subject|object_id|e?mail|^(lat|lng)$|location|cent(er|re)|area|address|payload|phone|endpoint"
)
"""Columns that may name a device, a person or a place."""
KEPT: Final = {"offers.redemptions": "what a store is paid for; it names no device"}
LEFT_TO_OTHERS: Final = {"geofences.changes", "lbs.erasures"}
"""Gone with the last step, and what stays as proof."""


@pytest.fixture(scope="module")
def columns(database_url: str) -> Iterator[set[tuple[str, str]]]:
    engine = sa.create_engine(sqlalchemy_url(database_url))
    listed = (
        "SELECT c.table_schema || '.' || c.table_name, c.column_name FROM information_schema.columns AS c"
        " JOIN pg_class AS t ON t.oid = (c.table_schema || '.' || c.table_name)::regclass AND NOT t.relispartition"
        " WHERE c.table_schema IN ('geofences', 'offers', 'lbs')"
    )
    with engine.connect() as connection:
        yield {(table, column) for table, column in connection.execute(sa.text(listed))}
    engine.dispose()


def test_every_table_that_could_name_somebody_is_told_or_excused(columns: set[tuple[str, str]]) -> None:
    told = {table for tables in SECTIONS.values() for table in tables}
    telling = {table for table, column in columns if TELLING.search(column)}
    # whose columns name nobody by themselves, and who belongs to a claim
    assert telling - told - NOT_TOLD.keys() - {"offers.webhooks"} == set()
    everything = {table for table, _ in columns}
    assert (told | NOT_TOLD.keys()) <= everything, "no list names a table that is not there"
    assert not told & NOT_TOLD.keys()


def test_every_table_that_names_a_device_is_erased_or_unnamed(columns: set[tuple[str, str]]) -> None:
    naming = {table for table, column in columns if column == "device_id"}
    done = {table.partition(".")[2]: table for table, _ in columns}
    erased = {done[name] for name in (*STEPS, *KEPT_WITHOUT_DEVICE)}
    assert naming - erased == {"lbs.erasures"}
    told = {table for tables in SECTIONS.values() for table in tables}
    assert told - erased == set(KEPT), "what is told of somebody goes with them"
