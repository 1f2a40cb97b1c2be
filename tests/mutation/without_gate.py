"""A pytest plugin: in this run the gate that LBS_TEST_WITHOUT_GATE names is never asked."""

from __future__ import annotations

import os
from typing import Final

from offers import rules
from offers.model import Gate

VARIABLE: Final = "LBS_TEST_WITHOUT_GATE"


def pytest_configure() -> None:
    rules.GATES[Gate(os.environ[VARIABLE])] = lambda _asked: None  # type: ignore[index]  # a table to everybody else
