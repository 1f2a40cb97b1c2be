"""Nothing is left for later: no notes to ourselves, no stubs, no second clock, no patching by a path in a string."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tests.architecture.tree import PACKAGES, calls, dotted, files, name_of, python_files, scripts, tree_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN_NAME = "tests/architecture/test_no_leftovers.py"
NOTES = re.compile(r"\b(TODO|FIXME|XXX)\b")

STUB = "NotImplementedError"
HOOKS = {
    "lbs/demo/receivers.py": "the base of the receivers leaves to each what it answers",
    "tests/support/receivers.py": "the base of the tests' receivers leaves to each what it answers",
}
"""Files whose base class has one method that every subclass must have."""

WALL_CLOCKS = re.compile(
    r"(^|\.)(datetime\.(now|utcnow|today)|date\.today|time\.(time|time_ns|gmtime|localtime))$", re.ASCII
)
MAY_READ_THE_CLOCK = {
    "lbs/clock.py": "it is the clock",
    "lbs/runtime.py": "the age of a heartbeat is measured against a file's own time",
    "lbs/demo/receivers.py": "the demo's receivers note when something arrived, as a phone would",
    "lbs/demo/phones.py": "the demo's phones note when something arrived",
}
"""Files outside of tests that may read the system's clock, and why."""

PATCHERS = re.compile(r"(^|\.)(mock|mocker)\.patch(\.\w+)?$")


def test_no_notes_to_ourselves() -> None:
    sources = files(*PACKAGES, "migrations", "tests", suffixes=frozenset({".py", ".sql", ".mako"}))
    found = [
        f"{name_of(path)}:{number}"
        for path in (*sources, *scripts())
        if name_of(path) != OWN_NAME
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if NOTES.search(line)
    ]
    assert not found, f"do it, or write down why not: {found}"


def test_nothing_is_left_unwritten() -> None:
    found = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files(*PACKAGES, "migrations", "tests")
        if name_of(path) not in HOOKS
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Raise) and node.exc is not None and _is_stub(node.exc)
    ]
    assert not found, f"write these, or use a Protocol: {found}"


def _is_stub(raised: ast.expr) -> bool:
    return dotted(raised.func if isinstance(raised, ast.Call) else raised) == STUB


def test_only_the_clock_reads_the_clock() -> None:
    reading = {
        name: lines
        for path in python_files(*PACKAGES, "migrations")
        if (lines := [line for line, called, _ in calls(path) if WALL_CLOCKS.search(called)])
        for name in (name_of(path),)
    }
    others = {name: lines for name, lines in reading.items() if name not in MAY_READ_THE_CLOCK}
    assert not others, f"take `now` as a parameter: {others}"
    assert reading.keys() == MAY_READ_THE_CLOCK.keys(), "the list of exceptions names a file that needs none"


def test_no_test_patches_by_a_path_in_a_string() -> None:
    found = [f"{name_of(path)}:{line}" for path in python_files("tests") for line in _patches(path)]
    assert not found, f"hand a double in, or patch the object itself: {found}"


def _patches(path: Path) -> Iterator[int]:
    for line, called, node in calls(path):
        first = node.args[0] if node.args else None
        by_string = isinstance(first, ast.Constant) and isinstance(first.value, str)
        if PATCHERS.search(called) or (by_string and called.endswith((".setattr", ".delattr"))):
            yield line
    for found in ast.walk(tree_of(path)):
        if isinstance(found, ast.ImportFrom) and found.module == "unittest.mock":
            yield from (found.lineno for alias in found.names if alias.name == "patch")
