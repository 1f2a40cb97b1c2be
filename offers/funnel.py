"""A campaign's funnel: how far its decisions came, from being asked to the till.

A decision counts once at every step that it, or any of its messages, reached, and in the row of its own moment: what
comes of it later is told there, so that the steps of a row can be compared. Rows are stores, or the hours or days of
stores' own time by the pinned zone database. Tests that somebody sends are no decisions.

How many came to a store is told of k people at least and rounded down to a multiple of k: whoever adds figures up or
takes one from another must not find out about fewer.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from geofences.periods import local_hours
from geofences.sql import queries
from geofences.zones import day_start, zone
from offers.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from zoneinfo import ZoneInfo

    import sqlalchemy as sa

    from offers.model import Campaign
    from offers.push import ChannelType

EVER: Final = (datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC))
COUNTS: Final = (
    "decided", "held_out", "suppressed", "offered", "queued", "sent", "delivered", "displayed", "opened", "dismissed",
    "failed", "expired", "withheld", "visited", "claimed", "redeemed",
)  # fmt: skip
REASONS: Final = ("suppressed_by", "failed_by", "withheld_by")
ALL: Final = 2**31 - 1
_TOTAL: Final = 0
_BEFORE_ALL: Final = -1
_OUTSIDE: Final = 0
"""The cell after the last period: an array without NULLs is looked up at once, however long it is."""
_A_DAY: Final = timedelta(hours=26)
"""No local day is longer, nor is an hour."""


class Period(StrEnum):
    HOUR = "hour"
    DAY = "day"


MOST: Final = {Period.HOUR: timedelta(days=93), Period.DAY: timedelta(days=1_100)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which decisions: those made in [start, end); of messages only those of `channel`, None: of any."""

    start: datetime = EVER[0]
    end: datetime = EVER[1]
    channel: ChannelType | None = None


@dataclass(slots=True, kw_only=True)
class Funnel:
    """Decisions by what came of them; each word is explained in the reference of semantics."""

    counts: Counter[str] = field(default_factory=Counter)
    """By the words of COUNTS, but for `visited`."""
    visited: int | None = None
    """None: of fewer than k people, or of none."""
    suppressed_by: dict[str, int] = field(default_factory=dict)
    failed_by: dict[str, int] = field(default_factory=dict)
    withheld_by: dict[str, int] = field(default_factory=dict)
    revenue: dict[str, Decimal] = field(default_factory=dict)

    def count(self, word: str) -> int | None:
        return self.visited if word == "visited" else self.counts[word]


def total(connection: sa.Connection, campaign: Campaign, asked: Asked, *, k: int) -> Funnel:
    return _read(connection, campaign, asked, by="total", k=k).get(_TOTAL, Funnel())


def by_store(
    connection: sa.Connection, campaign: Campaign, asked: Asked, *, k: int, after: int = _BEFORE_ALL, limit: int = ALL
) -> dict[int, Funnel]:
    """By the number of the store, those after `after`; 0 is every place that is no store."""
    return _read(connection, campaign, asked, by="store", k=k, after=after, limit=limit)


def by_period(
    connection: sa.Connection, campaign: Campaign, asked: Asked, period: Period, *, k: int
) -> dict[str, Funnel]:
    """The local hours (ISO 8601 with offset) or days that begin in [start, end) and in which something was decided.

    Without a start or end of its own all the time there is. ValueError for a range that is too long.
    """
    named = {"tenant_id": campaign.tenant_id, "campaign_id": campaign.campaign_id}
    span = connection.execute(queries("offers")["decided_span"], named).one()
    if span.first is None:
        return {}
    start = max(asked.start, span.first - _A_DAY)
    end = min(asked.end, span.last + timedelta(microseconds=1))
    if end - start > MOST[period] + _A_DAY:
        raise ValueError(f"the range must be at most {MOST[period].days} days: give from and to")
    zones = {"UTC", *connection.execute(queries("offers")["zones_of_places"], named).scalars()}
    begun = [(name, at, label) for name in sorted(zones) for at, label in begins(period, start, end, zone(name))]
    first = {label: at for _, at, label in sorted(begun, key=lambda one: one[1], reverse=True) if label is not None}
    cells = {label: cell for cell, label in enumerate(sorted(first, key=lambda label: (first[label], label)), 1)}
    found = _read(
        connection,
        campaign,
        Asked(start=start, end=end + _A_DAY, channel=asked.channel),
        by=period,
        k=k,
        after=_OUTSIDE,
        periods=[(name, at, _OUTSIDE if label is None else cells[label]) for name, at, label in begun],
    )
    return {label: found[cell] for label, cell in cells.items() if cell in found}


def messages(connection: sa.Connection, campaign: Campaign, asked: Asked) -> Iterable[Any]:
    """Counts of messages by channel and state, tests apart."""
    named = {"campaign_id": campaign.campaign_id, "start": asked.start, "end": asked.end}
    return connection.execute(queries("offers")["message_counts"], named)


def begins(period: Period, start: datetime, end: datetime, local: ZoneInfo) -> Iterator[tuple[datetime, str | None]]:
    """The instants in [start, end) at which local hours or days begin, with their names, and the end of the last.

    >>> from geofences.zones import zone
    >>> night = datetime(2026, 10, 24, 21, tzinfo=UTC), datetime(2026, 10, 25, 22, tzinfo=UTC)
    >>> [(f"{at:%d %H:%M}", name) for at, name in begins(Period.DAY, *night, zone("Europe/Lisbon"))]
    [('24 23:00', '2026-10-25'), ('26 00:00', None)]
    """
    for at, name in _begins(period, start, end + 2 * _A_DAY, local):
        if at >= end:
            yield at, None
            return
        yield at, name


def _begins(period: Period, start: datetime, end: datetime, local: ZoneInfo) -> Iterator[tuple[datetime, str]]:
    if period is Period.HOUR:
        for hour in local_hours(start, end, local):
            yield hour, hour.astimezone(local).isoformat()
        return
    day = start.astimezone(local).date()
    while (at := day_start(day, local)) < end:
        if at >= start:
            yield at, day.isoformat()
        day += timedelta(days=1)


def _read(
    connection: sa.Connection,
    campaign: Campaign,
    asked: Asked,
    *,
    by: str,
    k: int,
    after: int = _BEFORE_ALL,
    limit: int = ALL,
    periods: Sequence[tuple[str, datetime, int]] = (),
) -> dict[int, Funnel]:
    rows = connection.execute(
        queries("offers")["funnel"],
        {
            "tenant_id": campaign.tenant_id,
            "campaign_id": campaign.campaign_id,
            "start": asked.start,
            "end": asked.end,
            "channel": asked.channel,
            "window_s": campaign.definition.attribution_s,
            "by": by,
            "after": after,
            "limit": limit,
            "timezones": [name for name, _, _ in periods],
            "times": [at for _, at, _ in periods],
            "cells": [cell for _, _, cell in periods],
        },
    )
    return funnels(rows, k=k)


def funnels(rows: Iterable[Any], *, k: int) -> dict[int, Funnel]:
    """Rows of the block `funnel`."""
    found: dict[int, Funnel] = {}
    for row in rows:
        funnel = found.setdefault(row.cell, Funnel())
        match row.what:
            case "visited":
                funnel.visited = row.n - row.n % k if row.people >= k else None
            case "failed_by":
                funnel.failed_by[row.detail] = row.n
            case "suppressed_by":
                funnel.withheld_by[row.detail] = row.n
            case "revenue":
                funnel.revenue[row.detail] = row.amount
            case Outcome.OFFERED | Outcome.HELD_OUT | Outcome.SUPPRESSED:
                funnel.counts["decided"] += row.n
                funnel.counts[row.what] += row.n
                if row.what == Outcome.SUPPRESSED:
                    funnel.suppressed_by[row.detail] = row.n
            case _:
                funnel.counts[row.what] = row.n
    return found


def as_csv(name: str, rows: Iterable[tuple[str, Funnel]]) -> str:
    """One line a row; reasons and currencies that occur have columns of their own. `name` is of the first column."""
    listed = list(rows)
    details = [
        (group, detail)
        for group in (*REASONS, "revenue")
        for detail in sorted({one for _, funnel in listed for one in getattr(funnel, group)})
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([name, *COUNTS, *(f"{group}.{detail}" for group, detail in details)])
    for label, funnel in listed:
        more = [getattr(funnel, group).get(detail, 0) for group, detail in details]
        counts = [funnel.count(word) for word in COUNTS]
        writer.writerow([label, *counts, *(f"{one:f}" if isinstance(one, Decimal) else one for one in more)])
    return text.getvalue()
