"""The tokens that we sign, read by a library that shares nothing with the one that signs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from offers.push_apns import ApnsApp, provider_token
from offers.push_fcm import SCOPE, FcmApp, assertion
from tests.support.providers import pem

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_apple_can_read_our_provider_token() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    app = ApnsApp(team_id="TEAM123456", key_id="KEY1234567", topic="com.example", sandbox=False, private_key=pem(key))
    read = jwt.decode(provider_token(app, now=NOON), ECKey.import_key(public_pem(key)), algorithms=["ES256"])
    assert read.header == {"alg": "ES256", "kid": "KEY1234567", "typ": "JWT"}
    assert read.claims == {"iss": "TEAM123456", "iat": int(NOON.timestamp())}


def test_google_can_read_our_assertion() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    app = FcmApp(project_id="shop-1", client_email="push@shop-1.iam.gserviceaccount.com", private_key=pem(key))
    text = assertion(app, token_url="https://oauth2.googleapis.com/token", now=NOON)
    read = jwt.decode(text, RSAKey.import_key(public_pem(key)), algorithms=["RS256"])
    assert read.claims == {
        "iss": "push@shop-1.iam.gserviceaccount.com",
        "scope": SCOPE,
        "aud": "https://oauth2.googleapis.com/token",
        "iat": int(NOON.timestamp()),
        "exp": int((NOON + timedelta(hours=1)).timestamp()),
    }
