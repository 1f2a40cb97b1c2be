"""Tables of the schema `geofences`: tenants, devices, stores, fences, changes, shards, positions, visits, events.

Row-level security, roles and partitions are in `migrations/`; this module is what autogenerate compares against.
`positions` and `events` are partitioned by day and carry no unique index and no foreign key: the engine writes them by
COPY, and a row's identity is made before it gets here.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import sqlalchemy as sa
from geoalchemy2 import Geography, Geometry
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, REAL

from geofences.model import EndedBy, FenceKind, VisitStatus

if TYPE_CHECKING:
    from collections.abc import Iterable

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
SCHEMA = "geofences"


def one_of(column: str, values: type[StrEnum] | Iterable[str], *, name: str | None = None) -> sa.CheckConstraint:
    """A CHECK that a text column holds one of an enum's values: the enum is the only list."""
    listed = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{column} IN ({listed})", name=name or column)


def timestamp(name: str, *, nullable: bool = False, default_now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if default_now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def tenant_column() -> sa.Column[int]:
    return sa.Column("tenant_id", sa.Integer, sa.ForeignKey(f"{SCHEMA}.tenants.tenant_id"), nullable=False)


class Purpose(StrEnum):
    """What a person can consent to."""

    LOCATION = "location"
    PUSH = "push"
    ANALYTICS = "analytics"


class ConsentSource(StrEnum):
    APP = "app"
    SERVER = "server"
    REPLAY = "replay"


class Approval(StrEnum):
    """Who may approve a tenant's campaigns."""

    ANYONE = "anyone"
    """Also a server, for which the tenant vouches; a person never what is their own."""
    PEOPLE = "people"
    """A person, and another than wrote or submitted it."""


class ChangeKind(StrEnum):
    """What a numbered change row is about; every process applies the kinds it holds a snapshot of."""

    FENCE = "fence"
    STORE = "store"
    CAMPAIGN = "campaign"
    DEVICE = "device"


tenants = sa.Table(
    "tenants",
    metadata,
    sa.Column("tenant_id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("sandbox", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("approval", sa.Text, nullable=False, server_default=Approval.ANYONE),
    # how many days which of its rows are kept, where it wants less than the installation: {"visits": 90}
    sa.Column("retention", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    timestamp("created_at", default_now=True),
    one_of("approval", Approval),
    schema=SCHEMA,
)

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
    tenant_column(),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("external_user_id", sa.Text),
    # whether a server said so, itself or by its hash: an app alone could name anybody
    sa.Column("user_vouched", sa.Boolean, nullable=False, server_default=sa.false()),
    # what the app says, and what servers say: theirs counts where both say something
    sa.Column("attributes", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("vouched_attributes", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("timezone", sa.Text),
    sa.Column("locale", sa.Text),
    # wall times of the shopper's own zone, {"start": "21:00", "end": "08:00"}; NULL: none of their own
    sa.Column("quiet_times", JSONB),
    # when the tenant's server spoke for the device: NULL where only an app's publishable key did
    timestamp("vouched_at", nullable=True),
    # device tokens carry it: raising it revokes all tokens given out before
    sa.Column("generation", sa.Integer, nullable=False, server_default="0"),
    # when a device of the same name was erased: nothing that was recorded before counts
    timestamp("erased_at", nullable=True),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    sa.UniqueConstraint("tenant_id", "external_id"),
    # all devices of one person
    sa.Index(
        "ix_devices_tenant_id_external_user_id",
        "tenant_id",
        "external_user_id",
        postgresql_where=sa.text("external_user_id IS NOT NULL"),
    ),
    schema=SCHEMA,
)

consents = sa.Table(
    "consents",
    metadata,
    sa.Column(
        "device_id", sa.BigInteger, sa.ForeignKey(f"{SCHEMA}.devices.device_id", ondelete="CASCADE"), primary_key=True
    ),
    sa.Column("purpose", sa.Text, primary_key=True),
    tenant_column(),
    sa.Column("granted", sa.Boolean, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    timestamp("at"),
    # of location: nothing that was recorded before counts any more, even when consent is given again
    timestamp("withdrawn_at", nullable=True),
    one_of("purpose", Purpose),
    one_of("source", ConsentSource),
    schema=SCHEMA,
)

stores = sa.Table(
    "stores",
    metadata,
    sa.Column("store_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("brand", sa.Text),
    sa.Column("categories", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'::text[]")),
    sa.Column("address", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("opening_hours", sa.Text),
    sa.Column("attributes", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("location", Geography("POINT", srid=4326, spatial_index=False), nullable=False),
    # bigint cells are the prefilter that row-level security leaves usable: PostGIS operators are not LEAKPROOF
    sa.Column("cell_r7", sa.BigInteger, nullable=False),
    sa.Column("cell_r9", sa.BigInteger, nullable=False),
    sa.Column("content_hash", sa.LargeBinary, nullable=False),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    timestamp("deleted_at", nullable=True),
    sa.UniqueConstraint("tenant_id", "external_id"),
    sa.Index("ix_stores_tenant_id_cell_r7", "tenant_id", "cell_r7"),
    sa.Index("ix_stores_tenant_id_cell_r9", "tenant_id", "cell_r9"),
    sa.Index("ix_stores_location", "location", postgresql_using="gist"),
    schema=SCHEMA,
)

fences = sa.Table(
    "fences",
    metadata,
    sa.Column("fence_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text),
    sa.Column("store_id", sa.BigInteger, sa.ForeignKey(f"{SCHEMA}.stores.store_id")),
    sa.Column("version", sa.Integer, nullable=False),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    timestamp("deleted_at", nullable=True),
    sa.UniqueConstraint("tenant_id", "external_id"),
    sa.Index("ix_fences_store_id", "store_id"),
    schema=SCHEMA,
)

fence_versions = sa.Table(
    "fence_versions",
    metadata,
    sa.Column("fence_id", sa.BigInteger, sa.ForeignKey(f"{SCHEMA}.fences.fence_id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    tenant_column(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("center", Geography("POINT", srid=4326, spatial_index=False)),
    sa.Column("radius_m", sa.Float(53)),
    sa.Column("area", Geometry("MULTIPOLYGON", srid=4326, spatial_index=False)),
    sa.Column("profile", sa.Text, nullable=False),
    sa.Column("settings", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.Column("content_hash", sa.LargeBinary, nullable=False),
    timestamp("effective_at"),
    timestamp("ended_at", nullable=True),
    one_of("kind", FenceKind),
    sa.CheckConstraint(
        "(kind = 'circle' AND center IS NOT NULL AND radius_m IS NOT NULL AND area IS NULL)"
        " OR (kind <> 'circle' AND area IS NOT NULL AND center IS NULL)",
        name="shape",
    ),
    schema=SCHEMA,
)

fence_cells = sa.Table(
    "fence_cells",
    metadata,
    sa.Column("fence_id", sa.BigInteger, primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("cell", sa.BigInteger, primary_key=True),
    tenant_column(),
    sa.ForeignKeyConstraint(
        ["fence_id", "version"],
        [f"{SCHEMA}.fence_versions.fence_id", f"{SCHEMA}.fence_versions.version"],
        ondelete="CASCADE",
    ),
    sa.Index("ix_fence_cells_tenant_id_cell", "tenant_id", "cell"),
    schema=SCHEMA,
)

changes = sa.Table(
    "changes",
    metadata,
    # numbered under one advisory transaction lock, so number order is commit order and a poll can miss nothing
    sa.Column("number", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("object_id", sa.BigInteger, nullable=False),
    timestamp("effective_at"),
    timestamp("created_at", default_now=True),
    one_of("kind", ChangeKind),
    schema=SCHEMA,
)

shards = sa.Table(
    "shards",
    metadata,
    sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("epoch", sa.Integer, nullable=False, server_default="1"),
    # id of the last log entry whose effects are committed
    sa.Column("offset", sa.Text, nullable=False, server_default="0-0"),
    # number of the newest event of this shard
    sa.Column("seq", sa.BigInteger, nullable=False, server_default="0"),
    # the engine that works on it, and until when nobody else may, by the database's clock
    sa.Column("owner", sa.Text),
    timestamp("leased_until", nullable=True),
    schema=SCHEMA,
)

engines = sa.Table(
    "engines",
    metadata,
    sa.Column("owner", sa.Text, primary_key=True),
    # when it last renewed its leases; one that is silent for the length of a lease counts as dead
    timestamp("seen_at"),
    schema=SCHEMA,
)

log_losses = sa.Table(
    "log_losses",
    metadata,
    sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("at", sa.DateTime(timezone=True), primary_key=True, server_default=sa.func.clock_timestamp()),
    # entries that were waiting when the log was last looked at; more may have come and gone since
    sa.Column("entries_at_least", sa.BigInteger, nullable=False),
    schema=SCHEMA,
)

dead_letters = sa.Table(
    "dead_letters",
    metadata,
    sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("entry_id", sa.Text, primary_key=True),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    timestamp("at", default_now=True),
    schema=SCHEMA,
)

positions = sa.Table(
    "positions",
    metadata,
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    timestamp("recorded_at"),
    timestamp("received_at"),
    sa.Column("lat", sa.Float(53), nullable=False),
    sa.Column("lng", sa.Float(53), nullable=False),
    sa.Column("accuracy_m", REAL),
    sa.Column("speed_mps", REAL),
    sa.Column("flags", sa.SmallInteger, nullable=False),
    sa.Index("ix_positions_device_id_recorded_at", "device_id", "recorded_at"),
    schema=SCHEMA,
    postgresql_partition_by="RANGE (recorded_at)",
)

device_last = sa.Table(
    "device_last",
    metadata,
    sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("cell_r9", sa.BigInteger, nullable=False),
    sa.Column("cell_r10", sa.BigInteger),
    sa.Column("lat", sa.Float(53), nullable=False),
    sa.Column("lng", sa.Float(53), nullable=False),
    timestamp("seen_at"),
    sa.Index("ix_device_last_tenant_id_cell_r9", "tenant_id", "cell_r9"),
    schema=SCHEMA,
)

visits = sa.Table(
    "visits",
    metadata,
    sa.Column("visit_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("shard", sa.SmallInteger, nullable=False),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    sa.Column("fence_id", sa.BigInteger, nullable=False),
    sa.Column("fence_version", sa.Integer, nullable=False),
    sa.Column("store_id", sa.BigInteger),
    sa.Column("root_visit_id", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    timestamp("entered_at"),
    # last_in_at and positions are those of as_of while the visit lasts: a row is written when more than they change
    timestamp("last_in_at"),
    # the first OUT that nothing has taken back yet
    timestamp("out_since", nullable=True),
    timestamp("exited_at", nullable=True),
    timestamp("dwelled_at", nullable=True),
    # the newest position that this row knows of
    timestamp("as_of"),
    # from when on only a late position can change it; empty while it lasts
    timestamp("settled_at", nullable=True),
    # the dwell time passed while an OUT was not yet confirmed
    sa.Column("dwell_waits", sa.Boolean, nullable=False),
    # both written once the visit is closed
    sa.Column("dwell_s", sa.Float(53)),
    sa.Column("ended_by", sa.Text),
    sa.Column("already_inside", sa.Boolean, nullable=False),
    sa.Column("positions", sa.Integer, nullable=False),
    sa.Column("confidence", sa.Float(53), nullable=False),
    one_of("status", VisitStatus),
    one_of("ended_by", EndedBy),
    sa.Index(
        "ix_visits_shard_unfinished",
        "shard",
        postgresql_where=sa.text("status IN ('candidate', 'open')"),
    ),
    sa.Index("ix_visits_tenant_id_store_id_entered_at", "tenant_id", "store_id", "entered_at"),
    sa.Index("ix_visits_tenant_id_device_id_entered_at", "tenant_id", "device_id", "entered_at"),
    sa.Index("ix_visits_fence_id_unfinished", "fence_id", postgresql_where=sa.text("status IN ('candidate', 'open')")),
    schema=SCHEMA,
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("event_id", sa.BigInteger, nullable=False),
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("shard", sa.SmallInteger, nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    sa.Column("fence_id", sa.BigInteger, nullable=False),
    sa.Column("store_id", sa.BigInteger),
    sa.Column("visit_id", sa.BigInteger, nullable=False),
    sa.Column("root_visit_id", sa.BigInteger, nullable=False),
    timestamp("at"),
    # the log's clock when the event was found: the only clock a decision knows
    timestamp("clock"),
    # when the position that made it known was appended; empty for a timer
    timestamp("received_at", nullable=True),
    sa.Column("confidence", sa.Float(53), nullable=False),
    sa.Column("already_inside", sa.Boolean, nullable=False),
    # what was told wrong before, and why: only of events that a late position or fence change caused
    sa.Column("detail", JSONB),
    sa.Index("ix_events_shard_seq", "shard", "seq"),
    sa.Index("ix_events_tenant_id_device_id_at", "tenant_id", "device_id", "at"),
    sa.Index("ix_events_clock", "clock", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    schema=SCHEMA,
    postgresql_partition_by="RANGE (at)",
)
