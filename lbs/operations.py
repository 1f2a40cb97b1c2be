"""How an installation does, for its operators: what `/metrics`, `lbs doctor` and the processes know, on one page.

The same statements answer both kinds of operators: over a tenant's connection they see its own rows, over the reader's
all. What has no tenant, such as the log, is told to a tenant's operator as an age only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from geofences.past import load_places
from geofences.zones import tzdata_version
from lbs.alive import signs
from lbs.sql import block
from lbs.versions import program_version
from offers.dead_letters import DeadLetters, Which, dead_letters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from geofences.log import PositionLog
    from geofences.model import Shard, TenantId
    from geofences.visits import ShardPlace
    from lbs.alive import Sign
    from lbs.services import Services

LATELY: Final = timedelta(hours=1)
MINUTE_S: Final = 60.0
VERSIONS: Final = sa.text(
    "SELECT current_setting('server_version'), (SELECT extversion FROM pg_extension WHERE extname = 'postgis')"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits in the log, or for the decider; `count` is the whole installation's, hence None for a tenant."""

    count: int | None
    oldest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    at: datetime
    log: Waiting
    log_bytes: int | None
    log_full: bool
    decider: Waiting
    positions_per_s: float
    queue: Sequence[Any]
    lately: Sequence[Any]
    dead_entries: int | None
    """Of the log; None for a tenant."""
    dead_messages: Sequence[DeadLetters]
    processes: Sequence[Sign]
    versions: dict[str, str] = field(default_factory=dict)


def of_installation(services: Services) -> Operations:
    with services.reader.connect() as reader:
        return _operations(services, reader, reader, tenant_id=None)


def of_tenant(services: Services, connection: sa.Connection, tenant_id: TenantId) -> Operations:
    with services.reader.connect() as reader:
        return _operations(services, reader, connection, tenant_id=tenant_id)


def oldest_waiting_s(
    position_log: PositionLog, places: Mapping[Shard, ShardPlace], *, now: datetime
) -> tuple[int, float]:
    """How many shards have entries that no engine has handled, and how long the oldest of them waits."""
    waiting = position_log.read({shard: place.offset for shard, place in places.items()}, count=1)
    oldest_ms = min((int(entries[0][0].partition("-")[0]) for entries in waiting.values()), default=None)
    return len(waiting), 0.0 if oldest_ms is None else max(0.0, now.timestamp() - oldest_ms / 1000)


def _operations(
    services: Services, reader: sa.Connection, connection: sa.Connection, *, tenant_id: TenantId | None
) -> Operations:
    now, settings, everything = services.now(), services.settings, tenant_id is None
    _, log_lag_s = oldest_waiting_s(services.position_log, load_places(reader), now=now)
    undecided = reader.execute(block("events_waiting")).one()
    alive = signs(services.redis, prefix=settings.redis_prefix, now=now)
    taken = sum(
        count for sign in alive for tenant, count in sign.positions.items() if everything or tenant == str(tenant_id)
    )
    return Operations(
        at=now,
        log=Waiting(count=services.room.entries if everything else None, oldest_s=log_lag_s),
        log_bytes=services.room.bytes if everything else None,
        log_full=services.room.full,
        decider=Waiting(count=int(undecided.events) if everything else None, oldest_s=float(undecided.oldest_s)),
        positions_per_s=taken / MINUTE_S,
        queue=connection.execute(block("messages_waiting")).all(),
        lately=connection.execute(block("messages_lately"), {"since": now - LATELY}).all(),
        dead_entries=reader.execute(block("dead_letters")).scalar_one() if everything else None,
        dead_messages=[] if tenant_id is None else dead_letters(connection, Which(tenant_id=tenant_id), now=now),
        processes=alive,
        versions=_versions(services, reader) if everything else {"lbs": program_version()},
    )


def _versions(services: Services, reader: sa.Connection) -> dict[str, str]:
    postgres, postgis = reader.execute(VERSIONS).one()
    info: Any = services.redis.info("server")
    return {
        "lbs": program_version(),
        "postgresql": postgres,
        "postgis": postgis,
        "redis": str(info["redis_version"]),
        "tzdata": tzdata_version(),
    }
