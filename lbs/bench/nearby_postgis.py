"""The oracle and peer of `lbs bench nearby`: the same questions asked of PostGIS. The SQL is in queries.sql.

As a superuser without row-level security, over narrow tables with the indexes that serve them. Windows and opening
hours are evaluated in SQL, by PostgreSQL's own time zones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from geofences.words import words
from lbs.bench.engine_postgis import Lines, sql
from lbs.bench.nearby_world import K
from lbs.connections import Role, database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from lbs.bench.home import BenchHome
    from lbs.bench.nearby_world import Question, World


class Found(NamedTuple):
    store_id: int
    distance_m: float
    campaigns: tuple[int, ...]


class PostgisSearch:
    """One connection, one core, statements prepared once."""

    def __init__(self, home: BenchHome, world: World) -> None:
        self._database = database(home.settings, Role.ADMIN)
        self._connection = self._database.raw_connection()
        self._cursor: Any = self._connection.cursor()
        for name in ("nearby_schema", "nearby_stores", "nearby_store_campaigns", "nearby_spans"):
            self._cursor.execute(sql(name), {"tenant_id": home.tenant_id})
        for table, rows in (("windows", world.windows), ("hours", world.hours)):
            self._cursor.copy_expert(f"COPY nearby.{table} FROM STDIN", Lines(_lines(rows)))
        self._cursor.execute(sql("nearby_indexes"))
        self._cursor.execute(sql("nearby_campaigns"), {"tenant_id": home.tenant_id})
        self._cursor.execute(
            "ANALYZE nearby.stores, nearby.campaigns, nearby.store_campaigns, nearby.windows, nearby.hours"
        )
        self._cursor.execute("SET max_parallel_workers_per_gather = 0")
        for name in ("nearby_prepare", "nearby_prepare_within"):
            self._cursor.execute(sql(name).replace("{usable}", sql("nearby_usable")))

    def ask(self, question: Question, at: datetime) -> list[Found]:
        """Nearest first; the index orders by distance on a sphere, so some more are fetched and ordered anew."""
        pattern = [_pattern(word.needle) for word in words(question.text or "")]
        given = [question.origin.lng, question.origin.lat, at, question.category, pattern or None, K]
        if question.radius_m is None:
            self._cursor.execute("EXECUTE nearby_offers (%s, %s, %s, %s, %s, %s)", given)
        else:
            self._cursor.execute(
                "EXECUTE nearby_offers_within (%s, %s, %s, %s, %s, %s, %s)", [*given, question.radius_m]
            )
        return [Found(store_id, metres, tuple(ids)) for store_id, metres, ids in self._cursor.fetchall()]

    def close(self) -> None:
        self._cursor.execute("DROP SCHEMA nearby CASCADE")
        self._connection.close()
        self._database.dispose()


def _pattern(needle: str) -> str:
    """A needle as LIKE takes it; texts have a space before each word."""
    return f"%{needle}%"


def _lines(rows: Sequence[tuple[int, int, int, int]]) -> Iterator[str]:
    for key, day, start, end in rows:
        yield f"{key}\t{day + 1}\t{start}\t{end}\n"
