"""`lbs backup`, `lbs restore`."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lbs.commands.terminal import Json, answer, say
from lbs.runtime import resolve
from lbs.settings import Settings

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The backup.")]


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Setting up")(backup)
    app.command(rich_help_panel="Setting up")(restore)


def backup(
    *,
    folder: Folder,
    with_secret_key: Annotated[
        bool,
        typer.Option("--with-secret-key", help="Copy the secret key too: whoever has the backup can then open it all."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the database into a new folder, as it is at one moment, while everything runs.

    Needs PostgreSQL's program pg_dump, and a user who owns the tables. What waits in Redis is not in it.
    """
    from lbs.backup import take  # noqa: PLC0415

    note = take(resolve(Settings(), with_redis=False), folder, with_key=with_secret_key)
    if not with_secret_key:
        say("The secret key is not in it: keep LBS_SECRET_KEY, or the file secret_key of LBS_HOME, somewhere else.")
    answer({"folder": str(folder), **asdict(note)}, as_json=as_json, text=f"{folder} holds schema {note.revision}.")


def restore(*, folder: Folder, as_json: Json = False) -> None:
    """Fill an empty database from a backup, and bring its schema up to date. Then run `lbs up` and `lbs doctor --deep`.

    Without URLs it starts the private servers of a new LBS_HOME. Needs PostgreSQL's program pg_restore.
    """
    from geofences.zones import tzdata_version  # noqa: PLC0415
    from lbs.backup import restore as bring_back  # noqa: PLC0415

    done = bring_back(Settings(), folder)
    here = tzdata_version()
    if done.note.time_zone_data != here:
        say(f"The backup was made with time-zone data {done.note.time_zone_data}, here is {here}: rules may differ.")
    if done.shards_begun_anew:
        say(f"The log of {done.shards_begun_anew} shards begins anew: what waited in the old Redis is not here.")
    found = {
        "made_at": done.note.made_at,
        "revision": done.revision,
        "shards_begun_anew": done.shards_begun_anew,
        "time_zone_data": {"backup": done.note.time_zone_data, "here": here},
    }
    answer(found, as_json=as_json, text=f"Restored what was there at {done.note.made_at}.")
