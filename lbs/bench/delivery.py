"""`lbs bench delivery`: messages a second of one core, by channel, beside bare HTTP clients that send the same bytes.

Sinks run in a process of their own, and what is counted is this process's CPU time: the ratio says what the senders
cost over sending alone. Nothing is told until the sinks have got the same bytes from all.
"""

from __future__ import annotations

import base64
import gc
import json
import logging
import os
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from lbs import clock
from lbs.bench.certificate import write_certificate
from lbs.bench.delivery_clients import HTTP_1, HTTP_2, Cost, by_curl, cost_of
from lbs.bench.delivery_outbox import through_the_outbox
from lbs.bench.delivery_road import by_load
from offers.push import Address, Answer, ChannelType, Message, Outcome, PushSender, Request, Sent
from offers.push_apns import ApnsSender
from offers.push_fcm import FcmSender
from offers.push_http import HttpTransport
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender, encrypt
from offers.ssrf import AddressGuard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from lbs.bench.home import BenchHome

MESSAGES: Final = 4_000
ROUNDS: Final = 3
IN_FLIGHT: Final = 32
CHANNELS: Final = (ChannelType.WEBHOOK, ChannelType.WEBPUSH, ChannelType.APNS, ChannelType.FCM)
OVER_HTTP2: Final = frozenset({ChannelType.APNS, ChannelType.FCM})
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of the public examples
SERVICE_KEY_BITS: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Sinks:
    """Where everything goes."""

    plain: str
    multiplexed: str
    chain: Path

    def tally(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.plain}/tally", timeout=30) as answer:  # noqa: S310 - our own process
            return dict(json.load(answer))


@contextmanager
def sinks(home: BenchHome) -> Iterator[Sinks]:
    chain = home.settings.home / "bench-chain.pem"
    write_certificate(chain)
    child = subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "lbs.bench.delivery_sinks", str(chain)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        first, second = child.stdout.readline().split()
        try:
            yield Sinks(plain=f"http://127.0.0.1:{first}", multiplexed=f"https://127.0.0.1:{second}", chain=chain)
        finally:
            assert child.stdin is not None
            child.stdin.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel's sender and a phone of it."""

    type: ChannelType
    sender: PushSender
    address: Address


def run(home: BenchHome, *, messages: int = MESSAGES, say: Callable[[str], None]) -> dict[str, Any]:
    """All parts in order."""
    # aiohttp and httpx tell of every request
    logging.getLogger("httpx").setLevel(logging.WARNING)
    result: dict[str, Any] = {"messages": messages, "rounds": ROUNDS, "senders": {}}
    with sinks(home) as far_end:
        for channel in channels(far_end):
            result["senders"][channel.type.value] = found = _compare(channel, far_end, messages=messages)
            bare = ", ".join(f"{name} {rate:,.0f}" for name, rate in found["bare_per_core_s"].items())
            say(f"{channel.type}: {found['per_core_s']:,.0f} messages/s of a core; bare clients: {bare}")
        result["encrypt_us"] = _encryption_us()
        result["outbox"] = through_the_outbox(home, far_end.plain, messages=messages, say=say)
        assert far_end.tally()["messages"] == messages
    result["latency"] = by_load(home, say=say)
    return result


def channels(far_end: Sinks) -> list[Channel]:
    """A sender of each kind whose providers are the sinks."""
    browser = ec.generate_private_key(ec.SECP256R1()).public_key()
    subscription = {
        "endpoint": f"{far_end.plain}/push/1",
        "keys": {"p256dh": _base64url(_point(browser)), "auth": _base64url(os.urandom(16))},
    }
    apns = {
        "team_id": "TEAM123456",
        "key_id": "KEY1234567",
        "topic": "com.example.shop",
        "sandbox": False,
        "private_key": _pem(ec.generate_private_key(ec.SECP256R1())),
    }
    account_key = rsa.generate_private_key(public_exponent=65537, key_size=SERVICE_KEY_BITS)
    fcm = {"project_id": "bench", "client_email": "bench@example.org", "private_key": _pem(account_key)}
    webpush = WebPushSender(
        key=VapidKey.derive(b"a secret for measuring only"),
        contact="mailto:bench@example.org",
        origin=HttpTransport(guard=AddressGuard(allow_private=True)).origin,
    )
    senders: tuple[tuple[PushSender, dict[str, Any]], ...] = (
        (WebhookSender(), {"url": f"{far_end.plain}/hook", "secrets": [SECRET]}),
        (webpush, subscription),
        (ApnsSender(production_url=far_end.multiplexed), {"token": "ab" * 32, "credentials": apns}),
        (
            FcmSender(base_url=far_end.multiplexed, token_url=f"{far_end.multiplexed}/token"),
            {"token": "registration:1", "credentials": fcm},
        ),
    )
    return [
        Channel(type=sender.channel, sender=sender, address=Address(channel=sender.channel, value=value))
        for sender, value in senders
    ]


def _compare(channel: Channel, far_end: Sinks, *, messages: int) -> dict[str, Any]:
    """Rounds in which the sender and the bare clients take turns; medians of messages a second of a core."""
    told = _messages(messages)
    ca_file = str(far_end.chain) if channel.type in OVER_HTTP2 else ""
    prepared = [_request(channel, message) for message in told]
    clients: list[tuple[str, Callable[..., None]]] = list(HTTP_2 if ca_file else HTTP_1)
    ours: list[Cost] = []
    theirs: dict[str, list[Cost]] = {name: [] for name, _ in clients}
    if channel.type is ChannelType.WEBPUSH:
        theirs["pycurl, encrypting"] = []
    for _ in range(ROUNDS):
        far_end.tally()
        gc.collect()
        ours.append(_send(channel, told, ca_file=ca_file))
        expected = far_end.tally()
        assert expected["messages"] == messages, expected
        for name, client in clients:
            gc.collect()
            bare_work = partial(client, iter(prepared), in_flight=IN_FLIGHT, ca_file=ca_file)
            theirs[name].append(cost_of(messages, bare_work))
            _check_same(far_end.tally(), expected, channel)
        if channel.type is ChannelType.WEBPUSH:
            gc.collect()
            clients_own = partial(by_curl, _encrypting(channel, prepared, told), in_flight=IN_FLIGHT, ca_file="")
            theirs["pycurl, encrypting"].append(cost_of(messages, clients_own))
            _check_same(far_end.tally(), expected, channel)
    rate = median(cost.per_core_s for cost in ours)
    bare = {name: median(cost.per_core_s for cost in costs) for name, costs in theirs.items()}
    # of Web Push the peer is one that encrypts too
    peer = "pycurl, encrypting" if channel.type is ChannelType.WEBPUSH else max(bare, key=lambda name: bare[name])
    return {
        "per_core_s": rate,
        "peer": peer,
        "wall_per_s": median(cost.messages / cost.wall_s for cost in ours),
        "bare_per_core_s": bare,
        "ratio": rate / bare[peer],
    }


def _check_same(came: dict[str, int], expected: dict[str, int], channel: Channel) -> None:
    """A bare client sent the same: encrypted bodies are as long, all others are equal."""
    keys = ("messages", "bytes") if channel.type is ChannelType.WEBPUSH else ("messages", "bytes", "checksum")
    assert [came[key] for key in keys] == [expected[key] for key in keys], (came, expected)


def _send(channel: Channel, told: Sequence[Message], *, ca_file: str) -> Cost:
    """All messages through the sender, so many at once."""
    transport = HttpTransport(
        guard=AddressGuard(allow_private=True),
        connections_per_host=1 if ca_file else IN_FLIGHT,
        ca_file=Path(ca_file) if ca_file else None,
        total_timeout_s=60,
    )
    outcomes: list[Outcome] = []
    waiting = iter(told)
    over = threading.Event()

    def start() -> None:
        """One ends, the next begins: so many are under way all the time."""
        message = next(waiting, None)
        if message is not None:
            transport.start(channel.sender.attempt(message, channel.address, now=_time_of(message)), ended)

    def ended(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if len(outcomes) == len(told):
            over.set()
        start()

    def work() -> None:
        for _ in range(IN_FLIGHT):
            start()
        over.wait()

    cost = cost_of(len(told), work)
    transport.close()
    refused = [outcome for outcome in outcomes if not isinstance(outcome, Sent)]
    assert not refused, refused[:3]
    return cost


def _request(channel: Channel, message: Message) -> Request:
    """The request that a bare client sends: that of the sender."""
    talk = channel.sender.attempt(message, channel.address, now=_time_of(message))
    request = next(talk)
    if request.url.endswith("/token"):
        body = b'{"access_token":"bench","expires_in":3599,"token_type":"Bearer"}'
        request = talk.send(Answer(status=200, origin="https://127.0.0.1", body=body))
    return request


def _time_of(message: Message) -> datetime:
    """Of every attempt the same: some bodies tell how long is left."""
    assert message.created_at is not None
    return message.created_at


def _encrypting(channel: Channel, prepared: Sequence[Request], told: Sequence[Message]) -> Iterator[Request]:
    """The same requests, each encrypted when its turn comes, as a bare client that encrypts would."""
    keys = channel.address.value["keys"]
    p256dh, auth = _raw(keys["p256dh"]), _raw(keys["auth"])
    for request, message in zip(prepared, told, strict=True):
        plain = json.dumps(
            {"id": message.message_id, "title": message.title, "body": message.body, "data": dict(message.data)},
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()
        body = encrypt(
            plain,
            p256dh=p256dh,
            auth=auth,
            salt=os.urandom(16),
            server_private_key=ec.generate_private_key(ec.SECP256R1()),
        )
        yield Request(url=request.url, headers=request.headers, body=body)


def _encryption_us() -> float:
    browser = ec.generate_private_key(ec.SECP256R1()).public_key()
    p256dh, auth = _point(browser), os.urandom(16)

    def work() -> None:
        for _ in range(1000):
            key = ec.generate_private_key(ec.SECP256R1())
            encrypt(b"x" * 200, p256dh=p256dh, auth=auth, salt=os.urandom(16), server_private_key=key)

    return 1e6 * median(cost_of(1000, work).cpu_s for _ in range(ROUNDS)) / 1000


def _messages(n: int) -> list[Message]:
    now = clock.now()
    return [
        Message(
            message_id=f"bench-{i:08d}",
            title="Coffee at Kahvila Kallio",
            body="20 % off until 18:00, 120 m from you",
            data={"campaign_id": "17", "store_id": "4211", "store_name": "Kahvila Kallio", "deep_link": None},
            expires_at=now + timedelta(hours=1),
            created_at=now,
        )
        for i in range(n)
    ]


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
