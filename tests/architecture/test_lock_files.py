"""The lock files cover pyproject.toml, carry hashes, and leave the choice of index to whoever installs."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["requirements.txt", "requirements-build.txt", "requirements-dev.txt", "requirements-node.txt"]


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def plain_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def pins(lock: str) -> dict[str, str]:
    """Name to the whole entry, one per version and marker joined."""
    entries: dict[str, str] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text()):
        entries[plain_name(entry)] = entries.get(plain_name(entry), "") + entry
    return entries


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_is_exact_and_hashed(lock: str) -> None:
    for name, entry in pins(lock).items():
        assert "==" in entry, name
        assert "--hash=sha256:" in entry, name


@pytest.mark.parametrize("lock", LOCKS)
def test_no_lock_names_an_address(lock: str) -> None:
    assert not re.findall(r"\w+://|--index-url|--find-links", (ROOT / lock).read_text())


def test_what_pyproject_asks_for_is_locked() -> None:
    config = project()
    runtime = {plain_name(requirement) for requirement in config["project"]["dependencies"]}
    extras = [*config["project"]["optional-dependencies"]["bench"], *config["dependency-groups"]["dev"]]
    development = {plain_name(requirement) for requirement in extras}
    build = {plain_name(requirement) for requirement in config["build-system"]["requires"]}
    assert runtime - set(pins("requirements.txt")) == set(), "run scripts/lock"
    assert (runtime | development) - set(pins("requirements-dev.txt")) == set(), "run scripts/lock"
    assert build - set(pins("requirements-build.txt")) == set(), "run scripts/lock"
