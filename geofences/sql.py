"""Hand-written SQL by name: `queries*.sql` of a package, cut at their `-- name:` lines. Parameters are `:like_this`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import sqlalchemy as sa


@cache
def queries(package: str) -> dict[str, sa.TextClause]:
    """Every named block of `package`'s queries.sql, and of files like queries_redemption.sql beside it.

    >>> sorted(queries("geofences"))[0]
    'changes_after'
    """
    sources = [
        file for file in files(package).iterdir() if file.name.startswith("queries") and file.name.endswith(".sql")
    ]
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(sources, key=lambda file: file.name))
    pieces = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    names, bodies = pieces[1::2], pieces[2::2]
    assert len(set(names)) == len(names), "two blocks of one name"
    return {name: sa.text(body.strip().rstrip(";")) for name, body in zip(names, bodies, strict=True)}
