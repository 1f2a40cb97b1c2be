"""`lbs bench traces`: visits against a known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from lbs.commands.terminal import Json, answer, progress, say
from lbs.settings import Settings

DOCUMENT: Final = "docs/benchmarks.md"


def traces(
    *,
    traces: Annotated[int, typer.Option(min=2, max=4000, help="How many traces of each scene.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same figures.")] = 1,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="In a checkout: put the tables into the documents.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure enters, exits and dwells against a known truth, and whether confidence is calibrated.

    Walk-ins, drive-bys, malls, tunnels, late deliveries, people at the edge and spoofed jumps are made up with their
    truth, and followed by profile `standard`, by profile `plain` and by a plain rule in PostGIS.
    """
    from lbs.bench.home import bench_home  # noqa: PLC0415
    from lbs.bench.traces import STEPS, run  # noqa: PLC0415
    from lbs.bench.traces_report import for_documents, write_between_marks  # noqa: PLC0415

    with bench_home(Settings().home.resolve() / "bench") as home, progress("bench traces", STEPS) as forward:

        def step(what: str) -> None:
            say(what)
            forward(1)

        result = run(home, traces=traces, seed=seed, step=step)
    text = for_documents(result)
    if write_docs:
        write_between_marks(Path(__file__).parents[2] / DOCUMENT, text)
    answer(result, as_json=as_json, text=text)
