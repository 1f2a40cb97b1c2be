"""Whether what is stored agrees with itself, e.g. after a restore. Reads only, and changes nothing it doubts.

What is quick is always asked; what reads whole tables only if asked for (`lbs doctor --deep`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag

import lbs.tables
import offers.claim_tables
from geofences.errors import UnknownTimezoneError
from geofences.tables import metadata
from geofences.zones import tzdata_version, zone
from lbs import clock
from lbs.checks import Check, Level, good_if
from lbs.secrets import Vault
from lbs.sql import block
from offers.tables import inbox_seq, notifications

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbs.settings import Settings

REGISTERED: Final = (lbs.tables, offers.claim_tables)
"""Importing them puts their tables into the metadata, whose numbers are looked at."""
SEALED_ASKED: Final = 20
UNDONE: Final = (
    "restore a backup that was taken whole; if nothing was restored, it is a defect: keep the rows, report it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One block of `consistency.sql`, which counts what ought not to be."""

    name: str
    block: str
    doubtful: str
    """What each row is that it counts."""
    advice: str = UNDONE


QUICK: Final = (
    Question(name="cursors", block="doubtful_cursors", doubtful="shards whose decider is ahead of their events"),
    Question(name="event numbers", block="doubtful_event_numbers", doubtful="shards that would number events again"),
    Question(name="open visits", block="doubtful_open_visits", doubtful="devices twice in one fence"),
)
DEEP: Final = (
    Question(name="events", block="deep_doubtful_events", doubtful="events there twice"),
    Question(name="decisions", block="deep_doubtful_decisions", doubtful="decisions made twice"),
    Question(
        name="decided events", block="deep_decisions_without_event", doubtful="decisions whose event is not there"
    ),
    Question(name="reservations", block="deep_held_without_decision", doubtful="reservations that nobody asked for"),
    Question(name="offers", block="deep_offered_without_reservation", doubtful="offers that hold nothing"),
    Question(
        name="stock",
        block="deep_doubtful_stock",
        doubtful="campaigns that count other than their reservations say",
        advice="pause and edit the campaign once: an edit counts its stock anew",
    ),
    Question(name="budgets", block="deep_doubtful_budgets", doubtful="budgets that hold other than their reservations"),
    Question(name="notifications", block="deep_doubtful_notifications", doubtful="messages in a state that cannot be"),
    Question(name="claims", block="deep_doubtful_claims", doubtful="codes that disagree with what is held for them"),
)


def examine_ledgers(reader: sa.Connection, settings: Settings, *, deep: bool) -> Iterator[Check]:
    """As lbs_reader, on a schema that is up to date."""
    for question in (*QUICK, *(DEEP if deep else ())):
        yield _ask(reader, question)
    yield _zones(reader)
    yield _seals(reader, settings)


def _ask(reader: sa.Connection, question: Question) -> Check:
    statement = block(question.block)
    now = {"now": clock.now()} if "now" in statement.compile().params else {}
    row = reader.execute(statement, now).one()
    found = f"{row.n} {question.doubtful}, e.g. {row.example}" if row.n else "agree"
    return good_if(not row.n, question.name, found, question.advice)


def _zones(reader: sa.Connection) -> Check:
    unknown = sorted(name for name in reader.execute(block("zones_named")).scalars() if not _is_zone(name))
    return good_if(
        not unknown,
        "zones in use",
        f"unknown: {', '.join(unknown[:5])}" if unknown else "all known",
        f"the time-zone data here ({tzdata_version()}) lacks them: install the release that knows them",
    )


def _is_zone(name: str) -> bool:
    try:
        zone(name)
    except UnknownTimezoneError:
        return False
    return True


def _seals(reader: sa.Connection, settings: Settings) -> Check:
    vault = Vault(settings)
    asked = reader.execute(block("newest_sealed"), {"limit": SEALED_ASKED}).all()
    closed = [row.what for row in asked if not _opens(vault, bytes(row.sealed))]
    found = f"{len(asked)} looked at, all open" if asked else "nothing sealed yet"
    return good_if(
        not closed,
        "sealed secrets",
        f"{len(closed)} of {len(asked)} do not open, e.g. the {closed[0]}" if closed else found,
        "this is not the LBS_SECRET_KEY that sealed them: bring back the one that belongs to this database",
    )


def _opens(vault: Vault, sealed: bytes) -> bool:
    try:
        vault.unseal(sealed)
    except (InvalidTag, ValueError):
        return False
    return True


def examine_sequences(owner: sa.Connection, reader: sa.Connection) -> Check:
    """Whether the next number of each table is a new one. Only the owner of the tables may see it."""
    # first the numbers, then what comes after them: numbers are given out meanwhile
    in_use = list(_largest(reader, owner))
    given = {row.sequence: row for row in owner.execute(block("sequence_values"))}
    behind, unseen = [], 0
    for name, largest in in_use:
        row = given.get(name)
        if row is None or not row.visible:
            unseen += 1
        elif largest > (row.last_value or 0):
            behind.append(name)
    if behind:
        advice = f"as the owner: SELECT setval('{behind[0]}', ...) above the largest number in use"
        return Check(name="sequences", found=f"behind: {', '.join(behind)}", level=Level.FAIL, advice=advice)
    return Check(name="sequences", found="seen by the owner of the tables only" if unseen else "above all numbers")


def _largest(reader: sa.Connection, owner: sa.Connection) -> Iterator[tuple[str, int]]:
    """Each sequence with the largest number in use."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.identity is not None:
                named = {"table": table.fullname, "column": column.name}
                sequence = owner.execute(sa.text("SELECT pg_get_serial_sequence(:table, :column)"), named).scalar_one()
                yield sequence, reader.execute(sa.select(sa.func.coalesce(sa.func.max(column), 0))).scalar_one()
    largest = sa.select(sa.func.coalesce(sa.func.max(notifications.c.inbox_seq), 0))
    yield f"{inbox_seq.schema}.{inbox_seq.name}", reader.execute(largest).scalar_one()
