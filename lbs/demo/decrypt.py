"""The browser's half of Web Push encryption (RFC 8291 over RFC 8188), written without a look at the sender's.

It shares no code with `offers.push_webpush`, so that a mistake there cannot be undone by the same mistake here.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SALT_BYTES: Final = 16
SIZE_BYTES: Final = 4
TAG_BYTES: Final = 16
LAST_RECORD: Final = 2
"""The delimiter that ends the plaintext of the last record; what follows it is padding."""


class UndecryptableError(Exception):
    """The body is not a message for this subscription."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionKeys:
    """What a browser keeps of one subscription."""

    private_key: ec.EllipticCurvePrivateKey = field(repr=False)
    auth: bytes = field(repr=False)

    @classmethod
    def generate(cls) -> SubscriptionKeys:
        return cls(private_key=ec.generate_private_key(ec.SECP256R1()), auth=os.urandom(16))

    @property
    def point(self) -> bytes:
        """The public key as an uncompressed point: 65 bytes."""
        return self.private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def subscription(self, endpoint: str) -> dict[str, Any]:
        """The browser's PushSubscription as JSON."""
        return {"endpoint": endpoint, "keys": {"p256dh": base64url(self.point), "auth": base64url(self.auth)}}

    def decrypt(self, body: bytes) -> bytes:
        """Return the plaintext of an `aes128gcm` body; UndecryptableError.

        The header is salt (16), record size (4, big endian), the length of the key id (1) and the key id, which is the
        sender's public key. A push message is one record (RFC 8291, section 4).
        """
        try:
            salt, rest = body[:SALT_BYTES], body[SALT_BYTES:]
            record_size = int.from_bytes(rest[:SIZE_BYTES], "big")
            key_length, rest = rest[SIZE_BYTES], rest[SIZE_BYTES + 1 :]
            sender_point, record = rest[:key_length], rest[key_length:]
            sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender_point)
        except (IndexError, ValueError) as error:
            raise UndecryptableError("the header cannot be read") from error
        if not TAG_BYTES < len(record) <= record_size:
            raise UndecryptableError("not exactly one record")
        shared = self.private_key.exchange(ec.ECDH(), sender)
        secret = _hkdf(self.auth, shared, b"WebPush: info\0" + self.point + sender_point, 32)
        key = _hkdf(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _hkdf(salt, secret, b"Content-Encoding: nonce\0", 12)
        try:
            padded = AESGCM(key).decrypt(nonce, record, None)
        except InvalidTag as error:
            raise UndecryptableError("encrypted for somebody else, or damaged") from error
        plaintext = padded.rstrip(b"\0")
        if not plaintext or plaintext[-1] != LAST_RECORD:
            raise UndecryptableError("the record does not say that it is the last")
        return plaintext[:-1]


def _hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256, for at most 32 bytes: one block of its expansion is enough."""
    return _hmac(_hmac(salt, secret), info + b"\1")[:length]


def _hmac(key: bytes, data: bytes) -> bytes:
    made = hmac.HMAC(key, hashes.SHA256())
    made.update(data)
    return made.finalize()


def base64url(data: bytes) -> str:
    """Without padding, as browsers write it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
