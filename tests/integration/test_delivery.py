"""From a decision to a receiver that shares no code with the sender: Web Push, webhooks, faults, dead workers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

from geofences.places import ALWAYS
from lbs import clock
from offers.dead_letters import Which, dead_letters, replay
from offers.lanes import LIMITS
from offers.push import ChannelType
from offers.push_http import HttpTransport
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender
from offers.ssrf import AddressGuard
from offers.tables import channels, notifications, webhooks
from tests.support.receivers import EXAMPLE_SECRET, Respond, Slow, WebhookReceiver, WebPushReceiver
from tests.support.road import HELSINKI, Road, open_road

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geofences.model import DeviceId
    from offers.push import PushSender

pytestmark = pytest.mark.servers

VAPID = VapidKey.derive(b"a test's own secret, 32 bytes long")
LOCKED = b"sealed under another key"
STATES = "SELECT channel, state FROM offers.notifications ORDER BY channel"


@dataclass
class Phones:
    """A road whose devices can be given channels."""

    road: Road
    push: WebPushReceiver
    hook: WebhookReceiver

    def device(self, name: str, *types: str) -> DeviceId:
        device_id = self.road.device(name)
        addresses: dict[str, Any] = {
            "webpush": self.push.subscription(),
            "webhook": {"url": self.hook.address()["url"]},
        }
        with self.road.database.begin() as connection:
            for type_ in types:
                connection.execute(
                    sa.insert(channels).values(
                        tenant_id=self.road.tenant_id,
                        device_id=device_id,
                        type=type_,
                        address=addresses[type_],
                        address_hash=f"{name} {type_}".encode(),
                    )
                )
        return device_id


def opened(sealed: bytes) -> bytes:
    """Secrets are stored in the clear here, but for one that nobody can open."""
    if sealed == LOCKED:
        raise InvalidTag
    return sealed


@pytest.fixture
def phones(fresh_database_url: str, redis_url: str, redis_prefix: str) -> Iterator[Phones]:
    transport = HttpTransport(guard=AddressGuard(allow_private=True), total_timeout_s=1.0)
    senders: dict[ChannelType, PushSender] = {
        ChannelType.WEBPUSH: WebPushSender(key=VAPID, contact="mailto:test@example.org", origin=transport.origin),
        ChannelType.WEBHOOK: WebhookSender(),
    }
    with (
        WebPushReceiver(server_key=VAPID.public_base64url) as push,
        WebhookReceiver() as hook,
        open_road(
            fresh_database_url,
            redis_url,
            redis_prefix,
            clock=clock.now,
            senders=senders,
            transport=transport,
            unseal=opened,
        ) as road,
    ):
        with road.database.begin() as connection:
            connection.execute(
                sa.insert(webhooks).values(
                    tenant_id=road.tenant_id, url=hook.address()["url"], secrets=[EXAMPLE_SECRET.encode()]
                )
            )
        road.store("s1")
        road.campaign()
        yield Phones(road=road, push=push, hook=hook)


def test_one_offer_reaches_all_channels_of_a_device(phones: Phones) -> None:
    phones.road.report(phones.device("anna", "webpush", "webhook"), HELSINKI)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webhook", "delivered"), ("webpush", "sent")])
    for receiver in (phones.push, phones.hook):
        assert [message.title for message in receiver.received] == ["Coffee at Shop s1"]
    assert phones.push.received[0].data["store_name"] == "Shop s1"


def test_a_server_that_fails_first_gets_the_same_id_again(phones: Phones) -> None:
    phones.hook.misbehave(Respond(status=500))
    phones.road.report(phones.device("anna", "webhook"), HELSINKI)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webhook", "queued")])
    assert phones.road.rows("SELECT reason, attempts FROM offers.notifications WHERE channel = 'webhook'")[0][1] == 1
    _make_due(phones.road)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webhook", "delivered")])
    assert len({message.message_id for message in phones.hook.received}) == 1


def test_an_answer_that_never_comes_is_unknown_and_repeated_with_the_same_id(phones: Phones) -> None:
    phones.hook.misbehave(Slow(seconds=2))
    phones.road.report(phones.device("anna", "webhook"), HELSINKI)
    phones.road.eventually(
        "SELECT state, outcome_unknown FROM offers.notifications WHERE channel = 'webhook'", [("queued", True)]
    )
    _make_due(phones.road)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webhook", "delivered")])
    assert len({message.message_id for message in phones.hook.received}) == 1


def test_a_dead_subscription_is_dropped_and_never_asked_again(phones: Phones) -> None:
    phones.push.misbehave(Respond(status=410))
    anna = phones.device("anna", "webpush")
    phones.road.report(anna, HELSINKI)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webpush", "failed")])
    assert phones.road.rows("SELECT status FROM offers.channels") == [("dead",)]
    assert phones.push.requests == 1


def test_what_a_dead_worker_left_behind_goes_again_after_its_lease(phones: Phones) -> None:
    phones.hook.misbehave(Respond(status=500))
    phones.road.report(phones.device("anna", "webhook"), HELSINKI)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webhook", "queued")])
    with phones.road.database.begin() as connection:
        # as if a worker had claimed it, sent it perhaps, and died
        connection.execute(
            sa.update(notifications)
            .where(notifications.c.channel == "webhook")
            .values(state="sending", lease_until=clock.now() - timedelta(seconds=1), not_before=clock.now())
        )
    phones.road.eventually(
        "SELECT state, outcome_unknown FROM offers.notifications WHERE channel = 'webhook'", [("delivered", True)]
    )


def test_nothing_is_sent_after_its_end(phones: Phones) -> None:
    phones.hook.misbehave(Respond(status=500))
    phones.road.report(phones.device("anna", "webhook"), HELSINKI)
    phones.road.eventually("SELECT max(attempts) FROM offers.notifications WHERE channel = 'webhook'", [(1,)])
    phones.road.eventually(STATES, [("inbox", "sent"), ("webhook", "queued")])
    with phones.road.database.begin() as connection:
        connection.execute(sa.update(notifications).values(expires_at=clock.now()))
    _make_due(phones.road)
    phones.road.eventually(
        "SELECT state, reason FROM offers.notifications WHERE channel = 'webhook'", [("expired", "too_late")]
    )
    assert phones.hook.requests == 1


def test_consent_withdrawn_after_the_decision_stops_the_message(phones: Phones) -> None:
    phones.hook.misbehave(Respond(status=500))
    phones.road.report(phones.device("anna", "webhook"), HELSINKI)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webhook", "queued")])
    with phones.road.database.begin() as connection:
        connection.execute(sa.text("UPDATE geofences.consents SET granted = false WHERE purpose = 'push'"))
    _make_due(phones.road)
    phones.road.eventually(
        "SELECT state, reason FROM offers.notifications WHERE channel = 'webhook'", [("suppressed", "no_consent")]
    )
    assert phones.hook.requests == 1


def test_what_failed_for_good_goes_again_by_command_while_its_offer_lasts(phones: Phones) -> None:
    phones.push.misbehave(Respond(status=400))
    phones.road.report(phones.device("anna", "webpush"), HELSINKI)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webpush", "failed")])
    which = Which(tenant_id=phones.road.tenant_id)
    with phones.road.database.begin() as connection:
        (dead,) = dead_letters(connection, which, now=clock.now())
        assert (dead.channel, dead.reason, dead.messages, dead.replayable) == ("webpush", "bad_request", 1, 1)
        for other in (replace(which, channel=ChannelType.WEBHOOK), replace(which, reason="gone")):
            assert replay(connection, other, now=clock.now()) == 0
        assert replay(connection, which, now=clock.now()) == 1
    phones.road.eventually(STATES, [("inbox", "sent"), ("webpush", "sent")])
    assert len({message.message_id for message in phones.push.received}) == 1
    assert len(phones.push.received) == 2


@pytest.mark.parametrize(
    "spoiled",
    [
        "UPDATE offers.notifications SET expires_at = created_at",
        "UPDATE offers.channels SET status = 'dead'",
        "UPDATE offers.reservations SET state = 'released', release_reason = 'refused'",
    ],
)
def test_what_nobody_could_use_any_more_is_not_sent_again(phones: Phones, spoiled: str) -> None:
    phones.push.misbehave(Respond(status=400))
    phones.road.report(phones.device("anna", "webpush"), HELSINKI)
    phones.road.eventually(STATES, [("inbox", "sent"), ("webpush", "failed")])
    which = Which(tenant_id=phones.road.tenant_id)
    with phones.road.database.begin() as connection:
        connection.execute(sa.text(spoiled))
        (dead,) = dead_letters(connection, which, now=clock.now())
        assert (dead.messages, dead.replayable) == (1, 0)
        assert replay(connection, which, now=clock.now()) == 0


def test_a_secret_that_does_not_open_stops_nobody_else_and_loses_nothing(phones: Phones) -> None:
    with phones.road.database.begin() as connection:
        connection.execute(sa.update(webhooks).values(secrets=[LOCKED]))
    phones.road.report(phones.device("anna", "webhook"), HELSINKI)
    phones.road.eventually(
        "SELECT state, reason FROM offers.notifications WHERE channel = 'webhook'", [("queued", "unreadable_secret")]
    )
    phones.road.report(phones.device("bert", "webpush"), HELSINKI)
    phones.road.eventually("SELECT state FROM offers.notifications WHERE channel = 'webpush'", [("sent",)])
    assert phones.road.rows("SELECT DISTINCT status FROM offers.channels") == [("active",)]
    with phones.road.database.begin() as connection:
        connection.execute(sa.update(webhooks).values(secrets=[EXAMPLE_SECRET.encode()]))
    _make_due(phones.road)
    phones.road.eventually("SELECT state FROM offers.notifications WHERE channel = 'webhook'", [("delivered",)])


def test_a_receiver_that_is_slow_holds_up_nobody_else(phones: Phones) -> None:
    lane = LIMITS[ChannelType.WEBHOOK].in_flight
    phones.hook.misbehave(*[Slow(seconds=30)] * lane)
    slow = [phones.device(f"slow-{n}", "webhook") for n in range(lane + 20)]
    for device_id in slow:
        phones.road.report(device_id, HELSINKI)
    phones.road.eventually("SELECT count(*) FROM offers.notifications WHERE channel = 'webhook'", [(lane + 20,)])
    phones.road.report(phones.device("quick", "webpush"), HELSINKI)
    phones.road.eventually("SELECT state FROM offers.notifications WHERE channel = 'webpush'", [("sent",)])
    assert phones.push.requests == 1
    waiting = phones.road.rows("SELECT max(attempts) FROM offers.notifications WHERE channel = 'webhook'")
    assert waiting[0][0] >= 1


def _make_due(road: Road) -> None:
    """Retries wait for seconds; a test does not."""
    with road.database.begin() as connection:
        connection.execute(sa.update(notifications).where(notifications.c.state == "queued").values(not_before=ALWAYS))
