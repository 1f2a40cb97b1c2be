"""Passwords: what one must be, and how it is kept (argon2id). Comparing takes as long where there is none."""

from __future__ import annotations

import secrets
import unicodedata
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from lbs.errors import PasswordError

MIN_CHARACTERS: Final = 12
MAX_BYTES: Final = 1024
"""Enough for any sentence; hashing more would be work that anybody may ask for."""
RULE: Final = f"a password has at least {MIN_CHARACTERS} characters of any kind, and at most {MAX_BYTES} bytes (UTF-8)"


class Passwords:
    """Hashes as OWASP asks at least: 19 MiB, two passes, one lane. The process has positions to take meanwhile."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)

    def hash(self, password: str) -> str:
        """What is stored; PasswordError, which says the rule."""
        typed = _typed(password)
        if len(password) > MAX_BYTES or len(typed) < MIN_CHARACTERS or len(typed.encode()) > MAX_BYTES:
            raise PasswordError(RULE)
        return self._hasher.hash(typed)

    def matches(self, stored: str | None, password: str) -> bool:
        """Without a stored hash the same work is done, and the answer is no."""
        try:
            self._hasher.verify(stored or self._nobodys, _typed(password))
        except VerificationError:
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Whether it was made with parameters that are no longer ours."""
        return self._hasher.check_needs_rehash(stored)

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(secrets.token_urlsafe())


def _typed(password: str) -> str:
    """The same password whichever keyboard composed its letters; no more of it than one can have."""
    return unicodedata.normalize("NFKC", password[: MAX_BYTES + 1])
