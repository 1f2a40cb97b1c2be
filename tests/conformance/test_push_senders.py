"""Every push sender over HTTP does the same with the same misfortune, judged by a receiver that is not ours."""

from __future__ import annotations

import json
import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import pytest

from offers.push import Address, ChannelPaused, ChannelType, DeadAddress, Message, Refused, Retry, Sent, Unknown
from offers.push_apns import ApnsSender
from offers.push_fcm import FcmSender
from offers.push_http import HttpTransport, send
from offers.push_webhook import WebhookSender
from offers.push_webpush import VapidKey, WebPushSender
from offers.ssrf import AddressGuard
from tests.support.certificates import Authority
from tests.support.providers import ApnsReceiver, FcmReceiver, fcm_error
from tests.support.receivers import (
    Drip,
    Fault,
    Garbage,
    Receiver,
    ResetAfterReading,
    ResetBeforeReading,
    Respond,
    Slow,
    WebhookReceiver,
    WebPushReceiver,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from offers.push import Outcome, PushSender

KEY = VapidKey.derive(b"a secret of this installation")
CHANNELS = [ChannelType.WEBPUSH, ChannelType.WEBHOOK, ChannelType.APNS, ChannelType.FCM]
OVER_HTTP2 = {ChannelType.APNS, ChannelType.FCM}
TOTAL_TIMEOUT_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Rig:
    """A sender and its far end, which has not moved unless `at` says so."""

    channel: ChannelType
    transport: HttpTransport
    receiver: Any
    at: str | None = None
    sender: PushSender = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sender", self._sender())

    def _sender(self) -> PushSender:
        base_url = self.at or self.receiver.url("")
        match self.channel:
            case ChannelType.WEBPUSH:
                return WebPushSender(key=KEY, contact="mailto:ops@shop.example", origin=self.transport.origin)
            case ChannelType.APNS:
                return ApnsSender(production_url=base_url)
            case ChannelType.FCM:
                return FcmSender(base_url=base_url, token_url=self.receiver.url("/token"))
            case _:
                return WebhookSender()

    def lose(self, fault: Fault) -> int:
        """Make the connection of the next message misbehave; returns how often the message may be written to it.

        libcurl may repeat at once what it wrote to a kept connection that turned out dead. FCM has a kept one, of the
        sign-in, even for the first message.
        """
        most = 1 if isinstance(fault, Slow | Drip) or self.channel is not ChannelType.FCM else 2
        self.receiver.misbehave(*[fault] * most)
        return most

    @property
    def address(self) -> Address:
        value = self.receiver.subscription() if self.channel is ChannelType.WEBPUSH else self.receiver.address()
        if self.at is not None:
            value |= {"endpoint": self.at + "/x", "url": self.at + "/x"}
        return Address(channel=self.channel, value=value)

    def send(self, message_id: str = "m-1", *, title: str = "Two for one") -> Outcome:
        now = datetime.now(tz=UTC)
        message = Message(
            message_id=message_id,
            title=title,
            body="Espresso until noon, 100 m from you: Caffè Größe",
            data={"claim_url": "https://shop.example/c/1", "tags": ["coffee"]},
            expires_at=now + timedelta(hours=1),
        )
        return send(self.sender, message, self.address, transport=self.transport, now=now)


def transport(*, allow_private: bool = True, **more: Any) -> HttpTransport:
    return HttpTransport(
        guard=AddressGuard(allow_private=allow_private), connect_timeout_s=1.0, total_timeout_s=TOTAL_TIMEOUT_S, **more
    )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), protocols=("h2",))


@pytest.fixture(params=CHANNELS)
def rig(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Rig]:
    receiver: Receiver
    match request.param:
        case ChannelType.WEBPUSH:
            receiver = WebPushReceiver(server_key=KEY.public_base64url)
        case ChannelType.APNS:
            receiver = ApnsReceiver(ssl_context=authority.server)
        case ChannelType.FCM:
            receiver = FcmReceiver(ssl_context=authority.server)
        case _:
            receiver = WebhookReceiver(others=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])
    carrier = transport(ca_file=authority.ca_file)
    with receiver:
        yield Rig(channel=request.param, transport=carrier, receiver=receiver)
        carrier.close()


def test_a_message_arrives_as_it_was_written(rig: Rig) -> None:
    assert isinstance(rig.send(), Sent)
    (received,) = rig.receiver.received
    assert received.message_id == "m-1"
    assert received.title == "Two for one"
    assert received.body == "Espresso until noon, 100 m from you: Caffè Größe"
    assert received.data == {"claim_url": "https://shop.example/c/1", "tags": ["coffee"]}


UNKNOWN_TO_ALL: list[tuple[Fault, str]] = [
    (Slow(seconds=5), "timeout"),
    (Drip(every_s=0.05), "timeout"),
    (ResetBeforeReading(), "connection_lost"),
    (ResetAfterReading(), "connection_lost"),
    (Garbage(), "connection_lost"),
    (Garbage(sent=b""), "connection_lost"),
]


@pytest.mark.parametrize(("fault", "reason"), UNKNOWN_TO_ALL)
def test_silence_after_the_request_left_is_unknown_and_bounded_in_time(rig: Rig, fault: Fault, reason: str) -> None:
    most = rig.lose(fault)
    started = time.monotonic()
    outcome = rig.send()
    assert isinstance(outcome, Unknown)
    assert outcome.reason == reason
    assert outcome.may_have_arrived
    assert time.monotonic() - started < TOTAL_TIMEOUT_S + 2
    assert 1 <= rig.receiver.requests <= most


def test_the_limit_of_one_request_is_not_prolonged_by_others(rig: Rig) -> None:
    rig.receiver.misbehave(Drip(every_s=0.05))
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        dripped = pool.submit(rig.send, "m-slow")
        while rig.receiver.requests == 0:
            time.sleep(0.01)
        while not dripped.done() and time.monotonic() - started < 5:
            time.sleep(0.05)
            rig.send("m-quick")
    assert isinstance(dripped.result(), Unknown)
    assert time.monotonic() - started < TOTAL_TIMEOUT_S + 2


def test_an_unknown_message_may_have_arrived_and_its_repeat_has_the_same_id(rig: Rig) -> None:
    rig.lose(ResetAfterReading())
    assert isinstance(rig.send("m-7"), Unknown)
    rig.receiver.behave()
    assert isinstance(rig.send("m-7"), Sent)
    assert len(rig.receiver.received) >= 2
    assert {received.message_id for received in rig.receiver.received} == {"m-7"}


def test_a_kept_connection_that_turns_out_dead_costs_one_attempt_at_most(rig: Rig) -> None:
    assert isinstance(rig.send("m-1"), Sent)
    rig.receiver.misbehave(ResetAfterReading())
    assert isinstance(rig.send("m-2"), Sent | Unknown)
    assert isinstance(rig.send("m-3"), Sent)


# status: what it means of Web Push, webhooks, APNs and FCM, in the order of CHANNELS
STATUSES: dict[int, tuple[type, type, type, type]] = {
    200: (Sent, Sent, Sent, Sent),
    201: (Sent, Sent, Unknown, Unknown),
    202: (Sent, Sent, Unknown, Unknown),
    301: (Refused, Refused, Refused, Refused),
    307: (Refused, Refused, Refused, Refused),
    400: (Refused, Retry, Refused, Refused),
    401: (ChannelPaused, Retry, Refused, ChannelPaused),
    403: (ChannelPaused, Retry, ChannelPaused, ChannelPaused),
    404: (DeadAddress, Retry, Refused, ChannelPaused),
    410: (DeadAddress, DeadAddress, DeadAddress, Refused),
    413: (Refused, Retry, Refused, Refused),
    429: (Retry, Retry, Retry, Retry),
    500: (Retry, Retry, Retry, Retry),
    502: (Retry, Retry, Retry, Retry),
    503: (Retry, Retry, Retry, Retry),
}


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_asks_for_one_action(rig: Rig, status: int) -> None:
    rig.receiver.misbehave(Respond(status=status, body=b"because"))
    outcome = rig.send()
    assert type(outcome) is STATUSES[status][CHANNELS.index(rig.channel)]
    assert outcome.detail == f"HTTP {status}"


def test_after_a_500_the_repeat_arrives(rig: Rig) -> None:
    rig.receiver.misbehave(Respond(status=500))
    first = rig.send()
    assert isinstance(first, Retry)
    assert first.may_have_arrived  # a gateway may answer 5xx for a message that went through
    assert isinstance(rig.send(), Sent)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_in_seconds_and_as_a_date(rig: Rig, status: int) -> None:
    date = format_datetime(datetime.now(tz=UTC) + timedelta(seconds=90), usegmt=True)
    rig.receiver.misbehave(
        Respond(status=status, headers={"Retry-After": "37"}),
        Respond(status=status, headers={"Retry-After": date}),
        Respond(status=status, headers={"Retry-After": "soon"}),
    )
    in_seconds, as_date, nonsense = rig.send(), rig.send(), rig.send()
    assert isinstance(in_seconds, Retry)
    assert in_seconds.after_s == 37
    assert isinstance(as_date, Retry)
    assert as_date.after_s == pytest.approx(90, abs=3)
    assert isinstance(nonsense, Retry)
    assert nonsense.after_s is None


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "/elsewhere"])
def test_a_redirect_is_never_followed(rig: Rig, target: str) -> None:
    rig.receiver.misbehave(Respond(status=302, headers={"Location": target}))
    outcome = rig.send()
    assert isinstance(outcome, Refused)
    assert outcome.reason == "redirected"
    assert rig.receiver.requests == 1


@pytest.fixture
def apns(authority: Authority) -> Iterator[Rig]:
    carrier = transport(ca_file=authority.ca_file)
    with ApnsReceiver(ssl_context=authority.server) as apple:
        yield Rig(channel=ChannelType.APNS, transport=carrier, receiver=apple)
        carrier.close()


APNS_REASONS = [
    (400, "BadDeviceToken", DeadAddress),
    (400, "DeviceTokenNotForTopic", DeadAddress),
    (400, "BadTopic", ChannelPaused),
    (400, "TopicDisallowed", ChannelPaused),
    (400, "BadExpirationDate", Refused),
    (400, "IdleTimeout", Retry),
    (403, "ExpiredProviderToken", Retry),
    (403, "InvalidProviderToken", ChannelPaused),
    (410, "Unregistered", DeadAddress),
    (410, "ExpiredToken", DeadAddress),
    (413, "PayloadTooLarge", Refused),
    (429, "TooManyRequests", Retry),
    (429, "TooManyProviderTokenUpdates", Retry),
    (500, "InternalServerError", Retry),
    (503, "Shutdown", Retry),
    (400, "AReasonOfTomorrow", Refused),
]


@pytest.mark.parametrize(("status", "reason", "expected"), APNS_REASONS)
def test_every_reason_of_apple_asks_for_one_action(apns: Rig, status: int, reason: str, expected: type) -> None:
    apns.receiver.misbehave(Respond(status=status, body=json.dumps({"reason": reason}).encode()))
    assert type(apns.send()) is expected


def test_one_provider_token_serves_all_messages_to_apple(apns: Rig) -> None:
    sent = [apns.send(f"m-{n}") for n in range(5)]
    assert all(isinstance(outcome, Sent) and outcome.provider_id for outcome in sent)
    assert len(apns.receiver.tokens) == 1
    assert apns.receiver.connections == 1


def test_repeats_to_apple_carry_one_id(apns: Rig) -> None:
    assert isinstance(apns.send("m-1"), Sent)
    assert isinstance(apns.send("m-1"), Sent)
    first, second = apns.receiver.received
    assert first.headers["apns-id"] == second.headers["apns-id"]
    assert first.headers["apns-collapse-id"] == second.headers["apns-collapse-id"] == "m-1"


def test_an_app_without_credentials_waits_and_keeps_its_addresses(apns: Rig) -> None:
    now = datetime.now(tz=UTC)
    message = Message(message_id="m-1", title="x", body="", data={}, expires_at=now + timedelta(hours=1))
    for credentials in (None, {"team_id": "T"}, {**apns.receiver.address()["credentials"], "private_key": "no key"}):
        value = {"token": apns.receiver.device_token, "credentials": credentials}
        address = Address(channel=ChannelType.APNS, value=value)
        outcome = send(apns.sender, message, address, transport=apns.transport, now=now)
        assert isinstance(outcome, ChannelPaused)
        assert "no key" not in repr(outcome)


@pytest.fixture
def fcm(authority: Authority) -> Iterator[Rig]:
    carrier = transport(ca_file=authority.ca_file)
    with FcmReceiver(ssl_context=authority.server) as google:
        yield Rig(channel=ChannelType.FCM, transport=carrier, receiver=google)
        carrier.close()


FCM_CODES = [
    (404, "UNREGISTERED", DeadAddress),
    (400, "INVALID_ARGUMENT", Refused),
    (403, "SENDER_ID_MISMATCH", Refused),
    (401, "THIRD_PARTY_AUTH_ERROR", ChannelPaused),
    (429, "QUOTA_EXCEEDED", Retry),
    (503, "UNAVAILABLE", Retry),
    (500, "INTERNAL", Retry),
    (400, "A_CODE_OF_TOMORROW", Refused),
]


@pytest.mark.parametrize(("status", "code", "expected"), FCM_CODES)
def test_every_code_of_google_asks_for_one_action(fcm: Rig, status: int, code: str, expected: type) -> None:
    fcm.receiver.misbehave(fcm_error(code, status=status))
    outcome = fcm.send()
    assert type(outcome) is expected
    if isinstance(outcome, Retry):
        assert outcome.slow_down == (code == "QUOTA_EXCEEDED")
        assert outcome.may_have_arrived == (status >= 500)


def test_one_sign_in_serves_all_messages_to_google(fcm: Rig) -> None:
    assert all(isinstance(fcm.send(f"m-{n}"), Sent) for n in range(5))
    assert fcm.receiver.sign_ins == 1


def test_a_token_that_google_forgot_is_got_anew(fcm: Rig) -> None:
    assert isinstance(fcm.send("m-1"), Sent)
    fcm.receiver.misbehave(fcm_error("", status=401, named="UNAUTHENTICATED"))
    assert isinstance(fcm.send("m-2"), ChannelPaused)
    assert isinstance(fcm.send("m-2"), Sent)
    assert fcm.receiver.sign_ins == 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Respond(status=400, body=b'{"error":"invalid_grant"}'), ChannelPaused),
        (Respond(status=401, body=b'{"error":"invalid_client"}'), ChannelPaused),
        (Respond(status=429), Retry),
        (Respond(status=503), Retry),
        (Respond(status=200, body=b"not json"), Retry),
    ],
)
def test_a_sign_in_that_fails_has_sent_nothing(fcm: Rig, answer: Respond, expected: type) -> None:
    fcm.receiver.at_the_door.append(answer)
    outcome = fcm.send()
    assert type(outcome) is expected
    assert not outcome.may_have_arrived
    assert fcm.receiver.requests == 0
    assert isinstance(fcm.send(), Sent)


def test_many_messages_share_one_connection(apns: Rig, authority: Authority) -> None:
    patient = HttpTransport(guard=AddressGuard(allow_private=True), ca_file=authority.ca_file)
    rig = replace(apns, transport=patient)
    apns.receiver.misbehave(*[Slow(seconds=0.2)] * 50)
    with ThreadPoolExecutor(50) as pool:
        outcomes = list(pool.map(lambda n: rig.send(f"m-{n}"), range(50)))
    patient.close()
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert apns.receiver.connections == 1


def test_a_paused_channel_names_only_the_origin_that_refused() -> None:
    carrier = transport()
    with WebPushReceiver() as browser:
        browser.misbehave(Respond(status=403))
        outcome = Rig(channel=ChannelType.WEBPUSH, transport=carrier, receiver=browser).send()
        carrier.close()
    assert isinstance(outcome, ChannelPaused)
    assert outcome.scope == f"http://127.0.0.1:{browser.port}"


def test_connections_are_kept_alive(rig: Rig) -> None:
    for n in range(3):
        assert isinstance(rig.send(f"m-{n}"), Sent)
    assert rig.receiver.connections == 1


def test_a_large_answer_is_not_read_to_its_end(rig: Rig) -> None:
    rig.receiver.misbehave(Respond(status=200, body=b"x" * 1_000_000))
    assert isinstance(rig.send(), Sent)
    assert isinstance(rig.send(), Sent)
    # HTTP/1.1 can only hang up; HTTP/2 ends the one stream
    assert rig.receiver.connections == (1 if rig.channel in OVER_HTTP2 else 2)


def test_nobody_listening_is_a_certain_retry(rig: Rig) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome = replace(rig, at=f"http://127.0.0.1:{unused.getsockname()[1]}").send()
    assert isinstance(outcome, Retry)
    assert outcome.reason == "unreachable"
    assert not outcome.may_have_arrived


def test_a_server_that_speaks_no_tls_is_unreachable(rig: Rig) -> None:
    with WebhookReceiver() as plain:
        outcome = replace(rig, at=plain.url("").replace("http:", "https:")).send()
    assert isinstance(outcome, Retry)
    assert outcome.reason == "unreachable"
    assert rig.receiver.received == plain.received == []


def test_a_private_address_is_refused_without_the_setting(rig: Rig) -> None:
    strict = transport(allow_private=False)
    outcome = replace(rig, transport=strict).send()
    strict.close()
    assert isinstance(outcome, Refused)
    assert outcome.reason == "forbidden_address"
    assert rig.receiver.connections == 0


def test_a_message_too_large_for_its_channel_is_refused_unsent(rig: Rig) -> None:
    outcome = rig.send(title="x" * 20_000)
    assert isinstance(outcome, Refused)
    assert outcome.reason == "too_large"
    assert rig.receiver.requests == 0


def test_nothing_is_logged_that_could_be_used(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        rig.send()
        rig.receiver.misbehave(Respond(status=500, body=b"body"))
        rig.send()
    assert caplog.records == []


def test_outcomes_repeat_no_address(rig: Rig) -> None:
    rig.receiver.misbehave(ResetAfterReading(), Garbage(), Respond(status=404), Respond(status=302))
    for _ in range(5):
        assert "secret" not in repr(rig.send())
    assert "secret" not in repr(rig.address)
