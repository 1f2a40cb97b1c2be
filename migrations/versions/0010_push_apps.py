"""Credentials of the tenants' apps at Apple and Google; and which way each channel's messages go."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLE = "offers.push_apps"
LANE = (
    "CASE type"
    " WHEN 'webpush' THEN substring(address ->> 'endpoint' FROM '^[^:]+://[^/?#]+')"
    " WHEN 'webhook' THEN tenant_id || ' ' || substring(address ->> 'url' FROM '^[^:]+://[^/?#]+')"
    " ELSE type || ' ' || tenant_id || coalesce(' ' || (address ->> 'app'), '') END"
)


def upgrade() -> None:
    op.create_table(
        "push_apps",
        sa.Column("push_app_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"), nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("sealed_key", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("provider IN ('apns', 'fcm')", name="provider"),
        sa.UniqueConstraint("tenant_id", "provider", "name"),
        schema="offers",
    )
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {TABLE}"
        " USING (tenant_id = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
    )
    # nobody but operators and senders needs the keys: the other roles see names only
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLE} TO lbs_system")
    op.execute(f"GRANT SELECT (push_app_id, tenant_id, provider, name) ON {TABLE} TO lbs_reader, lbs_api")
    op.add_column("channels", sa.Column("lane", sa.Text, sa.Computed(LANE, persisted=True)), schema="offers")


def downgrade() -> None:
    op.drop_column("channels", "lane", schema="offers")
    op.drop_table("push_apps", schema="offers")
