"""This room's hand-written SQL by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geofences.sql import queries

if TYPE_CHECKING:
    import sqlalchemy as sa


def block(name: str) -> sa.TextClause:
    """One named block of `lbs/queries.sql`."""
    return queries("lbs")[name]
