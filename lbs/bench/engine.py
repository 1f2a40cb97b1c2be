"""The engine beside its peers: the same fences, the same positions, the same run, one core each.

For each number of fences every peer takes them in, answers, and is compared with us pair by pair; only then is anything
timed, and a difference ends the run without a figure. Rounds alternate between us and a peer, so that a machine that is
shared is as slow for the one as for the other. Peers work one after the other: the next begins when the one before has
given its memory back.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lbs.bench.engine_answers import compare
from lbs.bench.engine_duckdb import DuckJoin
from lbs.bench.engine_edits import measure_edits
from lbs.bench.engine_floor import floor_rate
from lbs.bench.engine_memory import measure_bytes
from lbs.bench.engine_ours import OurIndex
from lbs.bench.engine_peer import in_turns
from lbs.bench.engine_postgis import FenceTable, Join, PreparedQueries
from lbs.bench.engine_redis import GeoSearch
from lbs.bench.engine_strtree import Tree
from lbs.bench.engine_tile38 import Channels
from lbs.bench.engine_tracker import OurTracker
from lbs.bench.engine_workload import REPORTS, make

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lbs.bench.engine_answers import Agreement, Answers
    from lbs.bench.engine_peer import Peer, Timed
    from lbs.bench.engine_workload import Workload
    from lbs.bench.home import BenchHome

PEERS: Final = ("postgis_prepared", "postgis_join", "redis_geosearch", "shapely_strtree", "duckdb_spatial")
TILE38: Final = "tile38"
STEPS_A_SIZE: Final = 3
"""Building, edits with memory, and the floor."""


def steps(sizes: Sequence[int], peers: Sequence[str]) -> int:
    """How often a run says that it went a step further."""
    return len(sizes) * (STEPS_A_SIZE + len(peers))


def run(
    home: BenchHome,
    *,
    sizes: Sequence[int],
    peers: Sequence[str],
    rounds: int,
    positions: int,
    tile38: tuple[str, int] | None,
    step: Callable[[str], None],
) -> dict[str, Any]:
    """The whole benchmark; `step` is told what was done. Raises MismatchError if answers differ."""
    _warm_up()
    chosen = _Chosen(home, tile38)
    return {
        "runs": [
            _size(n, [chosen.peer(name) for name in peers], rounds=rounds, positions=positions, step=step)
            for n in sizes
        ]
    }


def _warm_up() -> None:
    """Whatever is compiled when it is first used is compiled now."""
    workload = make(100, devices=100, reports=3)
    index = OurIndex()
    index.prepare(workload)
    OurTracker(index, workload).check(index.answers(len(workload.lat)))
    measure_edits(index, workload, rounds=1)


class _Chosen:
    """Makes peers by name; both ways to ask PostGIS share a table."""

    def __init__(self, home: BenchHome, tile38: tuple[str, int] | None) -> None:
        self._home, self._tile38 = home, tile38
        self._table: FenceTable | None = None

    def peer(self, name: str) -> Peer:
        match name:
            case "postgis_prepared":
                return PreparedQueries(self._fence_table())
            case "postgis_join":
                return Join(self._fence_table())
            case "redis_geosearch":
                assert self._home.settings.redis_url is not None, "settings are resolved"
                return GeoSearch(self._home.settings.redis_url.get_secret_value())
            case "shapely_strtree":
                return Tree()
            case "duckdb_spatial":
                return DuckJoin()
            case "tile38":
                assert self._tile38 is not None, "asked for with its address"
                return Channels(*self._tile38)
            case _:
                raise AssertionError(name)

    def _fence_table(self) -> FenceTable:
        if self._table is None:
            self._table = FenceTable(self._home)
        return self._table


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One peer at one number of fences."""

    agreement: Agreement
    explain: str
    rates: dict[str, list[float]]
    """Positions a second of the peer and, in turns with it, of ours: one a round."""


def measure_peer(peer: Peer, ours: Sequence[Timed], answers: Answers, workload: Workload, *, rounds: int) -> Measured:
    """Let a peer take in the fences, hold its answers against ours, and only then time all. Raises MismatchError."""
    n = min(peer.sample, len(workload.lat))
    try:
        peer.prepare(workload)
        agreement = compare(
            peer.name,
            answers,
            peer.answers(n),
            workload=workload,
            positions=n,
            tolerance_m=peer.tolerance_m(workload.fences),
        )
        rates = in_turns([peer, *ours], len(workload.lat), rounds=rounds)
        return Measured(agreement=agreement, explain=peer.explain(), rates=rates)
    finally:
        peer.close()


def _size(n: int, peers: Sequence[Peer], *, rounds: int, positions: int, step: Callable[[str], None]) -> dict[str, Any]:
    workload = make(n, devices=positions // REPORTS)
    index = OurIndex()
    index.prepare(workload)
    answers = index.answers(len(workload.lat))
    tracker = OurTracker(index, workload)
    events = tracker.check(answers)
    step(f"{n:,} fences are in the index")
    measured: dict[str, Measured] = {}
    for peer in peers:
        measured[peer.name] = measure_peer(peer, (index, tracker), answers, workload, rounds=rounds)
        step(f"{n:,} fences: {peer.name} gives the same answers, and is timed")
    alone = in_turns([index, tracker], len(workload.lat), rounds=rounds)
    edits = measure_edits(index, workload, rounds=rounds)
    index.close()
    index_bytes = measure_bytes(n)
    step(f"{n:,} fences: edits and memory are measured")
    floor = floor_rate(workload, index_bytes=index_bytes, rounds=rounds)
    step(f"{n:,} fences: the floor is measured")
    rates = _medians([alone, *(peer.rates for peer in measured.values())])
    return {
        "fences": n,
        "positions": len(workload.lat),
        "inside_share": len(np.unique(answers.position)) / len(workload.lat),
        "events": events,
        "equal": True,
        "rates": rates,
        "ratios": {name: rates[index.name] / rates[name] for name in measured},
        "ratios_with_state": {name: rates[tracker.name] / rates[name] for name in measured},
        "floor": floor,
        "build_s": index.cover_s + index.index_s,
        "cover_s": index.cover_s,
        "index_s": index.index_s,
        "bytes_per_fence": index_bytes / n,
        **edits.report(),
        "compared": {name: asdict(peer.agreement) for name, peer in measured.items()},
        "explain": {index.name: index.explain(), **{name: peer.explain for name, peer in measured.items()}},
    }


def _medians(parts: Sequence[Mapping[str, list[float]]]) -> dict[str, float]:
    """Of all rounds of each name, in whichever part."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: median(rate for part in parts for rate in part.get(name, [])) for name in names}
