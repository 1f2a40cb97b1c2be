"""The four processes of one home, each in a session of its own: start, watch, stop.

A process is known by its pid AND the moment it was born: a pid that the system gave to another one is never taken for
ours and never ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import lbs
from lbs.local_process import log_tail, run, wait_until, write_private
from lbs.runtime import HEALTHY_FOR_S, CommandError, RunFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES: Final = ("api", "engine", "worker", "scheduler")
_STOP_WAIT_S: Final = 10.0
_START_WAIT_S: Final = 60.0
_POLL_S: Final = 0.1
_children: Final[set[int]] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where the API of a home listens, and what clients call it."""

    host: str
    port: int
    public_url: str | None = None

    @property
    def local_url(self) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        return self.public_url or self.local_url


def address_file(home: Path) -> Path:
    return home / "api.json"


def known_address(home: Path) -> Address | None:
    """The address of the API that runs, or of the one that ran last."""
    try:
        return Address(**json.loads(address_file(home).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def birth(pid: int) -> str | None:
    """When the process was born, as the system tells it; None if it does not run (a zombie does not)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return None
        answer = run(["/bin/ps", "-o", "state=,lstart=", "-p", str(pid)], account=None)
        state, _, born = answer.stdout.strip().partition(" ")
        return None if answer.returncode != 0 or state.startswith("Z") else born.strip()
    return None if fields[0] in {"Z", "X"} else f"{_boot()}:{fields[19]}"


def _boot() -> str:
    """Births are counted from the start of the system, so two boots could show the same one."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def living_pid(files: RunFiles) -> int | None:
    """The process of that name if it runs; a stale file is nobody."""
    try:
        pid_text, _, born = files.pid.read_text(encoding="utf-8").strip().partition(" ")
        pid = int(pid_text)
    except (FileNotFoundError, ValueError):
        return None
    return pid if birth(pid) == born else None


def is_healthy(files: RunFiles, pid: int | None) -> bool:
    """The API answers that it is ready; of the others the loop goes round."""
    if pid is None:
        return False
    if files.name != "api":
        age_s = files.beat_age_s()
        return age_s is not None and age_s < HEALTHY_FOR_S
    address = known_address(files.home)
    if address is None:
        return False
    try:
        with urllib.request.urlopen(f"{address.local_url}/readyz", timeout=3) as answer:  # noqa: S310 - always http
            return bool(answer.status == 200)  # noqa: PLR2004 - HTTP OK
    except (OSError, ValueError):
        return False


def start(files: RunFiles, *arguments: str, environment: Mapping[str, str]) -> None:
    """Starts `lbs NAME` detached from the terminal, its output going to its log; a running one is left alone."""
    if living_pid(files) is not None:
        return
    for folder in (files.log.parent, files.pid.parent):
        folder.mkdir(parents=True, exist_ok=True)
    files.beat.unlink(missing_ok=True)
    with files.log.open("ab") as log:
        child = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "lbs", files.name, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
            # where the program itself lies: it runs from a checkout too
            cwd=Path(lbs.__file__).parents[1],
            start_new_session=True,
        )
    write_private(files.pid, f"{child.pid} {birth(child.pid)}\n")
    _children.add(child.pid)
    child.returncode = 0  # it outlives us, which is no mistake to be warned of


def wait_healthy(home: Path) -> None:
    """Waits until all four are healthy; CommandError with the last words of one that is not."""
    give_up_at = time.monotonic() + _START_WAIT_S
    waiting = [RunFiles(home, name) for name in NAMES]
    while waiting:
        time.sleep(_POLL_S)
        _reap()
        for files in list(waiting):
            pid = living_pid(files)
            if is_healthy(files, pid):
                waiting.remove(files)
            elif pid is None or time.monotonic() > give_up_at:
                did = "ended at once" if pid is None else f"is not healthy after {_START_WAIT_S:.0f} s"
                raise CommandError(f"lbs {files.name} {did}; {files.log} says:\n{log_tail(files.log)}")


def _reap() -> None:
    """What this process has started and what ended since must not stay a zombie; other children are left alone."""
    for pid in list(_children):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG) == (0, 0):
                continue
        _children.discard(pid)


def stop_all(home: Path) -> list[str]:
    """Ends what runs, all at once: TERM, after 10 s KILL. Answers the names that ran."""
    running = {
        files: pid for files in (RunFiles(home, name) for name in NAMES) if (pid := living_pid(files)) is not None
    }
    for number, wait_s in ((signal.SIGTERM, _STOP_WAIT_S), (signal.SIGKILL, _STOP_WAIT_S)):
        for files in running:
            pid = living_pid(files)
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if wait_until(lambda: _all_gone(running), give_up_s=wait_s):
            break
    else:
        raise CommandError("some processes do not stop: " + ", ".join(f.name for f in running if living_pid(f)))
    for files in (RunFiles(home, name) for name in NAMES):
        files.pid.unlink(missing_ok=True)
        files.beat.unlink(missing_ok=True)
    return [files.name for files in running]


def _all_gone(running: Mapping[RunFiles, int]) -> bool:
    _reap()
    return all(living_pid(files) is None for files in running)
