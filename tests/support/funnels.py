"""A made-up past of campaigns, row by row, and what their funnels must be, counted again one decision at a time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from geofences.periods import hour_of
from geofences.tables import devices, visits
from geofences.zones import zone
from offers.claim_tables import claims, redemptions
from offers.funnel import COUNTS, EVER
from offers.tables import decisions, notifications, places, reservations

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.api import Api, TestTenant

ZONES = ("Europe/Lisbon", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata")
CLOCK_CHANGES = (
    datetime(2026, 10, 3, 8, tzinfo=UTC),
    datetime(2026, 10, 24, 18, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
)
WINDOW_S = 7_200.0
PHONES = 40
NOWHERE = "Pacific/Auckland"
"""The zone of a place that is no store."""

Row = dict[str, Any]


@dataclass
class Past:
    """Rows as they stand in the database."""

    api: Api
    tenant: TestTenant
    rng: Random
    campaigns: list[int] = field(default_factory=list)
    stores: dict[int, str] = field(default_factory=dict)
    """With their zones."""
    targets: dict[int, set[int]] = field(default_factory=dict)
    persons: dict[int, str] = field(default_factory=dict)
    rows: dict[sa.Table, list[Row]] = field(default_factory=lambda: defaultdict(list))
    _last: int = 0

    @classmethod
    def invent(cls, api: Api, tenant: TestTenant, *, seed: int, moments: int) -> Past:
        past = cls(api, tenant, Random(seed))
        past._open_shops()
        for _ in range(moments):
            past._decide()
        for decision in past.rows[decisions]:
            past._follow(decision)
        past._store()
        return past

    def _number(self) -> int:
        self._last += 1
        return self.tenant.tenant_id * 1_000_000 + self._last

    def _open_shops(self) -> None:
        for i, zone_name in enumerate(ZONES):
            store = self.tenant.store(f"store-{i}", timezone=zone_name)
            self.stores[int(store["store_id"])] = zone_name
        some = sorted(self.stores)[:2]
        for stores in ([], some):
            answer = self.tenant.secret.post(
                "/v1/campaigns",
                json={
                    "name": "Coffee",
                    "offer": {"kind": "percentage", "value": 20},
                    "creatives": [{"title": "Coffee"}],
                    "stores": [str(store) for store in stores],
                    "attribution_s": WINDOW_S,
                },
            )
            assert answer.status_code == 201, answer.text
            self.campaigns.append(int(answer.json()["campaign_id"]))
            self.targets[self.campaigns[-1]] = set(stores or self.stores)
        for i in range(PHONES):
            device_id = self._number()
            vouched = self.rng.random() < 0.7
            named = f"user-{i // 6}" if i % 2 else None
            self.persons[device_id] = named if vouched and named else f"device {device_id}"
            self._add(
                devices,
                device_id=device_id,
                external_id=f"phone-{i}",
                external_user_id=named,
                user_vouched=vouched,
            )

    def _add(self, table: sa.Table, **row: Any) -> Row:
        self.rows[table].append({"tenant_id": self.tenant.tenant_id, **row})
        return self.rows[table][-1]

    def _decide(self) -> None:
        rng = self.rng
        at = rng.choice(CLOCK_CHANGES) + timedelta(minutes=rng.randrange(30 * 60), microseconds=rng.randrange(10**6))
        store_id = rng.choice([*self.stores, None])
        outcome = rng.choice(("offered", "offered", "offered", "held_out", "suppressed"))
        number = self._number()
        self._add(
            decisions,
            decision_id=number,
            shard=0,
            campaign_id=rng.choice(self.campaigns),
            campaign_version=1,
            device_id=rng.choice([*self.persons, 0]),  # 0: it was erased
            store_id=store_id,
            root_visit_id=rng.choice((number, None)),
            trigger_type="enter",
            outcome=outcome,
            reason={"offered": None, "held_out": "holdout"}.get(outcome, rng.choice(("cap", "window"))),
            gates=[],
            facts={},
            place_id=self.tenant.tenant_id * 1_000 + (store_id or 0) if store_id or rng.random() < 0.8 else None,
            event_at=at,
            decided_at=at,
        )

    def _follow(self, decision: Row) -> None:
        rng = self.rng
        if decision["outcome"] != "offered":
            return
        for channel in ("inbox", "webpush", "webhook")[: rng.randrange(4)] if decision["device_id"] else ():
            self._message(decision, channel, decision["decision_id"])
        if rng.random() < 0.1:
            self._message(decision, "webpush", None)
        for _ in range(rng.randrange(4)):
            entered_at = decision["decided_at"] + timedelta(seconds=rng.uniform(-0.2, 1.3) * WINDOW_S)
            number = self._number()
            self._add(
                visits,
                visit_id=number,
                root_visit_id=rng.choice((number, decision["root_visit_id"] or number)),
                shard=0,
                device_id=rng.choice([decision["device_id"] or number, rng.choice(list(self.persons))]),
                fence_id=1,
                fence_version=1,
                store_id=rng.choice([*self.stores, None]),
                status=rng.choice(("open", "closed", "closed", "retracted")),
                entered_at=rng.choice((entered_at, decision["decided_at"])),
                last_in_at=entered_at,
                as_of=entered_at,
                dwell_waits=False,
                already_inside=False,
                positions=1,
                confidence=1.0,
            )
        if rng.random() < 0.4:
            self._claim(decision, from_search=rng.random() < 0.2)

    def _message(self, decision: Row, channel: str, decision_id: int | None) -> None:
        rng = self.rng
        at = decision["decided_at"]
        state = rng.choice(
            ("queued", "sending", "sent", "sent", "delivered", "opened", "failed", "failed", "expired", "suppressed")
        )
        seen: list[datetime | None] = [at + timedelta(minutes=rng.randrange(9_000))] * 4
        if state not in {"delivered", "opened"}:
            seen = [None] * 4
        elif state == "delivered":
            seen = rng.choice(([seen[0], None, None, None], [*seen[:2], None, None], [*seen[:2], None, seen[3]]))
        self._add(
            notifications,
            notification_id=self._number(),
            decision_id=decision_id,
            campaign_id=decision["campaign_id"],
            device_id=decision["device_id"],
            store_id=decision["store_id"],
            channel=channel,
            state=state,
            reason=rng.choice(("dead_address", "refused", None)) if state in {"failed", "suppressed"} else None,
            payload={},
            created_at=at,
            not_before=at,
            expires_at=at + timedelta(hours=1),
            delivered_at=seen[0],
            displayed_at=seen[1],
            opened_at=seen[2],
            dismissed_at=seen[3],
        )

    def _claim(self, decision: Row, *, from_search: bool) -> None:
        """Somebody who found the offer has a reservation that no decision of ours made."""
        rng = self.rng
        reserved = self._number() if from_search else decision["decision_id"]
        at = decision["decided_at"] + timedelta(minutes=rng.randrange(600))
        common = {"campaign_id": decision["campaign_id"], "decision_id": reserved}
        self._add(
            reservations,
            **common,
            device_id=decision["device_id"],
            state="confirmed",
            event_at=at,
            delivery="push",
            created_at=at,
            expires_at=at,
        )
        claim_id = self._number()
        self._add(
            claims,
            **common,
            claim_id=claim_id,
            campaign_version=1,
            device_id=decision["device_id"],
            source="search" if from_search else "push",
            state=rng.choice(("redeemed", "expired")),
            code_hash=str(claim_id).encode(),
            code_tail="AB",
            created_at=at,
            expires_at=at,
        )
        if rng.random() < 0.7:
            cancelled = rng.random() < 0.3
            currency = rng.choice(("EUR", "CAD", None))
            self._add(
                redemptions,
                **common,
                redemption_id=self._number(),
                claim_id=claim_id,
                store_id=rng.choice(list(self.stores)),
                state="cancelled" if cancelled else "redeemed",
                amount=None if currency is None else Decimal(rng.randrange(5_000)) / 100,
                currency=currency,
                attributed_to="push",
                visited=False,
                redeemed_at=at,
                cancelled_at=at if cancelled else None,
            )

    def _store(self) -> None:
        for store_id, zone_name in {**self.stores, 0: NOWHERE}.items():
            self._add(places, place_id=self.tenant.tenant_id * 1_000 + store_id, timezone=zone_name, lat=0.0, lng=0.0)
        with self.api.system.begin() as connection:
            for at in CLOCK_CHANGES:
                days = {"first": at.date(), "last": (at + timedelta(hours=30)).date()}
                connection.execute(sa.text("SELECT geofences.make_partitions(:first, :last)"), days)
            for table in (devices, places, decisions, notifications, visits, reservations, claims, redemptions):
                connection.execute(sa.insert(table), self.rows[table])

    def zone_of(self, decision: Row) -> str:
        if decision["place_id"] is None:
            return "UTC"
        return self.stores.get(decision["store_id"], NOWHERE)

    def hour(self, decision: Row) -> str:
        local = zone(self.zone_of(decision))
        return hour_of(decision["decided_at"], local).astimezone(local).isoformat()

    def day(self, decision: Row) -> str:
        local: date = decision["decided_at"].astimezone(zone(self.zone_of(decision))).date()
        return local.isoformat()

    def count(
        self,
        campaign_id: int,
        cell: Callable[[Row], Any] = lambda _: "all",
        *,
        start: datetime = EVER[0],
        end: datetime = EVER[1],
        channel: str | None = None,
        k: int = 5,
    ) -> dict[Any, Row]:
        """Funnels as the API tells them, by cell."""
        cells: dict[Any, list[Row]] = defaultdict(list)
        for decision in self.rows[decisions]:
            if decision["campaign_id"] == campaign_id and start <= decision["decided_at"] < end:
                cells[cell(decision)].append(self._one(decision, channel))
        return {name: _funnel(found, k) for name, found in cells.items()}

    def _one(self, decision: Row, channel: str | None) -> Row:
        """All that came of one decision."""
        number = decision["decision_id"]
        messages = [
            row
            for row in self.rows[notifications]
            if row["decision_id"] == number and channel in {None, row["channel"]}
        ]
        states = {row["state"] for row in messages}
        words = {"decided", decision["outcome"]}
        words |= {word for word in ("queued", "failed", "expired") if word in states}
        words |= {"queued"} if "sending" in states else set()
        words |= {"withheld"} if "suppressed" in states else set()
        words |= {"sent"} if states & {"sent", "delivered", "opened"} else set()
        words |= {
            word
            for word in ("delivered", "displayed", "opened", "dismissed")
            if any(row[f"{word}_at"] is not None for row in messages)
        }
        if "sent" in words and self._came(decision):
            words.add("visited")
        claimed = [row["claim_id"] for row in self.rows[claims] if row["decision_id"] == number]
        used = [row for row in self.rows[redemptions] if row["claim_id"] in claimed and row["state"] == "redeemed"]
        words |= {word for word, rows in (("claimed", claimed), ("redeemed", used)) if rows}
        return {
            "words": words,
            "person": self.persons.get(decision["device_id"]),
            "suppressed_by": {decision["reason"]} if decision["outcome"] == "suppressed" else set(),
            "failed_by": {row["reason"] or "unknown" for row in messages if row["state"] == "failed"},
            "withheld_by": {row["reason"] or "unknown" for row in messages if row["state"] == "suppressed"},
            "paid": [(row["currency"], row["amount"]) for row in used if row["amount"] is not None],
        }

    def _came(self, decision: Row) -> bool:
        person = self.persons[decision["device_id"]]
        return any(
            self.persons.get(visit["device_id"]) == person
            and visit["status"] in {"open", "closed"}
            and visit["store_id"] in self.targets[decision["campaign_id"]]
            and timedelta(0) < visit["entered_at"] - decision["decided_at"] <= timedelta(seconds=WINDOW_S)
            and visit["root_visit_id"] != decision["root_visit_id"]
            for visit in self.rows[visits]
        )

    def visitors(self, campaign_id: int) -> set[str]:
        """Who the campaign's `visited` is about."""
        ours = [row for row in self.rows[decisions] if row["campaign_id"] == campaign_id]
        return {str(one["person"]) for one in (self._one(row, None) for row in ours) if "visited" in one["words"]}


def _funnel(found: list[Row], k: int) -> Row:
    made: Row = {word: sum(word in one["words"] for one in found) for word in COUNTS}
    people = {one["person"] for one in found if "visited" in one["words"]}
    made["visited"] = made["visited"] // k * k if len(people) >= k else None
    for group in ("suppressed_by", "failed_by", "withheld_by"):
        listed = [reason for one in found for reason in one[group]]
        made[group] = {reason: listed.count(reason) for reason in set(listed)}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in found:
        for currency, amount in one["paid"]:
            sums[currency] += amount
    made["revenue"] = {currency: f"{amount.normalize():f}" for currency, amount in sums.items()}
    return made
