"""Words are found as people type them: without case, accents, widths or spaces, from their beginning, in any order."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofences.words import all_in, fold, searchable, words


def finds(question: str, *texts: str) -> bool:
    wanted = words(question)
    return bool(wanted) and all_in(wanted, searchable(*texts))


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("cafe", "Café Ursula"),
        ("CAFÉ", "cafe"),
        ("kahvila", "Kahvila Ekberg"),
        ("strasse", "Hauptstraße 3"),
        ("STRASSE", "Straße"),
        ("straße", "STRASSE"),
        ("isparta", "ISPARTA"),
        ("isparta", "\u0130sparta"),
        ("\u0131sparta", "Isparta"),
        ("IGDIR", "I\u011fd\u0131r"),
        ("orsted", "Ørsted"),
        ("lodz", "Łódź"),
        ("elka", "E\u0301lka"),
        ("мой", "МОИ"),
        ("kfc", "\uff2b\uff26\uff23"),
        ("バー", "ﾊﾞｰ"),
        ("mcdonalds", "McDonald's"),
        ("mcdonald\u2019s", "McDonalds"),
        ("h&m", "H&M"),
    ],
)
def test_what_people_leave_out_does_not_matter(question: str, text: str) -> None:
    assert finds(question, text)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("urs", True),
        ("ursula cafe", True),
        ("cafe ehrenstrom 3", True),
        ("node 596", True),
        ("node/59631978", True),
        ("sula", True),
        ("ula", False),
        ("cafe ekberg", False),
        ("3a", False),
        ("", False),
        ("!?", False),
    ],
)
def test_words_come_in_any_order_by_their_beginnings_long_ones_from_inside(question: str, *, found: bool) -> None:
    assert finds(question, "Café Ursula", "Ehrenströmintie 3", "node/59631978") is found


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("星巴克", True),
        ("星", True),
        ("巴克", True),
        ("国贸", True),
        ("星巴克国贸店", True),
        ("国贸星巴克", True),
        ("國貿", True),
        ("星巴克 coffee", True),
        ("coffee", True),
        ("麦当劳", False),
        ("星店", False),
        ("克国", False),
    ],
)
def test_chinese_needs_no_spaces_and_neither_script(question: str, *, found: bool) -> None:
    assert finds(question, "星巴克Coffee\uff08国贸店\uff09") is found
    assert finds(question, "星巴克Coffee\uff08國貿店\uff09") is found


def test_a_syllable_of_another_script_keeps_its_marks() -> None:
    assert not finds("か", "がっこう")
    assert finds("한국", "한국은행")
    assert finds("กาแฟ", "ร้านกาแฟสด")


@given(st.text())
def test_a_text_is_folded_once_for_all(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.lists(st.text(st.characters(categories=["Ll", "Lu", "Lo", "Nd"]), min_size=1), min_size=1, max_size=4))
def test_a_text_is_found_by_its_own_words_in_any_order_and_form(parts: list[str]) -> None:
    text = " ".join(parts)
    for form in ("NFC", "NFD"):
        question = unicodedata.normalize(form, " ".join(reversed(parts)))
        assert finds(question, text) or not words(question)
