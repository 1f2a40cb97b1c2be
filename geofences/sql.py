"""Hand-written SQL by name: a package's `.sql` files, cut at their `-- name:` lines. Parameters are `:like_this`."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import sqlalchemy as sa


@cache
def queries(package: str) -> dict[str, sa.TextClause]:
    """Every named block of `package`'s own `.sql` files.

    >>> sorted(queries("geofences"))[0]
    'begin_log_anew'
    """
    blocks: dict[str, sa.TextClause] = {}
    for file in files(package).iterdir():
        if file.name.endswith(".sql"):
            pieces = re.split(r"^-- name: (\w+)\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            for name, body in zip(pieces[1::2], pieces[2::2], strict=True):
                assert name not in blocks, "two blocks of one name"
                blocks[name] = sa.text(body.strip().rstrip(";"))
    return blocks
