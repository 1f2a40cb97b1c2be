"""`lbs doctor`: is everything as it should be, and if not, what to do."""

from typing import Annotated

import typer

from lbs.checks import Check
from lbs.commands.terminal import Json, answer
from lbs.runtime import resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Setting up")(doctor)


def doctor(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also compare the ledgers row by row: reads whole tables.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check versions, extensions, time-zone data, roles, schema, partitions, Redis persistence, lag and ledgers.

    Says what to do about each problem; exit code 1 if there is any that is more than a warning.
    """
    from lbs.diagnosis import examine  # noqa: PLC0415

    checks = list(examine(resolve(Settings()), deep=deep))
    lines = []
    for check in checks:
        lines.append(f"{check.level:<4} {check.name:<18} {check.found}")
        if check.advice:
            lines.append(f"      -> {check.advice}")
    healthy = all(check.ok for check in checks)
    found = {"healthy": healthy, "checks": [_shown(check) for check in checks]}
    answer(found, as_json=as_json, text="\n".join(lines))
    if not healthy:
        raise typer.Exit(1)


def _shown(check: Check) -> dict[str, object]:
    return {
        "name": check.name,
        "found": check.found,
        "ok": check.ok,
        "level": check.level,
        "advice": check.advice,
    }
