"""`lbs migrate`: the schema."""

import typer

from lbs.commands.terminal import Json, answer
from lbs.runtime import resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Setting up")(migrate)


def migrate(*, as_json: Json = False) -> None:
    """Bring the schema up to date: tables, roles, row-level security, partitions. Safe to run again, and at any time.

    Needs a database user who may create roles and the PostGIS extension.
    """
    settings = resolve(Settings(), with_redis=False)
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    upgrade(url)
    revision = schema_revision(url)
    answer({"revision": revision}, as_json=as_json, text=f"The schema is at revision {revision}.")


def upgrade(url: str) -> None:
    import migrations  # noqa: PLC0415
    from lbs.connections import sqlalchemy_url  # noqa: PLC0415

    # the URL must name the driver: which one `postgresql://` means depends on SQLAlchemy's version
    migrations.upgrade(sqlalchemy_url(url).render_as_string(hide_password=False))


def schema_revision(url: str) -> str | None:
    """The revision that a database is at; None before the first one."""
    import sqlalchemy as sa  # noqa: PLC0415

    from lbs.connections import sqlalchemy_url  # noqa: PLC0415

    engine = sa.create_engine(sqlalchemy_url(url), poolclass=sa.NullPool)
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
