"""Codes: every single wrong character and every swap of two is caught; typing is forgiven; hashes are keyed."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offers.codes import ALPHABET, LENGTH, CodeBook, new_code, read, shown, with_check

CODES = st.text(alphabet=ALPHABET, min_size=LENGTH - 1, max_size=LENGTH - 1).map(with_check)
LOOK_ALIKES = {
    "0": "D",
    "O": "D",
    "Q": "D",
    "1": "7",
    "I": "7",
    "L": "7",
    "Z": "2",
    "S": "5",
    "G": "6",
    "B": "8",
    "U": "V",
}


def test_the_alphabet_has_no_look_alikes_and_no_vowels() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 23
    assert not set(ALPHABET) & set("01OILAEUQBSZG")


def test_every_pair_of_characters_at_every_place_tells_a_wrong_code() -> None:
    """The check is linear: whether a change is seen depends only on the place and the two characters."""
    for place, (right, wrong) in product(range(LENGTH), product(ALPHABET, ALPHABET)):
        if right != wrong:
            code = _code_with({place: right})
            assert read(code) == code
            assert read(code[:place] + wrong + code[place + 1 :]) is None


def test_every_swap_of_two_unlike_characters_is_seen() -> None:
    for (i, j), (one, other) in product(combinations(range(LENGTH), 2), product(ALPHABET, ALPHABET)):
        if one != other:
            code = _code_with({i: one, j: other})
            swapped = list(code)
            swapped[i], swapped[j] = swapped[j], swapped[i]
            assert read(code) == code
            assert read("".join(swapped)) is None


def _code_with(wanted: dict[int, str]) -> str:
    """A code with these characters at these places."""
    free = next(place for place in range(LENGTH - 1) if place not in wanted)
    for filler in ALPHABET:
        random_part = "".join(wanted.get(i, filler if i == free else "2") for i in range(LENGTH - 1))
        code = with_check(random_part)
        if wanted.get(LENGTH - 1, code[-1]) == code[-1]:
            return code
    raise AssertionError("one of 23 fillers gives every check character")


@given(CODES)
def test_a_code_is_read_as_it_is_shown(code: str) -> None:
    assert read(shown(code)) == code
    assert read(f"  {shown(code).lower().replace('-', ' ')}\r\n") == code


@given(CODES, st.sampled_from(sorted(LOOK_ALIKES)))
def test_a_look_alike_is_read_as_what_it_looks_like(code: str, typed: str) -> None:
    assert read(code.replace(LOOK_ALIKES[typed], typed)) == code
    assert read(code.replace(LOOK_ALIKES[typed], typed.lower())) == code


@pytest.mark.parametrize(
    "text", ["", "2CDF", "A" * 12, "2CDF-HJKM-N3P6" * 9, "\u00df" * 6, "\u0662CDFHJKMN3P6", "-" * 12]
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert read(text) is None


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    code = read(text)
    assert code is None or (len(code) == LENGTH and read(code) == code)


def test_new_codes_are_good_and_use_the_whole_alphabet_everywhere() -> None:
    codes = [new_code() for _ in range(2_000)]
    assert all(read(code) == code for code in codes)
    assert len(set(codes)) == len(codes)
    for place in range(LENGTH):
        assert {code[place] for code in codes} == set(ALPHABET)


def test_hashes_differ_by_tenant_and_by_key() -> None:
    book, other = (CodeBook(key=key, seal=bytes, unseal=bytes) for key in (b"one", b"two"))
    hashes = {book.hash(1, "X"), book.hash(2, "X"), other.hash(1, "X"), book.hash(1, "Y")}
    assert len(hashes) == 4
    assert book.unsealed(book.sealed("2CDF")) == "2CDF"
