"""`lbs bench traffic`: what the questions of a dashboard cost."""

from __future__ import annotations

import os
import platform
from typing import Annotated, Any

import typer

from lbs.commands.terminal import Json, answer, say
from lbs.settings import Settings


def traffic(
    *,
    visits: Annotated[str, typer.Option(help="Sizes of the ledger, with commas.")] = "200000,2000000",
    stores: Annotated[int, typer.Option(min=5, max=1000, help="Stores that share the visits.")] = 200,
    questions: Annotated[int, typer.Option(min=20, max=10_000, help="Of each kind.")] = 300,
    as_json: Json = False,
) -> None:
    """Measure every question of foot traffic at ledgers of growing size, once their answers equal a recount.

    20 million visits take about 12 GB of disk meanwhile. Needs the extra: `pip install 'lbs[bench]'`.
    """
    from lbs.bench.extras import extra  # noqa: PLC0415
    from lbs.bench.home import bench_home  # noqa: PLC0415
    from lbs.bench.traffic import run  # noqa: PLC0415

    try:
        sizes = [int(size) for size in visits.split(",")]
    except ValueError as error:
        raise typer.BadParameter("--visits takes numbers with commas between them") from error
    extra("psutil")
    load = os.getloadavg()[0]
    with bench_home(Settings().home.resolve() / "bench") as home:
        result = run(home, sizes=sizes, stores=stores, questions=questions, say=say)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    result["machine"] = f"{machine}, load {load:.1f} before the run"
    answer(result, as_json=as_json, text=table(result))


def table(result: dict[str, Any]) -> str:
    """Markdown, as the documents show it: a column for each size."""
    runs = result["runs"]
    lines = [
        "| p50 / p99, ms; KiB read | " + " | ".join(f"{run['visits']:,} visits" for run in runs) + " |",
        "|---" + "|--:" * len(runs) + "|",
    ]
    for name in runs[0]["questions"]:
        found = [run["questions"][name] for run in runs]
        cells = [f"{one['p50_ms']:.1f} / {one['p99_ms']:.1f}; {one['kib']:,.0f}" for one in found]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    gib = 2**30
    sizes = [f"{run['ledger'] / gib:.1f} GiB + {run['figures'] / gib:.2f}" for run in runs]
    lines.append("| ledger + figures | " + " | ".join(sizes) + " |")
    lines.append(
        "| rolled up, visits/s | " + " | ".join(f"{run['visits'] / run['roll_s']:,.0f}" for run in runs) + " |"
    )
    lines.append(f"\n{result['stores']} stores, {result['days']} days. {result['machine']}.")
    return "\n".join(lines)
