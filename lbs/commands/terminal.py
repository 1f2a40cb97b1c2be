"""What all commands share: answers, remarks, progress, and options that mean the same everywhere.

With `--json` standard output holds one JSON object, last; all else goes to standard error in any case.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of standard output.")]
TenantName = Annotated[str, typer.Option("--tenant", metavar="TENANT", help="The tenant's name, or its number.")]
MapOption = Annotated[
    str,
    typer.Option(
        "--map",
        metavar="FIELD=COLUMN,...",
        help="Columns with other names, e.g. `external_id=id,lat=latitude,timezone=`."
        " An empty right side ignores that column.",
    ),
]


def known_profile(name: str) -> str:
    if name not in {"plain", "standard"}:
        raise typer.BadParameter(f"{name!r} is not one of plain, standard")
    return name


ProfileOption = Annotated[
    str,
    typer.Option(
        callback=known_profile,
        metavar="plain|standard",
        help="When being inside becomes a visit: `standard` waits and doubts, `plain` counts every crossing at once.",
    ),
]


def instant(text: str, option: str) -> datetime:
    """A time that an option names."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time", param_hint=option) from error
    if at.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no offset: which instant is meant?", param_hint=option)
    return at


def say(text: str) -> None:
    """A line for people."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def answer(result: Mapping[str, Any], *, as_json: bool, text: str) -> None:
    """What the command was asked for: the object for programs, or the text for people."""
    sys.stdout.write((json.dumps(result, ensure_ascii=False, default=str) if as_json else text) + "\n")
    sys.stdout.flush()


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal, if there is one; yields a function that is told of each step forward."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda n: bar.advance(task, n)
