"""The demo's receivers take what our senders send, and nothing that proves less."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lbs.demo.receivers import Arrival, Partner, PushService
from offers.push import Address, ChannelType, Message, Sent
from offers.push_status import Answer
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbs.demo.receivers import Receiver
    from offers.push import Outcome

NOW = datetime.now(UTC)
SECRET = "whsec_" + base64.b64encode(b"a secret of the partner's own").decode()
MESSAGE = Message(
    message_id="AAAAAAAAAAE",
    title="Coffee",
    body="20 % off",
    data={"store_name": "Café Ekberg"},
    expires_at=NOW + timedelta(hours=1),
    created_at=NOW,
)


class Straight:
    """A transport without a network: hands the request to a receiver, and keeps it."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.outcome: Outcome | None = None

    def origin(self, url: str) -> str:
        assert url.startswith(self._receiver.origin)
        return self._receiver.origin

    def post(self, url: str, *, headers: dict[str, str], body: bytes) -> Answer:
        path = url.removeprefix(self._receiver.origin)
        given = {name.lower(): value for name, value in headers.items()}
        self.requests.append((path, given, body))
        status = self._receiver.take(path, given, body, NOW.timestamp())
        return Answer(status=status, origin=self._receiver.origin)

    def close(self) -> None:
        pass


@pytest.fixture
def arrivals() -> list[Arrival]:
    return []


@pytest.fixture
def push_service(arrivals: list[Arrival]) -> Iterator[PushService]:
    with PushService(arrivals.append) as service:
        yield service


@pytest.fixture
def partner(arrivals: list[Arrival]) -> Iterator[Partner]:
    with Partner(arrivals.append) as partner:
        partner.secret = SECRET
        yield partner


def push(service: PushService, value: dict[str, Any], secret: bytes = b"the installation's") -> Straight:
    transport = Straight(service)
    sender = WebPushSender(
        key=VapidKey.derive(secret),
        contact="mailto:operator@example.org",
        transport=transport,  # type: ignore[arg-type]  # as much of one as the sender uses
    )
    transport.outcome = sender.send(MESSAGE, Address(channel=ChannelType.WEBPUSH, value=value), now=NOW)
    return transport


def test_a_push_arrives_readable_and_knows_its_phone(push_service: PushService, arrivals: list[Arrival]) -> None:
    sent = push(push_service, push_service.subscribe("phone-1"))

    assert isinstance(sent.outcome, Sent)
    assert [(a.message_id, a.title, a.phone) for a in arrivals] == [("AAAAAAAAAAE", "Coffee", "phone-1")]
    assert arrivals[0].data == {"store_name": "Café Ekberg"}


def test_a_repeat_arrives_once(push_service: PushService, arrivals: list[Arrival]) -> None:
    subscription = push_service.subscribe("phone-1")

    push(push_service, subscription)
    push(push_service, subscription)

    assert len(arrivals) == 1


def test_a_push_for_keys_of_another_phone_is_refused(push_service: PushService, arrivals: list[Arrival]) -> None:
    mine, other = push_service.subscribe("phone-1"), push_service.subscribe("phone-2")

    push(push_service, {**mine, "keys": other["keys"]})

    assert arrivals == []
    assert len(push_service.refused) == 1


def test_an_application_server_that_nobody_subscribed_to_is_refused(
    push_service: PushService, arrivals: list[Arrival]
) -> None:
    push_service.server_key = VapidKey.derive(b"the installation's").public_base64url
    subscription = push_service.subscribe("phone-1")

    push(push_service, subscription, secret=b"somebody else's secret")
    assert arrivals == []

    push(push_service, subscription)
    assert len(arrivals) == 1


def webhook(partner: Partner, *secrets: str) -> Straight:
    transport = Straight(partner)
    address = Address(channel=ChannelType.WEBHOOK, value={"url": partner.url, "secrets": list(secrets)})
    WebhookSender(transport=transport).send(MESSAGE, address, now=NOW)  # type: ignore[arg-type]
    return transport


def test_a_signed_webhook_arrives(partner: Partner, arrivals: list[Arrival]) -> None:
    webhook(partner, SECRET)

    assert [(a.message_id, a.title, a.phone) for a in arrivals] == [("AAAAAAAAAAE", "Coffee", None)]


def test_one_good_signature_among_several_is_enough(partner: Partner, arrivals: list[Arrival]) -> None:
    webhook(partner, "whsec_" + base64.b64encode(b"a newer secret").decode(), SECRET)

    assert len(arrivals) == 1


def test_a_webhook_with_another_secret_is_refused(partner: Partner, arrivals: list[Arrival]) -> None:
    webhook(partner, "whsec_" + base64.b64encode(b"a stranger's").decode())

    assert arrivals == []
    assert len(partner.refused) == 1


def test_a_changed_body_is_refused(partner: Partner, arrivals: list[Arrival]) -> None:
    path, headers, body = webhook(partner, SECRET).requests[0]
    arrivals.clear()
    event = json.loads(body)
    event["data"]["title"] = "Champagne"

    assert partner.take(path, {**headers, "webhook-id": "AAAAAAAAAAI"}, body, NOW.timestamp()) == 400
    assert partner.take(path, headers, json.dumps(event).encode(), NOW.timestamp()) == 400
    assert arrivals == []


def test_an_old_webhook_is_refused_as_replayed(partner: Partner, arrivals: list[Arrival]) -> None:
    path, headers, body = webhook(partner, SECRET).requests[0]
    arrivals.clear()

    assert partner.take(path, headers, body, NOW.timestamp() + 3_600) == 400
    assert arrivals == []
