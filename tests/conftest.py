"""What all tests share: the servers' fixtures, and no network for unit tests."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final, NoReturn

import hypothesis
import pytest

# the first call of a compiled function takes as long as reading or compiling it does
hypothesis.settings.register_profile("compiled", deadline=None)
hypothesis.settings.load_profile("compiled")

pytest_plugins = [
    "tests.support.browser",
    "tests.support.cli",
    "tests.support.console",
    "tests.support.furnished",
    "tests.support.servers",
]

_UNIT_TESTS: Final = Path(__file__).parent / "unit"


def _refuse(_socket: socket.socket, address: object) -> NoReturn:
    pytest.fail(f"a unit test connects to {address!r}: make it an integration test, or hand a double in")


@pytest.fixture(autouse=True)
def _no_connections_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if _UNIT_TESTS in request.path.parents:
        monkeypatch.setattr(socket.socket, "connect", _refuse)
        monkeypatch.setattr(socket.socket, "connect_ex", _refuse)
