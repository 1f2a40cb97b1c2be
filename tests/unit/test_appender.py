"""What goes out together, and what becomes of each request when a part of it is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import redis

from geofences.errors import LogFullError, LogUnavailableError
from geofences.log import Entry, EntryKind
from geofences.model import POSITION_DTYPE, Shard
from lbs.appender import MAX_MERGED, Appender
from lbs.errors import TooManyRequestsError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class Line:
    """A way to Redis that notes its pipelines, each as (key, positions) of its entries, and waits for its gate."""

    def __init__(self, answer: Callable[[str], object] = lambda _: b"1-0") -> None:
        self.answer = answer
        self.pipelines: list[list[tuple[str, int]]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def execute(self, commands: list[tuple[Any, ...]]) -> list[object]:
        *adds, publish = commands
        assert publish[0] == b"PUBLISH"
        self.pipelines.append([(key, _positions_in(fields)) for _xadd, key, _star, *fields in adds])
        await self.gate.wait()
        return [*(self.answer(key) for _, key, *_ in adds), 1]


def _positions_in(fields: list[bytes]) -> int:
    named = dict(zip(fields[::2], fields[1::2], strict=True))
    return len(named.get(b"d", b"")) // POSITION_DTYPE.itemsize


def appender(line: Line, **given: Any) -> Appender:
    own: Any = line
    return Appender(own, prefix="t", now=lambda: NOW, **given)


def positions(n: int) -> Entry:
    return Entry(kind=EntryKind.POSITIONS, clock_us=0, positions=np.zeros(n, dtype=POSITION_DTYPE))


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


def test_requests_of_one_tick_are_one_pipeline_with_one_entry_a_shard() -> None:
    async def scene() -> None:
        line = Line()
        ours = appender(line)
        await asyncio.gather(*(ours.append(Shard(i % 3), positions(2)) for i in range(90)))
        assert line.pipelines == [[(f"t:{{{shard}}}:positions", 60) for shard in range(3)]]

    run(scene())


def test_what_comes_while_one_pipeline_is_under_way_is_the_next_one() -> None:
    async def scene() -> None:
        line = Line()
        line.gate.clear()
        ours = appender(line)
        first = asyncio.create_task(ours.append(Shard(0), positions(1)))
        await asyncio.sleep(0.01)
        later = [asyncio.create_task(ours.append(Shard(0), positions(1))) for _ in range(50)]
        await asyncio.sleep(0.01)
        assert not first.done()
        line.gate.set()
        await asyncio.gather(first, *later)
        assert [sum(n for _, n in added) for added in line.pipelines] == [1, 50]

    run(scene())


def test_a_request_is_never_cut_in_two() -> None:
    async def scene() -> None:
        line = Line()
        ours = appender(line)
        await asyncio.gather(*(ours.append(Shard(0), positions(1000)) for _ in range(20)))
        (added,) = line.pipelines
        assert [n for _, n in added] == [8000, 8000, 4000]
        assert MAX_MERGED < 9000

    run(scene())


def test_each_request_hears_what_became_of_its_own_entry() -> None:
    def answer(key: str) -> object:
        return redis.exceptions.OutOfMemoryError("no room") if "{1}" in key else b"1-0"

    async def scene() -> None:
        ours = appender(Line(answer))
        outcomes = await asyncio.gather(
            *(ours.append(Shard(shard), positions(1)) for shard in (0, 1, 1, 2)), return_exceptions=True
        )
        assert [type(outcome) for outcome in outcomes] == [type(None), LogFullError, LogFullError, type(None)]

    run(scene())


def test_a_lost_connection_is_heard_by_all() -> None:
    class Gone(Line):
        async def execute(self, commands: list[tuple[Any, ...]]) -> list[object]:
            raise redis.ConnectionError(len(commands))

    async def scene() -> None:
        ours = appender(Gone())
        outcomes = await asyncio.gather(*(ours.append(Shard(i), positions(1)) for i in (0, 1)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [LogUnavailableError] * 2
        with pytest.raises(LogUnavailableError):
            await ours.append(Shard(0), positions(1))

    run(scene())


def test_a_full_log_takes_no_positions_but_what_a_person_says_of_consent() -> None:
    async def scene() -> None:
        line = Line()
        ours = appender(line, is_full=lambda: True)
        with pytest.raises(LogFullError):
            await ours.append(Shard(0), positions(1))
        await ours.append(Shard(0), Entry(kind=EntryKind.CONSENT, clock_us=0))
        assert len(line.pipelines) == 1

    run(scene())


def test_too_many_positions_on_their_way_are_refused() -> None:
    async def scene() -> None:
        line = Line()
        line.gate.clear()
        ours = appender(line, max_waiting=10)
        first = asyncio.create_task(ours.append(Shard(0), positions(10)))
        await asyncio.sleep(0.01)
        with pytest.raises(TooManyRequestsError):
            await ours.append(Shard(0), positions(1))
        line.gate.set()
        await first
        await ours.append(Shard(0), positions(10))

    run(scene())


def test_a_request_that_goes_away_costs_the_others_nothing() -> None:
    async def scene() -> None:
        line = Line()
        line.gate.clear()
        ours = appender(line)
        gone = asyncio.create_task(ours.append(Shard(0), positions(3)))
        stays = asyncio.create_task(ours.append(Shard(0), positions(2)))
        await asyncio.sleep(0.01)
        gone.cancel()
        line.gate.set()
        await stays
        assert gone.cancelled()
        assert line.pipelines == [[("t:{0}:positions", 5)]]

    run(scene())
