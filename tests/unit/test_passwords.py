"""Passwords are hashed with argon2id, by one rule."""

from __future__ import annotations

import pytest

from lbs.errors import PasswordError
from lbs.passwords import MAX_BYTES, MIN_CHARACTERS, Passwords

GOOD = "correct horse battery staple"


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


def test_a_hash_names_its_algorithm_and_differs_each_time(passwords: Passwords) -> None:
    first, second = passwords.hash(GOOD), passwords.hash(GOOD)
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert first != second
    assert passwords.matches(first, GOOD)
    assert passwords.matches(second, GOOD)


def test_another_password_does_not_match(passwords: Passwords) -> None:
    stored = passwords.hash(GOOD)
    assert not passwords.matches(stored, GOOD.upper())
    assert not passwords.matches(stored, "")


def test_where_none_is_stored_none_matches(passwords: Passwords) -> None:
    assert not passwords.matches(None, GOOD)


@pytest.mark.parametrize("password", ["x" * MIN_CHARACTERS, "x" * MAX_BYTES, "ä" * (MAX_BYTES // 2), " " * 12])
def test_any_characters_will_do(passwords: Passwords, password: str) -> None:
    assert passwords.matches(passwords.hash(password), password)


@pytest.mark.parametrize(
    "password", ["", "x" * (MIN_CHARACTERS - 1), "x" * (MAX_BYTES + 1), "ä" * MAX_BYTES, "x" * 10**6]
)
def test_too_short_and_too_long_ones_are_refused(passwords: Passwords, password: str) -> None:
    with pytest.raises(PasswordError, match=f"at least {MIN_CHARACTERS} characters .* at most {MAX_BYTES} bytes"):
        passwords.hash(password)


def test_a_hash_of_other_costs_is_outdated(passwords: Passwords) -> None:
    stored = passwords.hash(GOOD)
    assert not passwords.is_outdated(stored)
    assert passwords.is_outdated(stored.replace("t=2", "t=1"))
