"""What a till holds between scanning a code and redeeming it: a signed token that needs no row. Pure.

It is bound to the claim, the store and the key that asked, and carries a number of its own, by which a repeated
redemption is known for the same one.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final

PREFIX: Final = "lbs_rt_"
MAX_CHARACTERS: Final = 200
NONCE_BITS: Final = 62

_PAYLOAD = struct.Struct("<iqqqqQ")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a token says and its signature proves."""

    tenant_id: int
    claim_id: int
    store_id: int
    key_id: int
    """Of the key that prepared; 0 for a caller without one."""
    expires_at: datetime
    nonce: int


class PrepareTokens:
    """Gives tokens out and reads them."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def issue(self, *, tenant_id: int, claim_id: int, store_id: int, key_id: int, expires_at: datetime) -> str:
        expires_us = (expires_at - _EPOCH) // timedelta(microseconds=1)
        nonce = secrets.randbits(NONCE_BITS)
        payload = _PAYLOAD.pack(tenant_id, claim_id, store_id, key_id, expires_us, nonce)
        return f"{PREFIX}{_base64url(payload)}.{_base64url(self._sign(payload))}"

    def read(self, text: str) -> Prepared | None:
        """None for anything that `issue` did not make; a token that is too old is read all the same."""
        if not text.startswith(PREFIX) or len(text) > MAX_CHARACTERS:
            return None
        payload_text, _, signature_text = text.removeprefix(PREFIX).partition(".")
        try:
            payload, signature = _from_base64url(payload_text), _from_base64url(signature_text)
        except (binascii.Error, ValueError):
            return None
        if len(payload) != _PAYLOAD.size or not hmac.compare_digest(signature, self._sign(payload)):
            return None
        tenant_id, claim_id, store_id, key_id, expires_us, nonce = _PAYLOAD.unpack(payload)
        return Prepared(
            tenant_id=tenant_id,
            claim_id=claim_id,
            store_id=store_id,
            key_id=key_id,
            expires_at=_EPOCH + timedelta(microseconds=expires_us),
            nonce=nonce,
        )

    def _sign(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, sha256).digest()


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64url(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
