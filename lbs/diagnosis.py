"""What `lbs doctor` looks at: each check says what it found, whether that is good, and if not what to do."""

from __future__ import annotations

import platform
import stat
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import redis
import sqlalchemy as sa
from alembic.script import ScriptDirectory

import migrations
from geofences.errors import LogUnavailableError
from geofences.log import id_after
from geofences.model import SHARDS
from geofences.past import load_places
from geofences.zones import tzdata_version
from lbs import clock
from lbs.checks import Check, Level, good_if
from lbs.commands.schema import schema_revision
from lbs.connections import Role, database, position_log, redis_client
from lbs.consistency import examine_ledgers, examine_sequences
from lbs.operations import oldest_waiting_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbs.settings import Settings

OLDEST_POSTGRES: Final = 15
OLDEST_POSTGIS: Final = 3
OLDEST_REDIS: Final = 7
MAX_SKEW_S: Final = 2.0
MAX_LAG_S: Final = 10.0
ROOM_TO_SPARE: Final = 1.25
"""Redis needs memory for more than the log, and the log may grow a little past its limit."""
LATELY: Final = "24 hours"
PARTITIONED: Final = ("geofences.positions", "geofences.events", "offers.decisions")


def examine(settings: Settings, *, deep: bool = False) -> Iterator[Check]:
    """All checks, as they are made; servers that do not answer end the checks that need them.

    `deep` also compares the ledgers row by row, which reads whole tables.
    """
    yield Check(name="python", found=platform.python_version())
    yield Check(name="time-zone data", found=tzdata_version())
    yield from _secret(settings)
    yield from _of_server(
        "postgresql", lambda: _postgres(settings, deep=deep), "start it with `lbs up`, or see LBS_DATABASE_URL"
    )
    yield from _of_server("redis", lambda: _redis(settings), "start it with `lbs up`, or see LBS_REDIS_URL")
    yield from _of_server("lag", lambda: _lag(settings), "look at the servers first")


def _of_server(name: str, checks: Callable[[], Iterator[Check]], advice: str) -> Iterator[Check]:
    try:
        yield from checks()
    except (sa.exc.DBAPIError, redis.RedisError, LogUnavailableError) as error:
        reason = getattr(error, "orig", None) or error
        yield good_if(False, name, str(reason).strip().partition("\n")[0], advice)


def _secret(settings: Settings) -> Iterator[Check]:
    path = settings.home / "secret_key"
    if path.exists():
        open_to_others = path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
        yield good_if(
            not open_to_others,
            "secret key",
            "readable by others" if open_to_others else "private",
            f"run `chmod 600 {path}`, and think about who has read it",
        )


def _postgres(settings: Settings, *, deep: bool) -> Iterator[Check]:
    assert settings.database_url is not None
    engine = database(settings, Role.ADMIN)
    try:
        with engine.connect() as connection:
            version = int(connection.execute(sa.text("SHOW server_version_num")).scalar_one())
            yield good_if(
                version // 10_000 >= OLDEST_POSTGRES,
                "postgresql",
                connection.execute(sa.text("SHOW server_version")).scalar_one(),
                f"upgrade to PostgreSQL {OLDEST_POSTGRES} or newer",
            )
            postgis = connection.execute(
                sa.text("SELECT extversion FROM pg_extension WHERE extname = 'postgis'")
            ).scalar()
            yield good_if(
                postgis is not None and int(postgis.partition(".")[0]) >= OLDEST_POSTGIS,
                "postgis",
                postgis or "not there",
                "install PostGIS 3 on the server, then run `lbs migrate`",
            )
            their_now = connection.execute(sa.text("SELECT clock_timestamp()")).scalar_one()
            skew_s = abs((their_now - clock.now()).total_seconds())
            yield good_if(
                skew_s <= MAX_SKEW_S,
                "clock",
                f"{skew_s:.1f} s apart from PostgreSQL's",
                "synchronise the clocks of both machines (NTP)",
            )
            yield from _roles(connection)
            head = ScriptDirectory.from_config(
                migrations.config(settings.database_url.get_secret_value())
            ).get_current_head()
            revision = schema_revision(settings.database_url.get_secret_value())
            yield good_if(revision == head, "schema", f"{revision}, newest is {head}", "run `lbs migrate`")
            if revision == head:
                yield from _stored(connection, settings, deep=deep)
    finally:
        engine.dispose()


def _roles(connection: sa.Connection) -> Iterator[Check]:
    wanted = [str(role) for role in Role if role is not Role.ADMIN]
    usable = connection.execute(
        sa.text(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY(:wanted) AND pg_has_role(current_user, oid, 'MEMBER')"
        ),
        {"wanted": wanted},
    ).scalars()
    missing = sorted(set(wanted) - set(usable))
    yield good_if(
        not missing,
        "roles",
        f"cannot act as {', '.join(missing)}" if missing else "all usable",
        "run `lbs migrate` as a user who may create roles, or grant them to the user of LBS_DATABASE_URL",
    )


def _stored(connection: sa.Connection, settings: Settings, *, deep: bool) -> Iterator[Check]:
    reading = database(settings, Role.READER, pool_size=1)
    try:
        with reading.connect() as reader:
            yield from _tables(reader)
            yield from examine_ledgers(reader, settings, deep=deep)
            yield examine_sequences(connection, reader)
    finally:
        reading.dispose()


def _tables(connection: sa.Connection) -> Iterator[Check]:
    today = clock.now().date()
    wanted = [f"{parent}_p{day:%Y%m%d}" for parent in PARTITIONED for day in (today, today + timedelta(days=1))]
    found = connection.execute(
        sa.text("SELECT name FROM unnest(CAST(:wanted AS text[])) AS name WHERE to_regclass(name) IS NOT NULL"),
        {"wanted": wanted},
    ).scalars()
    missing = sorted(set(wanted) - set(found))
    yield good_if(
        not missing,
        "partitions",
        f"missing: {', '.join(missing)}" if missing else "there for today and tomorrow",
        "start the scheduler (`lbs up`, or `lbs scheduler`), which makes them",
    )
    dead = connection.execute(sa.text("SELECT count(*) FROM geofences.dead_letters")).scalar_one()
    yield good_if(
        dead == 0,
        "dead letters",
        dead,
        "entries of the log could not be handled: the table geofences.dead_letters says which and why",
    )
    yield from _engines(connection)


def _engines(connection: sa.Connection) -> Iterator[Check]:
    owners = connection.execute(
        sa.text(
            "SELECT count(*) AS shards, count(DISTINCT owner) AS engines FROM geofences.shards"
            " WHERE leased_until > clock_timestamp()"
        )
    ).one()
    found = f"{owners.engines} own {owners.shards} of {SHARDS} shards" if owners.engines else "none works"
    yield good_if(bool(owners.engines), "engines", found, "start it (`lbs up`, or `lbs engine`)", otherwise=Level.WARN)
    losses = connection.execute(
        sa.text(
            "SELECT count(*) AS shards, sum(entries_at_least) AS entries, max(at) AS last FROM geofences.log_losses"
            " WHERE at > clock_timestamp() - CAST(:lately AS interval)"
        ),
        {"lately": LATELY},
    ).one()
    yield good_if(
        not losses.shards,
        "log losses",
        f"{losses.shards} shards, at least {losses.entries} entries, last at {losses.last:%Y-%m-%d %H:%M:%S} UTC"
        if losses.shards
        else f"none in {LATELY}",
        "Redis lost entries that waited: see its persistence and what happened to it then; phones may send again",
    )


def _redis(settings: Settings) -> Iterator[Check]:
    client = redis_client(settings)
    info: Any = client.info()
    version = str(info["redis_version"])
    yield good_if(
        int(version.partition(".")[0]) >= OLDEST_REDIS, "redis", version, f"upgrade to Redis {OLDEST_REDIS} or newer"
    )
    durable = bool(info.get("aof_enabled"))
    fsync = _config(client, "appendfsync")
    yield good_if(
        durable,
        "redis persistence",
        f"appendonly yes, appendfsync {fsync or 'unknown'}" if durable else "appendonly no",
        "set `appendonly yes`: without it a restart of Redis loses accepted positions",
    )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    yield good_if(
        policy == "noeviction",
        "redis eviction",
        policy,
        "set `maxmemory-policy noeviction`: the log must not lose entries that wait",
    )
    limit = int(info.get("maxmemory", 0))
    yield good_if(
        limit == 0 or limit >= settings.log_max_bytes * ROOM_TO_SPARE,
        "redis memory",
        f"maxmemory {limit:,} bytes" if limit else "no limit",
        f"raise `maxmemory`, or lower LBS_LOG_MAX_BYTES [{settings.log_max_bytes:,}] well below it",
    )


def _config(client: redis.Redis, name: str) -> str | None:
    """A setting of Redis; None where a managed server does not tell."""
    try:
        found: Any = client.config_get(name)
    except redis.ResponseError:
        return None
    value = found.get(name)
    return value.decode() if isinstance(value, bytes) else value


def _lag(settings: Settings) -> Iterator[Check]:
    log = position_log(settings)
    engine = database(settings, Role.SYSTEM)
    try:
        with engine.connect() as connection:
            if not sa.inspect(connection).has_table("shards", schema="geofences"):
                return
            places = load_places(connection)
        last_ids = log.last_ids()
        lost = [shard for shard, place in places.items() if id_after(place.offset, last_ids[shard])]
        yield good_if(
            not lost,
            "log",
            f"{len(lost)} shards ahead of it" if lost else f"{sum(log.lengths().values())} entries kept",
            "Redis lost its data, or LBS_REDIS_PREFIX changed: a running engine begins the log anew within seconds",
        )
        waiting, lag_s = oldest_waiting_s(log, places, now=clock.now())
        yield good_if(
            lag_s <= MAX_LAG_S,
            "engine lag",
            f"{waiting} shards wait, the oldest entry for {lag_s:.1f} s",
            "start the engine (`lbs up`, or `lbs engine`); if it runs, see its log",
        )
        yield _decider_lag(engine)
    finally:
        engine.dispose()


def _decider_lag(engine: sa.Engine) -> Check:
    statement = sa.text("SELECT sum(s.seq - c.seq) FROM geofences.shards AS s JOIN offers.cursors AS c USING (shard)")

    def undecided() -> int:
        with engine.connect() as connection:
            return int(connection.execute(statement).scalar_one() or 0)

    before = after = undecided()
    if before:
        time.sleep(1.0)  # a decider that works moves within a second
        after = undecided()
    return good_if(
        after == 0 or after != before,
        "decider lag",
        f"{after} events wait",
        "start the worker (`lbs up`, or `lbs worker`); if it runs, see its log",
    )
