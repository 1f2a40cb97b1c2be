"""Private PostgreSQL and Redis for one home, for a machine that has none to offer.

Promises: nothing of the system's own servers is touched, no port is fixed, two homes run side by side, and only
processes that are surely ours are ended. A killed server, a rebooted machine or a taken port is mended by the next
start. Starts and stops of one home wait for each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lbs.local_home import ProcessStatus, find_place, prepare_place, recall, recall_or_begin, remember
from lbs.local_postgres import postgres_status, postgres_url, start_postgres, stop_postgres
from lbs.local_process import LocalServersError, locked, remove_tree
from lbs.local_redis import redis_status, start_redis, stop_redis
from lbs.local_redis import redis_url as private_redis_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lbs.local_redis import AppendFsync

__all__ = [
    "LocalServersError",
    "ProcessStatus",
    "Servers",
    "remove_servers",
    "servers_status",
    "start_servers",
    "stop_servers",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """Where PostgreSQL and Redis answer; the URLs hold the passwords."""

    database_url: str
    redis_url: str


def _say_nothing(_text: str) -> None:
    pass


def start_servers(
    home: Path,
    *,
    database_url: str | None,
    redis_url: str | None,
    log: Callable[[str], None] = _say_nothing,
    appendfsync: AppendFsync = "everysec",
    durable: bool = True,
) -> Servers:
    """Start each server that no URL stands in for, and return once both answer.

    What runs already is left alone, so a second call returns the same URLs; a new `appendfsync` or `durable` holds from
    the next start on. Without `durable` PostgreSQL survives its own death but not the machine's: for tests. Private
    PostgreSQL has the superuser and the database `lbs`; nothing is migrated. If a server cannot be had, the
    LocalServersError says what to do, and one that was started before it goes on until `stop_servers`.
    """
    if database_url is not None and redis_url is not None:
        return Servers(database_url=database_url, redis_url=redis_url)
    place = find_place(home)
    with locked(place.lock):
        prepare_place(place)
        memory = recall_or_begin(place)
        if database_url is None:
            memory = start_postgres(place, memory, durable=durable, log=log)
        if redis_url is None:
            memory = start_redis(place, memory, appendfsync=appendfsync, log=log)
    return Servers(
        database_url=database_url or postgres_url(memory),
        redis_url=redis_url or private_redis_url(memory),
    )


def stop_servers(home: Path) -> None:
    """Stop what runs of this home's servers and wait until it is gone; the data stays for the next start."""
    if not home.exists():
        return
    place = find_place(home)
    with locked(place.lock):
        memory = recall(place)
        if memory is None:
            return
        try:
            stop_redis(place)
        finally:
            stop_postgres(place, memory)
        remember(place, replace(memory, socket_dir=None))


def remove_servers(home: Path) -> None:
    """Stop the servers and remove all they kept, also what had to live outside the home; the rest of the home stays."""
    if not home.exists():
        return
    stop_servers(home)
    place = find_place(home)
    with locked(place.lock):
        for folder in (place.postgres_dir, place.server_logs, place.redis_dir):
            remove_tree(folder)
        if place.data != place.home:
            remove_tree(place.data)
        for file in (place.postgres_log, place.redis_log, place.memory_file):
            file.unlink(missing_ok=True)


def servers_status(home: Path) -> list[ProcessStatus]:
    """The private servers that this home has ever started; none if URLs stood in for both."""
    if not home.exists():
        return []
    place = find_place(home)
    memory = recall(place)
    if memory is None:
        return []
    statuses = []
    if memory.postgres_port is not None:
        statuses.append(postgres_status(place, memory))
    if memory.redis_port is not None:
        statuses.append(redis_status(place, memory))
    return statuses
