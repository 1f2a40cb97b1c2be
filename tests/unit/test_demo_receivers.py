"""The demo's receivers take what our senders send, and nothing that proves less."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from lbs.demo.receivers import Arrival, Partner, PushService
from offers.push import Address, Answer, ChannelType, Message, Sent
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbs.demo.receivers import Receiver
    from offers.push import Outcome, PushSender

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


@dataclass(frozen=True, kw_only=True)
class Held:
    """A conversation with a receiver, without a network between: its one request, and its outcome."""

    path: str
    headers: dict[str, str]
    body: bytes
    outcome: Outcome


def hold(receiver: Receiver, sender: PushSender, address: Address) -> Held:
    talk = sender.attempt(MESSAGE, address, now=NOW)
    request = next(talk)
    path = request.url.removeprefix(receiver.origin)
    headers = {name.lower(): value for name, value in request.headers.items()}
    status = receiver.take(path, headers, request.body, NOW.timestamp())
    with pytest.raises(StopIteration) as ended:
        talk.send(Answer(status=status, origin=receiver.origin))
    return Held(path=path, headers=headers, body=request.body, outcome=ended.value.value)


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


def push(service: PushService, value: dict[str, Any], secret: bytes = b"the installation's") -> Held:
    sender = WebPushSender(
        key=VapidKey.derive(secret), contact="mailto:operator@example.org", origin=lambda _url: service.origin
    )
    return hold(service, sender, Address(channel=ChannelType.WEBPUSH, value=value))


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


def webhook(partner: Partner, *secrets: str) -> Held:
    address = Address(channel=ChannelType.WEBHOOK, value={"url": partner.url, "secrets": list(secrets)})
    return hold(partner, WebhookSender(), address)


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
    held = webhook(partner, SECRET)
    path, headers, body = held.path, held.headers, held.body
    arrivals.clear()
    event = json.loads(body)
    event["data"]["title"] = "Champagne"

    assert partner.take(path, {**headers, "webhook-id": "AAAAAAAAAAI"}, body, NOW.timestamp()) == 400
    assert partner.take(path, headers, json.dumps(event).encode(), NOW.timestamp()) == 400
    assert arrivals == []


def test_an_old_webhook_is_refused_as_replayed(partner: Partner, arrivals: list[Arrival]) -> None:
    held = webhook(partner, SECRET)
    path, headers, body = held.path, held.headers, held.body
    arrivals.clear()

    assert partner.take(path, headers, body, NOW.timestamp() + 3_600) == 400
    assert arrivals == []
