"""Texts with placeholders: what is refused and where, braces, values left out, and directions of writing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from offers.definition import CampaignDefinition
from offers.templates import FIRST_STRONG_ISOLATE, POP_ISOLATE, Placeholder, fill, parse, plain

ARABIC = "مقهى النور"
HEBREW = "קפה"


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("Coffee at {stroe}", 11, "not known"),
        ("Coffee at {store", 11, "never closed"),
        ("{store} and {", 13, "never closed"),
        ("{store {price}}", 1, "never closed"),
        ("20 % off} today", 9, "closes nothing"),
        ("{}", 1, "not known"),
        ("{ store }", 1, "not known"),
        ("{STORE}", 1, "not known"),
        ("{0}", 1, "not known"),
        ("{store!r}", 1, "not known"),
    ],
)
def test_a_text_that_cannot_be_read_is_refused_with_its_column(text: str, column: int, words: str) -> None:
    with pytest.raises(ValueError, match=f"^column {column}: .*{words}"):
        parse(text)


def test_a_campaign_names_the_creative_and_the_column_that_is_wrong() -> None:
    with pytest.raises(ValidationError) as refused:
        CampaignDefinition.model_validate(
            {
                "name": "Coffee",
                "offer": {"kind": "gift"},
                "creatives": [{"title": "Coffee"}, {"locale": "fi", "title": "Kahvia", "body": "Hei {kauppa}"}],
            }
        )
    (fault,) = refused.value.errors()
    assert fault["loc"] == ("creatives", 1, "body")
    assert "column 5" in fault["msg"]


def test_a_price_needs_an_offer_that_has_one() -> None:
    with pytest.raises(ValidationError, match=r"creatives\[0\] says \{price\}"):
        CampaignDefinition.model_validate(
            {"name": "Cake", "offer": {"kind": "gift"}, "creatives": [{"title": "Save {price}"}]}
        )


@given(st.text())
def test_any_text_can_be_written_with_doubled_braces(text: str) -> None:
    assert fill(text.replace("{", "{{").replace("}", "}}"), {}) == text


@given(st.text(alphabet="{}|sto re"))
def test_a_text_is_read_or_refused_and_nothing_else(text: str) -> None:
    try:
        pieces = parse(text)
    except ValueError:
        return
    assert all(piece for piece in pieces)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{store}, {distance} away", "Joe's, away"),
        ("{store} ({distance|close to you})", "Joe's (close to you)"),
        ("Code {code}, at {store}", "Code, at Joe's"),
        ("{code}", ""),
        ("Show {code|this message} at the till", "Show this message at the till"),
        ("two  spaces at {store}", "two  spaces at Joe's"),
    ],
)
def test_what_is_not_known_is_left_out_or_said_otherwise(text: str, said: str) -> None:
    assert fill(text, {Placeholder.STORE: "Joe's"}) == said


def isolated(words: str) -> str:
    return FIRST_STRONG_ISOLATE + words + POP_ISOLATE


@pytest.mark.parametrize(
    ("text", "store", "said"),
    [
        ("Coffee at {store}!", "Joe's", "Coffee at Joe's!"),
        ("{store}:咖啡八折", "星巴克", "星巴克:咖啡八折"),
        ("Coffee at {store}!", ARABIC, f"Coffee at {isolated(ARABIC)}!"),
        ("قهوة في {store}!", "Joe's 24/7", "قهوة في \u2068Joe's 24/7\u2069!"),
        ("{store} - 20 %", HEBREW, f"{isolated(HEBREW)} - 20 %"),
    ],
)
def test_values_are_isolated_where_directions_of_writing_may_meet(text: str, store: str, said: str) -> None:
    assert fill(text, {Placeholder.STORE: store}) == said


def test_a_shops_name_cannot_turn_our_own_words_round() -> None:
    assert plain("Joe\u202e's\u2069\n caf\u00e9") == "Joe's caf\u00e9"
