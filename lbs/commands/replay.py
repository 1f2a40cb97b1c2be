"""`lbs replay`: recorded positions through the real road."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from lbs.commands import terminal
from lbs.commands.terminal import Json, MapOption, TenantName, answer
from lbs.runtime import resolve
from lbs.settings import Settings


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Data")(replay)


def replay(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV of positions, gzip or not.")],
    *,
    tenant: TenantName,
    filters: Annotated[
        Literal["on", "off"],
        typer.Option(help="`off`: no position is flagged as doubtful or refused as too old."),
    ] = "on",
    map_: MapOption = "",
    as_json: Json = False,
) -> None:
    """Replay recorded positions through the real log, engine and decider, into a sandbox tenant.

    Columns: device_id, recorded_at (ISO 8601 with offset, or epoch seconds), lat, lng, and if you like accuracy_m,
    speed_mps, mocked. Rows go in file order; the clock is the data's. Offers are decided for real, but nothing is sent.
    Returns when everything is handled and decided; needs a running engine and worker (`lbs up`).
    """
    from lbs.replay import replay as run  # noqa: PLC0415

    found = run(resolve(Settings()), tenant, file, filters=filters == "on", column_map=map_, progress=terminal.progress)
    rate = found["positions"] / found["seconds"] if found["seconds"] else 0
    text = (
        f"{found['positions']} positions in {found['seconds']} s ({rate:,.0f}/s): {found['accepted']} accepted,"
        f" {found['rejected']} rejected, {found['duplicates']} duplicates\n"
        f"{found['visits']} visits, {found['events']} events, {found['corrections']} corrections,"
        f" {found['decisions']} decisions"
    )
    answer(found, as_json=as_json, text=text)
