"""The appender's connection: answers in order, errors as answers, a lost connection made again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import redis

from lbs.log_line import LogLine
from tests.support.own_redis import own_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers


@pytest.fixture
def url() -> Iterator[str]:
    with own_redis() as opened:
        yield opened


def test_every_command_has_its_answer_and_an_error_is_one(url: str) -> None:
    async def scene() -> None:
        line = LogLine(url)
        answers = await line.execute([(b"SET", "a", b"1"), (b"XADD", "a", b"*", b"k", b"p"), (b"GET", "a")])
        assert answers[0] == b"OK"
        assert isinstance(answers[1], redis.ResponseError)
        assert answers[2] == b"1"
        await line.close()

    asyncio.run(scene())


def test_a_connection_that_was_lost_meanwhile_costs_nobody_anything(url: str) -> None:
    async def scene() -> None:
        line = LogLine(url)
        assert await line.execute([(b"INCR", "n")]) == [1]
        with redis.Redis.from_url(url) as other:
            other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert await line.execute([(b"INCR", "n")]) == [2]
        await line.close()

    asyncio.run(scene())


def test_answers_that_nobody_waited_for_are_not_taken_for_others(url: str) -> None:
    async def scene() -> None:
        line = LogLine(url)
        await line.execute([(b"SET", "a", b"1")])
        given_up = asyncio.create_task(line.execute([(b"BLPOP", "nothing", b"5"), (b"GET", "a")]))
        await asyncio.sleep(0.05)
        given_up.cancel()
        await asyncio.wait([given_up])
        assert await line.execute([(b"SET", "b", b"2"), (b"GET", "b")]) == [b"OK", b"2"]
        await line.close()

    asyncio.run(scene())


def test_a_server_that_is_gone_is_said_to_be(url: str) -> None:
    async def scene() -> None:
        line = LogLine(url)
        await line.execute([(b"PING",)])
        with redis.Redis.from_url(url) as other:
            other.shutdown(nosave=True)
        with pytest.raises((redis.RedisError, OSError)):
            await line.execute([(b"PING",)])
        await line.close()

    asyncio.run(scene())
