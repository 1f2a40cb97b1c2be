"""What only Apple and Google do: their reasons and codes, their tokens, one connection for all."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from offers.errors import InvalidCredentialsError
from offers.push import Address, ChannelPaused, ChannelType, DeadAddress, Message, Refused, Retry, Sent
from offers.push_apns import ApnsApp
from offers.push_http import HttpTransport, send
from offers.ssrf import AddressGuard
from tests.support.certificates import Authority
from tests.support.providers import ApnsReceiver, FcmReceiver, fcm_error
from tests.support.push_rig import Rig, transport
from tests.support.receivers import Respond, Slow

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), protocols=("h2",))


@pytest.fixture
def apns(authority: Authority) -> Iterator[Rig]:
    carrier = transport(ca_file=authority.ca_file)
    with ApnsReceiver(ssl_context=authority.server) as apple:
        yield Rig(channel=ChannelType.APNS, transport=carrier, receiver=apple)
        carrier.close()


APNS_REASONS = [
    (400, "BadDeviceToken", Refused),
    (400, "DeviceTokenNotForTopic", Refused),
    (400, "MissingDeviceToken", DeadAddress),
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


def test_teams_share_no_connection_to_apple_and_apps_of_one_team_share_a_token(apns: Rig) -> None:
    assert isinstance(apns.send("m-1"), Sent)
    apns.receiver.topic = "com.example.other"
    assert isinstance(apns.send("m-2"), Sent)
    assert apns.receiver.connections == 1
    assert len(apns.receiver.tokens) == 1
    apns.receiver.team_id = "TEAM654321"
    assert isinstance(apns.send("m-3"), Sent)
    assert apns.receiver.connections == 2
    assert len(apns.receiver.tokens) == 2


@pytest.mark.parametrize("wrong", ["com.exämple", "com.example\r\nx-evil: 1", ""])
def test_a_name_that_is_no_name_is_no_credential(apns: Rig, wrong: str) -> None:
    credentials = {**apns.receiver.address()["credentials"], "topic": wrong}
    with pytest.raises(InvalidCredentialsError):
        ApnsApp.parse(credentials)


def test_a_header_that_is_none_costs_its_message_only(apns: Rig) -> None:
    for value in ("naïve", "a\r\nb: c"):
        assert isinstance(apns.transport.post(apns.receiver.url("/x"), headers={"x": value}, body=b""), Refused)
    assert isinstance(apns.send(), Sent)


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
        assert not outcome.slow_down  # no time was named: it may be about one phone
        assert outcome.may_have_arrived == (status >= 500)


def test_a_quota_with_a_time_slows_all_of_the_project_down(fcm: Rig) -> None:
    told = fcm_error("QUOTA_EXCEEDED", status=429)
    fcm.receiver.misbehave(Respond(status=429, headers={"Retry-After": "60"}, body=told.body))
    assert fcm.send() == Retry(reason="rate_limited", after_s=60.0, detail="HTTP 429", slow_down=True)


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
