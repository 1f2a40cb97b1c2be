"""The schema's history. `upgrade` is what `lbs migrate`, the tests and `lbs up` call; there is no alembic.ini."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

SCHEMAS = frozenset({"geofences", "offers", "lbs"})


def config(database_url: str) -> Config:
    """Alembic's configuration for one database, made here so that nothing depends on the working directory."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    url = sa.make_url(database_url).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    made.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return made


def upgrade(database_url: str, revision: str = "head") -> None:
    """Brings the schema up to `revision`, creating PostGIS and the roles; needs an administrator's URL."""
    command.upgrade(config(database_url), revision)


def make_roles(database_url: str) -> None:
    """Makes the roles that a dump names, for they belong to the server and are in no dump; those there are stay."""
    script = ScriptDirectory.from_config(config(database_url)).get_revision("0002")
    assert script is not None
    engine = sa.create_engine(sa.make_url(database_url).set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool)
    with engine.begin() as connection:
        for role, bypass in script.module.ROLES.items():
            if connection.execute(sa.text("SELECT to_regrole(:role)"), {"role": role}).scalar() is None:
                connection.execute(sa.text(f"CREATE ROLE {role} NOLOGIN {bypass}"))
            is_member = sa.text("SELECT pg_has_role(current_user, :role, 'MEMBER')")
            if not connection.execute(is_member, {"role": role}).scalar():
                connection.execute(sa.text(f"GRANT {role} TO CURRENT_USER"))


def downgrade(database_url: str, revision: str) -> None:
    """Takes the schema down to `revision` ("base": nothing left but the roles)."""
    command.downgrade(config(database_url), revision)


def include_name(name: str | None, type_: str, _parent_names: object) -> bool:
    """Only our three schemas, and of partitioned tables only the parents: partitions come and go by day."""
    if type_ == "schema":
        return name in SCHEMAS
    if type_ == "table":
        return name is not None and not name.startswith(("positions_p", "events_p", "decisions_p"))
    return True


def include_object(thing: object, _name: str | None, type_: str, _reflected: object, _compare_to: object) -> bool:
    """PostGIS's own tables live in public, and Alembic's version table is Alembic's."""
    return not (type_ == "table" and getattr(thing, "schema", None) not in SCHEMAS)
