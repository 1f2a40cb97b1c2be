"""Tables of the schema `lbs`: keys and remembered writes."""

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
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("body", JSONB),
    timestamp("created_at", default_now=True),
    schema=SCHEMA,
)
