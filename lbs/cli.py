"""The command `lbs`: one module of `lbs.commands` a group of commands, each registering itself.

Commands answer on standard output, everything else (progress, remarks, errors) goes to standard error. Exit codes: 0
done, 1 could not be done (one line says why), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Final

import typer

COMMAND_MODULES: Final = (
    "services",
    "demo",
    "processes",
    "schema",
    "backup",
    "tenants",
    "push_apps",
    "people",
    "devices",
    "uploads",
    "replay",
    "match",
    "exports",
    "traffic",
    "devices",
    "explain",
    "webhooks",
    "doctor",
    "dead_letters",
    "bench",
)
"""Modules of `lbs.commands`; each has `register(app)`. To add a command, add its module here."""


def build() -> typer.Typer:
    app = typer.Typer(
        name="lbs",
        help="Location-based offers, self-hosted. Settings are variables `LBS_*`: see docs/reference/settings.md.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMAND_MODULES:
        importlib.import_module(f"lbs.commands.{name}").register(app)
    return app


def main() -> None:
    """Runs the command line; expected errors end in one line and exit code 1."""
    try:
        build()(prog_name="lbs")
    except BrokenPipeError:
        # whoever read our output has enough; Python would complain again when it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        sys.stderr.write(f"lbs: {line}\n")
        sys.exit(_exit_code(error))


def _exit_code(error: Exception) -> int:
    from geofences.import_columns import MapError  # noqa: PLC0415 - see explain

    return 2 if isinstance(error, MapError) else 1


def explain(error: Exception) -> str | None:
    """One line for an error that may happen to anyone; None for one that is a defect of ours."""
    # imported late, so that `lbs --help` loads no database driver
    import pydantic  # noqa: PLC0415
    import redis  # noqa: PLC0415
    import sqlalchemy  # noqa: PLC0415

    from geofences.errors import GeofencesError  # noqa: PLC0415
    from lbs.errors import LbsError  # noqa: PLC0415
    from lbs.local import LocalServersError  # noqa: PLC0415
    from lbs.runtime import CommandError  # noqa: PLC0415
    from offers.errors import OffersError  # noqa: PLC0415

    line: str | None = None
    match error:
        case CommandError() | GeofencesError() | OffersError() | LbsError() | LocalServersError():
            line = str(error)
        case pydantic.ValidationError():
            first = error.errors(include_input=False)[0]
            name = ".".join(str(part) for part in first["loc"]).upper()
            line = f"LBS_{name}: {first['msg']}" if name else first["msg"]
        case sqlalchemy.exc.OperationalError():
            line = f"the database does not answer: {_first_line(error.orig)}"
        case sqlalchemy.exc.ProgrammingError() if "does not exist" in str(error.orig):
            line = f"the database is not up to date ({_first_line(error.orig)}): run `lbs migrate`"
        case sqlalchemy.exc.ProgrammingError() if "permission denied" in str(error.orig):
            line = f"the database refuses ({_first_line(error.orig)}): see docs/how-to/servers-by-url.md for the rights"
        case redis.RedisError():
            line = f"Redis does not answer: {_first_line(error)}"
        case OSError() if error.filename is not None:
            line = f"{error.filename}: {error.strerror}"
        case _:
            pass
    return line


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
