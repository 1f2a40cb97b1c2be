"""`lbs bench nearby`: which offers can be used near here, in memory, over HTTP, and by PostGIS.

First all answers are compared, question by question: stores, distances, and the campaigns of each. Only then is
anything timed. In this process the stock of limited campaigns is known; over HTTP it is asked of Postgres as always.
"""

from __future__ import annotations

import asyncio
import gc
import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa

from lbs import clock
from lbs.auth import create_key
from lbs.bench.load import request_bytes, status_of
from lbs.bench.nearby_postgis import Found, PostgisSearch
from lbs.bench.nearby_world import K, build, instants
from lbs.connections import Role, database
from lbs.directory import DeviceDirectory
from lbs.memory import ApiMemory
from lbs.runtime import CommandError
from lbs.tables import KeyKind
from offers.search import Search, Searcher
from offers.tables import campaigns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from lbs.bench.home import BenchHome
    from lbs.bench.nearby_world import Question
    from offers.model import CampaignId

ROUNDS: Final = 5
PEER_S: Final = 15.0
"""How long PostGIS is timed for each kind of question at most, once it answered PEER_AT_LEAST."""
PEER_AT_LEAST: Final = 50
HTTP_WARM_UP: Final = 50
SAME_M: Final = 0.001


def run(
    home: BenchHome, *, stores: int, campaign_count: int, questions: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """All parts in order; CommandError if one answer differs."""
    now = clock.now()
    world = build(home, stores=stores, campaign_count=campaign_count, questions=questions, now=now, say=say)
    reader = database(home.settings, Role.READER)
    memory = ApiMemory(reader, directory=DeviceDirectory(reader), now=clock.now)
    begin_s = time.perf_counter()
    memory.load()
    load_s = time.perf_counter() - begin_s
    ours, postgis = _Ours(home, memory), PostgisSearch(home, world)
    at = instants(now, questions)
    first_ms = {
        name: compare(ours.ask, postgis.ask, asked, at, name=name, say=say) for name, asked in world.questions.items()
    }
    runs = {}
    for name, asked in world.questions.items():
        runs[name] = _timed(asked, at, ours=ours, postgis=postgis, first_ms=first_ms[name])
        say(f"{name}: {_p(runs[name]['ms'])}; PostGIS {_p(runs[name]['postgis_ms'])}")
    postgis.close()
    with home.api() as url:
        key = _publishable(home)
        for name, asked in world.questions.items():
            runs[name]["http_ms"] = asyncio.run(_over_http(url, key, asked))
            say(f"{name}, over HTTP: {_p(runs[name]['http_ms'])}")
    reader.dispose()
    return {"stores": stores, "campaigns": campaign_count, "k": K, "equal": True, "load_s": load_s, "runs": runs}


class _Ours:
    def __init__(self, home: BenchHome, memory: ApiMemory) -> None:
        engine = database(home.settings, Role.SYSTEM)
        with engine.begin() as connection:
            gone = sa.select(campaigns.c.campaign_id).where(campaigns.c.reserved >= campaigns.c.stock)
            sold_out = set(connection.execute(gone).scalars())
        engine.dispose()
        self._tenant_id = home.tenant_id

        def ask_sold_out(campaign_ids: Sequence[CampaignId]) -> Collection[CampaignId]:
            return sold_out.intersection(campaign_ids)

        self._searcher = Searcher(
            stores=memory.stores, book=memory.offers, display=memory.display, ask_sold_out=ask_sold_out
        )

    def ask(self, question: Question, at: datetime) -> list[Found]:
        search = Search(
            tenant_id=self._tenant_id,
            origin=question.origin,
            at=at,
            radius_m=question.radius_m,
            text=question.text,
            category=question.category,
            limit=K,
        )
        return [
            Found(
                answer.near.store.store_id,
                answer.near.distance_m,
                tuple(offer.listing.campaign.campaign_id for offer in answer.offers),
            )
            for answer in self._searcher.offers(search)
        ]


def compare(
    ours: Callable[[Question, datetime], list[Found]],
    theirs: Callable[[Question, datetime], list[Found]],
    asked: Sequence[Question],
    at: Sequence[datetime],
    *,
    name: str,
    say: Callable[[str], None],
) -> list[float]:
    """Milliseconds that each first answer took; CommandError at the first one that differs."""
    took_ms, found = [], 0
    for question, instant in zip(asked, at, strict=False):
        begin_s = time.perf_counter()
        answer = ours(question, instant)
        took_ms.append(1e3 * (time.perf_counter() - begin_s))
        expected = theirs(question, instant)
        same = len(answer) == len(expected) and all(map(_same, answer, expected))
        if not same:
            raise CommandError(f"{name}: PostGIS answers {question} at {instant} otherwise:\n{answer}\n{expected}")
        found += len(answer)
    say(f"{name}: {len(asked)} answers equal, {found} stores")
    return took_ms


def _same(one: Found, other: Found) -> bool:
    alike = one.store_id == other.store_id and sorted(one.campaigns) == list(other.campaigns)
    return alike and abs(one.distance_m - other.distance_m) <= SAME_M


def _timed(
    asked: Sequence[Question], at: Sequence[datetime], *, ours: _Ours, postgis: PostgisSearch, first_ms: Sequence[float]
) -> dict[str, Any]:
    own_ms: list[float] = []
    gc.collect()
    for _ in range(ROUNDS):
        own_ms += _each_ms(ours.ask, asked, at)
    peer_ms = _each_ms(postgis.ask, asked, at, seconds=PEER_S)
    result = {"ms": spread(own_ms), "first_ms": spread(first_ms), "postgis_ms": spread(peer_ms)}
    result["times"] = {key: result["postgis_ms"][key] / result["ms"][key] for key in ("p50", "p99")}
    return result


def _each_ms(
    ask: Callable[[Question, datetime], list[Found]],
    asked: Sequence[Question],
    at: Sequence[datetime],
    *,
    seconds: float = float("inf"),
) -> list[float]:
    took_ms: list[float] = []
    until_s = time.perf_counter() + seconds
    for question, instant in zip(asked, at, strict=False):
        begin_s = time.perf_counter()
        ask(question, instant)
        end_s = time.perf_counter()
        took_ms.append(1e3 * (end_s - begin_s))
        if end_s > until_s and len(took_ms) >= PEER_AT_LEAST:
            break
    return took_ms


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"p50": median(values), "p99": quantiles(values, n=100)[98], "n": len(values)}


def _p(found: dict[str, float]) -> str:
    return f"p50 {found['p50']:.2f} ms, p99 {found['p99']:.2f} ms"


def _publishable(home: BenchHome) -> str:
    engine = database(home.settings, Role.SYSTEM)
    with engine.begin() as connection:
        key = create_key(connection, home.tenant_id, KeyKind.PUBLISHABLE)
    engine.dispose()
    return key


async def _over_http(url: str, key: str, asked: Sequence[Question]) -> dict[str, float]:
    """One request after the other over one connection, as an app sends them."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    took_ms = []
    warm_up = asked[:HTTP_WARM_UP]
    for i, question in enumerate([*warm_up, *asked]):
        given = {
            "lat": question.origin.lat,
            "lng": question.origin.lng,
            "radius_m": question.radius_m,
            "q": question.text,
            "category": question.category,
            "limit": K,
        }
        query = urlencode({name: value for name, value in given.items() if value is not None})
        request = request_bytes(url, f"/v1/offers/nearby?{query}", b"", key=key, method="GET")
        begin_s = time.perf_counter()
        writer.write(request)
        status = await status_of(reader)
        if not status.endswith(b"200"):
            raise CommandError(f"the API answered {status.decode()} to {question}")
        if i >= len(warm_up):
            took_ms.append(1e3 * (time.perf_counter() - begin_s))
    writer.close()
    return spread(took_ms)
