"""How a process reaches the servers: connections that act as a role, and the log. Nothing is built at import.

Light to load: each command of the command line asks the database something, few of them need the rest.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import redis
import sqlalchemy as sa

from geofences.log import PositionLog

if TYPE_CHECKING:
    from lbs.settings import Settings


class Role(StrEnum):
    """Which database role a connection takes."""

    ADMIN = "admin"
    """The user of the URL itself: migrations only."""
    API = "lbs_api"
    """Sees the tenant of its transaction, and nothing else."""
    READER = "lbs_reader"
    """Reads all tenants: snapshots and key look-ups; no route can reach it."""
    SYSTEM = "lbs_system"
    """Writes all tenants: engine, worker, scheduler, command line."""


def sqlalchemy_url(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg2")


def database(settings: Settings, role: Role, *, pool_size: int = 5, ask_first: bool = True) -> sa.Engine:
    """An engine whose connections act as `role`, in UTC.

    `ask_first`: a connection is asked whether it still lives before each use, which a loop that waits out a database
    that was away does not need: what it loses with a dead connection, it does again.
    """
    assert settings.database_url is not None, "settings are resolved before wiring"
    options = "-c timezone=UTC -c search_path=public"
    if role is not Role.ADMIN:
        options += f" -c role={role}"
    if role is Role.READER:
        options += " -c default_transaction_read_only=on"
    return sa.create_engine(
        sqlalchemy_url(settings.database_url.get_secret_value()),
        connect_args={"options": options, "application_name": f"lbs:{role}", "connect_timeout": 10},
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=ask_first,
        hide_parameters=True,  # an error message must not quote coordinates or secrets
        executemany_mode="values_plus_batch",  # else every row of a long list is a round trip
    )


def redis_client(settings: Settings) -> redis.Redis:
    """A client for binary values; it fails fast rather than hang when Redis is away."""
    assert settings.redis_url is not None, "settings are resolved before wiring"
    return redis.Redis.from_url(
        settings.redis_url.get_secret_value(), socket_timeout=10, socket_connect_timeout=5, health_check_interval=30
    )


def position_log(settings: Settings) -> PositionLog:
    return PositionLog(redis_client(settings), prefix=settings.redis_prefix)
