"""The demo's decryptor: RFC 8291's own example, and what must be refused. It shares no code with the sender."""

from __future__ import annotations

import os

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from lbs.demo.decrypt import SubscriptionKeys, UndecryptableError, base64url, from_base64url
from offers.push_webpush import encrypt

# RFC 8291, section 5 and appendix A
PRIVATE_KEY = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
PUBLIC_KEY = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)
PLAINTEXT = b"When I grow up, I want to be a watermelon"


@pytest.fixture
def keys() -> SubscriptionKeys:
    scalar = int.from_bytes(from_base64url(PRIVATE_KEY), "big")
    return SubscriptionKeys(private_key=ec.derive_private_key(scalar, ec.SECP256R1()), auth=from_base64url(AUTH))


def test_reads_the_example_of_rfc_8291(keys: SubscriptionKeys) -> None:
    assert base64url(keys.point) == PUBLIC_KEY
    assert keys.decrypt(from_base64url(BODY)) == PLAINTEXT


def test_what_looks_like_padding_stays_in_the_message(keys: SubscriptionKeys) -> None:
    plain = b"one" + b"\x02" + b"\0" * 20

    assert keys.decrypt(_encrypted_for(keys, plain)) == plain


@pytest.mark.parametrize("changed", [0, 15, 16 + 4 + 1 + 65, -1])
def test_a_changed_byte_is_found(keys: SubscriptionKeys, changed: int) -> None:
    body = bytearray(from_base64url(BODY))
    body[changed] ^= 1

    with pytest.raises(UndecryptableError):
        keys.decrypt(bytes(body))


@pytest.mark.parametrize("length", [0, 16, 20, 21, 86, 100])
def test_a_cut_body_is_refused(keys: SubscriptionKeys, length: int) -> None:
    with pytest.raises(UndecryptableError):
        keys.decrypt(from_base64url(BODY)[:length])


def test_a_message_for_another_phone_is_refused(keys: SubscriptionKeys) -> None:
    with pytest.raises(UndecryptableError):
        SubscriptionKeys.generate().decrypt(_encrypted_for(keys, b"not for you"))


def test_reads_what_the_sender_writes() -> None:
    keys = SubscriptionKeys.generate()
    for length in (1, 300, 3993):
        plain = os.urandom(length)

        assert keys.decrypt(_encrypted_for(keys, plain)) == plain


def _encrypted_for(keys: SubscriptionKeys, plain: bytes) -> bytes:
    return encrypt(
        plain,
        p256dh=keys.point,
        auth=keys.auth,
        salt=os.urandom(16),
        server_private_key=ec.generate_private_key(ec.SECP256R1()),
    )
