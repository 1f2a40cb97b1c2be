"""Events out: nothing committed is missed, a device's events stay in order, and failures wait in their rhythm."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from geofences.sql import queries
from lbs import clock
from lbs.connections import sqlalchemy_url
from lbs.daemon_metrics import WorkerMetrics
from lbs.sql import block
from offers.push import Refused
from offers.scheduler import Scheduler
from offers.tables import webhooks
from tests.support.api import wait_for
from tests.support.events_out import EventReceiver, Happenings, documented, shape, telling
from tests.support.receivers import EXAMPLE_SECRET, Respond, Slow
from tests.support.road import HELSINKI, open_road

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offers.webhook_queue import Attempt

pytestmark = pytest.mark.servers

ATTEMPTS = "SELECT event_id, attempt, status, reason, delivered FROM offers.webhook_attempts ORDER BY attempt_id"
WAITING = "SELECT ref_id FROM offers.webhook_events ORDER BY seq"
PAUSED = "SELECT paused_reason FROM offers.webhooks ORDER BY webhook_id"


@pytest.fixture
def world(fresh_database_url: str) -> Iterator[Happenings]:
    engine = sa.create_engine(sqlalchemy_url(fresh_database_url))
    yield Happenings.begin(engine, "anna", "bert")
    engine.dispose()


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    with EventReceiver() as made:
        yield made


def test_a_visit_and_its_decision_are_told_in_order_and_name_no_place_but_the_store(
    fresh_database_url: str, redis_url: str, redis_prefix: str, receiver: EventReceiver
) -> None:
    with open_road(fresh_database_url, redis_url, redis_prefix, clock=clock.now) as road:
        told = Happenings(database=road.database, tenant_id=road.tenant_id)
        told.webhook(receiver.hook, "visit.*", "decision.offered")
        store_id = road.store("s1")
        campaign_id = road.campaign()
        with telling(fresh_database_url):
            road.report(road.device("anna"), HELSINKI)
            wait_for(lambda: len(receiver.received) == 2)
    entered, offered = receiver.received
    assert [entered.title, offered.title] == ["visit.entered", "decision.offered"]
    assert entered.data["device_id"] == offered.data["device_id"] == "anna"
    assert entered.data["store_external_id"] == entered.data["fence_external_id"] == "s1"
    assert offered.data["event_id"] == entered.message_id
    assert offered.data["root_visit_id"] == entered.data["visit_id"]
    expected = {"campaign_id": str(campaign_id), "store_id": str(store_id), "outcome": "offered", "reason": None}
    assert expected.items() <= offered.data.items()
    assert told.rows(WAITING) == []
    for event in receiver.received:
        assert shape(json.loads(event.raw)) == shape(documented()[event.title]), "as the guide shows it"


def test_what_commits_late_is_told_though_later_numbers_went_before(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    world.webhook(receiver.hook, "visit.entered")
    with telling(fresh_database_url):
        with world.database.begin() as late:
            world.enter("anna", 1, connection=late)
            world.enter("bert", 2)
            wait_for(lambda: receiver.ids == ["event-2"])
            # it has nothing more to do by any number it could keep
            wait_for(lambda: world.rows(WAITING) == [])
        wait_for(lambda: receiver.ids == ["event-2", "event-1"])


def test_nothing_waits_for_who_did_not_subscribe_or_rolled_back(world: Happenings) -> None:
    world.webhook("https://partner.example/a")
    world.webhook("https://partner.example/b", "visit.exited", "decision.*")
    world.enter("anna", 1)
    world.webhook("https://partner.example/c", "visit.*")
    with world.database.connect() as connection:
        world.enter("anna", 2, connection=connection)
        connection.rollback()
    assert world.rows(WAITING) == []
    world.enter("anna", 3)
    assert world.rows(WAITING) == [(3,)]


def test_a_failure_holds_up_its_device_and_no_other(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    world.webhook(receiver.hook, "visit.*")
    receiver.misbehave(Respond(status=500))
    world.enter("anna", 1)
    with telling(fresh_database_url):
        wait_for(lambda: world.rows(ATTEMPTS) == [("event-1", 1, 500, "server_error", False)])
        world.enter("anna", 2)
        world.enter("bert", 3)
        wait_for(lambda: receiver.ids == ["event-1", "event-3"], give_up_s=15)
        wait_for(lambda: world.rows(WAITING) == [(1,), (2,)])
        # the later one of anna's waits as long as the earlier one
        wait_for(lambda: world.rows("SELECT count(DISTINCT due_at) FROM offers.webhook_events") == [(1,)])
        world.make_due()
        wait_for(lambda: receiver.ids == ["event-1", "event-3", "event-1", "event-2"])
    assert world.rows(ATTEMPTS)[2:] == [
        ("event-1", 2, 200, "accepted", True),
        ("event-2", 1, 200, "accepted", True),
    ]
    (first, *_) = world.rows("SELECT next_attempt_at - at FROM offers.webhook_attempts ORDER BY attempt_id")
    assert timedelta(seconds=5) <= first[0] < timedelta(seconds=7)


def test_a_receiver_says_when_to_come_back(world: Happenings, fresh_database_url: str, receiver: EventReceiver) -> None:
    world.webhook(receiver.hook, "visit.*")
    receiver.misbehave(Respond(status=503, headers={"Retry-After": "7200"}))
    world.enter("anna", 1)
    with telling(fresh_database_url):
        wait_for(lambda: world.rows(ATTEMPTS))
    ((again,),) = world.rows("SELECT next_attempt_at - at FROM offers.webhook_attempts")
    assert timedelta(hours=2) <= again < timedelta(hours=2, minutes=1)


def test_gone_pauses_a_webhook_and_keeps_what_waits(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    world.webhook(receiver.hook, "visit.*")
    receiver.misbehave(Respond(status=410))
    world.enter("anna", 1)
    with telling(fresh_database_url):
        wait_for(lambda: world.rows(PAUSED) == [("gone",)])
        world.enter("anna", 2)
        world.make_due()
        # longer than a poll: it is left alone
        threading.Event().wait(0.6)
    assert receiver.requests == 1
    assert world.rows(WAITING) == [(1,), (2,)]
    assert world.rows("SELECT next_attempt_at FROM offers.webhook_attempts") == [(None,)]


def test_the_tenth_failure_pauses_a_webhook_and_says_why(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    world.webhook(receiver.hook, "visit.*")
    receiver.misbehave(Respond(status=500))
    world.enter("anna", 1)
    world.run("UPDATE offers.webhook_events SET attempts = 9")
    with telling(fresh_database_url):
        wait_for(lambda: world.rows(PAUSED) == [("server_error after 10 attempts",)])
    assert world.rows(WAITING) == [(1,)]


def test_a_failure_of_an_address_that_was_moved_meanwhile_counts_for_nothing(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    webhook_id = world.webhook(receiver.url("/old"), "visit.*")
    receiver.misbehave(Slow(seconds=5))
    world.enter("anna", 1)
    with telling(fresh_database_url):
        wait_for(lambda: receiver.requests == 1)
        world.run("UPDATE offers.webhooks SET url = :url WHERE webhook_id = :id", url=receiver.hook, id=webhook_id)
        wait_for(lambda: receiver.requests == 2, give_up_s=15)
        wait_for(lambda: world.rows(WAITING) == [])
    assert [row[1:4] for row in world.rows(ATTEMPTS)] == [(1, None, "timeout"), (1, 200, "accepted")]


def test_one_slow_receiver_holds_up_no_other(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    with EventReceiver() as slow:
        slow.misbehave(*[Slow(seconds=30)] * 20)
        for path in range(4):
            world.webhook(slow.url(f"/{path}"), "visit.*")
        world.webhook(receiver.hook, "visit.*")
        with telling(fresh_database_url):
            world.enter("anna", *range(1, 21))
            wait_for(lambda: len(receiver.received) == 20, give_up_s=3)


def test_two_workers_tell_everything_once_and_each_device_in_order(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    world.webhook(receiver.hook, "visit.*")
    with telling(fresh_database_url, workers=2):
        for number in range(1, 61, 3):
            world.enter("anna", number, number + 1)
            world.enter("bert", number + 2)
        wait_for(lambda: world.rows(WAITING) == [])
    for device in ("anna", "bert"):
        numbers = [int(e.message_id.removeprefix("event-")) for e in receiver.received if e.data["device_id"] == device]
        assert numbers == sorted(numbers)
    assert sorted(receiver.ids) == sorted(f"event-{number}" for number in range(1, 61))


def test_a_repeat_says_the_same_to_the_byte(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    world.webhook(receiver.hook, "visit.*")
    receiver.misbehave(Respond(status=500))
    world.enter("anna", 1)
    with telling(fresh_database_url):
        wait_for(lambda: world.rows(ATTEMPTS))
        world.make_due()
        wait_for(lambda: len(receiver.received) == 2, give_up_s=10)
    first, second = receiver.received
    assert first.raw == second.raw


def test_an_old_secret_signs_until_its_time_is_over(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    new = "whsec_" + "bmV3IHNlY3JldCBvZiAzMiBieXRlcyBmb3IgdGVzdHM="
    webhook_id = world.webhook(receiver.hook, "visit.*", secrets=[new, EXAMPLE_SECRET])
    until = "UPDATE offers.webhooks SET old_secret_until = :at WHERE webhook_id = :id"
    world.run(until, at=clock.now() + timedelta(hours=1), id=webhook_id)
    with telling(fresh_database_url):
        world.enter("anna", 1)
        wait_for(lambda: len(receiver.received) == 1)
        receiver.secret = new
        world.enter("anna", 2)
        wait_for(lambda: len(receiver.received) == 2)
        world.run(until, at=clock.now() - timedelta(hours=1), id=webhook_id)
        world.enter("anna", 3)
        wait_for(lambda: len(receiver.received) == 3)
    signatures = [len(event.headers["webhook-signature"].split()) for event in receiver.received]
    assert signatures == [2, 2, 1]


def test_secrets_that_cannot_be_read_cost_attempts_and_no_worker(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    def unseal(sealed: bytes) -> bytes:
        if sealed != EXAMPLE_SECRET.encode():
            raise ValueError("another key sealed it")
        return sealed

    world.webhook("http://127.0.0.1:1/", "visit.*", secrets=["sealed by a key that was lost"])
    world.webhook(receiver.hook, "visit.*")
    with telling(fresh_database_url, unseal=unseal):
        world.enter("anna", 1)
        wait_for(lambda: len(world.rows(ATTEMPTS)) == 2)
    assert sorted(row[3] for row in world.rows(ATTEMPTS)) == ["accepted", "sender_broken"]


def test_an_address_that_may_not_be_called_is_not(world: Happenings, fresh_database_url: str) -> None:
    outcomes: list[Attempt] = []
    world.webhook("http://169.254.169.254/latest", "visit.*")
    world.enter("anna", 1)
    with telling(fresh_database_url, on_attempts=outcomes.extend):
        wait_for(lambda: outcomes)
    assert isinstance(outcomes[0].outcome, Refused)
    assert world.rows(ATTEMPTS) == [("event-1", 1, None, "forbidden_address", False)]


def test_what_waits_about_an_erased_device_goes_with_it(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    world.webhook(receiver.hook, "visit.*")
    world.enter("anna", 1)
    world.enter("bert", 2)
    with world.database.begin() as connection:
        who = {"tenant_id": world.tenant_id, "device_id": world.device("anna")}
        assert connection.execute(block("erase_webhook_events"), who).rowcount == 1
    # and if one came in between, there is nothing left to say
    world.run("DELETE FROM geofences.events WHERE event_id = 2")
    world.enter("bert", 3)
    with telling(fresh_database_url):
        wait_for(lambda: world.rows(WAITING) == [])
    assert receiver.ids == ["event-3"]


def test_a_worker_that_stands_still_does_not_keep_a_webhook(world: Happenings) -> None:
    named = {"webhook_id": 7}
    hold, let_go = queries("offers")["hold_webhook"], queries("offers")["let_webhook_go"]
    timeout = sa.text("SELECT current_setting('idle_session_timeout')")
    with world.database.connect() as frozen, world.database.connect() as other:
        assert frozen.execute(hold, {**named, "silent_for": "100ms"}).scalar_one() is not None
        frozen.commit()
        assert other.execute(hold, {**named, "silent_for": "1min"}).scalar_one() is None
        other.commit()

        def taken() -> bool:
            found = other.execute(hold, {**named, "silent_for": "1min"}).scalar_one()
            other.commit()
            return found is not None

        wait_for(taken)
        assert other.execute(timeout).scalar_one() == "1min"
        other.execute(let_go, named)
        assert other.execute(timeout).scalar_one() == "0"
        with pytest.raises(sa.exc.OperationalError):
            frozen.execute(timeout)


def test_the_scheduler_forgets_the_past_and_ends_old_secrets(world: Happenings) -> None:
    webhook_id = world.webhook("https://partner.example/a", "visit.*", secrets=["new", "old"])
    world.enter("anna", 1, 2)
    world.run(
        "INSERT INTO offers.webhook_attempts (webhook_id, tenant_id, event_id, type, attempt, at, duration_ms, reason,"
        " delivered) SELECT :id, :tenant, 'event-' || n, 'x', 1, now() - n * interval '8 days', 1, 'x', true"
        " FROM generate_series(1, 2) AS n",
        id=webhook_id,
        tenant=world.tenant_id,
    )
    world.run("UPDATE offers.webhook_events SET created_at = now() - interval '15 days' WHERE ref_id = 1")
    world.run("UPDATE offers.webhooks SET old_secret_until = now()")
    scheduler = Scheduler(
        database=world.database,
        now=lambda: clock.now() + timedelta(seconds=1),
        beat=lambda: None,
        retention=timedelta(days=7),
        webhook_retention=timedelta(days=14),
    )
    scheduler.forget_webhook_past()
    scheduler.end_old_secrets()
    assert world.rows(WAITING) == [(2,)]
    assert [row[0] for row in world.rows(ATTEMPTS)] == ["event-1"]
    with world.database.connect() as connection:
        kept = connection.execute(sa.select(webhooks.c.secrets, webhooks.c.old_secret_until)).one()
    assert [bytes(secret) for secret in kept.secrets] == [b"new"]
    assert kept.old_secret_until is None


def test_a_tenant_sees_what_waits_for_its_own_webhooks_only(world: Happenings) -> None:
    world.webhook("https://partner.example/a", "visit.*")
    world.enter("anna", 1)
    for tenant_id, seen in ((world.tenant_id, 1), (world.tenant_id + 1, 0)):
        with world.database.connect() as connection:
            connection.execute(sa.text("SET LOCAL ROLE lbs_api"))
            connection.execute(sa.text("SELECT set_config('lbs.tenant', :id, true)"), {"id": str(tenant_id)})
            assert connection.execute(sa.text("SELECT count(*) FROM offers.webhook_events")).scalar_one() == seen


def test_the_lag_is_that_of_the_oldest_event_for_a_webhook_that_works(
    world: Happenings, fresh_database_url: str, receiver: EventReceiver
) -> None:
    metrics = WorkerMetrics()
    metrics.watch(world.database)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"lbs_worker_webhook{name}", labels)

    assert value("_lag_seconds") == 0
    webhook_id = world.webhook(receiver.hook, "visit.*")
    world.enter("anna", 1)
    world.run("UPDATE offers.webhook_events SET created_at = now() - interval '1 hour'")
    assert 3_599 < (value("_lag_seconds") or 0) < 3_700
    world.run("UPDATE offers.webhooks SET paused_reason = 'gone' WHERE webhook_id = :id", id=webhook_id)
    assert (value("_lag_seconds"), value("s_paused")) == (0, 1)
    world.run("UPDATE offers.webhooks SET paused_reason = NULL")
    with telling(fresh_database_url, on_attempts=metrics.told):
        wait_for(lambda: value("_attempts_total", reason="accepted") == 1)


def test_events_of_before_are_told_in_the_time_that_they_became_known(world: Happenings) -> None:
    webhook_id = world.webhook("https://partner.example/a")
    world.enter("anna", 1, 2, 3)
    for number, minute in ((1, 30), (2, 10), (3, 20)):
        at = datetime(2026, 6, 1, 12, minute, tzinfo=UTC)
        world.run("UPDATE geofences.events SET clock = :at WHERE event_id = :id", at=at, id=number)
    named = {"tenant_id": world.tenant_id, "webhook_id": webhook_id, "types": ["visit.*"]}
    with world.database.begin() as connection:
        for since, until in ((15, 31), (10, 20)):
            span = {"since": datetime(2026, 6, 1, 12, since, tzinfo=UTC)}
            span["until"] = datetime(2026, 6, 1, 12, until, tzinfo=UTC)
            connection.execute(queries("offers")["tell_again"], {**named, **span})
    assert world.rows(WAITING) == [(3,), (1,), (2,)]
