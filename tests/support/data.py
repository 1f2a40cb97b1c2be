"""Where the shared test data lies: beside the project, or where LBS_TEST_DATA says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def data_dir(name: str) -> Path:
    """Return the folder of one shared data set; the calling test is skipped where the set is missing."""
    root = Path(os.environ.get("LBS_TEST_DATA") or PROJECT.parent / "shared" / "data")
    folder = root / name
    if not folder.is_dir():
        pytest.skip(f"shared data set {name} is not here")
    return folder
