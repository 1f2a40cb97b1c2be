"""The databases that tests get are migrated, and each test's own."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import psycopg2
import pytest
import redis

from tests.support.servers import with_database

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.servers


def tables(url: str) -> set[str]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT schemaname || '.' || tablename FROM pg_tables")
        return {name for (name,) in cursor.fetchall()}


def test_the_workers_database_has_the_schema(database_url: str) -> None:
    assert "geofences.visits" in tables(database_url)


@pytest.mark.parametrize("_time", ["first", "second"])
def test_a_fresh_database_is_nobody_elses(fresh_database_url: str, database_url: str, _time: str) -> None:
    assert fresh_database_url != database_url
    assert "public.mine" not in tables(fresh_database_url)
    with closing(psycopg2.connect(fresh_database_url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE public.mine ()")
    assert "public.mine" in tables(fresh_database_url)


def test_more_databases_can_be_had(new_database_url: Callable[[], str], admin_url: str) -> None:
    first, second = new_database_url(), new_database_url()
    assert len({first, second, admin_url}) == 3


@pytest.mark.parametrize("_time", ["first", "second"])
def test_redis_keys_are_gone_after_each_test(redis_url: str, redis_prefix: str, _time: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert list(client.scan_iter(match=f"{redis_prefix}*")) == []
        client.set(f"{redis_prefix}key", 1)


def test_a_url_keeps_all_but_the_database() -> None:
    assert with_database("postgresql://u:p@h:1/a?sslmode=require", "b") == "postgresql://u:p@h:1/b?sslmode=require"
