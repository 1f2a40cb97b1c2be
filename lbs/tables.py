"""Tables of the schema `lbs`: keys, people with their sessions, the audit of writes, remembered writes."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from geofences.tables import metadata, one_of, tenant_column, timestamp

SCHEMA = "lbs"


class KeyKind(StrEnum):
    """What a bearer key may do; a device token is a fourth kind that needs no row."""

    PUBLISHABLE = "publishable"
    SECRET = "secret"  # noqa: S105 - the name of a kind, not a secret
    STORE = "store"


class Role(StrEnum):
    """What a person may do; `lbs.access` says what that is. One role a person."""

    MARKETER = "marketer"
    APPROVER = "approver"
    STORE_MANAGER = "store_manager"
    ANALYST = "analyst"
    OPERATOR = "operator"


class ImportKind(StrEnum):
    STORES = "stores"
    FENCES = "fences"


class ImportState(StrEnum):
    """How far an import over HTTP is."""

    WAITING = "waiting"
    READING = "reading"
    WRITING = "writing"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    """Its process ended: what was written stays, and the same file again goes on from there."""


class UserStatus(StrEnum):
    INVITED = "invited"
    ACTIVE = "active"
    DISABLED = "disabled"


keys = sa.Table(
    "keys",
    metadata,
    sa.Column("key_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False, unique=True),
    # the first characters, so that a person can tell keys apart
    sa.Column("prefix", sa.Text, nullable=False),
    sa.Column("store_id", sa.BigInteger, sa.ForeignKey("geofences.stores.store_id")),
    timestamp("created_at", default_now=True),
    timestamp("revoked_at", nullable=True),
    one_of("kind", KeyKind),
    sa.CheckConstraint("(kind = 'store') = (store_id IS NOT NULL)", name="store"),
    schema=SCHEMA,
)

remembered_writes = sa.Table(
    "remembered_writes",
    metadata,
    # the answer of a write that carried an Idempotency-Key
    sa.Column("tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"), primary_key=True),
    # SHA-256 of who wrote and the key: both may name somebody
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    # whom it is about, to be forgotten with them; NULL: no device
    sa.Column("device_id", sa.BigInteger),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("body", JSONB),
    timestamp("created_at", default_now=True),
    sa.Index("ix_remembered_writes_device_id", "device_id"),
    schema=SCHEMA,
)

erasures = sa.Table(
    "erasures",
    metadata,
    # one row each time a device is erased: first what is to be done, then proof that it was, which names nobody
    sa.Column("erasure_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    # a keyed hash of the client's own id: it knows a device again and tells nobody who it was
    sa.Column("subject", sa.LargeBinary, nullable=False),
    # NULL once it is finished
    sa.Column("device_id", sa.BigInteger),
    sa.Column("actor", sa.Text, nullable=False),
    timestamp("begun_at"),
    # when its rows went for the first time
    timestamp("swept_at", nullable=True),
    # the log entry after which nothing of the device comes any more
    sa.Column("entry_id", sa.Text),
    timestamp("finished_at", nullable=True),
    # rows that went, by table
    sa.Column("counts", JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    sa.CheckConstraint("(finished_at IS NULL) = (device_id IS NOT NULL)", name="names_nobody_once_finished"),
    sa.Index("ix_erasures_tenant_id_subject", "tenant_id", "subject"),
    sa.Index("ix_erasures_unfinished", "device_id", unique=True, postgresql_where=sa.text("finished_at IS NULL")),
    schema=SCHEMA,
)


def _tenant_if_any() -> sa.Column[int]:
    """NULL for what belongs to the operator of the installation, who has no tenant."""
    return sa.Column("tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"))


def _owner(*, primary_key: bool = False) -> sa.Column[int]:
    owner = sa.ForeignKey(f"{SCHEMA}.users.user_id", ondelete="CASCADE")
    return sa.Column("user_id", sa.BigInteger, owner, primary_key=primary_key, nullable=False)


users = sa.Table(
    "users",
    metadata,
    sa.Column("user_id", sa.BigInteger, sa.Identity(), primary_key=True),
    _tenant_if_any(),
    # in small letters: one address is one person of the installation
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    # argon2id, with its parameters and salt
    sa.Column("password_hash", sa.Text),
    # `sub` at the one sign-in provider of the installation
    sa.Column("oidc_subject", sa.Text, unique=True),
    timestamp("created_at"),
    sa.Column("created_by", sa.Text, nullable=False),
    one_of("role", Role),
    one_of("status", UserStatus),
    sa.CheckConstraint("tenant_id IS NOT NULL OR role = 'operator'", name="installation"),
    sa.CheckConstraint("email = lower(email)", name="email"),
    sa.CheckConstraint(
        "status <> 'active' OR password_hash IS NOT NULL OR oidc_subject IS NOT NULL", name="credential"
    ),
    schema=SCHEMA,
)

user_stores = sa.Table(
    "user_stores",
    metadata,
    # the stores of a store manager
    _owner(primary_key=True),
    sa.Column("store_id", sa.BigInteger, sa.ForeignKey("geofences.stores.store_id"), primary_key=True),
    tenant_column(),
    schema=SCHEMA,
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    _owner(),
    _tenant_if_any(),
    timestamp("created_at"),
    timestamp("expires_at"),
    timestamp("used_at", nullable=True),
    sa.Index(None, "user_id"),
    schema=SCHEMA,
)

sessions = sa.Table(
    "sessions",
    metadata,
    # of the cookie's value
    sa.Column("hash", sa.LargeBinary, primary_key=True),
    _owner(),
    _tenant_if_any(),
    timestamp("created_at"),
    timestamp("last_seen_at"),
    timestamp("expires_at"),
    sa.Index(None, "user_id"),
    schema=SCHEMA,
)

audit = sa.Table(
    "audit",
    metadata,
    # who wrote what; rows are added and never changed
    sa.Column("audit_id", sa.BigInteger, sa.Identity(), primary_key=True),
    _tenant_if_any(),
    timestamp("at"),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("operation_id", sa.Text, nullable=False),
    sa.Column("object_id", sa.Text),
    sa.Column("request_id", sa.Text, nullable=False),
    sa.Index(None, "tenant_id", "audit_id"),
    schema=SCHEMA,
)

imports = sa.Table(
    "imports",
    metadata,
    # files that came over HTTP, each taken in by the process that got it
    sa.Column("import_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # bytes while it is read, then rows; NULL: nobody knows yet how many there will be
    sa.Column("done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total", sa.BigInteger),
    # what became of its rows, once it is done
    sa.Column("report", JSONB),
    # how its columns were understood, and its first rows; of a dry run
    sa.Column("preview", JSONB),
    # why it failed
    sa.Column("error", sa.Text),
    sa.Column("created_by", sa.Text, nullable=False),
    timestamp("created_at"),
    # when its process last said how far it is: one that is silent for long has ended
    timestamp("seen_at"),
    one_of("kind", ImportKind),
    one_of("state", ImportState),
    sa.Index(None, "tenant_id", "import_id"),
    schema=SCHEMA,
)
