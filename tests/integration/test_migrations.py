"""The schema goes up, down and up again, and is what the tables say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import geofences.traffic_tables
import lbs.tables
import offers.claim_tables
import offers.push_tables
import offers.tables
import offers.webhook_tables
from geofences.tables import metadata
from lbs.connections import sqlalchemy_url
from migrations import SCHEMAS, downgrade, include_name, include_object, upgrade

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

pytestmark = pytest.mark.servers

PUBLIC = {"options": "-c search_path=public"}

REGISTERED = (
    geofences.traffic_tables,
    lbs.tables,
    offers.tables,
    offers.claim_tables,
    offers.webhook_tables,
    offers.push_tables,
)
"""Importing them puts their tables into the metadata."""


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection,
        opts={"include_schemas": True, "include_name": include_name, "include_object": include_object},
    )
    return list(compare_metadata(context, metadata))


def test_migrations_equal_the_metadata(fresh_database_url: str) -> None:
    engine = sa.create_engine(sqlalchemy_url(fresh_database_url), connect_args=PUBLIC)
    with engine.connect() as connection:
        assert _differences(connection) == []
    engine.dispose()


def test_down_leaves_nothing_and_up_brings_all_back(fresh_database_url: str) -> None:
    url = sqlalchemy_url(fresh_database_url).render_as_string(hide_password=False)
    downgrade(url, "base")
    engine = sa.create_engine(url, connect_args=PUBLIC)
    with engine.connect() as connection:
        left = connection.execute(
            sa.text("SELECT nspname FROM pg_namespace WHERE nspname = ANY(:names)"), {"names": sorted(SCHEMAS)}
        )
        assert left.all() == []
    upgrade(url)
    with engine.connect() as connection:
        assert _differences(connection) == []
    engine.dispose()


def test_every_table_of_a_tenant_is_under_row_level_security(fresh_database_url: str) -> None:
    engine = sa.create_engine(sqlalchemy_url(fresh_database_url))
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT c.oid::regclass::text AS name, c.relrowsecurity, c.relforcerowsecurity,"
                " EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid) AS has_policy"
                " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'"
                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE n.nspname = ANY(:names) AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
            ),
            {"names": sorted(SCHEMAS)},
        ).all()
        assert len(rows) > 20
        assert [
            row.name for row in rows if not (row.relrowsecurity and row.relforcerowsecurity and row.has_policy)
        ] == []
    engine.dispose()


def test_nobody_is_granted_anything_on_a_partition(fresh_database_url: str) -> None:
    engine = sa.create_engine(sqlalchemy_url(fresh_database_url))
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT c.oid::regclass::text, r.rolname FROM pg_class c CROSS JOIN pg_roles r"
                " WHERE c.relispartition AND r.rolname LIKE 'lbs\\_%'"
                " AND has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')"
            )
        ).all()
        assert rows == []
    engine.dispose()
