"""Web Push is what RFC 8291 prints, and what independent code can read."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import http_ece
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from offers.errors import InvalidSubscriptionError
from offers.push import Address, Answer, ChannelType, DeadAddress, Message, Refused, Request, Sent, Urgency
from offers.push_http import HttpTransport
from offers.push_webpush import (
    MAX_CACHED_ORIGINS,
    MAX_PLAINTEXT_BYTES,
    Subscription,
    VapidKey,
    WebPushSender,
    _VapidHeaders,
    encrypt,
)
from offers.ssrf import AddressGuard
from tests.support.data import data_dir

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
KEY = VapidKey.derive(b"a secret of this installation")

# RFC 8291, appendix A.
RFC = {
    "plaintext": "When I grow up, I want to be a watermelon",
    "as_private": "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw",
    "ua_private": "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94",
    "ua_public": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth_secret": "BTBZMqHH6r4Tts7J_aSIgg",
    "salt": "DGv6ra1nlYgDCS1FRnbzlw",
    "body": (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl"
        "7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    ),
}


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(raw(text), "big"), ec.SECP256R1())


def encrypted(vector: dict[str, str], plaintext: bytes) -> bytes:
    return encrypt(
        plaintext,
        p256dh=raw(vector["ua_public"]),
        auth=raw(vector["auth_secret"]),
        salt=raw(vector["salt"]),
        server_private_key=private_key(vector["as_private"]),
    )


def test_the_example_of_the_rfc_comes_out_byte_for_byte() -> None:
    assert encrypted(RFC, RFC["plaintext"].encode()) == raw(RFC["body"])


def test_the_shared_vectors_come_out_byte_for_byte() -> None:
    vectors = json.loads((data_dir("vectors_webpush") / "rfc8291.json").read_text())
    assert vectors
    for vector in vectors:
        assert encrypted(vector, vector["plaintext"].encode()) == raw(vector["body"])


@given(
    plaintext=st.binary(max_size=200) | st.just(b"x" * MAX_PLAINTEXT_BYTES), salt=st.binary(min_size=16, max_size=16)
)
def test_another_implementation_can_read_it(plaintext: bytes, salt: bytes) -> None:
    body = encrypt(
        plaintext,
        p256dh=raw(RFC["ua_public"]),
        auth=raw(RFC["auth_secret"]),
        salt=salt,
        server_private_key=ec.generate_private_key(ec.SECP256R1()),
    )
    assert len(body) <= 4096
    browser_key = private_key(RFC["ua_private"])
    plain = http_ece.decrypt(body, private_key=browser_key, auth_secret=raw(RFC["auth_secret"]))  # type: ignore[no-untyped-call]
    assert plain == plaintext


def test_what_does_not_fit_one_record_is_refused() -> None:
    with pytest.raises(ValueError, match="record"):
        encrypted(RFC, b"x" * (MAX_PLAINTEXT_BYTES + 1))
    with pytest.raises(ValueError, match="salt"):
        encrypted({**RFC, "salt": "AAAA"}, b"x")


SUBSCRIPTION = {
    "endpoint": "https://push.example/send/abc",
    "expirationTime": None,
    "keys": {"p256dh": RFC["ua_public"], "auth": RFC["auth_secret"]},
}
OFF_CURVE = base64.urlsafe_b64encode(b"\x04" + b"\x01" * 64).decode()
COMPRESSED = base64.urlsafe_b64encode(b"\x02" + raw(RFC["ua_public"])[1:33]).decode()
BAD_SUBSCRIPTIONS: list[dict[str, Any]] = [
    {},
    {"endpoint": "https://push.example/"},
    {**SUBSCRIPTION, "endpoint": None},
    {**SUBSCRIPTION, "keys": None},
    {**SUBSCRIPTION, "keys": {"p256dh": RFC["ua_public"]}},
    {**SUBSCRIPTION, "keys": {"p256dh": 1, "auth": 2}},
    {**SUBSCRIPTION, "keys": {"p256dh": RFC["ua_public"], "auth": "c2hvcnQ"}},
    {**SUBSCRIPTION, "keys": {"p256dh": OFF_CURVE, "auth": RFC["auth_secret"]}},
    {**SUBSCRIPTION, "keys": {"p256dh": COMPRESSED, "auth": RFC["auth_secret"]}},
    {**SUBSCRIPTION, "keys": {"p256dh": "not base64!", "auth": RFC["auth_secret"]}},
    {**SUBSCRIPTION, "keys": {"p256dh": "ä", "auth": RFC["auth_secret"]}},
]


@pytest.mark.parametrize("value", BAD_SUBSCRIPTIONS)
def test_a_subscription_that_is_none_is_said_to_be_so(value: dict[str, Any]) -> None:
    with pytest.raises(InvalidSubscriptionError):
        Subscription.parse(value)


def test_padded_keys_are_read_too() -> None:
    keys = {"p256dh": RFC["ua_public"] + "=", "auth": RFC["auth_secret"] + "=="}
    assert Subscription.parse({**SUBSCRIPTION, "keys": keys}) == Subscription.parse(SUBSCRIPTION)


def test_the_same_secret_always_gives_the_same_vapid_key() -> None:
    expected = "BHJLgwiBD_1I6jtGz7CAO8O41z_7QZkIRUXeoFVjt9ra2nmYUC9Nc1E7GrflxxejtlSrjfUzlWPv4UAj8jMwy3A"
    assert VapidKey.derive(b"a secret of this installation").public_base64url == expected
    assert VapidKey.derive(b"another secret of some length").public_base64url != expected
    assert len(raw(expected)) == 65
    assert "private" not in repr(KEY)


def test_a_short_secret_makes_no_key() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        VapidKey.derive(b"short")


def vapid(**more: Any) -> _VapidHeaders:
    given = {"key": KEY, "contact": "mailto:ops@shop.example", "jwt_life": timedelta(hours=12), **more}
    return _VapidHeaders(**given)


def test_the_token_says_who_and_for_whom_and_until_when() -> None:
    scheme, _, rest = vapid().authorization("https://push.example", now=NOON).partition(" ")
    token, key = (part.strip().partition("=")[2] for part in rest.split(","))
    assert scheme == "vapid"
    assert key == KEY.public_base64url
    public_key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw(key))
    claims = jwt.decode(
        token, public_key, algorithms=["ES256"], audience="https://push.example", options={"verify_exp": False}
    )
    expires = (NOON + timedelta(hours=12)).timestamp()
    assert claims == {"aud": "https://push.example", "exp": expires, "sub": "mailto:ops@shop.example"}
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "typ": "JWT"}


def test_a_token_serves_its_origin_for_half_its_life() -> None:
    headers = vapid()
    first = headers.authorization("https://a.example", now=NOON)
    assert headers.authorization("https://b.example", now=NOON) != first
    assert headers.authorization("https://a.example", now=NOON + timedelta(hours=5, minutes=59)) == first
    assert headers.authorization("https://a.example", now=NOON + timedelta(hours=6)) != first


def test_a_clock_set_back_does_not_keep_a_token_from_the_future() -> None:
    headers = vapid()
    first = headers.authorization("https://a.example", now=NOON)
    assert headers.authorization("https://a.example", now=NOON - timedelta(hours=30)) != first


def test_the_cache_of_tokens_is_bounded() -> None:
    headers = vapid()
    first = headers.authorization("https://0.example", now=NOON)
    for n in range(1, MAX_CACHED_ORIGINS + 1):
        headers.authorization(f"https://{n}.example", now=NOON)
    assert len(headers._cached) == MAX_CACHED_ORIGINS
    assert headers.authorization("https://0.example", now=NOON) != first


@pytest.mark.parametrize("wrong", [{"contact": "ops@shop.example"}, {"jwt_life": timedelta(hours=25)}])
def test_senseless_settings_are_refused_at_start(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"contact|24 hours"):
        vapid(**wrong)


def attempt(
    *, expires_at: datetime, body: str = "until noon", value: dict[str, Any] = SUBSCRIPTION
) -> tuple[Any, Request | None]:
    """What came of an attempt whose request, which is answered too, was accepted."""
    transport = HttpTransport(guard=AddressGuard(allow_private=False))
    sender = WebPushSender(key=KEY, contact="mailto:ops@shop.example", origin=transport.origin)
    message = Message(
        message_id="m-1", title="Half price", body=body, data={}, expires_at=expires_at, urgency=Urgency.HIGH
    )
    talk = sender.attempt(message, Address(channel=ChannelType.WEBPUSH, value=value), now=NOON)
    created = Answer(
        status=201,
        origin="https://push.example",
        head=b"HTTP/1.1 201 Created\r\nLocation: https://push.example/m/9\r\n\r\n",
    )
    request = None
    try:
        request = next(talk)
        talk.send(created)
    except StopIteration as ended:
        return ended.value, request
    raise AssertionError("a second request")


@pytest.mark.parametrize(
    ("left", "ttl"),
    [
        (timedelta(seconds=90, milliseconds=900), "90"),
        (timedelta(0), "0"),
        (timedelta(seconds=-5), "0"),
        (timedelta(days=90), "2419200"),
    ],
)
def test_the_push_service_keeps_it_until_the_offer_ends(left: timedelta, ttl: str) -> None:
    _, request = attempt(expires_at=NOON + left)
    assert request is not None
    assert request.headers["TTL"] == ttl


def test_the_headers_are_those_of_the_rfcs() -> None:
    outcome, request = attempt(expires_at=NOON + timedelta(hours=1))
    assert outcome == Sent(provider_id="9", detail="HTTP 201")
    assert request is not None
    assert request.url == SUBSCRIPTION["endpoint"]
    assert request.headers["Content-Encoding"] == "aes128gcm"
    assert request.headers["Topic"] == "m-1"
    assert request.headers["Urgency"] == "high"


def test_the_largest_payload_fits_and_one_byte_more_is_refused() -> None:
    overhead = len(json.dumps({"id": "m-1", "title": "Half price", "body": "", "data": {}}, separators=(",", ":")))
    room = MAX_PLAINTEXT_BYTES - overhead
    fits, request = attempt(expires_at=NOON, body="x" * room)
    assert isinstance(fits, Sent)
    assert request is not None
    assert len(request.body) == 4096
    too_large, request = attempt(expires_at=NOON, body="x" * (room + 1))
    assert isinstance(too_large, Refused)
    assert request is None


@pytest.mark.parametrize("value", BAD_SUBSCRIPTIONS)
def test_a_malformed_subscription_is_dead(value: dict[str, Any]) -> None:
    outcome, request = attempt(expires_at=NOON, value=value)
    assert isinstance(outcome, DeadAddress)
    assert request is None


def test_a_forbidden_endpoint_is_refused_before_anything_is_signed() -> None:
    outcome, request = attempt(expires_at=NOON, value={**SUBSCRIPTION, "endpoint": "https://169.254.169.254/"})
    assert isinstance(outcome, Refused)
    assert outcome.reason == "forbidden_address"
    assert request is None


def test_two_messages_share_no_key_and_no_salt() -> None:
    requests = [attempt(expires_at=NOON)[1] for _ in range(2)]
    bodies = [request.body for request in requests if request is not None]
    assert bodies[0][:16] != bodies[1][:16]
    assert bodies[0][21:86] != bodies[1][21:86]
