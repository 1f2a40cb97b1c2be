"""`lbs match`: which positions lie in which fences, without any server."""

from pathlib import Path
from typing import Annotated

import typer

from lbs.commands import terminal
from lbs.commands.terminal import Json, MapOption, answer, say


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel="Data")(match)


def match(
    *,
    fences: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="Polygons, multipolygons, points with radius_m.")
    ],
    positions: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="CSV with lat and lng, gzip or not.")],
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where the pairs go. [default: standard output, unless --json]")
    ] = None,
    map_: MapOption = "",
    as_json: Json = False,
) -> None:
    """Match positions with fences, offline: CSV `position,fence_external_id`, a line for each position inside a fence.

    A position is named by its row number, from 0, the header not counted; rows that hold no position count, and match
    nothing. The border counts as inside. `--map` is about the columns of the positions.
    """
    from lbs.matching import match as run  # noqa: PLC0415

    found = run(
        fences,
        positions,
        column_map=map_,
        output=output,
        to_stdout=output is None and not as_json,
        progress=terminal.progress,
    )
    for refusal in found["refused"]:
        say(f"fence in row {refusal['row']} refused: {refusal['reason']}")
    if found["refused_positions"]:
        say(f"{found['refused_positions']} rows hold no position")
    text = (
        f"{found['positions']} positions, {found['fences']} fences, {found['pairs']} pairs;"
        f" built in {found['build_s']:.3f} s, matched in {found['match_s']:.3f} s ({found['rate']:,.0f}/s)"
    )
    if as_json or output is not None:
        answer(found, as_json=as_json, text=text)
    else:
        say(text)
