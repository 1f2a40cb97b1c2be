"""Worker processes that die again and again (-9), at moments that chance chooses."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lbs.runtime import RunFiles
from tests.support.data import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class Workers:
    environment: dict[str, str]
    home: Path
    kills: float
    """How often they are killed at most, together."""
    lives_s: tuple[float, float]
    """How long after its first sign of life one is killed: between these."""
    dice: random.Random
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    killed: int = 0

    def start(self, name: str) -> None:
        home = self.home / name
        home.mkdir(exist_ok=True)
        RunFiles(home, "worker").beat.unlink(missing_ok=True)
        with (home / "out").open("ab") as output:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "lbs", "worker"],
                env={**self.environment, "LBS_HOME": str(home)},
                cwd=PROJECT,
                stdout=output,
                stderr=output,
            )

    def kill_until(self, done: threading.Event) -> None:
        """Kills each worker some moments after its first sign of life, and starts it again."""
        due: dict[str, float] = {}
        while not done.is_set() and self.killed < self.kills:
            for name in list(self.running):
                if name not in due:
                    if RunFiles(self.home / name, "worker").beat.exists():
                        due[name] = time.monotonic() + self.dice.uniform(*self.lives_s)
                elif time.monotonic() > due[name] and self.killed < self.kills:
                    del due[name]
                    self.running[name].kill()
                    self.running[name].wait()
                    self.killed += 1
                    self.start(name)
            time.sleep(0.005)  # a process's first sign of life is a file: there is nothing else to wait on


@contextmanager
def dying_workers(
    environment: dict[str, str],
    home: Path,
    *,
    count: int = 2,
    kills: float = float("inf"),
    lives_s: tuple[float, float] = (0.05, 1.0),
    seed: int = 11,
) -> Iterator[Workers]:
    """`count` processes until the block ends; one that is killed is started again."""
    workers = Workers(
        environment=environment,
        home=home,
        kills=kills,
        lives_s=lives_s,
        dice=random.Random(seed),
    )
    done = threading.Event()
    for n in range(count):
        workers.start(f"worker{n}")
    killer = threading.Thread(target=workers.kill_until, args=(done,))
    killer.start()
    try:
        yield workers
    finally:
        done.set()
        killer.join()
        for process in workers.running.values():
            process.kill()
            process.wait()
