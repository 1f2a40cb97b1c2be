"""Web Push: RFC 8030 (protocol), RFC 8188 and 8291 (encryption), RFC 8292 (VAPID, who we are)."""

from __future__ import annotations

import base64
import binascii
import math
import os
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import jwt
import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from offers.errors import ForbiddenAddressError, InvalidSubscriptionError
from offers.push import Address, Answer, ChannelType, Conversation, DeadAddress, Message, Refused, Request
from offers.push_status import Action, StatusTable, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

RECORD_BYTES = 4096
MAX_PLAINTEXT_BYTES = 3993
"""4096 of body (RFC 8030, section 7.2) less 86 of header, 16 of tag and 1 of delimiter (RFC 8291, section 4)."""
MAX_TTL_S = 28 * 86400
"""Push services keep nothing longer, and some refuse a request that asks for more."""
MAX_JWT_LIFE = timedelta(hours=24)
MAX_CACHED_ORIGINS = 256

STATUSES: Final[StatusTable] = {
    2: (Action.SENT, "accepted"),  # 201; 202 if a receipt was asked for; 200 from older services
    3: (Action.REFUSED, "redirected"),  # a push resource does not move
    400: (Action.REFUSED, "bad_request"),
    401: (Action.PAUSED, "unauthorized"),
    403: (Action.PAUSED, "forbidden"),
    404: (Action.DEAD, "expired"),
    408: (Action.RETRY, "request_timeout"),
    410: (Action.DEAD, "gone"),
    413: (Action.REFUSED, "too_large"),
    425: (Action.RETRY, "too_early"),
    429: (Action.RETRY, "rate_limited"),
    4: (Action.REFUSED, "client_error"),
    5: (Action.RETRY_MAYBE_ARRIVED, "server_error"),
}
"""RFC 8030, sections 5, 7.2, 7.3 and 8.4; RFC 8292, section 4.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VapidKey:
    """The key pair by which push services know us. Subscriptions are bound to it: losing it loses them."""

    private_key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes) -> VapidKey:
        """Return the P-256 key that belongs to `secret` (at least 16 bytes), always the same; ValueError if shorter."""
        if len(secret) < 16:  # noqa: PLR2004 - as strong as the curve
            raise ValueError("a secret of at least 16 bytes is needed")
        # 128 bits more than the order has, so that the remainder is uniform (FIPS 186-5, A.2.1).
        wide = _hkdf(secret, salt=b"", info=b"lbs web push vapid p-256", length=48)
        scalar = int.from_bytes(wide, "big") % (_P256_ORDER - 1) + 1
        return cls(private_key=ec.derive_private_key(scalar, ec.SECP256R1()))

    @property
    def public_base64url(self) -> str:
        """The `applicationServerKey` of the browser: the uncompressed point, base64url without padding."""
        return _base64url(_point(self.private_key.public_key()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A browser's PushSubscription."""

    endpoint: str = field(repr=False)
    p256dh: bytes = field(repr=False)
    auth: bytes = field(repr=False)

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Subscription:
        """Read `{endpoint, keys: {p256dh, auth}}`; InvalidSubscriptionError says what is wrong with it.

        Whether the endpoint may be called is the guard's question.
        """
        try:
            endpoint, keys = value["endpoint"], value["keys"]
            p256dh, auth = _from_base64url(keys["p256dh"]), _from_base64url(keys["auth"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidSubscriptionError(
                "a subscription needs an endpoint and base64url keys p256dh, auth"
            ) from error
        if not isinstance(endpoint, str):
            raise InvalidSubscriptionError("the endpoint must be text")
        _check_keys(p256dh=p256dh, auth=auth)
        return cls(endpoint=endpoint, p256dh=p256dh, auth=auth)


def encrypt(
    plaintext: bytes, *, p256dh: bytes, auth: bytes, salt: bytes, server_private_key: ec.EllipticCurvePrivateKey
) -> bytes:
    """Return the aes128gcm body for one browser (RFC 8291, section 3.4, in one record of RFC 8188).

    `p256dh` is the browser's public key as an uncompressed point (65 bytes), `auth` its secret (16), `salt` 16 random
    bytes; salt and server key are to be used once. Raises InvalidSubscriptionError for keys that are none, ValueError
    for more than MAX_PLAINTEXT_BYTES or a salt of another length.
    """
    if len(plaintext) > MAX_PLAINTEXT_BYTES:
        raise ValueError("the plaintext does not fit one record")
    if len(salt) != _SALT_BYTES:
        raise ValueError("the salt must have 16 bytes")
    browser_key = _check_keys(p256dh=p256dh, auth=auth)
    server_point = _point(server_private_key.public_key())
    shared = server_private_key.exchange(ec.ECDH(), browser_key)
    key_material = _hkdf(shared, salt=auth, info=b"WebPush: info\0" + p256dh + server_point, length=32)
    content_key = _hkdf(key_material, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16)
    nonce = _hkdf(key_material, salt=salt, info=b"Content-Encoding: nonce\0", length=12)
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(server_point)]) + server_point
    last_record = plaintext + b"\x02"
    return header + AESGCM(content_key).encrypt(nonce, last_record, None)


class WebPushSender:
    """Sends to browsers. The push service being down is a Retry, being silent an Unknown; see STATUSES for the rest.

    `contact` (mailto: or https:) is whom the push service asks when something is wrong; ValueError for anything else.
    `origin` returns scheme, host and port of a URL, or raises ForbiddenAddressError: tokens are for one origin each.
    """

    channel: Final = ChannelType.WEBPUSH

    def __init__(
        self,
        *,
        key: VapidKey,
        contact: str,
        origin: Callable[[str], str],
        jwt_life: timedelta = timedelta(hours=12),
    ) -> None:
        self._vapid = _VapidHeaders(key=key, contact=contact, jwt_life=jwt_life)
        self._origin = origin

    def attempt(self, message: Message, address: Address, *, now: datetime) -> Conversation:
        payload = msgspec.json.encode(
            {"id": message.message_id, "title": message.title, "body": message.body, "data": message.data},
            enc_hook=dict,  # a read-only mapping is written as an object
        )
        if len(payload) > MAX_PLAINTEXT_BYTES:
            return Refused(reason="too_large", detail=f"{len(payload)} bytes, at most {MAX_PLAINTEXT_BYTES}")
        try:
            subscription = Subscription.parse(address.value)
            origin = self._origin(subscription.endpoint)
        except InvalidSubscriptionError as error:
            return DeadAddress(reason="invalid_address", detail=str(error))
        except ForbiddenAddressError as error:
            return Refused(reason="forbidden_address", detail=str(error))
        body = encrypt(
            payload,
            p256dh=subscription.p256dh,
            auth=subscription.auth,
            salt=os.urandom(_SALT_BYTES),
            server_private_key=ec.generate_private_key(ec.SECP256R1()),
        )
        headers = {
            "Authorization": self._vapid.authorization(origin, now=now),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(_ttl_s(message.expires_at, now=now)),
            "Topic": message.message_id,  # a repeat replaces what the push service still holds
            "Urgency": message.urgency.value,
        }
        answer = yield Request(url=subscription.endpoint, headers=headers, body=body)
        return outcome_of(answer, STATUSES, now=now) if isinstance(answer, Answer) else answer


class _VapidHeaders:
    """Signs one token an origin and uses it for half its life, so that clocks may differ and tokens still be few."""

    def __init__(self, *, key: VapidKey, contact: str, jwt_life: timedelta) -> None:
        if not contact.startswith(("mailto:", "https:")):
            raise ValueError("the contact must be a mailto: or https: URL")
        if not timedelta(0) < jwt_life <= MAX_JWT_LIFE:
            raise ValueError("a VAPID token lives for at most 24 hours")
        self._key = key
        self._contact = contact
        self._jwt_life = jwt_life
        self._lock = threading.Lock()
        self._cached: dict[str, tuple[datetime, str]] = {}

    def authorization(self, origin: str, *, now: datetime) -> str:
        with self._lock:
            signed_at, header = self._cached.get(origin, (None, ""))
            # A clock that was set back makes a token from the future, which no service would take for long.
            if signed_at is not None and timedelta(0) <= now - signed_at < self._jwt_life / 2:
                return header
            header = self._sign(origin, now=now)
            self._cached.pop(origin, None)
            self._cached[origin] = (now, header)
            if len(self._cached) > MAX_CACHED_ORIGINS:  # anybody may register an origin of their own
                del self._cached[next(iter(self._cached))]
            return header

    def _sign(self, origin: str, *, now: datetime) -> str:
        claims = {"aud": origin, "exp": math.floor((now + self._jwt_life).timestamp()), "sub": self._contact}
        token = jwt.encode(claims, self._key.private_key, algorithm="ES256")
        return f"vapid t={token}, k={self._key.public_base64url}"


_SALT_BYTES = 16
_AUTH_BYTES = 16
_POINT_BYTES = 65
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def _ttl_s(expires_at: datetime, *, now: datetime) -> int:
    return min(max(0, math.floor((expires_at - now).total_seconds())), MAX_TTL_S)


def _check_keys(*, p256dh: bytes, auth: bytes) -> ec.EllipticCurvePublicKey:
    if len(auth) != _AUTH_BYTES:
        raise InvalidSubscriptionError("keys.auth must have 16 bytes")
    if len(p256dh) != _POINT_BYTES:
        raise InvalidSubscriptionError("keys.p256dh must be an uncompressed P-256 point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError as error:
        raise InvalidSubscriptionError("keys.p256dh is not a point of P-256") from error


def _hkdf(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64url(text: str) -> bytes:
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error
