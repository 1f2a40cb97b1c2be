"""Several engine processes share the shards; one is killed or stands still; the ledger is that of one engine."""

from __future__ import annotations

import secrets
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.engines import DEVICES, open_town, walk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("engines")]

STEPS = 120


@pytest.fixture(scope="module")
def expected(
    new_database_url: Callable[[], str], redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[Any, ...]]]:
    """What one engine makes of the walk."""
    home = tmp_path_factory.mktemp("one")
    with open_town(new_database_url(), redis_url, f"test:{secrets.token_hex(6)}:", home) as town:
        town.send(walk(town, STEPS))
        town.start()
        town.wait_handled()
        ledgers = town.ledgers()
    assert len(ledgers["positions"]) == STEPS * DEVICES
    assert len(ledgers["visits"]) > 500
    return ledgers


def test_a_killed_engines_shards_are_taken_over_within_ten_seconds(
    expected: dict[str, list[tuple[Any, ...]]],
    fresh_database_url: str,
    redis_url: str,
    redis_prefix: str,
    tmp_path: Path,
) -> None:
    with open_town(fresh_database_url, redis_url, redis_prefix, tmp_path) as town:
        town.start(3)
        town.wait_shared(3)
        steps = walk(town, STEPS)
        for step in steps[:20]:
            town.send([step])
        town.processes[1].kill()
        taken_s = _send_slowly_until_shared(town, steps[20:], engines=2)
        assert taken_s < 10
        town.wait_handled()
        assert town.ledgers() == expected


def test_an_engine_that_stood_still_longer_than_its_lease_writes_nothing_of_what_it_lost(
    expected: dict[str, list[tuple[Any, ...]]],
    fresh_database_url: str,
    redis_url: str,
    redis_prefix: str,
    tmp_path: Path,
) -> None:
    with open_town(fresh_database_url, redis_url, redis_prefix, tmp_path, LBS_LEASE_S="2") as town:
        town.start(2)
        town.wait_shared(2)
        steps = walk(town, STEPS)
        town.send(steps[:20])
        town.processes[0].send_signal(signal.SIGSTOP)
        _send_slowly_until_shared(town, steps[20:80], engines=1)
        town.processes[0].send_signal(signal.SIGCONT)
        town.send(steps[80:])
        town.wait_shared(2)
        town.wait_handled()
        assert town.ledgers() == expected


def test_an_engine_that_is_told_to_stop_hands_over_at_once(
    fresh_database_url: str, redis_url: str, redis_prefix: str, tmp_path: Path
) -> None:
    with open_town(fresh_database_url, redis_url, redis_prefix, tmp_path, LBS_LEASE_S="60") as town:
        town.start(2)
        town.wait_shared(2)
        town.processes[0].terminate()
        assert town.wait_shared(1) < 3
        assert town.processes[0].wait(timeout=10) == 0


def _send_slowly_until_shared(town: Any, steps: list[Any], *, engines: int) -> float:
    """Sends all steps, evenly; answers how long it took until so many engines owned everything."""
    begun_s = time.monotonic()
    shared_s: float | None = None
    waiting = list(steps)
    while waiting or shared_s is None:
        if waiting:
            town.send([waiting.pop(0)])
        owned = town.owned()
        if shared_s is None and len(owned) == engines and owned.total() == 64:
            shared_s = time.monotonic() - begun_s
        assert time.monotonic() < begun_s + 180, owned
        time.sleep(0.05)
    return shared_s
