"""How Alembic reaches the database: one connection, one transaction for the whole run, one runner at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

import lbs.tables
import offers.claim_tables
import offers.tables  # noqa: F401 - registers its tables in the shared metadata
from geofences.tables import metadata
from migrations import include_name, include_object

MIGRATION_LOCK = 5_242_001


def run() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    # a user named like one of our schemas would make that the default one
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"options": "-c search_path=public"})
    with engine.connect() as connection, connection.begin():
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        context.configure(
            connection=connection,
            target_metadata=metadata,
            include_schemas=True,
            include_name=include_name,
            include_object=include_object,
            transaction_per_migration=False,
        )
        context.run_migrations()


assert lbs.tables is not None
run()
