"""`lbs doctor`: is everything as it should be, and if not, what to do."""

from dataclasses import asdict

import typer

from lbs.commands.terminal import Json, answer
from lbs.runtime import resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Setting up")(doctor)


def doctor(*, as_json: Json = False) -> None:
    """Check versions, extensions, time-zone data, roles, schema, partitions, Redis persistence and lag.

    Says what to do about each problem; exit code 1 if there is any.
    """
    from lbs.diagnosis import examine  # noqa: PLC0415

    checks = list(examine(resolve(Settings())))
    lines = []
    for check in checks:
        lines.append(f"{'ok ' if check.ok else 'BAD'} {check.name:<18} {check.found}")
        if check.advice:
            lines.append(f"      -> {check.advice}")
    healthy = all(check.ok for check in checks)
    found = {"healthy": healthy, "checks": [asdict(check) for check in checks]}
    answer(found, as_json=as_json, text="\n".join(lines))
    if not healthy:
        raise typer.Exit(1)
