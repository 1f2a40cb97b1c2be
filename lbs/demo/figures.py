"""The service's own account of the demo's tenant, read once in a while over a read-only connection."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences.model import VisitStatus
from geofences.tables import devices, events, positions, stores, visits
from offers.messages import message_id, notification_id_of
from offers.model import NotificationState, Outcome
from offers.tables import decisions, notifications

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from geofences.model import TenantId

LATEST: Final = 24
RECENT: Final = timedelta(seconds=15)
SENT_AND_BEYOND: Final = (NotificationState.SENT, NotificationState.DELIVERED, NotificationState.OPENED)
DELIVERED_AND_BEYOND: Final = (NotificationState.DELIVERED, NotificationState.OPENED)
ON_THE_WAY: Final = (NotificationState.QUEUED, NotificationState.SENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenVisit:
    """Somebody came in."""

    at: datetime
    store: str
    device: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenDecision:
    """An offer was made, or not and why."""

    at: datetime
    campaign_id: str
    store: str
    device: str
    outcome: Outcome
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts at one moment. `decisions` by (outcome, reason), `notifications` by (channel, state)."""

    visits: int = 0
    inside: int = 0
    """Devices that are in some store."""
    events: int = 0
    decisions: Counter[tuple[str, str | None]] = field(default_factory=Counter)
    notifications: Counter[tuple[str, str]] = field(default_factory=Counter)
    latest_visits: Sequence[SeenVisit] = ()
    latest_decisions: Sequence[SeenDecision] = ()
    read_s: float = 0.0
    """How long reading them took."""

    def outcome(self, outcome: Outcome) -> int:
        return sum(count for (found, _), count in self.decisions.items() if found == outcome)

    def reasons(self) -> Counter[str]:
        """Suppressed decisions by the gate that failed."""
        found: Counter[str] = Counter()
        for (outcome, reason), count in self.decisions.items():
            if outcome == Outcome.SUPPRESSED:
                found[reason or ""] += count
        return found

    def messages(self, channel: str, states: Iterable[NotificationState]) -> int:
        return sum(self.notifications[channel, state] for state in states)

    @property
    def on_the_way(self) -> int:
        """Messages that are still to be sent."""
        return sum(count for (_, state), count in self.notifications.items() if state in ON_THE_WAY)


class Books:
    """Reads the figures of one tenant and its campaigns. Its connection sees all tenants and may not write."""

    def __init__(self, reader: sa.Engine, *, tenant_id: TenantId, campaign_ids: Iterable[str]) -> None:
        self._reader = reader
        self._tenant_id = tenant_id
        self._campaign_ids = [int(campaign_id) for campaign_id in campaign_ids]

    def read(self, now: datetime) -> Figures:
        """All figures in one snapshot; every query names the tenant or its campaigns, for which there are indexes."""
        began_s = time.monotonic()
        with (
            self._reader.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
            connection.begin(),
        ):
            states = self._count(connection, visits, visits.c.status)
            return Figures(
                visits=states[VisitStatus.OPEN,] + states[VisitStatus.CLOSED,],
                inside=self._inside(connection),
                events=self._count(connection, events).total(),
                decisions=self._count(connection, decisions, decisions.c.outcome, decisions.c.reason),
                notifications=self._count(connection, notifications, notifications.c.channel, notifications.c.state),
                latest_visits=self._latest_visits(connection, now),
                latest_decisions=self._latest_decisions(connection, now),
                read_s=time.monotonic() - began_s,
            )

    def positions_stored(self) -> int:
        """Positions of all devices, counted one by one: for the end of a run."""
        statement = sa.select(sa.func.count()).where(positions.c.tenant_id == self._tenant_id)
        with self._reader.connect() as connection:
            return int(connection.execute(statement).scalar_one())

    def received_at_s(self, message_ids: Iterable[str]) -> dict[str, float]:
        """When the position behind each message was received; without those that no position caused."""
        ids = [notification_id_of(text) for text in message_ids]
        if not ids:
            return {}
        table = notifications.c
        statement = sa.select(table.notification_id, table.position_received_at).where(
            table.notification_id.in_(ids), table.position_received_at.is_not(None)
        )
        with self._reader.connect() as connection:
            rows = connection.execute(statement).all()
        return {message_id(row.notification_id): row.position_received_at.timestamp() for row in rows}

    def _count(self, connection: sa.Connection, table: sa.Table, *columns: sa.Column[Any]) -> Counter[Any]:
        statement = sa.select(*columns, sa.func.count()).where(table.c.tenant_id == self._tenant_id).group_by(*columns)
        if "campaign_id" in table.c:
            statement = statement.where(table.c.campaign_id.in_(self._campaign_ids))
        return Counter({tuple(row[:-1]): row[-1] for row in connection.execute(statement)})

    def _inside(self, connection: sa.Connection) -> int:
        statement = sa.select(sa.func.count(visits.c.device_id.distinct())).where(
            visits.c.tenant_id == self._tenant_id, visits.c.status == VisitStatus.OPEN
        )
        return int(connection.execute(statement).scalar_one())

    def _latest_visits(self, connection: sa.Connection, now: datetime) -> list[SeenVisit]:
        statement = (
            sa.select(visits.c.entered_at, stores.c.name, devices.c.external_id)
            .join(stores, stores.c.store_id == visits.c.store_id)
            .join(devices, devices.c.device_id == visits.c.device_id)
            .where(
                visits.c.tenant_id == self._tenant_id,
                visits.c.entered_at > now - 4 * RECENT,
                visits.c.status == VisitStatus.OPEN,
                sa.not_(visits.c.already_inside),
            )
            .order_by(visits.c.entered_at.desc())
            .limit(LATEST)
        )
        return [
            SeenVisit(at=row.entered_at, store=row.name, device=row.external_id)
            for row in connection.execute(statement)
        ]

    def _latest_decisions(self, connection: sa.Connection, now: datetime) -> list[SeenDecision]:
        """Some of each outcome, so that refusals do not hide the offers."""
        found: list[SeenDecision] = []
        for outcome in Outcome:
            statement = (
                sa.select(
                    decisions.c.decided_at,
                    decisions.c.campaign_id,
                    decisions.c.reason,
                    stores.c.name,
                    devices.c.external_id,
                )
                .join(stores, stores.c.store_id == decisions.c.store_id)
                .join(devices, devices.c.device_id == decisions.c.device_id)
                .where(
                    decisions.c.tenant_id == self._tenant_id,
                    decisions.c.campaign_id.in_(self._campaign_ids),
                    decisions.c.decided_at > now - RECENT,
                    decisions.c.outcome == outcome,
                )
                .order_by(decisions.c.decided_at.desc())
                .limit(LATEST)
            )
            found += [
                SeenDecision(
                    at=row.decided_at,
                    campaign_id=str(row.campaign_id),
                    store=row.name,
                    device=row.external_id,
                    outcome=outcome,
                    reason=row.reason,
                )
                for row in connection.execute(statement)
            ]
        return found
