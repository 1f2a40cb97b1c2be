"""Compiled results are forgotten when their source changed, wherever numba keeps them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from geofences import compiled
from geofences.compiled import _forget_stale

if TYPE_CHECKING:
    import pytest


def loop() -> None:
    """Stands for a compiled function."""


def test_what_is_older_than_its_source_is_forgotten_in_the_folder_it_is_kept_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_newest_source_s", [0.0])
    source_s = Path(__file__).stat().st_mtime
    kept = {name: tmp_path / f"test_compiled.{name}-1.py311.nbi" for name in ("loop", "other")}
    for path in kept.values():
        path.touch()
        os.utime(path, (source_s - 1, source_s - 1))
    _forget_stale(loop, tmp_path)
    assert [name for name, path in kept.items() if path.exists()] == ["other"]

    kept["loop"].touch()
    os.utime(kept["loop"], (source_s + 1, source_s + 1))
    _forget_stale(loop, tmp_path)
    assert kept["loop"].exists()
