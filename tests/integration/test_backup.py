"""A backup that is taken while everything works restores to a state that agrees, and goes on where it was."""

from __future__ import annotations

import json
import secrets
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import redis
import sqlalchemy as sa
from typer.testing import CliRunner

from geofences.log import PositionLog
from geofences.model import LatLng
from lbs import clock
from lbs.backup import restore, take
from lbs.cli import build
from lbs.connections import sqlalchemy_url
from lbs.diagnosis import examine
from lbs.runtime import CommandError
from lbs.secrets import Vault
from lbs.settings import Settings
from offers.push import ChannelType
from offers.push_webhook import WebhookSender
from offers.scheduler import Scheduler
from offers.tables import channels, webhooks
from tests.support.receivers import EXAMPLE_SECRET, WebhookReceiver
from tests.support.road import HELSINKI, Road, open_road, working
from tests.support.servers import create_database, drop_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from geofences.model import DeviceId

pytestmark = pytest.mark.servers

SECRET = "a secret that only the tests know, and nobody else"
OTHER_SECRET = "a secret of another installation than the one of before"
FAR = LatLng(lat=HELSINKI.lat + 0.05, lng=HELSINKI.lng)
DEVICES = 24


@pytest.fixture
def empty_database_url(admin_url: str) -> Iterator[str]:
    name = f"lbs_test_{secrets.token_hex(6)}"
    yield create_database(admin_url, name)
    drop_database(admin_url, name)


def settings_for(home: Path, database_url: str, redis_url: str, prefix: str, **given: str) -> Settings:
    return Settings.model_validate(
        {"home": home, "database_url": database_url, "redis_url": redis_url, "redis_prefix": prefix, **given}
    )


def sender() -> WebhookSender:
    return WebhookSender()


def with_webhook(road: Road, vault: Vault, hook: WebhookReceiver, name: str) -> DeviceId:
    device_id = road.device(name)
    url = hook.address()["url"]
    address = {"device_id": device_id, "type": "webhook", "address": {"url": url}, "address_hash": name.encode()}
    with road.database.begin() as connection:
        if connection.execute(sa.select(webhooks)).first() is None:
            sealed = [vault.seal(EXAMPLE_SECRET.encode())]
            connection.execute(sa.insert(webhooks).values(tenant_id=road.tenant_id, url=url, secrets=sealed))
        connection.execute(sa.insert(channels).values(tenant_id=road.tenant_id, **address))
    return device_id


@contextmanager
def walking(road: Road, device_ids: list[DeviceId]) -> Iterator[None]:
    """All of them walk in and out of the store until the block ends."""
    stop = threading.Event()

    def walk() -> None:
        step = 0
        while not stop.wait(0.02):
            step += 1
            for i, device_id in enumerate(device_ids):
                road.report(device_id, HELSINKI if (step // 3 + i) % 2 else FAR)

    walker = threading.Thread(target=walk)
    walker.start()
    try:
        yield
    finally:
        stop.set()
        walker.join()


def test_a_backup_under_load_agrees_when_it_is_restored_and_goes_on_without_doubling(
    fresh_database_url: str, empty_database_url: str, redis_url: str, redis_prefix: str, tmp_path: Path
) -> None:
    old = settings_for(tmp_path / "old", fresh_database_url, redis_url, f"{redis_prefix}old", secret_key=SECRET)
    new = settings_for(tmp_path / "new", empty_database_url, redis_url, f"{redis_prefix}new")
    vault = Vault(old)
    senders = {ChannelType.WEBHOOK: sender()}
    with WebhookReceiver() as hook:
        road_of_old = open_road(
            fresh_database_url, redis_url, old.redis_prefix, clock=clock.now, senders=senders, unseal=vault.unseal
        )
        with road_of_old as road:
            road.store("s1")
            euros = {"kind": "amount", "value": 2, "currency": "EUR"}
            road.campaign(stock=1_000, offer=euros, budget={"total": 5_000, "currency": "EUR"})
            road.campaign(name="Tea", caps=[{"per": "campaign", "count": 50}])
            device_ids = [with_webhook(road, vault, hook, f"d{i}") for i in range(DEVICES)]
            with walking(road, device_ids):
                road.eventually("SELECT count(*) > 20 FROM offers.notifications WHERE state = 'delivered'", [(True,)])
                take(old, tmp_path / "backup", with_key=True)
                more = road.rows("SELECT count(*) FROM geofences.positions")[0][0]
                road.eventually("SELECT count(*) > :n FROM geofences.positions", [(True,)], n=more + 100)

        done = restore(new, tmp_path / "backup")
        assert done.shards_begun_anew > 0
        new = new.model_copy(update={"secret_key": old.secret_key})
        assert (new.home / "secret_key").read_text().strip() == SECRET
        assert {check.name for check in examine(new, deep=True) if not check.ok} <= {"decider lag"}, (
            "nobody decides yet"
        )

        database = sa.create_engine(sqlalchemy_url(empty_database_url))
        log = PositionLog(redis.Redis.from_url(redis_url), prefix=new.redis_prefix)
        again = Road(database=database, log=log, clock=clock.now, tenant_id=road.tenant_id)
        arrived = "SELECT notification_id FROM offers.notifications WHERE state = 'delivered'"
        before = {str(row[0]) for row in again.rows(arrived)}
        heard = len(hook.received)
        assert 20 < len(before) <= heard
        senders = {ChannelType.WEBHOOK: sender()}
        with working(database, log, clock=clock.now, senders=senders, unseal=vault.unseal):
            with walking(again, device_ids):
                anna = with_webhook(again, vault, hook, "anna")
                again.report(anna, FAR, HELSINKI, every_s=300)
                again.eventually(
                    "SELECT count(*) > 0 FROM offers.notifications WHERE device_id = :id AND state = 'delivered'",
                    [(True,)],
                    id=anna,
                )
            # what a worker had in its hands when the backup was taken waits for the end of its lease
            again.eventually("SELECT count(*) FROM offers.notifications WHERE state = 'queued'", [(0,)])
            assert [check for check in examine(new, deep=True) if not check.ok] == []
        twice = (
            "SELECT count(*) FROM (SELECT FROM offers.decisions WHERE root_visit_id IS NOT NULL"
            " GROUP BY campaign_id, device_id, root_visit_id, trigger_type HAVING count(*) > 1) AS twice"
        )
        assert again.rows(twice) == [(0,)]
        sent_again = {message.message_id for message in hook.received[heard:]} & before
        assert sent_again == set(), "what had arrived when the backup was taken is not sent again"
        database.dispose()


@pytest.fixture
def small_backup(database_url: str, tmp_path: Path) -> Path:
    given = Settings.model_validate({"home": tmp_path / "old", "database_url": database_url, "secret_key": SECRET})
    take(given, tmp_path / "backup", with_key=False)
    return tmp_path / "backup"


def test_what_cannot_be_restored_is_refused_before_anything_changes(
    small_backup: Path, empty_database_url: str, database_url: str, redis_url: str, redis_prefix: str
) -> None:
    home = small_backup.parent / "new"
    target = settings_for(home, empty_database_url, redis_url, redis_prefix)
    with pytest.raises(CommandError, match="holds no secret key"):
        restore(target, small_backup)
    with pytest.raises(CommandError, match="not the secret key of the backup"):
        restore(target.model_copy(update={"secret_key": _secret(OTHER_SECRET)}), small_backup)
    with pytest.raises(CommandError, match="not a backup that was finished"):
        restore(target, small_backup.parent)
    full = settings_for(home, database_url, redis_url, redis_prefix, secret_key=SECRET)
    with pytest.raises(CommandError, match="the database is not empty"):
        restore(full, small_backup)
    note = json.loads((small_backup / "backup.json").read_text())
    (small_backup / "backup.json").write_text(json.dumps({**note, "revision": "9999"}))
    with pytest.raises(CommandError, match="made by a newer version"):
        restore(target.model_copy(update={"secret_key": _secret(SECRET)}), small_backup)
    assert not (home / "secret_key").exists()


def test_a_backup_is_for_its_owner_and_never_over_another(database_url: str, tmp_path: Path) -> None:
    environment = {"LBS_DATABASE_URL": database_url, "LBS_SECRET_KEY": SECRET, "LBS_HOME": str(tmp_path / "home")}
    folder = tmp_path / "backup"
    done = CliRunner().invoke(build(), ["backup", str(folder), "--json"], env=environment)
    assert done.exit_code == 0, done.output
    assert "secret key is not in it" in done.stderr
    assert {path.name for path in folder.iterdir()} == {"database.dump", "backup.json"}
    assert SECRET not in (folder / "backup.json").read_text()
    assert folder.stat().st_mode & 0o077 == 0
    again = CliRunner().invoke(build(), ["backup", str(folder)], env=environment)
    assert isinstance(again.exception, CommandError)
    assert "is not empty" in str(again.exception)


def _secret(text: str) -> Any:
    return Settings.model_validate({"secret_key": text}).secret_key


def test_a_long_dump_stops_nobody(fresh_database_url: str) -> None:
    """Partitions of a new day need a lock that a dump does not let go: the scheduler gives up and tries again."""
    database = sa.create_engine(sqlalchemy_url(fresh_database_url))
    scheduler = Scheduler(
        database=database,
        now=lambda: clock.now() + timedelta(days=30),
        beat=lambda: None,
        retention=timedelta(days=7),
    )
    with database.connect() as dump:
        dump.execute(sa.text("LOCK TABLE geofences.positions IN ACCESS SHARE MODE"))
        begun = time.monotonic()
        with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
            scheduler.keep_partitions()
        assert time.monotonic() - begun < 5
    scheduler.keep_partitions()
    database.dispose()
