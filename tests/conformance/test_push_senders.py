"""Every push sender over HTTP does the same with the same misfortune, judged by a receiver that is not ours."""

from __future__ import annotations

import logging
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from offers.push import ChannelPaused, ChannelType, DeadAddress, Refused, Retry, Sent, Unknown
from tests.support.certificates import Authority
from tests.support.providers import ApnsReceiver, FcmReceiver
from tests.support.push_rig import CHANNELS, KEY, OVER_HTTP2, TOTAL_TIMEOUT_S, Rig, transport
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
