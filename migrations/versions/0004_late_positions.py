"""What a refold needs to know of the past, and what it tells of what was told wrong."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ENDINGS = ("exit", "gap", "fence_changed", "consent_withdrawn")


def upgrade() -> None:
    op.add_column("consents", sa.Column("withdrawn_at", sa.DateTime(timezone=True)), schema="geofences")
    op.execute("UPDATE geofences.consents SET withdrawn_at = at WHERE purpose = 'location' AND NOT granted")
    op.add_column("visits", sa.Column("as_of", sa.DateTime(timezone=True)), schema="geofences")
    op.execute("UPDATE geofences.visits SET as_of = last_in_at")
    op.alter_column("visits", "as_of", nullable=False, schema="geofences")
    op.add_column("visits", sa.Column("settled_at", sa.DateTime(timezone=True)), schema="geofences")
    op.execute("UPDATE geofences.visits SET settled_at = exited_at")
    _ended_by("crossed", *ENDINGS)
    op.add_column("events", sa.Column("detail", JSONB), schema="geofences")


def downgrade() -> None:
    op.drop_column("events", "detail", schema="geofences")
    op.execute("UPDATE geofences.visits SET ended_by = 'exit' WHERE ended_by = 'crossed'")
    _ended_by(*ENDINGS)
    op.drop_column("visits", "settled_at", schema="geofences")
    op.drop_column("visits", "as_of", schema="geofences")
    op.drop_column("consents", "withdrawn_at", schema="geofences")


def _ended_by(*endings: str) -> None:
    op.execute("ALTER TABLE geofences.visits DROP CONSTRAINT ck_visits_ended_by")
    listed = ", ".join(f"'{ending}'" for ending in endings)
    op.execute(f"ALTER TABLE geofences.visits ADD CONSTRAINT ck_visits_ended_by CHECK (ended_by IN ({listed}))")
