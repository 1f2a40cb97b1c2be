"""What only the benchmark of the engine needs: packages of the extra `bench`, asked for when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from lbs.runtime import CommandError


def extra(module: str) -> Any:
    """A module of the extra `bench`; CommandError that says how to get it if it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise CommandError(
            f"{module} is not installed: this benchmark needs the extra, pip install 'lbs[bench]'"
            " (in a checkout: LBS_SETUP_DEV=1 scripts/setup)"
        ) from error
