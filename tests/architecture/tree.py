"""The project's own files, for tests that hold rules about all of them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("geofences", "offers", "lbs")
TEXT_SUFFIXES: Final = frozenset(
    {
        ".py",
        ".sql",
        ".md",
        ".toml",
        ".txt",
        ".mako",
        ".json",
        ".yml",
        ".yaml",
        ".cfg",
        ".ts",
        ".tsx",
        ".mjs",
        ".css",
        ".html",
    }
)
NOT_OURS: Final = frozenset({"__pycache__", "node_modules", "dist", "schema.d.ts"})
"""Made from what is ours, or by somebody else."""


def files(*folders: str, suffixes: frozenset[str]) -> list[Path]:
    """Files below folders of the project, in order; caches and builds are nobody's code."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(
        path for path in found if path.suffix in suffixes and path.is_file() and NOT_OURS.isdisjoint(path.parts)
    )


def python_files(*folders: str) -> list[Path]:
    return files(*folders, suffixes=frozenset({".py"}))


def scripts() -> list[Path]:
    """What people and continuous integration run; files without a suffix."""
    return sorted(path for folder in ("scripts", ".ci") for path in (ROOT / folder).iterdir() if path.is_file())


def deployment() -> list[Path]:
    """Containers, units, proxies and alarms; what somebody's installation keeps secret is nobody's text."""
    found = (ROOT / "deploy").rglob("*")
    return sorted(path for path in found if path.is_file() and "secrets" not in path.relative_to(ROOT).parts)


def text_files() -> list[Path]:
    """Everything a reader may meet: code, scripts, documents, configuration."""
    top = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT_SUFFIXES]
    below = files(*PACKAGES, "migrations", "tests", "docs", suffixes=TEXT_SUFFIXES)
    return sorted({*top, *below, *scripts(), *deployment()})


def documents() -> list[Path]:
    """Markdown for readers: the top of the project and docs/."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    """Every call as (line, dotted name of what is called, node); the name is empty where there is none."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call):
            yield node.lineno, dotted(node.func), node


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an expression that is only names and attributes, else what can be said of its end.

    >>> dotted(ast.parse("time.time", mode="eval").body), dotted(ast.parse("f().now", mode="eval").body)
    ('time.time', '.now')
    """
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            return f"{dotted(value)}.{attr}"
        case _:
            return ""
