"""Trials of faults, each in a fork of a process that has imported everything already, in a copy of the project."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT: Final = Path(__file__).parents[2]
COPIED: Final = ("geofences", "offers", "lbs", "migrations", "tests", "pyproject.toml")
OWN: Final = ("geofences", "offers", "lbs", "migrations", "tests")
SLOW_MACHINES: Final = "not quick and not microseconds"
"""Tests that hold a time would notice every fault on a machine as busy as this one then is."""
PYTEST: Final = (
    "-x",
    "-q",
    "-n",
    "0",
    "--no-header",
    "--tb=no",
    "--assert=plain",
    "-p",
    "no:randomly",
    "-p",
    "no:cacheprovider",
    "-k",
    SLOW_MACHINES,
)
KEPT: Final = "geofences"
"""Its compiled loops take long to import."""
TABLES: Final = "geofences.tables"
POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A source to be put in the place of the target's, and the number by which its outcome is known."""

    number: int
    source: str


@dataclass(slots=True, kw_only=True)
class _Running:
    pid: int
    copy: Path
    trial: Trial
    until: float


@dataclass(slots=True, kw_only=True)
class Trials:
    """Runs the tests of one target in `workers` copies below a folder."""

    target: str
    tests: tuple[str, ...]
    folder: Path
    workers: int
    _copies: list[Path] = field(default_factory=list)

    def prepare(self) -> None:
        for i in range(self.workers):
            copy = self.folder / str(i)
            copy.mkdir()
            for name in COPIED:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, copy / name)
                else:
                    shutil.copy2(ROOT / name, copy / name)
            self._copies.append(copy)
        for name in ("hypothesis", "tests.support.servers", "tests.support.cli", _module(self.target)):
            importlib.import_module(name)

    def run(self, trials: Iterable[Trial], timeout_s: float) -> Iterator[tuple[int, bool]]:
        """Number and whether the tests passed, as they end; what takes longer than the limit has not passed."""
        waiting, free, running = iter(trials), list(self._copies), list[_Running]()
        while True:
            while free and (trial := next(waiting, None)) is not None:
                running.append(self._start(free.pop(), trial, timeout_s))
            if not running:
                return
            for one in [one for one in running if (_ended(one) is not None)]:
                running.remove(one)
                free.append(one.copy)
                yield one.trial.number, _passed[one.pid]
            time.sleep(POLL_S)  # until one of the trials ends

    def _start(self, copy: Path, trial: Trial, timeout_s: float) -> _Running:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os._exit(self._child(copy, trial.source))
        return _Running(pid=pid, copy=copy, trial=trial, until=time.monotonic() + timeout_s)

    def _child(self, copy: Path, source: str) -> int:
        os.setpgid(0, 0)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        path = copy / self.target
        path.write_text(source, encoding="utf-8")
        # bytecode is known by a file's second: two faults may share one
        sys.dont_write_bytecode = True
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
        os.chdir(copy)
        sys.path.insert(0, str(copy))
        importlib.invalidate_caches()
        for name in _tainted(_module(self.target)):
            sys.modules.pop(name, None)
        return int(pytest.main([*PYTEST, "-p", "tests.mutation.quick", *self.tests]))


_passed: dict[int, bool] = {}


def _ended(one: _Running) -> bool | None:
    """Whether a trial passed; None while it runs."""
    pid, status = os.waitpid(one.pid, os.WNOHANG)
    if pid == 0 and time.monotonic() > one.until:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
        os.waitpid(one.pid, 0)
        status = -1
    elif pid == 0:
        return None
    _passed[one.pid] = status == 0
    return _passed[one.pid]


def _module(target: str) -> str:
    return target.removesuffix(".py").replace("/", ".")


def _tainted(target: str) -> set[str]:
    """The project's modules that hold something of the target, and itself: a trial has to import them anew."""
    loaded = list(sys.modules.items())
    # namespace packages, as `tests` is, know no file and look anew
    own = {
        name: module for name, module in loaded if name.partition(".")[0] in OWN and getattr(module, "__file__", None)
    }
    # tables of the database belong to one collection, which takes each of them once
    tainted = {target, TABLES} | {name for name in own if name in OWN or name.partition(".")[0] != KEPT}
    while True:
        more = {name for name, module in own.items() if name not in tainted and _holds(module, tainted)}
        if not more:
            return tainted
        tainted |= more


def _holds(module: ModuleType, tainted: set[str]) -> bool:
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if isinstance(value, ModuleType | type | FunctionType) or callable(value):
            if name in tainted:
                return True
        elif type(value).__module__ in tainted:
            return True
    return False
