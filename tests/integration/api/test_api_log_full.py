"""A log without room: positions are refused in time, and what was answered 202 is in the ledger afterwards."""

from __future__ import annotations

import resource
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import redis
import sqlalchemy as sa

from geofences.warm import warm_up
from lbs.local_process import choose_port
from lbs.wiring import position_engine
from tests.support.api import LOCATED, Api, position, problem, running_api, settings_for, wait_for
from tests.support.own_redis import own_redis

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.servers

LIMIT_BYTES = 400_000


@contextmanager
def running_engine(api: Api) -> Iterator[None]:
    warm_up()  # where nothing was compiled yet, that takes longer than a test waits
    stop = threading.Event()
    engine = position_engine(api.settings, beat=lambda: None)
    thread = threading.Thread(target=engine.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        engine._database.dispose()


def body(device_id: str, n: int) -> dict[str, Any]:
    return {"device_id": device_id, "positions": [position(accuracy_m=i + 1) for i in range(n)]}


def stored(api: Api) -> dict[str, int]:
    statement = (
        "SELECT d.external_id, count(*) AS n FROM geofences.positions JOIN geofences.devices AS d USING (device_id)"
        " GROUP BY d.external_id"
    )
    with api.system.connect() as connection:
        return {row.external_id: row.n for row in connection.execute(sa.text(statement))}


def test_a_log_that_nobody_handles_is_filled_to_its_limit_and_drains_again(
    fresh_database_url: str, redis_url: str
) -> None:
    with running_api(settings_for(fresh_database_url, redis_url, log_max_bytes=LIMIT_BYTES)) as api:
        tenant = api.tenant()
        accepted: dict[str, int] = {}

        def refused() -> httpx.Response | None:
            """One more request of a device of its own; its answer if it was refused."""
            name = f"van-{len(accepted)}"
            answer = tenant.secret.post("/v1/positions", json=body(name, 100))
            if answer.status_code != 202:
                return answer
            accepted[name] = answer.json()["accepted"]
            return None

        refusal = wait_for(refused, give_up_s=60)
        problem(refusal, 429, "log-full")
        assert refusal.headers["Retry-After"] == "5"
        assert len(accepted) > 20
        known = "van-0"
        consent = {**LOCATED, "granted": False}
        assert tenant.secret.patch(f"/v1/devices/{known}", json={"consents": [consent]}).status_code == 200
        assert tenant.secret.patch(f"/v1/devices/{known}", json={"consents": [LOCATED]}).status_code == 200
        with running_engine(api):
            wait_for(lambda: sum(stored(api).values()) >= sum(accepted.values()))
            wait_for(lambda: not api.services.room.full)
            assert stored(api) == accepted
            assert tenant.secret.post("/v1/positions", json=body("van-0", 1)).status_code == 202
        text = tenant.secret.get("/metrics").text
        assert "lbs_log_bytes " in text


def test_at_the_memory_limit_of_redis_a_request_is_taken_whole_or_not_at_all(fresh_database_url: str) -> None:
    with (
        own_redis() as url,
        redis.Redis.from_url(url) as client,
        running_api(settings_for(fresh_database_url, url)) as api,
    ):
        tenant = api.tenant()
        info: Any = client.info("memory")
        client.config_set("maxmemory", info["used_memory"] + 3_000_000)
        names = [f"van-{i}" for i in range(120)]
        with ThreadPoolExecutor(16) as pool:
            answers = dict(zip(names, pool.map(lambda name: _status(tenant.secret, name, 500), names), strict=True))
        assert set(answers.values()) == {202, 429}
        taken = [name for name, status in answers.items() if status == 202]
        assert _logged(api) == [500] * len(taken)
        # the engine needs no room to make some
        with running_engine(api):
            wait_for(lambda: sum(stored(api).values()) == 500 * len(taken))
            wait_for(lambda: _status(tenant.secret, "van-0", 1) == 202)
        assert set(stored(api)) == {*taken, "van-0"}


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits the files of another process")
def test_a_disk_that_is_full_refuses_positions_whole_and_what_was_taken_survives(
    fresh_database_url: str, tmp_path: Path
) -> None:
    """The file of the log may not grow any more: to Redis that is a disk without room."""
    kept = ("--appendonly", "yes", "--dir", str(tmp_path))
    port = choose_port(None)
    with ExitStack() as server:
        url = server.enter_context(own_redis(*kept, port=port))
        with running_api(settings_for(fresh_database_url, url)) as api, redis.Redis.from_url(url) as client:
            tenant = api.tenant()
            info: Any = client.info("server")
            resource.prlimit(info["process_id"], resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
            taken: dict[str, int] = {}

            def refused() -> httpx.Response | None:
                name = f"van-{len(taken)}"
                answer = tenant.secret.post("/v1/positions", json=body(name, 100))
                if answer.status_code != 202:
                    return answer
                taken[name] = 100
                return None

            refusal = wait_for(refused)
            problem(refusal, 503, "log-unavailable")
            assert refusal.headers["Retry-After"]
            assert len(taken) > 10
            assert _logged(api) == [100] * len(taken)
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(info["process_id"], resource.RLIMIT_FSIZE, unlimited)
            assert wait_for(lambda: refused() is None)
            # while the disk is busy with the second before, Redis keeps what it took in memory
            wait_for(lambda: dict(client.info("persistence"))["aof_buffer_length"] == 0)
            server.close()  # kill -9: all that is left is the file
            server.enter_context(own_redis(*kept, port=port))
            assert _logged(api) == [100] * len(taken)


def _logged(api: Api) -> list[int]:
    """How many positions of each device the log holds."""
    found: Counter[int] = Counter()
    for entry in api.whole_log():
        if entry.positions is not None:
            found.update(entry.positions["device_id"].tolist())
    return sorted(found.values())


def _status(client: httpx.Client, name: str, n: int) -> int:
    answer = client.post("/v1/positions", json=body(name, n))
    if answer.status_code == 429:
        problem(answer, 429, "log-full")
    return answer.status_code
