"""Connecting to a checked address must not weaken TLS: the name is what is asked for, and what is verified."""

from __future__ import annotations

import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from offers.push import Address, ChannelType, Message, Outcome, Retry, Sent
from offers.push_http import HttpTransport
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender
from offers.ssrf import AddressGuard
from tests.support.receivers import Receiver, Slow, WebhookReceiver, WebPushReceiver

if TYPE_CHECKING:
    from pathlib import Path

    from offers.push import PushSender

KEY = VapidKey.derive(b"a secret of this installation")


class Authority:
    """A certificate for `push.example` and the two ends that use it."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "push.example")])
        now = datetime.now(tz=UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("push.example")]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(Encoding.PEM)
        chain = folder / "chain.pem"
        chain.write_bytes(pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self.server_names: list[str | None] = []
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(chain)
        self.server.sni_callback = lambda _socket, name, _context: self.server_names.append(name)
        self.client = ssl.create_default_context(cadata=pem.decode())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def transport(authority: Authority) -> HttpTransport:
    guard = AddressGuard(allow_private=True, resolver=lambda _host, _port: ["127.0.0.1"])
    return HttpTransport(guard=guard, ssl_context=authority.client, read_timeout_s=2.0)


def send(sender: PushSender, address: Address, *, message_id: str = "m-1") -> Outcome:
    now = datetime.now(tz=UTC)
    message = Message(
        message_id=message_id, title="Half price", body="until noon", data={}, expires_at=now + timedelta(hours=1)
    )
    return sender.send(message, address, now=now)


def webpush(authority: Authority, receiver: WebPushReceiver, *, host: str) -> tuple[PushSender, Address]:
    sender = WebPushSender(key=KEY, contact="mailto:ops@shop.example", transport=transport(authority))
    return sender, Address(channel=ChannelType.WEBPUSH, value=receiver.subscription(host=host))


def webhook(authority: Authority, receiver: WebhookReceiver, *, host: str) -> tuple[PushSender, Address]:
    sender = WebhookSender(transport=transport(authority))
    return sender, Address(channel=ChannelType.WEBHOOK, value=receiver.address(host=host))


def test_web_push_asks_for_the_name_and_signs_for_it(authority: Authority) -> None:
    with WebPushReceiver(ssl_context=authority.server) as receiver:
        sender, address = webpush(authority, receiver, host="push.example")
        assert isinstance(send(sender, address), Sent)
        sender.close()
        assert_the_name_was_used(authority, receiver)


def test_a_webhook_asks_for_the_name(authority: Authority) -> None:
    with WebhookReceiver(ssl_context=authority.server) as receiver:
        sender, address = webhook(authority, receiver, host="push.example")
        assert isinstance(send(sender, address), Sent)
        sender.close()
        assert_the_name_was_used(authority, receiver)


def assert_the_name_was_used(authority: Authority, receiver: Receiver) -> None:
    assert authority.server_names == ["push.example"]
    (received,) = receiver.received
    assert received.headers["host"] == f"push.example:{receiver.port}"


def test_a_certificate_for_another_name_is_not_accepted(authority: Authority) -> None:
    with WebhookReceiver(ssl_context=authority.server) as receiver:
        sender, address = webhook(authority, receiver, host="other.example")
        outcome = send(sender, address)
        sender.close()
    assert isinstance(outcome, Retry)
    assert outcome.detail == "SSLCertVerificationError"
    assert receiver.received == []


def test_an_authority_nobody_trusts_is_not_accepted(authority: Authority) -> None:
    guard = AddressGuard(allow_private=True, resolver=lambda _host, _port: ["127.0.0.1"])
    sender = WebhookSender(transport=HttpTransport(guard=guard))
    with WebhookReceiver(ssl_context=authority.server) as receiver:
        outcome = send(sender, Address(channel=ChannelType.WEBHOOK, value=receiver.address(host="push.example")))
        sender.close()
    assert isinstance(outcome, Retry)
    assert outcome.reason == "unreachable"


def test_one_sender_serves_many_threads(authority: Authority) -> None:
    with WebPushReceiver(ssl_context=authority.server, server_key=KEY.public_base64url) as receiver:
        receiver.misbehave(*[Slow(seconds=0.05)] * 8)
        sender, address = webpush(authority, receiver, host="push.example")
        start = threading.Barrier(8)

        def work(worker: int) -> list[Outcome]:
            start.wait()
            return [send(sender, address, message_id=f"m-{worker}-{n}") for n in range(10)]

        with ThreadPoolExecutor(8) as pool:
            outcomes = [outcome for done in pool.map(work, range(8)) for outcome in done]
        sender.close()
        assert all(isinstance(outcome, Sent) for outcome in outcomes)
        assert len({received.message_id for received in receiver.received}) == 80
        assert receiver.connections <= 8
