"""From the settings as given to settings that a process can work with: servers found, the secret key made.

Also what is the same for everything that runs: where its files are, and its heart.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from lbs.local import servers_status
from lbs.local_home import find_place, recall
from lbs.local_postgres import postgres_url
from lbs.local_redis import redis_url

if TYPE_CHECKING:
    from lbs.settings import Settings

_LOG_KEPT_BYTES: Final = 10_000_000
_BEAT_EVERY_S: Final = 0.5
HEALTHY_FOR_S: Final = 5.0
"""A process that has not shown a sign of life for longer is not healthy."""


class CommandError(Exception):
    """A command cannot do what it was asked; the text is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class RunFiles:
    """Files of one process under LBS_HOME."""

    home: Path
    name: str

    @property
    def log(self) -> Path:
        return self.home / "logs" / f"{self.name}.log"

    @property
    def pid(self) -> Path:
        return self.home / "processes" / f"{self.name}.pid"

    @property
    def beat(self) -> Path:
        return self.home / "processes" / f"{self.name}.beat"

    def beat_age_s(self) -> float | None:
        """Seconds since the last sign of life; None if there never was one."""
        try:
            return time.time() - self.beat.stat().st_mtime
        except FileNotFoundError:
            return None


class Heart:
    """Shows that the loop of a process goes round, and keeps the log file of the process from growing for ever."""

    def __init__(self, files: RunFiles) -> None:
        self._files = files
        self._next_s = 0.0
        self._beat_s = time.monotonic()
        files.beat.parent.mkdir(parents=True, exist_ok=True)

    def beat(self) -> None:
        """Cheap enough for every round of a loop; safe from any thread."""
        now_s = self._beat_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _BEAT_EVERY_S
        self._files.beat.touch()
        _bound_log(self._files.log)

    def age_s(self) -> float:
        """Seconds since the loop last went round."""
        return time.monotonic() - self._beat_s


def _bound_log(log: Path) -> None:
    """Moves what a log has grown to aside; the file stays the same one, as the process writes by descriptor."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > _LOG_KEPT_BYTES:
            log.with_suffix(".log.1").write_bytes(log.read_bytes())
            os.truncate(log, 0)


def resolve(settings: Settings, *, with_redis: bool = True) -> Settings:
    """Settings with a database, a Redis (unless nobody needs it) and a secret key; CommandError if a server is missing.

    What no URL names is the private server of LBS_HOME, which must be running.
    """
    home = settings.home.resolve()
    database, log, secret = settings.database_url, settings.redis_url, settings.secret_key
    if not database or (not log and with_redis):
        running = {status.name: status.pid is not None for status in servers_status(home)}
        memory = recall(find_place(home)) if running else None
        if not database:
            if memory is None or not running.get("postgres"):
                raise CommandError(_not_running("PostgreSQL", "LBS_DATABASE_URL", home))
            database = SecretStr(postgres_url(memory))
        if not log and with_redis:
            if memory is None or not running.get("redis"):
                raise CommandError(_not_running("Redis", "LBS_REDIS_URL", home))
            log = SecretStr(redis_url(memory))
    if not secret:
        secret = SecretStr(secret_key(home))
    return settings.model_copy(update={"home": home, "database_url": database, "redis_url": log, "secret_key": secret})


def plain(secret: SecretStr | None) -> str | None:
    """The text of a setting that is kept from logs; None for an empty one, as for none."""
    return (secret.get_secret_value() or None) if secret is not None else None


def _not_running(server: str, variable: str, home: Path) -> str:
    return f"{server} of {home} is not running: start it with `lbs up`, or set {variable}"


def secret_key(home: Path) -> str:
    """The installation's secret of a home, made at first use; whoever comes first makes it for all."""
    path = home / "secret_key"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=home, prefix=".secret_key.")  # mode 0600
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(descriptor)
        # a link never replaces: of two processes that start at once, one wins and both read the same key
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
        Path(name).unlink()
    return path.read_text(encoding="ascii").strip()
