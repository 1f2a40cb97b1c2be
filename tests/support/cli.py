"""The real command, as another process, on a database and a Redis prefix of the test's own.

It gives the fixture `cli`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import redis
import sqlalchemy as sa

from lbs.connections import sqlalchemy_url
from tests.support.data import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs `lbs` with an environment of its own."""

    environment: dict[str, str]
    home: Path

    def run(self, *arguments: object, timeout_s: float = 300, **more: str) -> subprocess.CompletedProcess[str]:
        """Whatever happens: for tests that look at exit codes and errors."""
        return subprocess.run(
            self.command(*arguments),
            env={**self.environment, **more},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "lbs", *map(str, arguments)]

    def ok(self, *arguments: object, **more: Any) -> str:
        """Standard output of a command that must succeed."""
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout

    def json(self, *arguments: object, **more: Any) -> Any:
        """The one object that `--json` prints, which must be the last line."""
        return json.loads(self.ok(*arguments, "--json", **more).splitlines()[-1])

    def fails(self, *arguments: object, code: int = 1) -> str:
        """The one line on standard error of a command that must fail."""
        done = self.run(*arguments)
        assert done.returncode == code, f"{arguments}: {done.returncode} {done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stderr

    def tenant(self, name: str, *, sandbox: bool = False) -> int:
        return int(self.json("tenant", "create", name, *(["--sandbox"] if sandbox else []))["tenant_id"])

    @contextmanager
    def running(self, *names: str) -> Iterator[None]:
        """Processes of the project, in the background; ended with TERM, which must be clean."""
        started = []
        try:
            for name in names:
                log = self.home / f"{name}.out"
                with log.open("wb") as output:
                    started.append(
                        (
                            log,
                            subprocess.Popen(
                                self.command(name), env=self.environment, cwd=PROJECT, stdout=output, stderr=output
                            ),
                        )
                    )
            yield
        finally:
            for _, process in started:
                process.terminate()
            codes = [process.wait(timeout=120) for _, process in started]
        for (log, _), code in zip(started, codes, strict=True):
            # the API's server ends by the signal it was sent, once all is closed
            assert code in {0, -signal.SIGTERM if log.stem == "api" else 0}, log.read_text()[-2000:]

    def query(self, statement: str, **values: object) -> list[Any]:
        """Rows as the superuser sees them."""
        engine = sa.create_engine(sqlalchemy_url(self.environment["LBS_DATABASE_URL"]), poolclass=sa.NullPool)
        with engine.connect() as connection:
            return list(connection.execute(sa.text(statement), values))


def command_environment(home: Path, **given: str) -> dict[str, str]:
    """Ours without any `LBS_*`; compiled modules are kept for the run, as the command starts many times."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LBS_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    cache = Path(tempfile.gettempdir()) / f"lbs-tests-bytecode-{os.getuid()}"
    return {**kept, "PYTHONPYCACHEPREFIX": str(cache), "LBS_HOME": str(home), "COLUMNS": "120", **given}


@pytest.fixture
def cli(fresh_database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Cli]:
    """The command with a migrated database and a Redis prefix of its own."""
    home = tmp_path / "home"
    home.mkdir()
    prefix = f"test-{secrets.token_hex(6)}"
    environment = command_environment(
        home, LBS_DATABASE_URL=fresh_database_url, LBS_REDIS_URL=redis_url, LBS_REDIS_PREFIX=prefix
    )
    yield Cli(environment, home)
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter(match=f"{prefix}:*", count=1000):
            client.delete(key)
