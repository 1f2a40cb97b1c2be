"""A whole installation into a folder, and back: one consistent dump of PostgreSQL, and a note of what belongs to it.

A dump is one moment of the database, whatever is written meanwhile: offsets, ledgers and messages in it fit together.
The key that seals secrets is copied only if asked for; the note holds a mark of it, by which a wrong one is known.
Redis is not copied: see docs/how-to/backup.md for what that means.
"""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from alembic.util import CommandError as UnknownRevisionError
from pydantic import SecretStr

import migrations
from geofences.log import id_after
from geofences.past import load_places
from geofences.sql import queries
from geofences.zones import tzdata_version
from lbs import clock
from lbs.commands.schema import schema_revision, upgrade
from lbs.connections import Role, database, position_log
from lbs.local import start_servers
from lbs.local_postgres import find_client
from lbs.local_process import write_private
from lbs.runtime import CommandError, plain, resolve
from lbs.secrets import derive

if TYPE_CHECKING:
    from pathlib import Path

    from lbs.settings import Settings

DUMP: Final = "database.dump"
NOTE: Final = "backup.json"
KEY: Final = "secret_key"
MARK_CHARACTERS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a backup says of itself."""

    made_at: str
    lbs: str
    postgresql: int
    revision: str
    time_zone_data: str
    key_mark: str
    """Follows from the secret key, and tells nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restored database came from, and what was done to it."""

    note: Note
    revision: str | None
    shards_begun_anew: int
    """Shards of whose log this Redis knows nothing: what waited in it then is lost."""


def take(settings: Settings, folder: Path, *, with_key: bool) -> Note:
    """Dumps the database of resolved settings into a new folder; CommandError if that cannot be done.

    The note is written last: a folder without one is no backup.
    """
    if folder.exists() and any(folder.iterdir()):
        raise CommandError(f"{folder} is not empty: a backup needs a folder of its own")
    url = _url(settings)
    revision = schema_revision(url)
    if revision is None:
        raise CommandError("there is nothing to back up: the database has no schema")
    major = _server_major(url)
    begun_at = clock.now()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # PostGIS's own table comes with the extension, and only its owner could fill it
    _run("pg_dump", major, url, "--format=custom", "--exclude-table-data=*.spatial_ref_sys", f"--file={folder / DUMP}")
    if with_key:
        assert settings.secret_key is not None
        write_private(folder / KEY, settings.secret_key.get_secret_value() + "\n")
    note = Note(
        made_at=begun_at.isoformat(),
        lbs=version("lbs"),
        postgresql=major,
        revision=revision,
        time_zone_data=tzdata_version(),
        key_mark=_mark(settings),
    )
    write_private(folder / NOTE, json.dumps(asdict(note), indent=2) + "\n")
    return note


def restore(settings: Settings, folder: Path) -> Restored:
    """Fills the empty database that the settings name, or a new private one, and brings its schema up to date.

    CommandError if the key is another one, the backup is newer than this program, or the database is not empty; then
    nothing has changed.
    """
    note = _note(folder)
    home = settings.home.resolve()
    key_given = bool(plain(settings.secret_key))
    settings = _with_key(settings, home, folder, note)
    servers = start_servers(home, database_url=plain(settings.database_url), redis_url=plain(settings.redis_url))
    settings = resolve(settings)
    url = servers.database_url
    _check_revision(url, note)
    engine = database(settings, Role.ADMIN)
    try:
        with engine.connect() as connection:
            if connection.execute(_OURS, {"names": sorted(migrations.SCHEMAS)}).first() is not None:
                raise CommandError("the database is not empty: restore into a new one")
        migrations.make_roles(url)
        _run(
            "pg_restore", _server_major(url), url, "--no-owner", "--no-comments", "--single-transaction", folder / DUMP
        )
    finally:
        engine.dispose()
    if not key_given:
        _keep_key(home, settings)
    upgrade(url)
    return Restored(note=note, revision=schema_revision(url), shards_begun_anew=_begin(settings))


_OURS: Final = sa.text("SELECT 1 FROM pg_namespace WHERE nspname = ANY(:names)")


def _begin(settings: Settings) -> int:
    """Nobody owns a shard, and the log of one that this Redis never had begins anew; answers how many do."""
    last_ids = position_log(settings).last_ids()
    system = database(settings, Role.SYSTEM)
    try:
        with system.begin() as connection:
            lost = [
                shard for shard, place in load_places(connection).items() if id_after(place.offset, last_ids[shard])
            ]
            for shard in lost:
                connection.execute(queries("geofences")["reset_shard"], {"shard": shard})
            connection.execute(sa.text("UPDATE geofences.shards SET owner = NULL, leased_until = NULL"))
            connection.execute(sa.text("DELETE FROM geofences.engines"))
    finally:
        system.dispose()
    return len(lost)


def _with_key(settings: Settings, home: Path, folder: Path, note: Note) -> Settings:
    """The settings with the key of the backup: the given one, the home's, or the copy in the backup."""
    given = plain(settings.secret_key)
    for path in (home / KEY, folder / KEY):
        if not given and path.exists():
            given = path.read_text(encoding="ascii").strip()
    if not given:
        raise CommandError(
            f"the backup holds no secret key: set LBS_SECRET_KEY, or put the file {KEY} of the old home into {home}"
        )
    found = settings.model_copy(update={"secret_key": SecretStr(given)})
    if _mark(found) != note.key_mark:
        raise CommandError(
            "this is not the secret key of the backup: with it, device tokens and sealed secrets would be lost"
        )
    return found


def _keep_key(home: Path, settings: Settings) -> None:
    assert settings.secret_key is not None
    if not (home / KEY).exists():
        home.mkdir(parents=True, exist_ok=True)
        write_private(home / KEY, settings.secret_key.get_secret_value() + "\n")


def _mark(settings: Settings) -> str:
    return derive(settings, "backup mark").hex()[:MARK_CHARACTERS]


def _note(folder: Path) -> Note:
    try:
        return Note(**json.loads((folder / NOTE).read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError) as error:
        raise CommandError(f"{folder} is not a backup that was finished: {NOTE} cannot be read") from error


def _check_revision(url: str, note: Note) -> None:
    try:
        ScriptDirectory.from_config(migrations.config(url)).get_revision(note.revision)
    except UnknownRevisionError as error:
        raise CommandError(
            f"the backup was made by a newer version ({note.lbs}, schema {note.revision}): restore with that one"
        ) from error


def _url(settings: Settings) -> str:
    assert settings.database_url is not None, "settings are resolved before use"
    return settings.database_url.get_secret_value()


def _server_major(url: str) -> int:
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg2"), poolclass=sa.NullPool)
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SHOW server_version_num")).scalar_one()) // 10_000


def _run(name: str, server_major: int, url: str, *arguments: str | Path) -> None:
    """One of PostgreSQL's own programs; the password goes by the environment, where other users do not see it."""
    where = sa.make_url(url).set(drivername="postgresql")
    password = {} if where.password is None else {"PGPASSWORD": str(where.password)}
    dsn = where._replace(password=None).render_as_string(hide_password=False)
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, found by its place
        [find_client(name, major=server_major), *map(str, arguments[:-1]), f"--dbname={dsn}", str(arguments[-1])],
        env={**os.environ, **password},
        umask=0o077,  # a dump has everything that there is of people
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if "error:" in line] or done.stderr.splitlines()
        raise CommandError(f"{said[0] if said else name + ' failed'}")
