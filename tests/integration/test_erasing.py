"""Erasing step by step: what each process does, and what happens when one of them is not there."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa

from geofences.model import DeviceId
from geofences.store import device_id_for
from lbs import clock
from lbs.erasure import HEARD_AFTER, REWRITE_EVERY, Eraser, Erasure, go_on
from lbs.tables import erasures, remembered_writes
from tests.support.api import problem, wait_for
from tests.support.live import Live, Shop, living
from tests.support.own_redis import own_redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.servers

HOUR = 2 * REWRITE_EVERY


@pytest.fixture(scope="module")
def redis_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="module")
def live(new_database_url: Callable[[], str], redis_dir: Path) -> Iterator[Live]:
    with (
        own_redis("--appendonly", "yes", "--dir", str(redis_dir)) as redis_url,
        living(new_database_url(), redis_url) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def shop(live: Live) -> Shop:
    return live.shop()


def _step(live: Live, erasure_id: int, *, later: timedelta = timedelta(0)) -> Erasure:
    return go_on(live.api.system, live.api.services.position_log, erasure_id, now=clock.now() + later)


def _newest(live: Live) -> int:
    with live.api.system.connect() as connection:
        return int(connection.execute(sa.select(sa.func.max(erasures.c.erasure_id))).scalar_one())


def _positions(live: Live, shop: Shop, name: str) -> int:
    asked = sa.text("SELECT count(*) FROM geofences.positions WHERE device_id = :d")
    with live.api.system.connect() as connection:
        return int(connection.execute(asked, {"d": device_id_for(shop.tenant.tenant_id, name)}).scalar_one())


def test_an_erasure_goes_step_by_step_and_each_may_be_repeated(live: Live, shop: Shop) -> None:
    shop.device("anna")
    shop.report("anna", 0)
    wait_for(lambda: _positions(live, shop, "anna") == 1)
    assert shop.server.delete("/v1/devices/anna").json()["erased"]["positions"] == 1
    begun = _newest(live)
    assert not _step(live, begun).finished, "not everybody has heard yet"
    problem(shop.server.post("/v1/devices", json={"device_id": "anna"}), 409, "conflict")
    assert not _step(live, begun, later=HEARD_AFTER).finished, "the engine is told a second time"
    finished = wait_for(lambda: (step := _step(live, begun, later=HEARD_AFTER)).finished and step)
    assert finished.counts["changes"] > 0
    assert _step(live, begun, later=HEARD_AFTER) == finished
    problem(shop.server.delete("/v1/devices/anna"), 404, "not-found")
    shop.device("anna")


def test_the_engine_forgets_whom_it_followed_without_a_word(live: Live, shop: Shop) -> None:
    """An exit would be an event about somebody who is gone."""
    shop.device("bert")
    shop.enter("bert")
    bert = device_id_for(shop.tenant.tenant_id, "bert")
    inside = sa.text("SELECT count(*) FROM geofences.visits WHERE device_id = :d AND status = 'open'")
    told = sa.text("SELECT count(*) FROM geofences.events WHERE device_id = :d")
    with live.api.system.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        wait_for(lambda: connection.execute(inside, {"d": bert}).scalar() == 1)
        shop.server.delete("/v1/devices/bert")
        begun = _newest(live)
        _step(live, begun, later=HEARD_AFTER)
        finished = wait_for(lambda: (step := _step(live, begun, later=HEARD_AFTER)).finished and step)
        assert connection.execute(told, {"d": bert}).scalar() == 0
    assert (finished.counts["visits"], finished.counts["positions"]) == (1, 2)
    assert finished.counts["events"] == 1, "of coming in"


def test_the_scheduler_finishes_and_has_the_append_only_file_written_anew(
    live: Live, shop: Shop, redis_dir: Path
) -> None:
    def rewritten() -> int:
        """The number of the file that all since then is appended behind."""
        return max(int(base.name.split(".")[2]) for base in redis_dir.rglob("*.base.*"))

    before = rewritten()
    at = clock.now() + HEARD_AFTER
    eraser = Eraser(live.api.system, live.api.services.position_log, now=lambda: at)
    unfinished = sa.select(sa.func.count()).where(erasures.c.finished_at.is_(None))
    for name, later, files in (("felix", timedelta(0), 1), ("gerda", timedelta(minutes=50), 1), ("hedda", HOUR, 2)):
        shop.device(name)
        shop.server.delete(f"/v1/devices/{name}")
        at = clock.now() + HEARD_AFTER + later

        def done() -> bool:
            eraser.work()
            with live.api.system.connect() as connection:
                return connection.execute(unfinished).scalar() == 0

        wait_for(done)
        deadline_s = time.monotonic() + 20
        while rewritten() < before + files and time.monotonic() < deadline_s:
            time.sleep(0.02)
        assert rewritten() == before + files, "once an hour is enough"


def test_an_open_stream_ends_with_its_device(live: Live, shop: Shop) -> None:
    shop.device("cilla")
    ended = threading.Event()

    def read() -> None:
        own = httpx.Client(base_url=shop.server.base_url, headers=shop.server.headers, timeout=20)
        with own, own.stream("GET", "/v1/devices/cilla/stream") as answer:
            for _ in answer.iter_lines():
                pass
        ended.set()

    reader = threading.Thread(target=read)
    reader.start()
    cilla = DeviceId(device_id_for(shop.tenant.tenant_id, "cilla"))
    wait_for(lambda: live.api.services.streams.is_open(cilla))
    shop.server.patch("/v1/devices/cilla", json={"locale": "fi"})
    assert not ended.wait(0.6), "a change ends no stream"
    shop.server.delete("/v1/devices/cilla")
    assert ended.wait(2)
    reader.join()


@pytest.mark.parametrize("named", ["in the path", "in the body", "in the answer"])
def test_a_remembered_answer_goes_with_the_device_it_is_about(live: Live, shop: Shop, named: str) -> None:
    headers = {"Idempotency-Key": f"write that names it {named}"}
    name = f"dora {named}"
    match named:
        case "in the path":
            shop.device(name)
            shop.server.post(f"/v1/devices/{name}/revoke-tokens", headers=headers)
        case "in the body":
            shop.server.post("/v1/devices", json={"device_id": name}, headers=headers)
        case _:
            name = shop.server.post("/v1/devices", json={}, headers=headers).json()["device_id"]
    device_id = device_id_for(shop.tenant.tenant_id, name)
    mine = sa.select(sa.func.count()).where(remembered_writes.c.device_id == device_id)
    with live.api.system.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.execute(mine).scalar() == 1
        gone = shop.server.delete(f"/v1/devices/{name}", headers={"Idempotency-Key": f"erases {named}"}).json()
        assert gone["erased"]["remembered_writes"] == 1
        assert connection.execute(mine).scalar() == 0
        stored = str(connection.execute(sa.select(remembered_writes.c.idempotency_key)).scalars().all())
    assert str(device_id) not in stored
    assert "erases" not in stored


def test_a_change_that_comes_with_the_erasing_brings_nobody_back(live: Live, shop: Shop) -> None:
    shop.device("elsa")
    elsa = {"d": device_id_for(shop.tenant.tenant_id, "elsa")}
    answers: list[httpx.Response] = []
    patch = threading.Thread(
        target=lambda: answers.append(shop.server.patch("/v1/devices/elsa", json={"locale": "fi"}))
    )
    with live.api.system.begin() as connection:
        connection.execute(sa.text("SELECT FROM geofences.devices WHERE device_id = :d FOR UPDATE"), elsa)
        patch.start()
        patch.join(timeout=0.3)
        assert not answers, "it waits for what becomes of the device"
        for table in ("consents", "devices"):
            connection.execute(sa.text(f"DELETE FROM geofences.{table} WHERE device_id = :d"), elsa)  # noqa: S608 - ours
    patch.join()
    problem(answers[0], 404, "not-found")
    with live.api.system.connect() as connection:
        left = connection.execute(sa.text("SELECT count(*) FROM geofences.devices WHERE device_id = :d"), elsa)
        assert left.scalar() == 0
