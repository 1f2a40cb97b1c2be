"""What a page needs before it shows itself is small: its script and all that this imports, as the build tells.

What a page loads by itself afterwards (the map, charts, a tab that is opened) is not counted.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.data import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

DIST = PROJECT / "lbs" / "console" / "dist"
MAX_GZIP_BYTES = 300_000
CONSOLE, APP = "console/index.html", "app/index.html"


@pytest.fixture(scope="module")
def manifest() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((DIST / ".vite" / "manifest.json").read_text())
    return found


def _needed(manifest: dict[str, dict[str, Any]], *names: str) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += manifest[name].get("imports", [])
    return found


def _gzip_bytes(manifest: dict[str, dict[str, Any]], names: set[str]) -> int:
    files = [DIST / manifest[name]["file"] for name in names]
    # small files are sent as they are
    return sum(min(file.stat().st_size, _zipped(file)) for file in files)


def _zipped(file: Path) -> int:
    zipped = file.with_name(f"{file.name}.gz")
    return (zipped if zipped.exists() else file).stat().st_size


def test_no_page_needs_more_than_300_kb_of_scripts(manifest: dict[str, dict[str, Any]]) -> None:
    shell = _needed(manifest, CONSOLE)
    pages = {one for name in shell for one in manifest[name].get("dynamicImports", []) if one.endswith(".tsx")}
    assert len(pages) > 15
    for page in pages:
        needed = _needed(manifest, CONSOLE, page)
        assert _gzip_bytes(manifest, needed) <= MAX_GZIP_BYTES, page
        assert not any("MapView" in name for name in needed), f"{page} waits for the map"
    assert _gzip_bytes(manifest, _needed(manifest, APP)) <= MAX_GZIP_BYTES
