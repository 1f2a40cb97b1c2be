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
from lbs.bench.engine_peer import rate
from lbs.bench.engine_postgis import FenceTable, Join, PreparedQueries
from lbs.bench.engine_redis import GeoSearch
from lbs.bench.engine_strtree import Tree
from lbs.bench.engine_tile38 import Channels
from lbs.bench.engine_workload import make

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lbs.bench.engine_answers import Agreement, Answers
    from lbs.bench.engine_peer import Peer
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
    tile38: tuple[str, int] | None,
    step: Callable[[str], None],
) -> dict[str, Any]:
    """The whole benchmark; `step` is told what was done. Raises MismatchError if answers differ."""
    chosen = _Chosen(home, tile38)
    return {"runs": [_size(n, [chosen.peer(name) for name in peers], rounds=rounds, step=step) for n in sizes]}


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
    rates: list[float]
    """Positions a second, one a round."""
    our_rates: list[float]
    """Ours, in turns with them."""


def measure_peer(peer: Peer, ours: OurIndex, answers: Answers, workload: Workload, *, rounds: int) -> Measured:
    """Let a peer take in the fences, hold its answers against ours, and only then time both. Raises MismatchError."""
    positions = len(workload.lat)
    n = min(peer.sample, positions)
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
        rates = [(rate(peer, positions), rate(ours, positions)) for _ in range(rounds)]
        return Measured(
            agreement=agreement,
            explain=peer.explain(),
            rates=[theirs for theirs, _ in rates],
            our_rates=[own for _, own in rates],
        )
    finally:
        peer.close()


def _size(n: int, peers: Sequence[Peer], *, rounds: int, step: Callable[[str], None]) -> dict[str, Any]:
    workload = make(n)
    positions = len(workload.lat)
    ours = OurIndex()
    ours.prepare(workload)
    answers = ours.answers(positions)
    step(f"{n:,} fences are in the index")
    measured: dict[str, Measured] = {}
    for peer in peers:
        measured[peer.name] = measure_peer(peer, ours, answers, workload, rounds=rounds)
        step(f"{n:,} fences: {peer.name} gives the same answers, and is timed")
    edits = measure_edits(ours, workload, rounds=rounds)
    ours.close()
    index_bytes = measure_bytes(n)
    step(f"{n:,} fences: edits and memory are measured")
    floor = floor_rate(workload, index_bytes=index_bytes, rounds=rounds)
    step(f"{n:,} fences: the floor is measured")
    own = median([*edits.untouched, *(own for peer in measured.values() for own in peer.our_rates)])
    theirs = {name: median(peer.rates) for name, peer in measured.items()}
    return {
        "fences": n,
        "positions": positions,
        "inside_share": len(np.unique(answers.position)) / positions,
        "equal": True,
        "rates": {ours.name: own, **theirs},
        "ratios": {name: own / other for name, other in theirs.items()},
        "floor": floor,
        "build_s": ours.cover_s + ours.index_s,
        "cover_s": ours.cover_s,
        "index_s": ours.index_s,
        "bytes_per_fence": index_bytes / n,
        **edits.report(),
        "compared": {name: asdict(peer.agreement) for name, peer in measured.items()},
        "explain": {ours.name: ours.explain(), **{name: peer.explain for name, peer in measured.items()}},
    }
