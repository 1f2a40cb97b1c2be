"""`lbs bench ...`: the published benchmarks."""

from __future__ import annotations

import os
import platform
from typing import Annotated, Any

import typer

from lbs.commands.bench_engine import engine
from lbs.commands.bench_nearby import nearby
from lbs.commands.bench_soak import soak
from lbs.commands.bench_traces import traces
from lbs.commands.bench_traffic import traffic
from lbs.commands.terminal import Json, answer, say
from lbs.settings import Settings

bench = typer.Typer(help="The published benchmarks; each starts private servers of its own.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    bench.command()(engine)
    bench.command()(traces)
    bench.command()(soak)
    bench.command()(nearby)
    bench.command()(traffic)
    app.add_typer(bench, name="bench", rich_help_panel="Data")


@bench.command()
def ingest(
    *,
    seconds: Annotated[float, typer.Option(min=0.5, max=120, help="How long each HTTP figure is measured.")] = 4.0,
    as_json: Json = False,
) -> None:
    """Measure the road: HTTP into the log, the log into the ledger, a position to its delivery."""
    from lbs.bench.home import bench_home  # noqa: PLC0415
    from lbs.bench.ingest import run  # noqa: PLC0415

    with bench_home(Settings().home.resolve() / "bench") as home:
        result = run(home, seconds=seconds, say=say)
    result["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    answer(result, as_json=as_json, text=_table(result))


@bench.command()
def decide(*, as_json: Json = False) -> None:
    """Measure deciding: events that wait until decisions with all their reasons are committed."""
    from lbs.bench.decide import run  # noqa: PLC0415
    from lbs.bench.home import bench_home  # noqa: PLC0415

    with bench_home(Settings().home.resolve() / "bench") as home:
        result = run(home, say=say)
    result["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = [
        "| decisions/s | bare inserts of the same rows | ratio | what the reasons cost |",
        "|--:|--:|--:|--:|",
        (
            f"| {result['decisions_per_s']:,.0f} | {result['bare_inserts_per_s']:,.0f} |"
            f" {result['of_bare_inserts']:.0%} | {result['reasons_share']:.1%} |"
        ),
    ]
    answer(result, as_json=as_json, text="\n".join(lines))


@bench.command()
def delivery(
    *,
    messages: Annotated[int, typer.Option(min=100, max=100_000, help="Messages a round and channel.")] = 4_000,
    as_json: Json = False,
) -> None:
    """Measure delivering: messages a second by channel beside bare HTTP clients, and latency under load."""
    from lbs.bench.extras import extra  # noqa: PLC0415

    for module in ("aiohttp", "h2"):
        extra(module)
    from lbs.bench.delivery import run  # noqa: PLC0415
    from lbs.bench.home import bench_home  # noqa: PLC0415

    with bench_home(Settings().home.resolve() / "bench") as home:
        result = run(home, messages=messages, say=say)
    result["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    lines = ["| channel | messages/s of a core | fastest bare client | ratio |", "|---|--:|--:|--:|"]
    for channel, found in result["senders"].items():
        lines.append(
            f"| {channel} | {found['per_core_s']:,.0f} | {found['peer']}:"
            f" {found['bare_per_core_s'][found['peer']]:,.0f} | {found['ratio']:.0%} |"
        )
    outbox = result["outbox"]
    lines.append(f"| webhooks through the outbox | {outbox['per_core_s']:,.0f} | | |")
    latency = result["latency"]
    lines.append(f"\nEncrypting a Web Push takes {result['encrypt_us']:.0f} us of a core.")
    lines.append(f"\nPosition to delivery, of {latency['most_per_s']:,.0f} deliveries/s at most:\n")
    lines += ["| load | p50 ms | p99 ms |", "|--:|--:|--:|"]
    lines += [f"| {share} | {found['p50']:.1f} | {found['p99']:.1f} |" for share, found in latency["at"].items()]
    answer(result, as_json=as_json, text="\n".join(lines))


def _table(result: dict[str, Any]) -> str:
    """Markdown, as the README shows it."""
    lines = ["| what | positions/s | floor | ratio |", "|---|--:|--:|--:|"]
    for batch, rate in result["http"].items():
        floor = result["decode_only"][batch]
        lines.append(f"| HTTP into the log, {batch} a request | {rate:,.0f} | {floor:,.0f} | {rate / floor:.0%} |")
    rate, floor = result["log_to_ledger"], result["copy_floor"]
    lines.append(f"| log to ledger | {rate:,.0f} | {floor:,.0f} | {rate / floor:.0%} |")
    delivery = result["delivery_ms"]
    lines.append(f"\nPosition to delivery: p50 {delivery['p50']:.1f} ms, p99 {delivery['p99']:.1f} ms.")
    return "\n".join(lines)
