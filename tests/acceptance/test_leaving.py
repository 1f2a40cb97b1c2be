"""A shopper who leaves is really gone: with the real processes, looked for byte by byte."""

from __future__ import annotations

import io
import json
import signal
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis
import sqlalchemy as sa

from geofences.log import shard_of
from geofences.store import device_id_for
from geofences.tables import consents, devices, positions
from lbs.clock import now
from lbs.erasure import begin_erasure
from lbs.exports import COLUMNS, export
from lbs.tombstones import subject_of
from offers.messages import notification_id_of
from tests.support.api import wait_for
from tests.support.data import PROJECT
from tests.support.live import COFFEE
from tests.support.own_redis import own_redis
from tests.support.receivers import Received, Slow, WebPushReceiver
from tests.support.town import ALL, ServedShop, served_shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("leaving")]

IN_BLOOM_LNG = 24.93845678912345
"""No other number of the test looks like it."""
WITHIN_S = 1.0
CROWD, SLOWLY_S = 100, 2.5
STRANGE_ROWS = (
    "INSERT INTO offers.user_attributes VALUES (:tenant_id, :person, '{}')",
    "INSERT INTO geofences.dead_letters (shard, entry_id, payload, error) VALUES (:shard, '1-1', :payload, '')",
    "INSERT INTO offers.occasions VALUES (:campaign_id, :store_id, :at, :tenant_id)",
    (
        "INSERT INTO offers.occasion_devices (campaign_id, store_id, due_at, device_id, tenant_id, shard, clock,"
        " decided) VALUES (:campaign_id, :store_id, :at, :device_id, :tenant_id, :shard, :at, true)"
    ),
)
"""What takes an import, a defect or a clock to come about."""


class Browser(WebPushReceiver):
    """One that notes when each message arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived_s: dict[str, float] = {}

    def verify(self, headers: Mapping[str, str], body: bytes) -> Received:
        received = super().verify(headers, body)
        self.arrived_s[received.message_id] = time.monotonic()
        return received


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    shop: ServedShop
    browser: Browser
    redis_dir: Path
    redis_url: str

    def channel(self) -> dict[str, Any]:
        return {"type": "webpush", "address": self.browser.subscription()}

    @contextmanager
    def campaign(self, **more: Any) -> Iterator[str]:
        """A live campaign, until the block ends."""
        body = {**COFFEE, "stores": [self.shop.store_id], "caps": [], **more}
        campaign_id = str(self.shop.ask("POST", "/v1/campaigns", json=body)["campaign_id"])
        for move in ("submit", "approve"):
            self.shop.ask("POST", f"/v1/campaigns/{campaign_id}/{move}")
        try:
            yield campaign_id
        finally:
            self.shop.ask("POST", f"/v1/campaigns/{campaign_id}/stop")


@pytest.fixture(scope="module")
def town(new_database_url: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    home, redis_dir = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("redis")
    # not compressed, or bytes could hide
    kept = ("--appendonly", "yes", "--dir", str(redis_dir), "--rdbcompression", "no")
    with ExitStack() as stack:
        redis_url = stack.enter_context(own_redis(*kept))
        shop = stack.enter_context(served_shop(new_database_url(), redis_url, home))
        browser = stack.enter_context(Browser())
        yield Town(shop=shop, browser=browser, redis_dir=redis_dir, redis_url=redis_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leavers:
    """Devices whose erasing somebody else has begun."""

    shop: ServedShop
    tokens: dict[str, str]
    begun: dict[str, int]

    def wait(self, name: str) -> None:
        _wait_finished(self.shop, self.begun[name])


def _wait_finished(shop: ServedShop, erasure_id: int) -> None:
    shop.eventually("SELECT finished_at IS NOT NULL FROM lbs.erasures WHERE erasure_id = :e", True, e=erasure_id)


@pytest.fixture(scope="module", autouse=True)
def leavers(town: Town) -> Leavers:
    """At once for all tests: an erasure takes some seconds, most of them waiting."""
    shop = town.shop
    names = ("comes-back", "killed-before-anything-went", "killed-while-it-waits-for-the-engine")
    tokens = {name: shop.device(name) for name in names}
    for name in names:
        shop.report(name, north_m=3_000)
    command = shop.cli.command("device", "erase", names[2], "--tenant", "shop", "--yes")
    with subprocess.Popen(command, env=shop.cli.environment, cwd=PROJECT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "rows are gone" in process.stderr.readline()
        process.kill()
    assert process.returncode == -signal.SIGKILL
    begin_erasure(
        shop.system, settings=shop.settings, tenant_id=shop.tenant_id, external_id=names[1], actor="test", now=now()
    )
    shop.ask("DELETE", "/v1/devices/comes-back")
    subjects = {subject_of(shop.settings, shop.tenant_id, name): name for name in names}
    rows = shop.rows("SELECT subject, erasure_id FROM lbs.erasures")
    begun = {subjects[bytes(subject)]: erasure_id for subject, erasure_id in rows if bytes(subject) in subjects}
    return Leavers(shop=shop, tokens=tokens, begun=begun)


@dataclass
class Traces:
    """What would betray a device, in every form in which it is kept anywhere."""

    needles: dict[str, bytes] = field(default_factory=dict)

    def text(self, name: str, value: str) -> None:
        self.needles[f"{name} as text"] = value.encode()

    def number(self, name: str, value: float) -> None:
        kind = "q" if isinstance(value, int) else "d"
        self.text(name, repr(value))
        self.needles[f"{name} in Postgres's order"] = struct.pack(f">{kind}", value)
        self.needles[f"{name} in the log's order"] = struct.pack(f"<{kind}", value)

    def found(self, places: dict[str, bytes]) -> set[tuple[str, str]]:
        return {
            (name, place) for name, needle in self.needles.items() for place, held in places.items() if needle in held
        }


def _tables(shop: ServedShop) -> dict[str, bytes]:
    """Every table and partition, as text and in binary."""
    listed = (
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('geofences', 'offers', 'lbs') AND c.relkind = 'r'"
    )
    url = shop.cli.environment["LBS_DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    held = {}
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        for table in connection.execute(sa.text(listed)).scalars():
            for form in ("text", "binary"):
                sink = io.BytesIO()
                cursor.copy_expert(f"COPY {table} TO STDOUT (FORMAT {form})", sink)
                held[f"{table} ({form})"] = sink.getvalue()
    return held


def _redis(town: Town) -> dict[str, bytes]:
    """Every key as Redis would write it to disk, and the append-only file after it was written anew."""
    with redis.Redis.from_url(town.redis_url) as client:
        held = {f"key {key.decode()}": key + (client.dump(key) or b"") for key in client.scan_iter(count=1000)}
        wait_for(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
        client.bgrewriteaof()
        wait_for(
            lambda: (
                not (state := client.info("persistence"))["aof_rewrite_in_progress"]
                and not state["aof_rewrite_scheduled"]
            )
        )
    return held | _files(town)


def _files(town: Town) -> dict[str, bytes]:
    return {f"file {path.name}": path.read_bytes() for path in town.redis_dir.rglob("*") if path.is_file()}


def _exports(shop: ServedShop) -> dict[str, bytes]:
    held = {}
    for what in COLUMNS:
        sink = io.BytesIO()
        export(shop.settings, "shop", what, form="csv", sink=sink)
        held[f"export of {what}"] = sink.getvalue()
    return held


def _logs(shop: ServedShop) -> dict[str, bytes]:
    return {f"log {path.name}": path.read_bytes() for path in shop.cli.home.glob("*.out")}


def _in_same_shard(shop: ServedShop, name: str) -> str:
    """Another device that the same engine and the same stream look after."""
    shard = shard_of(device_id_for(shop.tenant_id, name))
    names = (f"neighbour-{i}" for i in range(10_000))
    return next(other for other in names if shard_of(device_id_for(shop.tenant_id, other)) == shard)


def _lived(town: Town, name: str, person: str, campaign_id: str) -> Traces:
    """A device with all that a device can leave behind; answers what would betray it."""
    shop = town.shop
    headers = {"Idempotency-Key": f"registers {name}"}
    body = {
        "device_id": name,
        "consents": ALL,
        "external_user_id": person,
        "attributes": {"tier": "gold"},
        "quiet_times": {"start": "02:00", "end": "02:01"},
        "channels": [{"type": "fcm", "address": {"token": f"token of {name}"}}, town.channel()],
    }
    shop.ask("POST", "/v1/devices", json=body, headers=headers)
    device_id = device_id_for(shop.tenant_id, name)
    traces = Traces()
    traces.text("client's id", name)
    traces.text("person", person)
    traces.number("device_id", int(device_id))
    traces.number("longitude", IN_BLOOM_LNG)
    who = {"tenant_id": shop.tenant_id, "device_id": device_id}
    with shop.system.begin() as connection:
        values = {**who, "person": person, "shard": shard_of(device_id), "store_id": int(shop.store_id), "at": now()}
        values |= {"campaign_id": int(campaign_id), "payload": b"d=" + int(device_id).to_bytes(8, "little")}
        for statement in STRANGE_ROWS:
            used = sa.text(statement)
            connection.execute(used, {key: values[key] for key in used._bindparams})
    traces.number("first latitude", shop.report(name, north_m=3_000.123, ago_s=300, lng=IN_BLOOM_LNG)[0])
    traces.number("latitude inside", shop.report(name, north_m=61.234567, lng=IN_BLOOM_LNG)[0])
    inbox = "SELECT state FROM offers.notifications WHERE device_id = :d AND channel = 'inbox'"
    shop.eventually(inbox, "sent", d=device_id)
    (message,) = shop.ask("GET", f"/v1/devices/{name}/inbox")["items"]
    shop.ask("POST", "/v1/receipts", json={"message_id": message["message_id"], "event": "opened", "device_id": name})
    claim = shop.ask("POST", "/v1/claims", json={"campaign_id": campaign_id, "device_id": name})
    shop.ask("POST", "/v1/redemptions/verify", json={"code": claim["code"], "store_id": shop.store_id})
    return traces


def test_nothing_of_an_erased_device_is_left_but_its_tombstone(town: Town) -> None:
    shop = town.shop
    name, person = "phone-of-somebody-who-leaves", "somebody-who-leaves"
    neighbour = _in_same_shard(shop, name)
    shop.device(neighbour)
    with town.campaign() as campaign_id:
        traces = _lived(town, name, person, campaign_id)
    shop.report(neighbour, north_m=3_000)
    in_tables = {place for _, place in traces.found(_tables(shop))}
    assert len(in_tables) > 20, "the search finds what is there"
    everywhere = _tables(shop) | _exports(shop) | _files(town)
    assert {needle for needle, _ in traces.found(everywhere)} == set(traces.needles), "in every form"
    told = shop.ask("GET", f"/v1/devices/{name}/export")
    assert [part for part, rows in told.items() if not rows] == []

    shop.report(name, north_m=61.234567, ago_s=1, lng=IN_BLOOM_LNG)
    shop.report(neighbour, north_m=3_001)
    gone = shop.ask("DELETE", f"/v1/devices/{name}")
    assert gone["erased"]["devices"] == gone["erased"]["dead_letters"] == 1
    problem = shop.ask("POST", "/v1/positions", 410, json=_position(name))
    assert problem["type"] == "/problems/erased", "positions alone bring nobody back"
    for second in range(3):
        shop.report(neighbour, north_m=3_002 + second)
    ((begun,),) = shop.rows("SELECT max(erasure_id) FROM lbs.erasures")
    _wait_finished(shop, begun)

    places = _tables(shop) | _redis(town) | _exports(shop) | _logs(shop)
    assert traces.found(places) == set()
    tombstone = "SELECT subject, device_id, actor, counts FROM lbs.erasures WHERE erasure_id = :e"
    ((subject, device_id, actor, counts),) = shop.rows(tombstone, e=begun)
    assert (len(bytes(subject)), device_id, actor.partition(":")[0]) == (32, None, "key")
    # what is noted around stores depends on whether the scheduler had seen the store by then
    emptied = {table for table, n in counts.items() if n} - {"log_positions", "traffic_seen"}
    assert emptied == {
        *("positions", "visits", "events", "device_last", "consents", "devices", "dead_letters", "changes"),
        *("channels", "notifications", "occasion_devices", "decisions", "reservations", "claims", "user_attributes"),
        *("users", "remembered_writes"),
    }
    assert shop.rows("SELECT count(*) > 3 FROM geofences.positions") == [(True,)], "the neighbour's are there"
    unnamed = "FROM offers.redemptions AS x JOIN offers.claims AS c USING (claim_id) WHERE c.device_id = 0"
    assert shop.rows(f"SELECT count(*) > 0, count(x.person) {unnamed}") == [(True, 0)], "redemptions stay, nobody's"


def _position(name: str, *, ago_s: float = 0) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(seconds=ago_s)
    place = {"lat": 60.1699, "lng": 24.9384, "accuracy_m": 5, "recorded_at": at.isoformat()}
    return {"device_id": name, "positions": [place]}


def test_who_comes_back_begins_anew(town: Town, leavers: Leavers) -> None:
    shop = town.shop
    leavers.wait("comes-back")
    shop.ask("POST", "/v1/positions", 410, json=_position("comes-back"))
    new = {"Authorization": f"Bearer {shop.device('comes-back')}"}
    old = {"Authorization": f"Bearer {leavers.tokens['comes-back']}"}
    shop.ask("POST", "/v1/positions", 401, json=_position("comes-back"), headers=old)
    shop.ask("POST", "/v1/positions", json=_position("comes-back", ago_s=3_600), headers=new)  # before the erasure
    shop.ask("POST", "/v1/positions", json=_position("comes-back"), headers=new)
    device_id = device_id_for(shop.tenant_id, "comes-back")
    shop.eventually("SELECT count(*) FROM geofences.positions WHERE device_id = :d", 1, d=device_id)


@pytest.mark.parametrize("name", ["killed-before-anything-went", "killed-while-it-waits-for-the-engine"])
def test_an_erasure_that_was_begun_is_finished_by_the_scheduler(town: Town, leavers: Leavers, name: str) -> None:
    leavers.wait(name)
    device_id = device_id_for(town.shop.tenant_id, name)
    for table in (devices, positions, consents):
        left = sa.select(sa.func.count()).where(table.c.device_id == device_id)
        with town.shop.system.connect() as connection:
            assert connection.execute(left).scalar() == 0, table.name


def test_an_operator_gets_a_file_and_is_asked_before_anything_goes(town: Town, tmp_path: Path) -> None:
    shop, file = town.shop, tmp_path / "device.json"
    shop.device("asked-for")
    shop.report("asked-for", north_m=3_000)
    device_id = device_id_for(shop.tenant_id, "asked-for")
    shop.eventually("SELECT count(*) FROM geofences.positions WHERE device_id = :d", 1, d=device_id)
    told = shop.cli.json("device", "export", "asked-for", "--tenant", "shop", "--output", file)
    assert (told["rows"]["positions"], told["rows"]["consents"], told["output"]) == (1, 3, str(file))
    assert json.loads(file.read_text())["registration"][0]["external_id"] == "asked-for"
    assert "give --yes" in shop.cli.fails("device", "erase", "asked-for", "--tenant", "shop")
    shop.ask("GET", "/v1/devices/asked-for")


def test_who_takes_back_the_consent_to_location_is_followed_no_longer(town: Town) -> None:
    shop = town.shop
    shop.device("goes-dark")
    shop.report("goes-dark", north_m=61)
    device_id = device_id_for(shop.tenant_id, "goes-dark")
    shop.eventually("SELECT count(*) FROM geofences.visits WHERE device_id = :d AND status = 'open'", 1, d=device_id)
    shop.ask("PATCH", "/v1/devices/goes-dark", json={"consents": [{**ALL[0], "granted": False}]})
    begun_s = time.monotonic()
    shop.eventually("SELECT count(*) FROM geofences.visits WHERE device_id = :d AND status = 'open'", 0, d=device_id)
    assert time.monotonic() - begun_s < WITHIN_S
    shop.ask("POST", "/v1/positions", 403, json=_position("goes-dark"))
    assert shop.rows("SELECT count(*) FROM geofences.positions WHERE device_id = :d", d=device_id) == [(1,)]


def test_nothing_is_pushed_to_who_takes_back_the_consent_to_it(town: Town) -> None:
    """More are due than the senders can have in flight, and the receiver takes its time over each."""
    shop, browser = town.shop, town.browser
    names = [f"crowd-{i}" for i in range(CROWD)]
    browser.misbehave(*(Slow(seconds=SLOWLY_S) for _ in names))
    withdrawn_s: dict[int, float] = {}

    def register(name: str) -> None:
        shop.device(name, channels=[town.channel()])

    def withdraw(name: str) -> None:
        shop.ask("PATCH", f"/v1/devices/{name}", json={"consents": [{**ALL[1], "granted": False}]})
        withdrawn_s[device_id_for(shop.tenant_id, name)] = time.monotonic()

    with town.campaign(name="Tea"), ThreadPoolExecutor(4) as pool:
        list(pool.map(register, names))
        list(pool.map(lambda name: shop.report(name, north_m=61), names))
        wait_for(lambda: len(browser.arrived_s) > 0)
        list(pool.map(withdraw, names))
        shop.eventually("SELECT count(*) FROM offers.notifications WHERE state IN ('queued', 'sending')", 0)
    whose = dict(shop.rows("SELECT notification_id, device_id FROM offers.notifications WHERE channel = 'webpush'"))
    arrived_s = {notification_id_of(message_id): at_s for message_id, at_s in browser.arrived_s.items()}
    late_s = [arrived_s[one] - withdrawn_s[whose[one]] for one in arrived_s if whose.get(one) in withdrawn_s]
    assert 0 < len(late_s) < CROWD, "some went, some were kept back"
    assert max(late_s) < WITHIN_S
