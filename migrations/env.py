"""How Alembic reaches the database: one connection, one transaction for the whole run, one runner at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

import lbs.tables
import offers.tables  # noqa: F401 - registers its tables in the shared metadata
from geofences.tables import metadata

SCHEMAS = {"geofences", "offers", "lbs"}
MIGRATION_LOCK = 5_242_001


def include_name(name: str | None, type_: str, parent_names: object) -> bool:
    """Only our three schemas, and of partitioned tables only the parents: partitions come and go by day."""
    del parent_names
    if type_ == "schema":
        return name in SCHEMAS
    if type_ == "table":
        return name is not None and not name.startswith(("positions_p", "events_p", "decisions_p"))
    return True


def include_object(thing: object, name: str | None, type_: str, reflected: object, compare_to: object) -> bool:
    del reflected, compare_to, name
    # PostGIS's own tables live in public; Alembic's version table is Alembic's
    return not (type_ == "table" and getattr(thing, "schema", None) not in SCHEMAS)


def run() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    engine = sa.create_engine(url, poolclass=sa.NullPool)
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
