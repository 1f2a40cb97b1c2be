"""The campaigns of the sample city: one for every way an offer is made, and for most reasons why it is not.

Two of them ask nothing of the time of day, so that offers are made at night too, when real shops are closed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from lbs.demo.city import TIMEZONE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbs.demo.city import City, Shop

WORKING_DAYS: Final = ["mo", "tu", "we", "th", "fr"]
EVERY_DAY: Final = [*WORKING_DAYS, "sa", "su"]
FOOD: Final = ("restaurant", "fast_food")
FASHION: Final = ("clothes", "shoes", "boutique", "jewelry", "cosmetics", "beauty")
ALWAYS_ON: Final = ("cafe", *FASHION)
"""Categories whose campaigns ask nothing of the time of day: where the first walkers head."""
READY_BEFORE: Final = timedelta(seconds=15)
"""How long before a scheduled offer people must have been seen walking."""
ARRIVES_WITHIN: Final = timedelta(seconds=10)


def next_full_minute(now: datetime) -> datetime:
    """When the scheduled campaign starts: the first full minute for which there is time to get ready.

    >>> from datetime import UTC
    >>> next_full_minute(datetime(2026, 6, 1, 9, 0, 50, tzinfo=UTC)).isoformat()
    '2026-06-01T09:02:00+00:00'
    """
    minute = (now + READY_BEFORE).replace(second=0, microsecond=0)
    return minute + timedelta(minutes=1)


def definitions(city: City, *, scheduled_at: datetime) -> list[dict[str, Any]]:
    """Bodies for `POST /v1/campaigns`; the scheduled one fires at `scheduled_at` by the stores' own clocks."""
    lunch_hours = {"days": WORKING_DAYS, "start": "10:30", "end": "14:30"}
    happy_hours = {"days": EVERY_DAY, "start": "16:00", "end": "02:00"}
    local = scheduled_at.astimezone(ZoneInfo(TIMEZONE))
    return [
        _campaign(
            "Espresso at the door",
            city.of("cafe"),
            offer={"kind": "percentage", "value": 20, "terms": "One drink a person"},
            en=("20 % off at {store}", "You are at the door: any coffee, 20 % off."),
            fi=("{store}: -20 %", "Olet ovella: kaikki kahvit -20 %."),
        ),
        _campaign(
            "Style within reach",
            city.of(*FASHION),
            offer={"kind": "amount", "value": 10, "currency": "EUR", "min_spend": 50},
            en=("10 € off at {store}", "For purchases from 50 €."),
            fi=("{store}: 10 € alennus", "Yli 50 € ostoksista."),
            caps=[{"count": 2, "window_s": 600}],
        ),
        _campaign(
            "First come, first served",
            city.of("cafe", "bakery", "confectionery", "tea"),
            offer={"kind": "gift", "terms": "While stocks last"},
            en=("A cinnamon bun at {store}", "One of 25, free with any drink."),
            fi=("{store}: korvapuusti", "Yksi 25:stä, ilmaiseksi juoman kanssa."),
            stock=25,
            min_confidence=0.8,
        ),
        _campaign(
            "Weekday lunch",
            city.of(*FOOD),
            offer={"kind": "percentage", "value": 15},
            en=("Lunch at {store}", "15 % off until half past two."),
            fi=("{store}: lounas", "-15 % puoli kolmeen asti."),
            windows={"weekly": [lunch_hours]},
        ),
        _campaign(
            "While the doors are open",
            [shop for shop in city.of(*FOOD, "supermarket", "convenience", "kiosk", "books") if shop.has_hours],
            offer={"kind": "percentage", "value": 10},
            en=("{store} is open", "Come in: 10 % off right now."),
            fi=("{store} on auki", "Tule sisään: -10 % juuri nyt."),
            windows={"only_while_open": True},
        ),
        _campaign(
            "Stay for another round",
            city.of("bar", "pub", "nightclub"),
            trigger={"type": "dwell"},
            offer={"kind": "amount", "value": 3, "currency": "EUR"},
            en=("Another round at {store}?", "3 € off, because you stayed."),
            fi=("{store}: toinen kierros?", "3 € alennus, koska viihdyit."),
            windows={"weekly": [happy_hours]},
        ),
        _campaign(
            "Come back soon",
            city.of("hairdresser", "optician", "interior_decoration", "furniture"),
            trigger={"type": "exit"},
            offer={"kind": "percentage", "value": 25, "valid_after_claim_s": 7 * 86_400},
            en=("Thanks for looking in at {store}", "25 % off, this week."),
            fi=("{store}: kiitos käynnistä", "-25 % tällä viikolla."),
        ),
        _campaign(
            f"On the stroke of {local:%H:%M}",
            city.of("cinema", "theatre", "mall"),
            trigger={"type": "scheduled", "at": f"{local:%H:%M}", "radius_m": 400, "seen_within_s": 300},
            offer={"kind": "other", "terms": "Two for one"},
            en=("Tonight at {store}", f"It is {local:%H:%M}: two tickets for one."),
            fi=("{store}: tänään", f"Kello on {local:%H.%M}: kaksi yhden hinnalla."),
        ),
    ]


def _campaign(
    name: str,
    shops: Iterable[Shop],
    *,
    offer: dict[str, Any],
    en: tuple[str, str],
    fi: tuple[str, str],
    **more: Any,
) -> dict[str, Any]:
    return {
        "name": name,
        "stores": [shop.external_id for shop in shops],
        "offer": offer,
        "creatives": [
            {"locale": locale, "title": title, "body": body} for locale, (title, body) in (("en", en), ("fi", fi))
        ],
        **more,
    }
