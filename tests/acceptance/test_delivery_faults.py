"""What happens to messages when something dies, goes away or lies: nothing committed is lost, repeats carry one id,
nothing is sent after its end.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
import sqlalchemy as sa

import migrations
from geofences.model import LatLng
from lbs import clock
from lbs.local import LocalServersError, remove_servers, servers_status, start_servers, stop_servers
from lbs.local_postgres import find_postgres
from lbs.local_process import choose_port
from lbs.secrets import Vault
from lbs.wiring import worker
from offers.push import Address, ChannelType, Message, Sent
from offers.push_http import HttpTransport
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender
from offers.ssrf import AddressGuard
from offers.tables import notifications, webhooks
from tests.support.api import settings_for, wait_for
from tests.support.cli import command_environment
from tests.support.data import PROJECT
from tests.support.doomed_worker import Step
from tests.support.own_redis import own_redis
from tests.support.receivers import EXAMPLE_SECRET, Respond, Slow, WebhookReceiver, WebPushReceiver
from tests.support.road import HELSINKI, MovableClock, Road, open_road, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from lbs.settings import Settings
    from offers.push import Outcome, PushSender

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

FAR = LatLng(lat=HELSINKI.lat + 0.1, lng=HELSINKI.lng)
VAPID = VapidKey.derive(b"a test's own secret, 32 bytes long")
PUSHED = "SELECT state FROM offers.notifications WHERE channel <> 'inbox' ORDER BY created_at, notification_id"
LEDGER = (
    "SELECT (SELECT count(*) FROM offers.decisions), (SELECT count(*) FROM offers.reservations WHERE state = 'held'),"
    " (SELECT count(*) FROM offers.notifications)"
)


@contextmanager
def sending_road(
    database_url: str,
    redis_url: str,
    prefix: str,
    *,
    now: Callable[[], datetime] = clock.now,
    connections_per_host: int = 32,
) -> Iterator[Road]:
    """A road whose worker sends webhooks and Web Push."""
    carrier = HttpTransport(guard=AddressGuard(allow_private=True), connections_per_host=connections_per_host)
    senders: dict[ChannelType, PushSender] = {
        ChannelType.WEBPUSH: WebPushSender(key=VAPID, contact="mailto:test@example.org", origin=carrier.origin),
        ChannelType.WEBHOOK: WebhookSender(),
    }
    with open_road(database_url, redis_url, prefix, clock=now, senders=senders, transport=carrier) as road:
        yield road


def by_webhook(
    road: Road, name: str, url: str, at: LatLng = HELSINKI, *, seal: Callable[[bytes], bytes] = bytes
) -> None:
    """A device that is reached there reports that it is at the store."""
    device_id = road.device(name)
    road.channel(device_id, ChannelType.WEBHOOK, {"url": url})
    with road.database.begin() as connection:
        if connection.execute(sa.select(webhooks.c.url).where(webhooks.c.url == url)).first() is None:
            secrets = [seal(EXAMPLE_SECRET.encode())]
            connection.execute(sa.insert(webhooks).values(tenant_id=road.tenant_id, url=url, secrets=secrets))
    road.report(device_id, at)


def by_webpush(road: Road, name: str, push: WebPushReceiver, at: LatLng = HELSINKI) -> None:
    device_id = road.device(name)
    road.channel(device_id, ChannelType.WEBPUSH, push.subscription())
    road.report(device_id, at)


def ids_at(receiver: WebhookReceiver | WebPushReceiver) -> set[str]:
    return {message.message_id for message in receiver.received}


# kill -9 of the worker


def doomed(step: Step, settings: Settings, home: Path) -> subprocess.Popen[bytes]:
    assert settings.database_url is not None
    assert settings.redis_url is not None
    assert settings.secret_key is not None
    environment = command_environment(
        home,
        LBS_DATABASE_URL=settings.database_url.get_secret_value(),
        LBS_REDIS_URL=settings.redis_url.get_secret_value(),
        LBS_REDIS_PREFIX=settings.redis_prefix,
        LBS_SECRET_KEY=settings.secret_key.get_secret_value(),
        LBS_ALLOW_PRIVATE_ADDRESSES="true",
    )
    return subprocess.Popen([sys.executable, "-m", "tests.support.doomed_worker", step], env=environment, cwd=PROJECT)


SEEN_AT_DEATH = {
    Step.DECIDING: ((0, 0, 0), set[str](), 0),
    Step.DECIDED: ((1, 1, 2), {"queued", "sending"}, 0),
    Step.CLAIMING: ((1, 1, 2), {"queued"}, 0),
    Step.CLAIMED: ((1, 1, 2), {"sending"}, 0),
    Step.SENT: ((1, 1, 2), {"sending"}, 1),
    Step.ANSWERED: ((1, 1, 2), {"sending"}, 1),
    Step.FINISHING: ((1, 1, 2), {"sending"}, 1),
}
"""What the ledger counts, states of the webhook's message that may be, requests at the receiver."""


@pytest.mark.parametrize("step", Step)
def test_a_worker_killed_at_any_step_loses_nothing_and_repeats_carry_one_id(
    step: Step, fresh_database_url: str, redis_url: str, tmp_path: Path
) -> None:
    settings = settings_for(fresh_database_url, redis_url, allow_private_addresses=True)
    with (
        WebhookReceiver() as hook,
        open_road(fresh_database_url, redis_url, settings.redis_prefix, clock=clock.now, decides=False) as road,
        doomed(step, settings, tmp_path) as process,
    ):
        road.store("shop")
        road.campaign(stock=1)
        if step is Step.SENT:
            hook.misbehave(Slow(seconds=60))
        by_webhook(road, "anna", hook.address()["url"], seal=Vault(settings).seal)
        if step is Step.SENT:
            wait_for(lambda: hook.received, give_up_s=60)
            process.kill()
        assert process.wait(timeout=60) == -signal.SIGKILL
        ledger, states, requests = SEEN_AT_DEATH[step]
        assert tuple(road.rows(LEDGER)[0]) == ledger
        assert {row.state for row in road.rows(PUSHED)} <= states
        assert hook.requests == requests

        with road.database.begin() as connection:
            # a lease lasts for a minute; the test does not
            taken = sa.update(notifications).where(notifications.c.state == "sending")
            connection.execute(taken.values(lease_until=clock.now() - timedelta(seconds=1)))
        heir = worker(settings, lambda: None)
        with running(heir):
            road.eventually("SELECT state FROM offers.notifications ORDER BY 1", [("delivered",), ("sent",)])
        assert tuple(road.rows(LEDGER)[0]) == (1, 1, 2)
        assert len(ids_at(hook)) == 1
        assert hook.requests == requests + 1


# servers that go away


@pytest.fixture
def own_home() -> Iterator[Path]:
    """A home in a folder that every account may enter."""
    try:
        find_postgres()
    except LocalServersError as error:
        pytest.skip(f"servers are given by URL here: {error}")
    folder = Path(tempfile.mkdtemp(prefix="lbs-home-"))
    folder.chmod(0o755)
    yield folder / "home"
    remove_servers(folder / "home")
    shutil.rmtree(folder)


def test_workers_wait_for_a_postgres_that_restarts_and_go_on(own_home: Path, redis_url: str, redis_prefix: str) -> None:
    def start() -> str:
        return start_servers(own_home, database_url=None, redis_url=redis_url, durable=False).database_url

    url = start()
    migrations.upgrade(url.replace("postgresql://", "postgresql+psycopg2://", 1))
    with WebhookReceiver() as hook, sending_road(url, redis_url, redis_prefix) as road:
        road.store("shop")
        road.campaign()
        hook.misbehave(Slow(seconds=1.5))
        by_webhook(road, "anna", hook.address()["url"])
        wait_for(lambda: hook.received)
        stop_servers(own_home)
        time.sleep(2.5)  # the answer comes while nobody can write it down
        assert start() == url
        road.database.dispose()
        road.eventually(PUSHED, [("delivered",)])
        assert road.rows("SELECT attempts, outcome_unknown FROM offers.notifications WHERE channel = 'webhook'") == [
            (1, False)
        ]
        by_webhook(road, "bert", hook.address()["url"])
        road.eventually(PUSHED, [("delivered",)] * 2)
        (postmaster,) = (status.pid for status in servers_status(own_home) if status.name == "postgres")
        assert postmaster is not None
        os.kill(postmaster, signal.SIGKILL)
        wait_for(lambda: servers_status(own_home)[0].pid is None)
        start()
        road.database.dispose()
        by_webhook(road, "carl", hook.address()["url"])
        road.eventually(PUSHED, [("delivered",)] * 3)
        assert (hook.requests, len(ids_at(hook))) == (3, 3)


def test_messages_need_no_redis_and_what_it_held_comes_after_its_restart(
    fresh_database_url: str, tmp_path: Path
) -> None:
    port = choose_port(None)
    kept = ("--appendonly", "yes", "--appendfsync", "always", "--dir", str(tmp_path))
    with ExitStack() as life, WebhookReceiver() as hook:
        server = life.enter_context(ExitStack())
        url = server.enter_context(own_redis(*kept, port=port))
        road = life.enter_context(sending_road(fresh_database_url, url, "t"))
        road.store("shop")
        road.campaign()
        hook.misbehave(Respond(status=503))
        by_webhook(road, "anna", hook.address()["url"])
        wait_for(lambda: hook.received)
        by_webhook(road, "bert", hook.address()["url"])
        server.close()  # kill -9, whether an engine has bert's position or not
        road.make_due()
        road.eventually("SELECT count(*) > 0 FROM offers.notifications WHERE state = 'delivered'", [(True,)])
        server.enter_context(own_redis(*kept, port=port))
        road.eventually(PUSHED, [("delivered",)] * 2)
        with redis.Redis.from_url(url) as client:
            client.flushall()
        by_webhook(road, "carl", hook.address()["url"])
        road.eventually(PUSHED, [("delivered",)] * 3)
        assert (hook.requests, len(ids_at(hook))) == (4, 3)


# a provider that goes away


def test_messages_outlive_a_provider_that_is_away_for_ten_minutes_unless_they_end(
    fresh_database_url: str, redis_url: str, redis_prefix: str
) -> None:
    back_at = clock.now()
    now = MovableClock(at=back_at - timedelta(minutes=10))
    port = choose_port(None)
    of_campaign = " FROM offers.notifications WHERE channel = 'webhook' AND campaign_id = :id"
    with sending_road(fresh_database_url, redis_url, redis_prefix, now=now) as road:
        long = road.campaign(stores=[str(road.store("near"))])
        short = road.campaign(stores=[str(road.store("far", FAR))], reservation_ttl_s=120)
        for name, at in (("anna", HELSINKI), ("bert", FAR)):
            by_webhook(road, name, f"http://127.0.0.1:{port}/hooks/secret-path", at)
        attempts = 0
        while now() < back_at:
            attempts += 1
            road.eventually(f"SELECT state, attempts {of_campaign}", [("queued", attempts)], id=long)
            road.eventually("SELECT count(*) FROM offers.notifications WHERE state = 'sending'", [(0,)])
            due = road.rows(f"SELECT not_before {of_campaign}", id=long)[0][0]
            now.at = min(due, back_at)
        assert attempts in {5, 6}
        with WebhookReceiver(port=port) as hook:
            now.at = due
            road.eventually(f"SELECT state {of_campaign}", [("delivered",)], id=long)
            # whichever came first: its last try, or its end
            ended = f"SELECT state IN ('failed', 'expired'), sent_at {of_campaign}"
            road.eventually(ended, [(True, None)], id=short)
            assert hook.requests == 1


# clocks


def test_what_waits_for_a_connection_until_its_end_is_not_sent(
    fresh_database_url: str, redis_url: str, redis_prefix: str
) -> None:
    now = MovableClock(at=clock.now())
    with (
        WebPushReceiver(server_key=VAPID.public_base64url) as push,
        sending_road(fresh_database_url, redis_url, redis_prefix, now=now, connections_per_host=1) as road,
    ):
        road.store("shop")
        road.campaign(reservation_ttl_s=30)
        push.misbehave(Slow(seconds=1))
        by_webpush(road, "anna", push)
        wait_for(lambda: push.received)
        by_webpush(road, "bert", push)
        road.eventually(PUSHED, [("sending",)] * 2)
        now.forward(seconds=31)  # less than a lease
        states = "SELECT state, reason FROM offers.notifications WHERE channel <> 'inbox' ORDER BY state"
        road.eventually(states, [("expired", "too_late"), ("sent", None)])
        assert push.requests == 1


def test_what_waits_for_a_connection_until_its_time_limit_has_certainly_not_left() -> None:
    transport = HttpTransport(guard=AddressGuard(allow_private=True), connections_per_host=1, total_timeout_s=1.0)
    came: queue.SimpleQueue[tuple[str, Outcome]] = queue.SimpleQueue()
    ends = clock.now() + timedelta(hours=1)
    with WebhookReceiver() as hook:
        address = Address(channel=ChannelType.WEBHOOK, value=hook.address())

        def start(name: str) -> None:
            message = Message(message_id=name, title="t", body="b", data={}, expires_at=ends)
            conversation = WebhookSender().attempt(message, address, now=clock.now())
            transport.start(conversation, lambda outcome: came.put((name, outcome)))

        names = [f"message-{n}" for n in range(20)]
        for name in names:
            start(name)
        assert all(isinstance(came.get()[1], Sent) for _ in names)
        hook.misbehave(*[Slow(seconds=30)] * len(names))
        for name in names:
            start(f"{name}-again")
        outcomes = dict(came.get() for _ in names)
        transport.close()
        hook.closing.set()
        reached = ids_at(hook)
        assert sum(not outcome.may_have_arrived for outcome in outcomes.values()) > 10
        assert {name for name, outcome in outcomes.items() if not outcome.may_have_arrived}.isdisjoint(reached)


def test_a_clock_that_jumps_forward_repeats_with_one_id_and_sends_nothing_after_its_end(
    fresh_database_url: str, redis_url: str, redis_prefix: str
) -> None:
    now = MovableClock(at=clock.now())
    each = (
        "SELECT external_id, state, outcome_unknown FROM offers.notifications JOIN geofences.devices USING (device_id)"
    )
    with (
        WebPushReceiver(server_key=VAPID.public_base64url) as push,
        sending_road(fresh_database_url, redis_url, redis_prefix, now=now) as road,
    ):
        road.campaign(stores=[str(road.store("far", FAR))], reservation_ttl_s=10 * 3600)
        road.campaign(stores=[str(road.store("near"))], reservation_ttl_s=3600)
        push.misbehave(Slow(seconds=30), Slow(seconds=30), Respond(status=503))
        for requests, name, at in ((1, "anna", FAR), (2, "bert", HELSINKI), (3, "carl", HELSINKI)):
            by_webpush(road, name, push, at)
            wait_for(lambda requests=requests: push.requests == requests)  # type: ignore[misc]
        road.eventually("SELECT count(*) FROM offers.notifications WHERE state = 'queued'", [(1,)])
        now.forward(hours=5)  # all leases are over by this clock, and the offers of the second campaign
        sent_and_ended = [("anna", "sent", True), ("bert", "expired", True), ("carl", "expired", True)]
        road.eventually(f"{each} WHERE channel <> 'inbox' ORDER BY 1", sent_and_ended)
        assert (push.requests, len(ids_at(push))) == (4, 3)
        push.closing.set()  # nobody waits for those that are slow


def test_a_clock_that_jumps_back_loses_nothing_and_waits_for_no_lease_of_its_future(
    fresh_database_url: str, redis_url: str, redis_prefix: str
) -> None:
    now = MovableClock(at=clock.now())
    with (
        WebPushReceiver(server_key=VAPID.public_base64url) as push,
        sending_road(fresh_database_url, redis_url, redis_prefix, now=now) as road,
    ):
        yesterday = {"day": now().date() - timedelta(days=1)}
        with road.database.begin() as connection:
            connection.execute(sa.text("SELECT geofences.make_partitions(:day, :day)"), yesterday)
        road.store("shop")
        road.campaign(reservation_ttl_s=3600)
        push.misbehave(Respond(status=503))
        by_webpush(road, "anna", push)
        road.eventually("SELECT state, attempts FROM offers.notifications WHERE channel <> 'inbox'", [("queued", 1)])
        now.forward(hours=-5)
        by_webpush(road, "bert", push)
        road.eventually(f"{PUSHED} DESC", [("sent",), ("queued",)])
        with road.database.begin() as connection:
            # as if a worker whose clock ran five hours ahead had taken it, and died
            taken = sa.update(notifications).where(notifications.c.state == "queued")
            ahead = now() + timedelta(hours=5)
            connection.execute(taken.values(state="sending", lease_until=ahead, not_before=now()))
        road.eventually(PUSHED, [("sent",)] * 2)
        assert (push.requests, len(ids_at(push))) == (3, 2)
