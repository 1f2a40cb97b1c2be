"""Receipts against a worker at work: the phone may know of a message before we know that it was sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from lbs import clock
from offers.model import NotificationId
from offers.push import ChannelType
from offers.push_http import HttpTransport
from offers.push_webhook import WebhookSender
from offers.receipts import Receipt, ReceiptKind, record
from offers.ssrf import AddressGuard
from offers.tables import channels, notifications, webhooks
from tests.support.api import wait_for
from tests.support.receivers import EXAMPLE_SECRET, Respond, Slow, WebhookReceiver
from tests.support.road import HELSINKI, Road, open_road

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geofences.model import DeviceId

pytestmark = pytest.mark.servers

PUSH = "SELECT state FROM offers.notifications WHERE channel = 'webhook'"


@dataclass
class Phone:
    road: Road
    hook: WebhookReceiver
    device_id: DeviceId

    def receive(self, event: str, *, channel: str = "webhook") -> bool:
        """What the phone says of its message on that channel."""
        rows = self.road.rows(f"SELECT notification_id FROM offers.notifications WHERE channel = '{channel}'")  # noqa: S608 - a word of this test
        receipt = Receipt(notification_id=NotificationId(rows[0][0]), event=ReceiptKind(event))
        with self.road.database.begin() as connection:
            [news] = record(connection, device_id=self.device_id, receipts=[receipt], now=clock.now())
        return news

    def change(self, *, channel: str = "webhook", **values: Any) -> None:
        with self.road.database.begin() as connection:
            connection.execute(sa.update(notifications).where(notifications.c.channel == channel).values(**values))


@pytest.fixture
def phone(fresh_database_url: str, redis_url: str, redis_prefix: str) -> Iterator[Phone]:
    transport = HttpTransport(guard=AddressGuard(allow_private=True), total_timeout_s=5.0)
    senders = {ChannelType.WEBHOOK: WebhookSender()}
    with (
        WebhookReceiver() as hook,
        open_road(
            fresh_database_url, redis_url, redis_prefix, clock=clock.now, senders=senders, transport=transport
        ) as road,
    ):
        url = hook.address()["url"]
        device_id = road.device("anna")
        common = {"tenant_id": road.tenant_id}
        with road.database.begin() as connection:
            connection.execute(sa.insert(webhooks).values(**common, url=url, secrets=[EXAMPLE_SECRET.encode()]))
            connection.execute(
                sa.insert(channels).values(
                    **common, device_id=device_id, type="webhook", address={"url": url}, address_hash=b"anna"
                )
            )
        road.store("s1")
        road.campaign()
        yield Phone(road, hook, device_id)


def test_a_phone_that_is_faster_than_the_providers_answer_is_believed(phone: Phone) -> None:
    phone.hook.misbehave(Slow(seconds=1.0))
    phone.road.report(phone.device_id, HELSINKI)
    phone.road.eventually(PUSH, [("sending",)])
    assert phone.receive("opened")
    told = "SELECT state, sent_at = opened_at, delivered_at = opened_at, lease_until FROM offers.notifications"
    opened = [("opened", True, True, None)]
    assert phone.road.rows(f"{told} WHERE channel = 'webhook'") == opened
    phone.road.eventually("SELECT count(*) FROM offers.notifications WHERE state = 'sent'", [(1,)])
    wait_for(lambda: phone.hook.received)
    assert phone.road.rows(f"{told} WHERE channel = 'webhook'") == opened, "the answer that came later changed nothing"


def test_a_receipt_ends_the_repeats_of_what_nobody_knew_to_have_arrived(phone: Phone) -> None:
    phone.hook.misbehave(Respond(status=500))
    phone.road.report(phone.device_id, HELSINKI)
    phone.road.eventually("SELECT state, attempts FROM offers.notifications WHERE channel = 'webhook'", [("queued", 1)])
    assert phone.receive("displayed")
    phone.change(not_before=clock.now() - timedelta(seconds=1))
    phone.road.eventually(
        "SELECT state, reason, attempts, opened_at FROM offers.notifications WHERE channel = 'webhook'",
        [("delivered", None, 1, None)],
    )
    assert phone.hook.requests == 1


def test_what_was_never_sent_cannot_be_seen(phone: Phone) -> None:
    """Nor is a message on its way to the inbox there before it has its place in it."""
    phone.road.report(phone.device_id, HELSINKI)
    phone.road.eventually("SELECT DISTINCT state <> 'queued' FROM offers.notifications", [(True,)])
    phone.road.eventually(PUSH, [("delivered",)])
    later = clock.now() + timedelta(hours=1)
    rows: list[tuple[str, dict[str, Any], bool]] = [
        ("webhook", {"state": "sending", "attempts": 1}, True),
        ("webhook", {"state": "queued", "attempts": 1}, True),
        ("webhook", {"state": "queued", "attempts": 0}, False),
        ("webhook", {"state": "failed", "attempts": 3, "outcome_unknown": True}, True),
        ("webhook", {"state": "expired", "attempts": 1, "outcome_unknown": True}, True),
        ("webhook", {"state": "failed", "attempts": 3}, False),
        ("webhook", {"state": "suppressed", "attempts": 0}, False),
        ("inbox", {"state": "sending", "attempts": 1}, False),
        ("inbox", {"state": "queued", "attempts": 1, "outcome_unknown": True}, False),
        ("inbox", {"state": "sent", "attempts": 1}, True),
    ]
    nothing = dict.fromkeys(("sent_at", "delivered_at", "displayed_at", "opened_at"))
    for channel, row, believed in rows:
        waits = {"not_before": later, "lease_until": later, "outcome_unknown": False}
        phone.change(channel=channel, **{**nothing, **waits, **row})
        assert phone.receive("opened", channel=channel) is believed, row
        told = phone.road.rows(f"SELECT state FROM offers.notifications WHERE channel = '{channel}'")  # noqa: S608 - a word of this test
        assert told == [("opened" if believed else row["state"],)], row
