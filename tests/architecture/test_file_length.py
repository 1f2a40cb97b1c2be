"""Where modules grow long they are read no more: 400 lines are the end."""

from __future__ import annotations

from tests.architecture.tree import PACKAGES, files, name_of

MOST_LINES = 400
HISTORY = "migrations/versions/"
"""A revision is written once, as one list, and never edited again."""


def test_no_file_is_longer_than_400_lines() -> None:
    found = files(*PACKAGES, "migrations", "tests", suffixes=frozenset({".py", ".sql", ".ts", ".tsx"}))
    lines = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in found}
    long = {name: n for name, n in lines.items() if n > MOST_LINES and not name.startswith(HISTORY)}
    assert not long, f"split these: {long}"
