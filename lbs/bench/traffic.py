"""`lbs bench traffic`: every question of a dashboard, at ledgers of growing size.

At each size the figures of some stores are first compared with a count of their whole ledger; then each question is
asked at stores and days of chance, as the API asks it: as its role, under one tenant, in a transaction of its own.
What a question reads is counted by EXPLAIN (ANALYZE, BUFFERS) of each of its statements.
"""

from __future__ import annotations

import random
import time
from datetime import timedelta
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences import traffic
from geofences.heat import heat
from geofences.periods import Grain, day_after, day_of, first_day_of
from geofences.store import use_tenant
from geofences.traffic import Place, Rules
from geofences.zones import zone
from lbs import footfall
from lbs.bench.traffic_world import DAYS, NOW, START, ZONE, Recount, make_stores, write_ledger
from lbs.connections import Role, database
from lbs.runtime import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from geofences.model import StoreId
    from lbs.bench.home import BenchHome

COMPARED: Final = 3
"""Stores whose figures are counted again."""
EXPLAINED: Final = 10
BLOCK_BYTES: Final = 8192
HORIZON: Final = timedelta(days=1)
Question = "Callable[[sa.Connection, Place, date], object]"


def run(
    home: BenchHome, *, sizes: Sequence[int], stores: int, questions: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """All sizes in order; CommandError if one figure differs from the recount."""
    made = make_stores(home, stores)
    rules = Rules(k=home.settings.k_anonymity, settled_before=NOW - HORIZON)
    runs = []
    for size in sizes:
        found = write_ledger(home, made, size, say=say)
        api = database(home.settings, Role.API)
        dice = random.Random(size)  # noqa: S311 - which days are asked for is no secret
        compared = sum(_compare(home, api, store_id, rules, dice) for store_id in dice.sample(made, COMPARED))
        say(f"{compared:,} figures equal a recount of the ledger")
        asked = {}
        for name, ask in _questions(home, rules).items():
            times = [_ask(home, api, ask, dice.choice(made), _day(dice))[0] for _ in range(questions)]
            # what is read is counted apart: counting takes time
            read = [_ask(home, api, ask, dice.choice(made), _day(dice), explain=True)[1] for _ in range(EXPLAINED)]
            cuts, kib = quantiles(times, n=100), max(read) / 1024
            asked[name] = {"p50_ms": cuts[49], "p99_ms": cuts[98], "kib": kib}
            say(f"{name}: p50 {cuts[49]:.1f}, p99 {cuts[98]:.1f}, {kib:,.0f} KiB")
        api.dispose()
        runs.append({"visits": size, "compared": compared, "questions": asked, **found})
    return {"stores": stores, "days": DAYS, "runs": runs}


def _questions(home: BenchHome, rules: Rules) -> dict[str, Callable[[sa.Connection, Place, date], object]]:
    """One of each route, as its defaults or the console ask it."""

    def series(grain: Grain, days: int) -> Callable[[sa.Connection, Place, date], object]:
        return lambda connection, place, day: footfall.series(
            connection, place, grain, day - timedelta(days=days - 1), day + timedelta(days=1), rules=rules
        )

    def today(connection: sa.Connection, place: Place, day: date) -> object:
        after = day + timedelta(days=1)
        return (
            footfall.series(connection, place, Grain.DAY, day, after, rules=rules),
            traffic.series(connection, place, Grain.HOUR, day, after, rules=rules),
            traffic.usual(connection, place, day, rules),
        )

    def overview(grain: Grain) -> Callable[[sa.Connection, Place, date], object]:
        return lambda connection, _, day: traffic.overview(
            connection, home.tenant_id, grain, day, rules, after=0, limit=101, only=None
        )

    return {
        "hours of a week": series(Grain.HOUR, 7),
        "days of a month": series(Grain.DAY, 31),
        "weeks of a year": series(Grain.WEEK, 364),
        "months of a year": series(Grain.MONTH, 364),
        "today": today,
        "dwell of a month": lambda connection, place, day: traffic.around(connection, place, Grain.MONTH, day, rules),
        "live": lambda connection, place, _: traffic.inside(connection, place, rules.k),
        "heat of a day": lambda connection, place, _: heat(
            connection, place, Grain.DAY, NOW.date() - timedelta(days=3), 9, k=rules.k
        ),
        "heat of a month": lambda connection, place, _: heat(
            connection, place, Grain.MONTH, NOW.date() - timedelta(days=30), 10, k=rules.k
        ),
        "100 stores, a day": overview(Grain.DAY),
        "100 stores, a month": overview(Grain.MONTH),
    }


def _ask(
    home: BenchHome,
    api: sa.Engine,
    ask: Callable[[sa.Connection, Place, date], object],
    store_id: StoreId,
    day: date,
    *,
    explain: bool = False,
) -> tuple[float, int]:
    """How long one question took, in ms, and how many bytes of tables and indexes it read if that is asked for."""
    with api.connect() as connection:
        said: list[tuple[str, Any]] = []
        if explain:
            sa.event.listen(connection, "before_cursor_execute", lambda *given: said.append((given[2], given[3])))
        begin_s = time.perf_counter()
        with connection.begin():
            use_tenant(connection, home.tenant_id)
            place = traffic.find_place(connection, store_id)
            traffic.as_of(connection, [store_id], Grain.DAY, now=NOW)
            ask(connection, place, day)
        took_ms = 1000 * (time.perf_counter() - begin_s)
        if not explain:
            return took_ms, 0
        blocks = 0
        with api.begin() as other:
            use_tenant(other, home.tenant_id)
            cursor = other.connection.cursor()
            for statement, parameters in said:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
                ((explained,),) = cursor.fetchall()
                plan = explained[0]["Plan"]
                blocks += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        return took_ms, blocks * BLOCK_BYTES


def _day(dice: random.Random) -> date:
    """Of the ledger, late enough for a year before it, mostly."""
    return (START + timedelta(days=dice.randrange(60, DAYS - 1))).date()


def _compare(home: BenchHome, api: sa.Engine, store_id: StoreId, rules: Rules, dice: random.Random) -> int:
    """Answers how many figures were compared."""
    compared = 0
    with api.begin() as connection:
        use_tenant(connection, home.tenant_id)
        recount = Recount(connection, store_id)
        place = Place(tenant_id=home.tenant_id, store_id=store_id, zone=zone(ZONE))
        end = day_of(NOW, place.zone)
        for grain in (Grain.DAY, Grain.WEEK, Grain.MONTH):
            for day in {first_day_of(grain, _day(dice)) for _ in range(20)}:
                after = min(day_after(grain, day), end + timedelta(days=1))
                (told,) = traffic.series(connection, place, grain, day, day + timedelta(days=1), rules=rules)
                expected = recount.of(day, after, rules.k)
                own = {name: getattr(told, name) for name in expected}
                if own != expected or told.dwell[4] != recount.longest(day, after, rules.k):
                    raise CommandError(f"store {store_id}, {grain} of {day}: {own}, counted again {expected}")
                compared += len(expected) + 1
    return compared
