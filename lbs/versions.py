"""Which version of the program this is."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def program_version() -> str:
    try:
        return version("lbs")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0"
