"""Webhooks over HTTP: subscribing, secrets, replay, tests and attempts; and what tills do, told to a receiver."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api import problem, running_api, settings_for, wait_for
from tests.support.events_out import EventReceiver, Happenings, documented, shape, telling
from tests.support.receivers import Respond
from tests.support.tills import Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.support.api import Api, TestTenant

URL = "https://partner.example/events"


@pytest.fixture(scope="module")
def api(new_database_url: Callable[[], str], redis_url: str) -> Iterator[Api]:
    """One that may call receivers on this machine."""
    with running_api(settings_for(new_database_url(), redis_url, allow_private_addresses=True)) as running:
        wait_for(lambda: running.services.memory.ready)
        yield running


@pytest.fixture
def receiver() -> Iterator[EventReceiver]:
    with EventReceiver() as made:
        yield made


@pytest.fixture(autouse=True)
def _telling(api: Api) -> Iterator[None]:
    assert api.settings.database_url is not None
    with telling(api.settings.database_url.get_secret_value(), unseal=api.services.vault.unseal):
        yield


def subscribe(tenant: TestTenant, receiver: EventReceiver, *events: str) -> str:
    """The new webhook's path; the receiver gets its secret."""
    answer = tenant.secret.post("/v1/webhooks", json={"url": receiver.hook, "events": list(events)})
    assert answer.status_code == 201, answer.text
    made = answer.json()
    receiver.secret = made["secret"]
    return f"/v1/webhooks/{made['webhook_id']}"


def attempts(tenant: TestTenant, webhook: str, **query: Any) -> list[dict[str, Any]]:
    answer = tenant.secret.get(f"{webhook}/attempts", params=query)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def ok(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def test_a_subscription_is_listed_kept_and_changed(tenant: TestTenant) -> None:
    plain = ok(tenant.secret.post("/v1/webhooks", json={"url": URL}), 201)
    assert (plain["events"], plain["old_secret_until"]) == ([], None)
    path = f"/v1/webhooks/{plain['webhook_id']}"
    wanted = ["visit.*", "visit.*", "decision.offered"]
    assert ok(tenant.secret.put(path, json={"url": URL, "events": wanted}))["events"] == wanted[1:]
    # whoever only moves it keeps what it subscribes to
    assert ok(tenant.secret.put(path, json={"url": URL + "/2"}))["events"] == wanted[1:]
    assert ok(tenant.secret.put(path, json={"url": URL, "events": []}))["events"] == []


@pytest.mark.parametrize("event", ["visit", "*", "visit.left", "com.lbs.visit.entered", "webhook.test"])
def test_an_event_that_never_happens_is_refused(tenant: TestTenant, event: str) -> None:
    problem(tenant.secret.post("/v1/webhooks", json={"url": URL, "events": [event]}), 422, "malformed")


def test_a_redemption_and_its_end_are_told(api: Api, tenant: TestTenant, receiver: EventReceiver) -> None:
    shop = Shop.open(api, tenant, "s1")
    tenant.device("anna")
    webhook = subscribe(tenant, receiver, "redemption.*")
    campaign_id = shop.campaign()
    claimed = shop.claim(campaign_id, "anna")
    token = shop.prepare(claimed["code"])["prepare_token"]
    order = {"order_id": "o-1", "amount": "10.00", "currency": "EUR"}
    redeemed = ok(shop.verify(prepare_token=token, **order))
    ok(shop.verify(prepare_token=token, **order))  # a till that repeats tells nobody anything new
    named = {"redemption_id": redeemed["redemption_id"], "reason": "returned"}
    for _ in range(2):
        ok(shop.till.post("/v1/redemptions/cancel", json=named))
    wait_for(lambda: len(attempts(tenant, webhook)) == 2)
    verified, cancelled = receiver.received
    assert [verified.title, cancelled.title] == ["redemption.verified", "redemption.cancelled"]
    number = redeemed["redemption_id"]
    assert receiver.ids == [f"redemption-{number}-verified", f"redemption-{number}-cancelled"]
    expected = {"campaign_id": campaign_id, "device_id": "anna", "store_external_id": "s1", "order_id": "o-1"}
    for event in receiver.received:
        assert expected.items() <= event.data.items()
    assert "cancelled_at" not in verified.data
    assert shape(json.loads(cancelled.raw)) == shape(documented()["redemption.cancelled"]), "as the guide shows it"


def test_a_test_is_sent_to_whoever_subscribed_to_nothing(tenant: TestTenant, receiver: EventReceiver) -> None:
    webhook = subscribe(tenant, receiver)
    sent = ok(tenant.secret.post(f"{webhook}/test"), 202)
    (attempt,) = wait_for(lambda: attempts(tenant, webhook))
    assert (attempt["event_id"], attempt["type"]) == (sent["event_id"], "webhook.test")
    assert (attempt["delivered"], attempt["status"], attempt["next_attempt_at"]) == (True, 200, None)
    assert [(event.message_id, event.title) for event in receiver.received] == [(sent["event_id"], "webhook.test")]


def test_both_secrets_sign_while_one_is_replaced(tenant: TestTenant, receiver: EventReceiver) -> None:
    webhook = subscribe(tenant, receiver)
    oldest = receiver.secret
    before = datetime.now(UTC)
    first = ok(tenant.secret.post(f"{webhook}/rotate-secret", json={"overlap_s": 3600}))
    until = datetime.fromisoformat(first["old_secret_until"])
    assert timedelta(seconds=3590) < until - before < timedelta(seconds=3660)
    assert ok(tenant.secret.get(webhook))["secret"] == first["secret"] != oldest
    for secret in (oldest, first["secret"]):
        receiver.secret = secret
        tells(tenant, webhook, receiver)
    # a second one in that time ends the oldest
    second = ok(tenant.secret.post(f"{webhook}/rotate-secret", json={}))
    for secret in (first["secret"], second["secret"]):
        receiver.secret = secret
        tells(tenant, webhook, receiver)
    third = ok(tenant.secret.post(f"{webhook}/rotate-secret", json={"overlap_s": 0}))
    assert third["old_secret_until"] is None
    receiver.secret = third["secret"]
    tells(tenant, webhook, receiver)
    signatures = [len(event.headers["webhook-signature"].split()) for event in receiver.received]
    assert signatures == [2, 2, 2, 2, 1]


def tells(tenant: TestTenant, webhook: str, receiver: EventReceiver) -> None:
    """A test arrives, with a signature that the receiver's secret verifies."""
    sent = ok(tenant.secret.post(f"{webhook}/test"), 202)
    wait_for(lambda: sent["event_id"] in receiver.ids)


def past(api: Api, tenant: TestTenant) -> Happenings:
    """What became known on some days of before, without a subscription."""
    tenant.device("anna")
    told = Happenings(database=api.system, tenant_id=tenant.tenant_id)
    first = tenant.tenant_id * 1000
    told.enter("anna", first + 1, first + 2, first + 3)
    for number, day in ((1, "2026-06-01"), (2, "2026-06-02"), (3, "2026-06-03")):
        told.run("UPDATE geofences.events SET clock = :day WHERE event_id = :id", day=day, id=first + number)
    return told


def test_a_replay_sends_the_past_with_the_same_ids(api: Api, tenant: TestTenant, receiver: EventReceiver) -> None:
    past(api, tenant)
    webhook = subscribe(tenant, receiver, "visit.entered")
    span = {"since": "2026-06-02T00:00:00Z", "until": "2026-06-03T00:00:00Z"}
    assert ok(tenant.secret.post(f"{webhook}/replay", json=span), 202) == {"queued": 1}
    assert ok(tenant.secret.post(f"{webhook}/replay", json={"since": span["since"]}), 202) == {"queued": 2}
    for types, queued in ((["decision.*"], 0), (["visit.*"], 1)):
        assert ok(tenant.secret.post(f"{webhook}/replay", json={**span, "types": types}), 202) == {"queued": queued}
    wait_for(lambda: len(attempts(tenant, webhook)) == 4)
    number = tenant.tenant_id * 1000
    assert receiver.ids == [f"event-{number + n}" for n in (2, 2, 3, 2)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"since": "2026-06-02T00:00:00"},
        {"since": "2026-06-02T00:00:00Z", "until": "2026-06-02T00:00:00Z"},
        {"since": "2026-06-02T00:00:00Z", "types": []},
        {"since": "2026-06-02T00:00:00Z", "types": ["visit"]},
    ],
)
def test_a_replay_of_no_time_or_of_nothing_is_refused(tenant: TestTenant, body: dict[str, Any]) -> None:
    made = ok(tenant.secret.post("/v1/webhooks", json={"url": URL}), 201)
    problem(tenant.secret.post(f"/v1/webhooks/{made['webhook_id']}/replay", json=body), 422, "malformed")


def test_a_paused_webhook_goes_on_where_it_stopped(api: Api, tenant: TestTenant, receiver: EventReceiver) -> None:
    webhook = subscribe(tenant, receiver, "visit.*")
    told = past(api, tenant)
    number = tenant.tenant_id * 1000
    wait_for(lambda: len(attempts(tenant, webhook)) == 3)
    receiver.misbehave(Respond(status=410))
    told.enter("anna", number + 4)
    wait_for(lambda: ok(tenant.secret.get(webhook))["paused_reason"] == "gone")
    told.enter("anna", number + 5)
    receiver.received.clear()
    assert ok(tenant.secret.put(webhook, json={"url": receiver.hook}))["paused_reason"] is None
    wait_for(lambda: receiver.ids == [f"event-{number + n}" for n in (4, 5)])


def test_a_paused_webhook_goes_on_from_a_given_time(api: Api, tenant: TestTenant, receiver: EventReceiver) -> None:
    told = past(api, tenant)
    webhook = subscribe(tenant, receiver, "visit.*")
    told.run("UPDATE offers.webhooks SET paused_reason = 'gone' WHERE tenant_id = :id", id=tenant.tenant_id)
    number = tenant.tenant_id * 1000
    told.enter("anna", number + 4)
    told.run("UPDATE geofences.events SET clock = '2026-06-04' WHERE event_id = :id", id=number + 4)
    ok(tenant.secret.put(webhook, json={"url": receiver.hook, "since": "2026-06-02T00:00:00Z"}))
    wait_for(lambda: receiver.ids == [f"event-{number + n}" for n in (2, 3, 4)])


def test_what_is_no_longer_subscribed_to_is_dropped(api: Api, tenant: TestTenant, receiver: EventReceiver) -> None:
    webhook = subscribe(tenant, receiver, "visit.*")
    told = Happenings(database=api.system, tenant_id=tenant.tenant_id)
    told.run("UPDATE offers.webhooks SET paused_reason = 'gone' WHERE tenant_id = :id", id=tenant.tenant_id)
    past(api, tenant)
    sent = ok(tenant.secret.post(f"{webhook}/test"), 202)
    ok(tenant.secret.put(webhook, json={"url": receiver.hook, "events": ["visit.exited"]}))
    wait_for(lambda: receiver.ids == [sent["event_id"]])


def test_attempts_come_newest_first_in_pages_and_say_when_the_next_one_is(
    api: Api, tenant: TestTenant, receiver: EventReceiver
) -> None:
    webhook = subscribe(tenant, receiver, "visit.*")
    receiver.misbehave(Respond(status=503))
    past(api, tenant)
    number = tenant.tenant_id * 1000
    wait_for(lambda: len(attempts(tenant, webhook)) == 1)
    told = Happenings(database=api.system, tenant_id=tenant.tenant_id)
    told.make_due()
    wait_for(lambda: len(attempts(tenant, webhook)) == 4)
    first = ok(tenant.secret.get(f"{webhook}/attempts", params={"limit": 3}))
    second = ok(tenant.secret.get(f"{webhook}/attempts", params={"limit": 3, "cursor": first["next_cursor"]}))
    seen = [*first["items"], *second["items"]]
    assert second["next_cursor"] is None
    assert [(one["event_id"], one["attempt"], one["status"], one["delivered"]) for one in seen] == [
        (f"event-{number + 3}", 1, 200, True),
        (f"event-{number + 2}", 1, 200, True),
        (f"event-{number + 1}", 2, 200, True),
        (f"event-{number + 1}", 1, 503, False),
    ]
    failed = seen[-1]
    assert (failed["reason"], failed["type"]) == ("server_error", "visit.entered")
    assert failed["duration_ms"] > 0
    wait_s = datetime.fromisoformat(failed["next_attempt_at"]) - datetime.fromisoformat(failed["at"])
    assert timedelta(seconds=5) <= wait_s < timedelta(seconds=10)


def test_a_webhook_of_another_tenant_is_none(api: Api, tenant: TestTenant) -> None:
    made = ok(api.tenant().secret.post("/v1/webhooks", json={"url": URL}), 201)
    path = f"/v1/webhooks/{made['webhook_id']}"
    problem(tenant.secret.get(f"{path}/attempts"), 404, "not-found")
    problem(tenant.secret.post(f"{path}/test"), 404, "not-found")
    problem(tenant.secret.post(f"{path}/rotate-secret", json={}), 404, "not-found")
    problem(tenant.secret.post(f"{path}/replay", json={"since": "2026-06-01T00:00:00Z"}), 404, "not-found")
    problem(tenant.secret.put(path, json={"url": URL}), 404, "not-found")


def test_a_deleted_webhook_leaves_nothing_behind(api: Api, tenant: TestTenant) -> None:
    made = ok(tenant.secret.post("/v1/webhooks", json={"url": URL, "events": ["visit.*"]}), 201)
    told = Happenings(database=api.system, tenant_id=tenant.tenant_id)
    told.run("UPDATE offers.webhooks SET paused_reason = 'gone' WHERE tenant_id = :id", id=tenant.tenant_id)
    past(api, tenant)
    waiting = "SELECT type FROM offers.webhook_events WHERE tenant_id = :tenant_id"
    assert len(told.rows(waiting, tenant_id=tenant.tenant_id)) == 3
    assert tenant.secret.delete(f"/v1/webhooks/{made['webhook_id']}").status_code == 204
    assert told.rows(waiting, tenant_id=tenant.tenant_id) == []
