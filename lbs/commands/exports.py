"""`lbs export`: a tenant's data as files."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from lbs.commands import terminal
from lbs.commands.terminal import Json, TenantName, answer
from lbs.runtime import resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Data")(export)


def export(
    what: Annotated[
        Literal["visits", "events", "stores", "fences", "decisions", "redemptions"],
        typer.Argument(help="What to export."),
    ],
    *,
    tenant: TenantName,
    form: Annotated[
        Literal["csv", "geojson", "parquet"], typer.Option("--format", help="GeoJSON has the columns as properties.")
    ] = "csv",
    output: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="A file, complete or not there. [default: standard output]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Export a tenant's visits (confirmed ones), events, stores, fences, decisions or redemptions.

    Times are ISO 8601 in UTC. device_id is the text that the client gave; all ids are text.
    """
    if output is None and as_json:
        raise typer.BadParameter("--json needs --output: the data itself would stand before the object")
    if output is None and form == "parquet" and sys.stdout.isatty():
        raise typer.BadParameter("Parquet is not for terminals: give --output, or redirect")
    settings = resolve(Settings(), with_redis=False)
    from lbs.exports import export as run  # noqa: PLC0415
    from lbs.whole_file import whole_file  # noqa: PLC0415

    if output is None:
        run(settings, tenant, what, form=form, sink=sys.stdout.buffer)
        return
    with (
        terminal.progress(f"Exporting {what}", None) as advance,
        whole_file(output) as path,
        path.open("wb") as sink,
    ):
        count = run(settings, tenant, what, form=form, sink=sink, advance=advance)
    found = {"rows": count, "format": form, "output": str(output)}
    answer(found, as_json=as_json, text=f"{count} {what} in {output}")
