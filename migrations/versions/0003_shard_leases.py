"""Engines lease shards: who owns which shard until when, which engines live, and what the log has lost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NEW_TABLES = ("geofences.engines", "geofences.log_losses")


def upgrade() -> None:
    op.add_column("shards", sa.Column("owner", sa.Text()), schema="geofences")
    op.add_column("shards", sa.Column("leased_until", sa.DateTime(timezone=True)), schema="geofences")
    op.create_table(
        "engines",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_engines")),
        schema="geofences",
    )
    op.create_table(
        "log_losses",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("entries_at_least", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "at", name=op.f("pk_log_losses")),
        schema="geofences",
    )
    for table in NEW_TABLES:
        op.execute(f"GRANT SELECT ON {table} TO lbs_reader")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lbs_system")


def downgrade() -> None:
    for table in NEW_TABLES:
        op.execute(f"DROP TABLE {table}")
    op.drop_column("shards", "leased_until", schema="geofences")
    op.drop_column("shards", "owner", schema="geofences")
