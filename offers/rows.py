"""Many rows in one statement: PostgreSQL reads one JSON text faster than it parses a list of VALUES."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    import sqlalchemy as sa


def insert(
    connection: sa.Connection, table: str, columns: Sequence[str], rows: Sequence[Any], *, more: str = ""
) -> None:
    """Inserts objects that encode to JSON with the columns' names; what they lack is NULL.

    `table`, `columns` and `more` (e.g. ON CONFLICT) are our own constants, never anybody's input.
    """
    if not rows:
        return
    named = ", ".join(columns)
    connection.connection.cursor().execute(
        f"INSERT INTO {table} ({named}) SELECT {named} FROM json_populate_recordset(NULL::{table}, %s) {more}",  # noqa: S608
        (msgspec.json.encode(rows).decode(),),
    )
