"""Hand-written SQL by name: `queries.sql` of a package, cut at its `-- name:` lines. Parameters are `:like_this`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import sqlalchemy as sa


@cache
def queries(package: str) -> dict[str, sa.TextClause]:
    """Every named block of `package`'s queries.sql.

    >>> sorted(queries("geofences"))[0]
    'changes_after'
    """
    text = files(package).joinpath("queries.sql").read_text(encoding="utf-8")
    pieces = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    names, bodies = pieces[1::2], pieces[2::2]
    assert len(set(names)) == len(names), "two blocks of one name"
    return {name: sa.text(body.strip().rstrip(";")) for name, body in zip(names, bodies, strict=True)}
