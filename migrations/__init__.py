"""The schema's history. `upgrade` is what `lbs migrate`, the tests and `lbs up` call; there is no alembic.ini."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config


def config(database_url: str) -> Config:
    """Alembic's configuration for one database, made here so that nothing depends on the working directory."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return made


def upgrade(database_url: str, revision: str = "head") -> None:
    """Brings the schema up to `revision`, creating PostGIS and the roles; needs an administrator's URL."""
    command.upgrade(config(database_url), revision)


def downgrade(database_url: str, revision: str) -> None:
    """Takes the schema down to `revision` ("base": nothing left but the roles)."""
    command.downgrade(config(database_url), revision)
