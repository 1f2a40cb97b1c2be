"""The world of `lbs bench nearby`: stores about real cities with hours and words, campaigns with windows, questions.

Seeded, so repeatable. Everything goes into the product's own tables; what PostGIS needs of windows and opening hours
is kept beside, as weekdays and times of day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy as sa

from geofences.geodesy import wrapped_deg
from geofences.model import LatLng
from geofences.places import StoreInput, put_stores
from geofences.zones import zone, zones_at
from lbs import clock
from lbs.bench.engine_workload import largest_cities, moved
from lbs.connections import Role, database
from offers.definition import CampaignDefinition
from offers.model import CampaignStatus
from offers.tables import campaign_stores, campaigns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from geofences.model import StoreId
    from lbs.bench.home import BenchHome

SEED: Final = 11
CITIES: Final = 400
NEAR_M: Final = 500.0
"""How far from a store a shopper stands who asks, about."""
K: Final = 20
MOST_STORES: Final = 60
"""Stores of a campaign, at most."""
HOURLESS: Final = 0.15
LIMITED, SOLD_OUT = 0.1, 0.3
"""Campaigns with a limited stock, and how many of these have none left."""
WHILE_OPEN: Final = 0.3
ALWAYS_ON: Final = 0.3
SCHEDULES: Final = 200
"""Different windows: marketers use the same ones over and over."""
CHUNK: Final = 2_000

DAYS: Final = ("mo", "tu", "we", "th", "fr", "sa", "su")
KINDS: Final = (
    "cafe", "restaurant", "bakery", "pharmacy", "supermarket", "books", "shoes", "florist", "optician", "cinema",
    "hotel", "bar", "toys", "bicycle", "jewelry",
)  # fmt: skip
BRANDS: Final = 300
RARE: Final = "quetzalcoatl"
RARE_STORES: Final = 20
"""Of all stores: what a word is that hardly any store has."""


@dataclass(frozen=True, slots=True)
class Span:
    """Local [start, end) minutes of the day on some weekdays, 0 being Monday."""

    days: tuple[int, ...]
    start: int
    end: int

    def time(self, minutes: int) -> str:
        return f"{minutes // 60:02}:{minutes % 60:02}"

    @property
    def hours(self) -> str:
        """As OSM writes it."""
        return f"{','.join(DAYS[day].title() for day in self.days)} {self.time(self.start)}-{self.time(self.end)}"

    @property
    def weekly(self) -> dict[str, Any]:
        return {"days": [DAYS[day] for day in self.days], "start": self.time(self.start), "end": self.time(self.end)}


@dataclass(frozen=True, slots=True)
class Question:
    origin: LatLng
    radius_m: float | None = None
    text: str | None = None
    category: str | None = None


@dataclass(frozen=True, slots=True)
class World:
    """What was put into the database; rows of windows and hours are (id, weekday, start, end in minutes)."""

    windows: list[tuple[int, int, int, int]]
    hours: list[tuple[int, int, int, int]]
    questions: dict[str, list[Question]]


def build(
    home: BenchHome, *, stores: int, campaign_count: int, questions: int, now: datetime, say: Callable[[str], None]
) -> World:
    """Puts the world into the home's database."""
    rng = np.random.default_rng(SEED)
    rows, spans = _stores(rng, stores, _alike_zones(home, now))
    system = database(home.settings, Role.SYSTEM)
    with system.begin() as connection:
        done = put_stores(connection, tenant_id=home.tenant_id, rows=rows, now=clock.now())
    ids = [done[row.external_id][0] for row in rows]
    say(f"{stores:,} stores")
    with system.begin() as connection:
        windows = _put_campaigns(connection, rng, home, ids, campaign_count)
    system.dispose()
    say(f"{campaign_count:,} campaigns")
    hours = [
        (int(store_id), day, span.start, span.end)
        for store_id, of_store in zip(ids, spans, strict=True)
        for span in of_store
        for day in span.days
    ]
    return World(windows, hours, _questions(rng, rows, questions))


def _alike_zones(home: BenchHome, now: datetime) -> Callable[[str], bool]:
    """Zones in which PostgreSQL's own database has the same time now: an older one differs in some."""
    admin = database(home.settings, Role.ADMIN)
    with admin.begin() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT name, extract(epoch FROM (:at AT TIME ZONE name) - (:at AT TIME ZONE 'UTC'))"
                " FROM pg_timezone_names"
            ),
            {"at": now},
        )
        theirs = {name: float(seconds) for name, seconds in rows}
    admin.dispose()

    def alike(name: str) -> bool:
        offset = now.astimezone(zone(name)).utcoffset()
        assert offset is not None
        return theirs.get(name) == offset.total_seconds()

    return alike


def _stores(
    rng: np.random.Generator, n: int, alike: Callable[[str], bool]
) -> tuple[list[StoreInput], list[tuple[Span, ...]]]:
    cities = largest_cities(CITIES)
    zones = zones_at(cities.lat, cities.lng)
    weight = np.where([alike(name) for name in zones], cities.weight, 0.0)
    city = rng.choice(len(zones), n, p=weight / weight.sum())
    lat, lng = cities.places(rng, city)
    lng = wrapped_deg(lng)
    patterns = [_opening_hours(rng) for _ in range(SCHEDULES)]
    rare = set(rng.choice(n, min(RARE_STORES, n), replace=False).tolist())
    rows, spans = [], []
    for i in range(n):
        kind, brand = KINDS[rng.integers(len(KINDS))], f"Brand{rng.integers(BRANDS)}"
        of_store = () if rng.random() < HOURLESS else patterns[rng.integers(SCHEDULES)]
        rows.append(
            StoreInput(
                external_id=f"s{i}",
                name=f"{brand} {kind.title()} {RARE.title() if i in rare else ''}".strip(),
                location=LatLng(lat=float(lat[i]), lng=float(lng[i])),
                timezone=zones[city[i]],
                brand=brand,
                categories=(kind,),
                address=f"{rng.integers(1, 300)} Street{rng.integers(500)}",
                opening_hours="; ".join(span.hours for span in of_store) or None,
            )
        )
        spans.append(of_store)
    return rows, spans


def _opening_hours(rng: np.random.Generator) -> tuple[Span, ...]:
    start, end = 15 * int(rng.integers(24, 44)), 15 * int(rng.integers(64, 92))
    week = Span((0, 1, 2, 3, 4), start, end)
    later = Span((5,), start + 60, end - 60)
    return (week, later, Span((6,), start + 120, end - 120)) if rng.random() < 0.5 else (week, later)  # noqa: PLR2004 - half


def _put_campaigns(
    connection: sa.Connection, rng: np.random.Generator, home: BenchHome, ids: Sequence[StoreId], n: int
) -> list[tuple[int, int, int, int]]:
    """Live campaigns in bulk; their windows, row by row."""
    schedules = [_schedule(rng) for _ in range(SCHEDULES)]
    now = clock.now()
    windows: list[tuple[int, int, int, int]] = []
    for begin in range(0, n, CHUNK):
        chosen = [schedules[rng.integers(SCHEDULES)] for _ in range(begin, min(begin + CHUNK, n))]
        values = [_campaign(rng, spans, begin + i) for i, spans in enumerate(chosen)]
        found = connection.execute(
            sa.insert(campaigns).returning(campaigns.c.campaign_id, sort_by_parameter_order=True),
            [
                {
                    "tenant_id": home.tenant_id,
                    "created_by": "bench",
                    "updated_by": "bench",
                    "created_at": now,
                    "updated_at": now,
                    **value,
                }
                for value in values
            ],
        )
        campaign_ids = list(found.scalars())
        targets = [
            {"tenant_id": home.tenant_id, "campaign_id": campaign_id, "store_id": ids[row]}
            for campaign_id in campaign_ids
            for row in set(rng.integers(len(ids), size=rng.integers(1, MOST_STORES + 1)).tolist())
        ]
        connection.execute(sa.insert(campaign_stores), targets)
        windows += [
            (campaign_id, day, span.start, span.end)
            for campaign_id, spans in zip(campaign_ids, chosen, strict=True)
            for span in spans
            for day in span.days
        ]
    return windows


def _schedule(rng: np.random.Generator) -> tuple[Span, ...]:
    """Some hours on some weekdays; none: always."""
    if rng.random() < ALWAYS_ON:
        return ()
    days = tuple(sorted(set(rng.integers(7, size=rng.integers(1, 10)).tolist())))
    start = 15 * int(rng.integers(0, 80))
    return (Span(days, start, start + 15 * int(rng.integers(4, 16))),)


def _campaign(rng: np.random.Generator, spans: tuple[Span, ...], number: int) -> dict[str, Any]:
    limited = rng.random() < LIMITED
    kind = "percentage" if rng.random() < 0.5 else "amount"  # noqa: PLR2004 - half
    definition = CampaignDefinition.model_validate(
        {
            "name": f"Campaign {number}",
            "windows": {
                "weekly": [span.weekly for span in spans],
                "only_while_open": bool(rng.random() < WHILE_OPEN),
            },
            "offer": {"kind": kind, "value": int(rng.integers(1, 50)), "currency": "EUR"},
            "creatives": [{"title": f"{KINDS[rng.integers(len(KINDS))].title()} deal {number}"}],
            "stock": 10 if limited else None,
        }
    )
    return {
        "name": definition.name,
        "status": CampaignStatus.LIVE,
        "trigger_type": definition.trigger.type,
        "stock": definition.stock,
        "reserved": 10 if limited and rng.random() < SOLD_OUT else 0,
        "definition": definition.model_dump(mode="json"),
    }


def _questions(rng: np.random.Generator, rows: Sequence[StoreInput], n: int) -> dict[str, list[Question]]:
    def somewhere() -> LatLng:
        store = rows[int(rng.integers(len(rows)))].location
        north_m, east_m = rng.normal(size=2) * NEAR_M
        lat, lng = moved(np.array([store.lat]), np.array([store.lng]), north_m, east_m)
        return LatLng(lat=float(lat[0]), lng=float(wrapped_deg(lng)[0]))

    def word() -> str:
        return KINDS[rng.integers(len(KINDS))]

    return {
        "nearest": [Question(somewhere()) for _ in range(n)],
        "within 1 km": [Question(somewhere(), radius_m=1_000.0) for _ in range(n)],
        "within 5 km": [Question(somewhere(), radius_m=5_000.0) for _ in range(n)],
        "category": [Question(somewhere(), category=word()) for _ in range(n)],
        "word": [Question(somewhere(), text=word()) for _ in range(n)],
        "two words within 5 km": [
            Question(somewhere(), radius_m=5_000.0, text=f"{word()} brand{rng.integers(1, 10)}") for _ in range(n)
        ],
        # PostGIS takes a second for each
        "rare word": [Question(somewhere(), text=RARE) for _ in range(max(10, n // 8))],
    }


def instants(now: datetime, n: int) -> list[datetime]:
    """When each question is asked: time goes on while they are."""
    return [now.astimezone(UTC) + timedelta(milliseconds=100 * i) for i in range(n)]
