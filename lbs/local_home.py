"""Where the private servers of one home keep their data, and what we remember of them: ports and passwords.

Usually all of it is in the home. When we are root and the home lies where the servers' account may not go (root's own
folder, say), the data folders live in /var/lib/lbs-<hash of the home> instead; `servers.json` in the home says where.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lbs.local_process import LocalServersError, make_private_dir, run, server_account, write_private

if TYPE_CHECKING:
    from lbs.local_process import Account

_ELSEWHERE: Final = Path("/var/lib")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """One private server: its pid if it runs, and whether it answers to our password."""

    name: str
    pid: int | None
    healthy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folders of one home; `data` is the home itself unless the servers' account cannot go there."""

    home: Path
    data: Path
    account: Account | None

    @property
    def postgres_dir(self) -> Path:
        return self.data / "postgres"

    @property
    def redis_dir(self) -> Path:
        return self.data / "redis"

    @property
    def server_logs(self) -> Path:
        return self.data / "postgres-logs"

    @property
    def postgres_log(self) -> Path:
        return self.home / "logs" / "postgres.log"

    @property
    def redis_log(self) -> Path:
        return self.home / "logs" / "redis.log"

    @property
    def memory_file(self) -> Path:
        return self.home / "servers.json"

    @property
    def lock(self) -> Path:
        return self.home / "servers.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What `servers.json` holds. A port stays the same for as long as nobody else takes it."""

    postgres_password: str
    redis_password: str
    postgres_port: int | None = None
    redis_port: int | None = None
    socket_dir: str | None = None
    """PostgreSQL's socket folder while it runs."""


def elsewhere_of(home: Path) -> Path:
    """The folder outside the home that belongs to it, whether or not it is used; the same for the same path."""
    return _ELSEWHERE / f"lbs-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"


def find_place(home: Path) -> Place:
    """Say where the data of a home is, or would be; makes nothing but the home."""
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    account = server_account()
    data = home
    if account is not None:
        elsewhere = elsewhere_of(home)
        # Data that is there decides, so that a change of permissions never makes a second, empty cluster.
        started_here = (home / "postgres").exists() or (home / "redis").exists()
        if elsewhere.exists() or not (started_here or _can_enter(account, home)):
            data = elsewhere
    return Place(home=home, data=data, account=account)


def prepare_place(place: Place) -> None:
    """Make the folder outside the home, if the home needs one."""
    if place.data != place.home:
        place.data.parent.mkdir(parents=True, exist_ok=True)
        make_private_dir(place.data, account=place.account)


def _can_enter(account: Account, folder: Path) -> bool:
    # The kernel is asked by trying: no reading of mode bits knows of access lists and mounts.
    result = run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(folder)], account=account)
    return result.returncode == 0


def recall(place: Place) -> Memory | None:
    """Read `servers.json`; None before the first start."""
    path = place.memory_file
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        data = Path(kept.pop("data"))
        memory = Memory(**kept)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise LocalServersError(f"{path} cannot be read ({error}): restore it, or remove {place.home}") from error

    if data != place.data and data.parent == _ELSEWHERE:
        # Data inside the home moves with it; data elsewhere does not, and an empty cluster must not take its place.
        raise LocalServersError(
            f"{place.home} was moved or copied, and its data is in {data}: move that to {place.data}, or remove {path}",
        )
    return memory


def remember(place: Place, memory: Memory) -> Memory:
    """Write `servers.json`, with mode 0600 for the passwords in it."""
    text = json.dumps({"data": str(place.data), **asdict(memory)}, indent=2) + "\n"
    write_private(place.memory_file, text)
    return memory


def recall_or_begin(place: Place) -> Memory:
    """What is remembered, or fresh passwords, kept before any server is made with them."""
    known = recall(place)
    if known is not None:
        return known
    if (place.postgres_dir / "PG_VERSION").exists():
        raise LocalServersError(
            f"{place.memory_file} with the password of {place.postgres_dir} is gone: restore it, or remove that folder",
        )
    return remember(place, Memory(postgres_password=secrets.token_hex(24), redis_password=secrets.token_hex(24)))
