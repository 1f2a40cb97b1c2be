"""`lbs bench soak`: a long load on the road while fences are edited."""

from __future__ import annotations

import os
import platform
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated, Any

import typer

from lbs.commands.terminal import Json, answer, progress, say
from lbs.runtime import CommandError
from lbs.settings import Settings


def soak(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, max=120, help="How long the load lasts.")] = 10.0,
    share: Annotated[float, typer.Option(min=0.05, max=1.0, help="Of the most that the road carries.")] = 0.7,
    edits: Annotated[float, typer.Option(min=0.1, max=100, help="Fences edited a second.")] = 10.0,
    plot: Annotated[Path | None, typer.Option(help="Where a picture goes: a name that ends in .png or .svg.")] = None,
    as_json: Json = False,
) -> None:
    """Load the road for a while and edit fences: lag, memory, and whether every pair is right at the end.

    Measures first how much the road carries. Ends with exit code 1 if a pair of position and fence is wrong. PostgreSQL
    takes some gigabytes of disk meanwhile.
    """
    from lbs.bench.home import bench_home  # noqa: PLC0415
    from lbs.bench.soak import run  # noqa: PLC0415
    from lbs.bench.soak_report import as_text, draw  # noqa: PLC0415

    with (
        bench_home(Settings().home.resolve() / "bench") as home,
        progress("bench soak", int(60 * minutes)) as forward,
    ):
        result: dict[str, Any] = run(home, minutes=minutes, share=share, edits_a_second=edits, say=say, forward=forward)
    result["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    if plot is not None:
        draw(result, plot)
    answer(result, as_json=as_json, text=as_text(result))
    wrong = result["missing_pairs"] + result["extra_pairs"]
    if wrong:
        raise CommandError(f"{wrong:,} pairs of position and fence are not those of PostGIS")
