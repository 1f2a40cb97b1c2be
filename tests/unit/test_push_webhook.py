"""Webhooks are signed as Standard Webhooks says, by the published cases and by the reference library."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from offers.errors import InvalidSubscriptionError
from offers.push import Address, ChannelType, DeadAddress, Message
from offers.push_webhook import WebhookAddress, WebhookSender, _body, parse_secret, sign
from tests.support.data import data_dir
from tests.support.receivers import EXAMPLE_SECRET

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
BODY = b'{"test": 2432232314}'


def headers(*, age: timedelta = timedelta(0), secret: str = EXAMPLE_SECRET) -> dict[str, str]:
    timestamp_s = int((datetime.now(tz=UTC) - age).timestamp())  # the reference library compares with the real clock
    signature = sign([parse_secret(secret)], message_id="msg_1", timestamp_s=timestamp_s, body=BODY)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(timestamp_s), "webhook-signature": signature}


def test_the_published_signatures_come_out_byte_for_byte() -> None:
    cases = json.loads((data_dir("vectors_standard_webhooks") / "cases.json").read_text())["sign"]
    assert cases
    for case in cases:
        signature = sign(
            [parse_secret(case["secret"])],
            message_id=case["msg_id"],
            timestamp_s=case["timestamp"],
            body=case["payload"].encode(),
        )
        assert signature == case["signature"]


WRONG = "Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="


def variants() -> dict[str, list[dict[str, str]]]:
    """Return, for each published rule that is about a request, such requests made from our own headers."""
    good = headers()
    signature = good["webhook-signature"]
    last_changed = signature[:-2] + ("A" if signature[-2] != "A" else "E") + "="
    return {
        "missing webhook-id": [without(good, "webhook-id")],
        "missing webhook-timestamp": [without(good, "webhook-timestamp")],
        'timestamp "hello"': [good | {"webhook-timestamp": "hello"}],
        "missing webhook-signature": [without(good, "webhook-signature")],
        "signature v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA= (last char changed)": [
            good | {"webhook-signature": last_changed}
        ],
        "timestamp older than 5 min by 1 s": [headers(age=timedelta(seconds=301))],
        "timestamp newer than 5 min by 1 s": [headers(age=-timedelta(seconds=330))],  # the clock runs on meanwhile
        "header list: wrong v1, wrong v2, right v1, wrong v1 (space-delimited)": [
            good | {"webhook-signature": f"v1,{WRONG} v2,{WRONG} {signature} v1,{WRONG}"}
        ],
        "secret with and without whsec_ prefix": [good, headers(secret=EXAMPLE_SECRET.removeprefix("whsec_"))],
        'partial signature "v1," or its first 8 characters': [
            good | {"webhook-signature": "v1,"},
            good | {"webhook-signature": signature[:8]},
        ],
    }


def without(sent: dict[str, str], name: str) -> dict[str, str]:
    return {key: text for key, text in sent.items() if key != name}


def accepted(sent: dict[str, str], *, secret: str = EXAMPLE_SECRET) -> bool:
    try:
        Webhook(secret).verify(BODY, sent)
    except (WebhookVerificationError, ValueError):
        return False
    return True


def test_the_published_rules_hold_for_our_signatures() -> None:
    cases = json.loads((data_dir("vectors_standard_webhooks") / "cases.json").read_text())["verify"]
    ours = {"unpadded base64 secret MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS / ...LaSwBr", "empty secret or bare whsec_"}
    requests = variants()
    assert {case["case"] for case in cases} == {*requests, *ours}  # those two are about secrets: the next two tests
    for case in cases:
        for sent in requests.get(case["case"], []):
            assert accepted(sent) == (case["expect"] == "accept"), case["case"]


@pytest.mark.parametrize("secret", ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr"])
@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_unpadded_secrets_sign_as_the_reference_library_does(prefix: str, secret: str) -> None:
    assert accepted(headers(secret=prefix + secret), secret=prefix + secret)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_====", "whsec_not base64!", "whsec_ä", "whsec_A", None, 7, b"x"]
)
def test_secrets_that_are_none_are_refused(secret: Any) -> None:
    with pytest.raises(InvalidSubscriptionError):
        parse_secret(secret)


def test_a_partner_who_knows_either_secret_accepts_while_one_is_replaced() -> None:
    new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    secrets = WebhookAddress.parse({"url": "https://p.example/", "secrets": [new, EXAMPLE_SECRET]}).secrets
    timestamp_s = int(datetime.now(tz=UTC).timestamp())
    sent = {
        "webhook-id": "m",
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": sign(secrets, message_id="m", timestamp_s=timestamp_s, body=BODY),
    }
    assert accepted(sent, secret=new)
    assert accepted(sent, secret=EXAMPLE_SECRET)
    assert not accepted(sent, secret="whsec_c29tZSBvdGhlciBzZWNyZXQ=")


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"url": "https://p.example/"},
        {"url": "https://p.example/", "secrets": []},
        {"url": "https://p.example/", "secrets": EXAMPLE_SECRET},
        {"url": "https://p.example/", "secrets": [""]},
        {"url": 7, "secrets": [EXAMPLE_SECRET]},
    ],
)
def test_a_malformed_address_is_dead(value: dict[str, Any]) -> None:
    with pytest.raises(StopIteration) as ended:
        next(WebhookSender().attempt(offer(), Address(channel=ChannelType.WEBHOOK, value=value), now=NOON))
    outcome = ended.value.value
    assert isinstance(outcome, DeadAddress)
    assert outcome.reason == "invalid_address"


def offer() -> Message:
    return Message(
        message_id="m-1",
        title="Half price",
        body="until noon",
        data=MappingProxyType({"n": 1}),
        expires_at=datetime(2026, 5, 1, 13, tzinfo=UTC),
        created_at=datetime(2026, 5, 1, 12, tzinfo=UTC),
    )


def test_repeats_send_the_same_bytes() -> None:
    first, second = _body(offer(), now=NOON), _body(offer(), now=NOON + timedelta(minutes=1))
    assert first == second
    assert json.loads(first) == {
        "type": "offer.notification",
        "timestamp": "2026-05-01T12:00:00Z",
        "data": {
            "id": "m-1",
            "title": "Half price",
            "body": "until noon",
            "data": {"n": 1},
            "expires_at": "2026-05-01T13:00:00Z",
        },
    }
