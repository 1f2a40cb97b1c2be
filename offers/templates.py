"""The texts of creatives: words with placeholders, `{store}` or `{distance|close to you}`; `{{` and `}}` are braces.

What stands after the bar is said where the value is not known. Strict: a text that cannot be read is refused when it is
written, never when it is sent. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_ISOLATE: Final = "\u2069"
_CONTROLS: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Marks that turn the direction of what follows: in a shop's name they could turn our own text round."""
_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})
_GAP: Final = re.compile(r" {2,}")
_BEFORE_STOP: Final = re.compile(r" +([,.;:!?])")


class Placeholder(StrEnum):
    """What a text may ask for."""

    STORE = "store"
    DISTANCE = "distance"
    PRICE = "price"
    CODE = "code"
    ENDS = "ends"


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for a value, and what is said without one."""

    name: Placeholder
    otherwise: str


@lru_cache(maxsize=10_000)
def parse(text: str) -> tuple[str | Hole, ...]:
    """The text's pieces in order; ValueError with the column, from 1, of what cannot be read.

    >>> parse("{{{store}}} is {distance|near}")
    ('{', Hole(name=<Placeholder.STORE: 'store'>, otherwise=''), '} is ', \
Hole(name=<Placeholder.DISTANCE: 'distance'>, otherwise='near'))
    """
    pieces: list[str | Hole] = []
    words = ""
    at = 0
    while at < len(text):
        if text[at : at + 2] in {"{{", "}}"}:
            words += text[at]
            at += 2
        elif text[at] == "}":
            raise ValueError(f"column {at + 1}: this }} closes nothing; a brace is written }}}}")
        elif text[at] == "{":
            end = text.find("}", at)
            if end < 0 or "{" in text[at + 1 : end]:
                raise ValueError(f"column {at + 1}: this {{ is never closed; a brace is written {{{{")
            pieces += [words, _hole(text[at + 1 : end], at + 1)]
            words = ""
            at = end + 1
        else:
            words += text[at]
            at += 1
    return tuple(piece for piece in (*pieces, words) if piece != "")


def _hole(inside: str, column: int) -> Hole:
    name, _, otherwise = inside.partition("|")
    if name not in set(Placeholder):
        known = ", ".join(f"{{{one}}}" for one in Placeholder)
        raise ValueError(f"column {column}: {{{name[:40]}}} is not known; there are {known}")
    return Hole(Placeholder(name), otherwise)


def holes(texts: Iterable[str]) -> frozenset[Placeholder]:
    """All that these texts ask for."""
    return frozenset(piece.name for text in texts for piece in parse(text) if isinstance(piece, Hole))


def fill(text: str, values: Mapping[Placeholder, str | None], *, right_to_left: bool = False) -> str:
    """The text with its values.

    Where directions of writing may meet, each value is isolated, so that none moves the words about it. A value that
    is not known leaves no double spaces behind.

    >>> fill("Coffee at {store}, {distance} away", {Placeholder.STORE: "Joe's"})
    "Coffee at Joe's, away"
    >>> fill("Coffee at {store}{code|}", {Placeholder.STORE: "Joe's"})
    "Coffee at Joe's"
    """
    pieces = parse(text)
    said = [(piece, piece if isinstance(piece, str) else values.get(piece.name) or piece.otherwise) for piece in pieces]
    isolate = right_to_left or any(_turns(words) for _, words in said)
    filled = "".join(
        f"{FIRST_STRONG_ISOLATE}{words}{POP_ISOLATE}" if isolate and isinstance(piece, Hole) and words else words
        for piece, words in said
    )
    if all(words for _, words in said):
        return filled
    return _BEFORE_STOP.sub(r"\1", _GAP.sub(" ", filled)).strip()


def _turns(words: str) -> bool:
    return not words.isascii() and any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in words)


def plain(words: str) -> str:
    """Somebody's own words without line breaks and without marks that turn the direction of writing."""
    return " ".join(_CONTROLS.sub("", words).split())
