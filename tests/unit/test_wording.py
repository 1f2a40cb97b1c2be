"""What a campaign says to readers of different languages: the creative they get, and how its values are written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel import Locale, localedata

from offers.definition import CampaignDefinition
from offers.templates import FIRST_STRONG_ISOLATE as FSI
from offers.templates import POP_ISOLATE as PDI
from offers.wording import MessageValues, asks_for, choose_creative, distance_text, ends_text, price_text, say

HELSINKI = ZoneInfo("Europe/Helsinki")
NOON = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
ALL = "{store} {distance} {price} {ends} {code}"
LUNCH: dict[str, Any] = {"kind": "amount", "value": 2.5, "currency": "EUR"}


def campaign(*creatives: tuple[str, str], offer: dict[str, Any] | None = None) -> CampaignDefinition:
    return CampaignDefinition.model_validate(
        {
            "name": "Lunch",
            "offer": offer or LUNCH,
            "creatives": [{"locale": locale, "title": title} for locale, title in creatives],
        }
    )


def values(**more: Any) -> MessageValues:
    given = {
        "store": "Kahvila",
        "zone": HELSINKI,
        "now": NOON,
        "distance_m": 287.0,
        "code": "K7-Q2",
        "ends_at": NOON + timedelta(hours=2, minutes=30),
        **more,
    }
    return MessageValues(**given)


@pytest.mark.parametrize(
    ("reader", "gets"),
    [
        ("zh-Hant", "zh-Hant"), ("zh-TW", "zh-Hant"), ("zh-HK", "zh-HK"), ("zh-Hant-HK", "zh-HK"),
        ("zh_TW", "zh-Hant"), ("zh-MO", "zh-Hant"), ("zh", "zh-Hans"), ("zh-CN", "zh-Hans"), ("zh-SG", "zh-Hans"),
        ("zh-Hans-HK", "zh-Hans"), ("fi-FI", "fi"), ("fi", "fi"), ("ar-EG", "ar"), ("AR", "ar"), ("en-GB", "en-GB"),
        ("en-US", "en-GB"), ("de", "sv"), (None, "sv"), ("", "sv"), ("qq-QQ", "sv"),
    ],
)  # fmt: skip
def test_a_reader_gets_the_nearest_language(reader: str | None, gets: str) -> None:
    locales = ("sv", "zh-Hans", "zh-HK", "zh-Hant", "fi", "ar", "en-GB")
    definition = campaign(*((locale, locale) for locale in locales))
    assert choose_creative(definition.creatives, reader).locale == gets


@pytest.mark.parametrize(
    ("reader", "gets"),
    [("zh-HK", "zh-CN"), ("zh-TW", "zh-CN"), ("zh", "zh-CN"), ("sr-Latn", "sr")],
)
def test_another_script_of_the_language_is_better_than_another_language(reader: str, gets: str) -> None:
    definition = campaign(("en", "a"), ("zh-CN", "b"), ("sr", "c"))
    assert choose_creative(definition.creatives, reader).locale == gets


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en", "Kahvila 290 m €2.50 2:30\u202fPM K7-Q2"),
        ("en-GB", "Kahvila 0.2 mi €2.50 14:30 K7-Q2"),
        ("fi", "Kahvila 290 m 2,50\xa0€ 14.30 K7-Q2"),
        ("zh-Hans", "Kahvila 290米 €2.50 14:30 K7-Q2"),
        ("zh-Hant", "Kahvila 290 公尺 €2.50 下午2:30 K7-Q2"),
        ("ar", f"{FSI}Kahvila{PDI} {FSI}290 مترًا{PDI} {FSI}\u200f2.50\xa0€{PDI} {FSI}2:30 م{PDI} {FSI}K7-Q2{PDI}"),
    ],
)
def test_values_are_written_as_the_language_writes_them(locale: str, said: str) -> None:
    assert say(campaign((locale, ALL)), None, values()).title == said


def test_a_readers_country_counts_where_the_language_is_theirs() -> None:
    definition = campaign(("en", "{ends}"))
    assert say(definition, "en-GB", values()).title == "14:30"
    assert say(definition, "fi-FI", values()).title == "2:30\u202fPM"


@pytest.mark.parametrize(("locale", "said"), [("en", "6/2, 2:30\u202fPM"), ("fi", "2.6. 14.30"), ("zh", "6/2 14:30")])
def test_an_end_on_another_day_is_told_with_its_day(locale: str, said: str) -> None:
    later = values(ends_at=NOON + timedelta(days=1, hours=2, minutes=30))
    assert say(campaign((locale, "{ends}")), None, later).title == said


def test_today_is_the_stores_today() -> None:
    # half past midnight in Helsinki, the day before in UTC
    late = values(now=NOON.replace(hour=22), ends_at=NOON.replace(hour=23))
    assert say(campaign(("fi", "{ends}")), None, late).title == "2.00"


def test_shares_keep_their_decimals() -> None:
    offer = {"kind": "percentage", "value": 12.5}
    said = [say(campaign((tag, "{price}"), offer=offer), None, values()).title for tag in ("en", "fi")]
    assert said == ["12.5%", "12,5\xa0%"]


def test_a_title_that_comes_to_nothing_is_the_campaigns_name() -> None:
    assert say(campaign(("en", "{code}")), None, values(code=None)).title == "Lunch"


def test_only_what_is_asked_for_need_be_found_out() -> None:
    assert asks_for(campaign(("en", "Hi"), ("fi", "{distance|} {store}"))) == {"distance", "store"}


@pytest.mark.parametrize("identifier", sorted(localedata.locale_identifiers())[::7])
def test_every_seventh_language_of_unicode_writes_all_values(identifier: str) -> None:
    locale = Locale.parse(identifier)
    offer = campaign(("en", "x")).offer
    later = values(ends_at=NOON + timedelta(days=1))
    assert all(
        (distance_text(287, locale), distance_text(12_345, locale), price_text(offer, locale),
         ends_text(NOON, later, locale), ends_text(NOON + timedelta(days=1), later, locale))
    )  # fmt: skip
