"""Erasures that are begun and finished, answers that are remembered without naming anybody, and shorter retention."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

EMPTY = sa.text("'{}'::jsonb")


def upgrade() -> None:
    op.add_column("tenants", sa.Column("retention", JSONB, nullable=False, server_default=EMPTY), schema="geofences")
    op.add_column("devices", sa.Column("erased_at", sa.DateTime(timezone=True)), schema="geofences")
    op.add_column("remembered_writes", sa.Column("device_id", sa.BigInteger), schema="lbs")
    # keys held the number of a device, and whatever a client wrote into its own key
    op.execute(
        "UPDATE lbs.remembered_writes SET"
        " device_id = CASE WHEN idempotency_key LIKE 'device:%' THEN split_part(idempotency_key, ':', 2)::bigint END,"
        " idempotency_key = encode(sha256(convert_to(idempotency_key, 'UTF8')), 'hex')"
    )
    op.create_index("ix_remembered_writes_device_id", "remembered_writes", ["device_id"], schema="lbs")
    _erasures()


def _erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("erasure_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"), nullable=False),
        sa.Column("subject", sa.LargeBinary, nullable=False),
        sa.Column("device_id", sa.BigInteger),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("swept_at", sa.DateTime(timezone=True)),
        sa.Column("entry_id", sa.Text),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("counts", JSONB, nullable=False, server_default=EMPTY),
        sa.CheckConstraint("(finished_at IS NULL) = (device_id IS NOT NULL)", name="names_nobody_once_finished"),
        schema="lbs",
    )
    op.create_index("ix_erasures_tenant_id_subject", "erasures", ["tenant_id", "subject"], schema="lbs")
    op.create_index(
        "ix_erasures_unfinished",
        "erasures",
        ["device_id"],
        unique=True,
        schema="lbs",
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.execute("ALTER TABLE lbs.erasures ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE lbs.erasures FORCE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY tenant ON lbs.erasures"
        " USING (tenant_id = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
    )
    op.execute("GRANT SELECT ON lbs.erasures TO lbs_api, lbs_reader")
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON lbs.erasures TO lbs_system")


def downgrade() -> None:
    op.drop_table("erasures", schema="lbs")
    op.drop_index("ix_remembered_writes_device_id", "remembered_writes", schema="lbs")
    op.drop_column("remembered_writes", "device_id", schema="lbs")
    op.drop_column("devices", "erased_at", schema="geofences")
    op.drop_column("tenants", "retention", schema="geofences")
