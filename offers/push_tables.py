"""Tables of push, in the schema `offers`: the tenants' apps at Apple and Google."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from geofences.tables import metadata, tenant_column, timestamp
from offers.tables import SCHEMA

push_apps = sa.Table(
    "push_apps",
    metadata,
    sa.Column("push_app_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("provider", sa.Text, nullable=False),
    # the bundle id, or the Firebase project: what an address may name as its app
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("settings", JSONB, nullable=False),
    # encrypted with the installation's secret key
    sa.Column("sealed_key", sa.LargeBinary, nullable=False),
    timestamp("created_at", default_now=True),
    sa.CheckConstraint("provider IN ('apns', 'fcm')", name="provider"),
    sa.UniqueConstraint("tenant_id", "provider", "name"),
    schema=SCHEMA,
)
