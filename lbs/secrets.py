"""What `LBS_SECRET_KEY` is used for: one derived key a purpose, and sealing what is stored encrypted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from lbs.settings import Settings

NONCE_BYTES = 12


def derive(settings: Settings, purpose: str) -> bytes:
    """32 bytes that only this installation knows, different for every purpose."""
    assert settings.secret_key is not None, "settings are resolved before use"
    secret = settings.secret_key.get_secret_value().encode()
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=f"lbs:{purpose}".encode()).derive(secret)


class Vault:
    """Seals small secrets for storage (AES-256-GCM). A changed `LBS_SECRET_KEY` makes `unseal` raise InvalidTag."""

    def __init__(self, settings: Settings) -> None:
        self._cipher = AESGCM(derive(settings, "vault"))

    def seal(self, plain: bytes) -> bytes:
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, None)

    def unseal(self, sealed: bytes) -> bytes:
        return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
