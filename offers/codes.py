"""The codes that shoppers show at the till: how they are made, read and recognised. Pure.

Eleven random characters of 23 and one check character, `2CDF-HJKM-N3P6`: 49.8 random bits. The weighted sum of all
twelve is 0 modulo the prime 23, with weights 1 to 12, so that every wrong character and every two that are swapped, be
they neighbours or not, are caught. No vowels, hence no words; of characters that look alike only one is used, and the
others are read as it.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

ALPHABET: Final = "23456789CDFHJKMNPRTVWXY"
LENGTH: Final = 12
RANDOM: Final = LENGTH - 1
GROUP: Final = 4
TAIL: Final = 4
"""So many of the last characters are kept in plain text, for statements."""
MOST_TYPED: Final = 64
"""Longer text is no code, however many spaces are in it."""

_PRIME: Final = len(ALPHABET)
_VALUE: Final = {character: value for value, character in enumerate(ALPHABET)}
_LOOK_ALIKE: Final = str.maketrans("ZSGBUOQ0IL1", "2568VDDD777")
_HYPHENS: Final = str.maketrans("", "", "-\u2010\u2011\u2012\u2013\u2014")


def new_code() -> str:
    """Twelve characters without hyphens, from the operating system's randomness."""
    return with_check("".join(secrets.choice(ALPHABET) for _ in range(RANDOM)))


def with_check(random_part: str) -> str:
    """Eleven characters and the one that makes them a code.

    >>> shown(with_check("2CDFHJKMN3P"))
    '2CDF-HJKM-N3P6'
    """
    weighted = _weighted(random_part)
    return random_part + ALPHABET[-weighted * pow(LENGTH, -1, _PRIME) % _PRIME]


def read(text: str) -> str | None:
    """The code that somebody typed or scanned; None if it is none.

    Case, spaces and hyphens do not matter, and look-alikes are read as what they look like: 0, O and Q as D; 1, I and L
    as 7; Z, S, G, B, U as 2, 5, 6, 8, V.

    >>> read(" 2cdf hjkm-n3p6 "), read("zCDFHJKMN3P6"), read("2CDF-HJKM-N3P3"), read("")
    ('2CDFHJKMN3P6', '2CDFHJKMN3P6', None, None)
    """
    if len(text) > MOST_TYPED:
        return None
    code = "".join(text.split()).translate(_HYPHENS).upper().translate(_LOOK_ALIKE)
    if len(code) != LENGTH or any(character not in _VALUE for character in code):
        return None
    return None if _weighted(code) % _PRIME else code


def shown(code: str) -> str:
    """In groups, for people."""
    return "-".join(code[start : start + GROUP] for start in range(0, LENGTH, GROUP))


def _weighted(characters: str) -> int:
    return sum(weight * _VALUE[character] for weight, character in enumerate(characters, start=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBook:
    """How codes are stored: a keyed hash to find them by, and sealed text to show them again."""

    key: bytes = field(repr=False)
    seal: Callable[[bytes], bytes] = field(repr=False)
    unseal: Callable[[bytes], bytes] = field(repr=False)

    def hash(self, tenant_id: int, code: str) -> bytes:
        """The same code of two tenants has two hashes, and without the key a hash tells nothing."""
        return hmac.new(self.key, f"{tenant_id}:{code}".encode(), sha256).digest()

    def sealed(self, code: str) -> bytes:
        return self.seal(code.encode("ascii"))

    def unsealed(self, sealed: bytes) -> str:
        return self.unseal(sealed).decode("ascii")
