"""What a campaign says to one reader: the creative of their language, with the values as their language writes them.

Babel knows the languages; a locale that it does not know is read as English. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Final, assert_never

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_skeleton, format_time, get_datetime_format
from babel.numbers import format_currency, format_percent
from babel.units import format_unit

from offers.templates import Placeholder, fill, holes, plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from offers.definition import CampaignDefinition, Creative, Offer

KM_M: Final = 1_000.0
MILE_M: Final = 1_609.344
STEP: Final = 10
"""Metres, yards and feet are told in steps of so many: a phone knows no better."""
SMALL_UNITS: Final = {"US": ("length-foot", 0.3048), "LR": ("length-foot", 0.3048), "GB": ("length-yard", 0.9144)}
"""Where people think in miles, and what they think in below a tenth of one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageValues:
    """What is known when a message is written; what is None is said without."""

    store: str
    zone: ZoneInfo
    """The store's: `{ends}` is its wall time."""
    now: datetime
    distance_m: float | None = None
    code: str | None = None
    """Of a claim made for this very message."""
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    title: str
    body: str


def asks_for(definition: CampaignDefinition) -> frozenset[Placeholder]:
    """The values that any of the campaign's creatives uses: others need not be found out."""
    return holes(text for creative in definition.creatives for text in (creative.title, creative.body))


def say(definition: CampaignDefinition, locale: str | None, values: MessageValues) -> Text:
    """The campaign's words for a reader. A title that comes to nothing is the campaign's name."""
    creative = choose_creative(definition.creatives, locale)
    reader = locale if locale and script_of(locale) == script_of(creative.locale) else creative.locale
    asked = _asked_by(creative.title, creative.body)
    said = {name: _value(name, definition.offer, locale_of(reader), values) for name in asked}
    rtl = _is_right_to_left(creative.locale)
    return Text(
        title=fill(creative.title, said, right_to_left=rtl) or definition.name,
        body=fill(creative.body, said, right_to_left=rtl),
    )


def choose_creative(creatives: Sequence[Creative], locale: str | None) -> Creative:
    """The text in the reader's language: the same locale, else language and script, else the language, else the first.

    A reader of zh-HK or zh-TW gets zh-Hant before zh, one of zh or zh-CN gets zh-Hans or zh before zh-Hant.
    """
    if not locale or len(creatives) == 1:
        return creatives[0]
    wanted, script = _parts(locale), script_of(locale)

    def distance(creative: Creative) -> tuple[int, int]:
        theirs = _parts(creative.locale)
        if theirs == wanted:
            return 0, 0
        if script_of(creative.locale) != script:
            return (2, 0) if theirs[0] == wanted[0] else (3, 0)
        # of several countries' texts the reader's, else the one that is for no country
        country = territory_of(creative.locale)
        return 1, 0 if country == territory_of(locale) else 1 if country is None else 2

    return min(creatives, key=distance)


def _parts(tag: str) -> tuple[str, ...]:
    return tuple(tag.replace("_", "-").lower().split("-"))


def territory_of(tag: str) -> str | None:
    return next((part.upper() for part in _parts(tag)[1:] if len(part) == 2), None)  # noqa: PLR2004 - ISO 3166


@lru_cache(maxsize=1_000)
def script_of(tag: str) -> tuple[str, str]:
    """Language and script of a locale, the script as Unicode's likely subtags have it.

    >>> script_of("zh-HK"), script_of("zh"), script_of("fi-FI")
    (('zh', 'Hant'), ('zh', 'Hans'), ('fi', 'Latn'))
    """
    language, *rest = _parts(tag)
    script = next((part.title() for part in rest if len(part) == 4 and part.isalpha()), None)  # noqa: PLR2004 - ISO 15924
    if script is None:
        likely = get_global("likely_subtags")
        found = likely.get(f"{language}_{territory_of(tag)}") or likely.get(language) or f"{language}_Latn"
        script = found.split("_")[1]
    return language, script


@lru_cache(maxsize=1_000)
def locale_of(tag: str) -> Locale:
    """How numbers and times are written; English for a language that nobody described."""
    language, script = script_of(tag)
    territory = territory_of(tag)
    for parts in ((language, script, territory), (language, None, territory), (language, script), (language,)):
        try:
            return Locale.parse("_".join(part for part in parts if part))
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")


@lru_cache(maxsize=1_000)
def _is_right_to_left(tag: str) -> bool:
    return bool(locale_of(tag).text_direction == "rtl")


@lru_cache(maxsize=10_000)
def _asked_by(title: str, body: str) -> frozenset[Placeholder]:
    return holes((title, body))


def _value(name: Placeholder, offer: Offer, locale: Locale, values: MessageValues) -> str | None:
    match name:
        case Placeholder.STORE:
            return plain(values.store) or None
        case Placeholder.DISTANCE:
            return None if values.distance_m is None else distance_text(values.distance_m, locale)
        case Placeholder.PRICE:
            return price_text(offer, locale)
        case Placeholder.CODE:
            return None if values.code is None else plain(values.code)
        case Placeholder.ENDS:
            return None if values.ends_at is None else ends_text(values.ends_at, values, locale)
    assert_never(name)


def price_text(offer: Offer, locale: Locale) -> str | None:
    """What the offer is worth: money, or a share; None for a gift without a value."""
    if not offer.has_price:
        return None
    value = Decimal(str(offer.value))
    if offer.kind == "percentage":
        return format_percent(value / 100, locale=locale, decimal_quantization=False)
    return format_currency(value, str(offer.currency), locale=locale)


def distance_text(distance_m: float, locale: Locale) -> str:
    """As people there tell it.

    >>> distance_text(287, Locale("en")), distance_text(1_240, Locale("fi")), distance_text(700, Locale("en", "US"))
    ('290 m', '1,2 km', '0.4 mi')
    """
    small, small_m = SMALL_UNITS.get(locale.territory or "", ("length-meter", 1.0))
    large, large_m = ("length-mile", MILE_M) if small_m != 1.0 else ("length-kilometer", KM_M)
    far = distance_m >= (MILE_M / 10 if small_m != 1.0 else KM_M - STEP / 2)
    number = round(distance_m / large_m, 1) if far else max(STEP, round(distance_m / small_m / STEP) * STEP)
    return str(format_unit(number, large if far else small, length="short", locale=locale))


def ends_text(ends_at: datetime, values: MessageValues, locale: Locale) -> str:
    """The store's wall time, with the day unless it is today there."""
    local = ends_at.astimezone(values.zone)
    time = str(format_time(local, "short", tzinfo=values.zone, locale=locale))
    if local.date() == values.now.astimezone(values.zone).date():
        return time
    # in figures: names of days and months depend on which languages babel has read before
    day = str(format_skeleton("Md", local, tzinfo=values.zone, locale=locale))
    joined = str(get_datetime_format("short", locale=locale)).replace("'", "")
    return joined.replace("{0}", time).replace("{1}", day)
