"""Connecting to a checked address must not weaken TLS: the name is what is asked for, and what is verified."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from offers.push import Address, ChannelType, Message, Outcome, Retry, Sent
from offers.push_http import HttpTransport, send
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender
from offers.ssrf import AddressGuard
from tests.support.certificates import Authority
from tests.support.receivers import Receiver, Slow, WebhookReceiver, WebPushReceiver

if TYPE_CHECKING:
    from pathlib import Path

    from offers.push import PushSender

KEY = VapidKey.derive(b"a secret of this installation")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def transport(authority: Authority | None, receiver: Receiver, *, host: str) -> HttpTransport:
    """One that finds `host` on this machine."""
    guard = AddressGuard(allow_private=True)
    resolve = {f"{host}:{receiver.port}": ["127.0.0.1"]}
    ca_file = None if authority is None else authority.ca_file
    return HttpTransport(guard=guard, ca_file=ca_file, resolve=resolve, total_timeout_s=2.0)


def attempt(carrier: HttpTransport, sender: PushSender, address: Address, *, message_id: str = "m-1") -> Outcome:
    now = datetime.now(tz=UTC)
    message = Message(
        message_id=message_id, title="Half price", body="until noon", data={}, expires_at=now + timedelta(hours=1)
    )
    return send(sender, message, address, transport=carrier, now=now)


def webpush(carrier: HttpTransport, receiver: WebPushReceiver, *, host: str) -> tuple[PushSender, Address]:
    sender = WebPushSender(key=KEY, contact="mailto:ops@shop.example", origin=carrier.origin)
    return sender, Address(channel=ChannelType.WEBPUSH, value=receiver.subscription(host=host))


def webhook(receiver: WebhookReceiver, *, host: str) -> tuple[PushSender, Address]:
    return WebhookSender(), Address(channel=ChannelType.WEBHOOK, value=receiver.address(host=host))


def test_web_push_asks_for_the_name_and_signs_for_it(authority: Authority) -> None:
    with WebPushReceiver(ssl_context=authority.server) as receiver:
        carrier = transport(authority, receiver, host="push.example")
        assert isinstance(attempt(carrier, *webpush(carrier, receiver, host="push.example")), Sent)
        carrier.close()
        assert_the_name_was_used(authority, receiver)


def test_a_webhook_asks_for_the_name(authority: Authority) -> None:
    with WebhookReceiver(ssl_context=authority.server) as receiver:
        carrier = transport(authority, receiver, host="push.example")
        assert isinstance(attempt(carrier, *webhook(receiver, host="push.example")), Sent)
        carrier.close()
        assert_the_name_was_used(authority, receiver)


def assert_the_name_was_used(authority: Authority, receiver: Receiver) -> None:
    assert authority.server_names == ["push.example"]
    (received,) = receiver.received
    assert received.headers["host"] == f"push.example:{receiver.port}"


def test_a_certificate_for_another_name_is_not_accepted(authority: Authority) -> None:
    with WebhookReceiver(ssl_context=authority.server) as receiver:
        carrier = transport(authority, receiver, host="other.example")
        outcome = attempt(carrier, *webhook(receiver, host="other.example"))
        carrier.close()
    assert isinstance(outcome, Retry)
    assert outcome.detail == "certificate"
    assert receiver.received == []


def test_an_authority_nobody_trusts_is_not_accepted(authority: Authority) -> None:
    with WebhookReceiver(ssl_context=authority.server) as receiver:
        carrier = transport(None, receiver, host="push.example")
        outcome = attempt(carrier, *webhook(receiver, host="push.example"))
        carrier.close()
    assert isinstance(outcome, Retry)
    assert outcome.reason == "unreachable"
    assert receiver.received == []


def test_one_sender_serves_many_threads(authority: Authority) -> None:
    with WebPushReceiver(ssl_context=authority.server, server_key=KEY.public_base64url) as receiver:
        receiver.misbehave(*[Slow(seconds=0.05)] * 8)
        carrier = transport(authority, receiver, host="push.example")
        sender, address = webpush(carrier, receiver, host="push.example")
        start = threading.Barrier(8)

        def work(worker: int) -> list[Outcome]:
            start.wait()
            return [attempt(carrier, sender, address, message_id=f"m-{worker}-{n}") for n in range(10)]

        with ThreadPoolExecutor(8) as pool:
            outcomes = [outcome for done in pool.map(work, range(8)) for outcome in done]
        carrier.close()
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert len({received.message_id for received in receiver.received}) == 80
        assert receiver.connections <= 8
