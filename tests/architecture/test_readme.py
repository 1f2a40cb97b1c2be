"""What the README and the documents tell people to type exists."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from tests.architecture.command_tree import COMMANDS, command_of, options_of
from tests.architecture.tree import ROOT, documents, name_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_LINES = 200
BLOCK = re.compile(r"^```(?:console|sh|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LBS = re.compile(r"(?:^|[\s;&|(/])lbs ((?:[a-z]+|-h|--help)\b[^;&|)\n]*)")
INLINE = re.compile(r"`(?:\.venv/bin/)?lbs ([a-z][^`]*)`")
SCRIPT = re.compile(r"(?<![\w/.])(?:\./)?(scripts/[a-z-]+)\b")
GROUPS = {name.split()[0] for name in COMMANDS if " " in name}
README = ROOT / "README.md"


def typed(path: Path) -> Iterator[str]:
    """Lines of shell that a document shows, continued lines joined, without what they print."""
    text = path.read_text(encoding="utf-8")
    for block in BLOCK.findall(text):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if line.startswith("$ "):
                yield line[2:]


def lbs_calls(path: Path) -> Iterator[str]:
    for line in typed(path):
        yield from LBS.findall(line)
    yield from INLINE.findall(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_commands_exist_with_their_options(path: Path) -> None:
    wrong = [call for call in lbs_calls(path) if not _exists(call)]
    assert not wrong


def _exists(call: str) -> bool:
    words = shlex.split(call.replace("...", ""))
    name = command_of(words)
    if name is None:
        return len(words) == 1 and words[0] in GROUPS
    known = {*options_of(name), "--help"}
    return all(word.split("=")[0] in known for word in words if word.startswith("--"))


@pytest.mark.parametrize("path", documents(), ids=name_of)
def test_scripts_exist(path: Path) -> None:
    missing = [script for script in SCRIPT.findall(path.read_text(encoding="utf-8")) if not (ROOT / script).exists()]
    assert not missing


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < MOST_LINES


def test_the_readme_runs_what_it_promises_to_run() -> None:
    run = {name for call in lbs_calls(README) if (name := command_of(shlex.split(call)))}
    assert {"up", "down", "tenant create", "import stores", "export"} <= run


def test_the_benchmark_table_can_be_filled_in() -> None:
    between = re.search(
        r"<!-- bench ingest -->\n(.*?)<!-- /bench ingest -->", README.read_text(encoding="utf-8"), re.DOTALL
    )
    assert between is not None
    assert "| what | positions/s | floor | ratio |" in between[1]
