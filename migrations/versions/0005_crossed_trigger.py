"""Campaigns may be brought by passing through a fence."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TRIGGERS = ("enter", "dwell", "exit", "scheduled")


def upgrade() -> None:
    _triggers("crossed", *TRIGGERS)


def downgrade() -> None:
    # a campaign that only passing through brings has nothing to wait for any more
    op.execute(
        "UPDATE offers.campaigns SET status = 'archived', trigger_type = 'enter',"
        " definition = jsonb_set(definition, '{trigger,type}', '\"enter\"') WHERE trigger_type = 'crossed'"
    )
    # the code of before refuses what it does not know
    op.execute(
        "UPDATE offers.campaigns SET definition = definition #- '{windows,recurring}' #- '{windows,blackout_days}'"
    )
    op.execute("UPDATE geofences.fence_versions SET settings = settings - 'crossed_within_s'")
    _triggers(*TRIGGERS)


def _triggers(*triggers: str) -> None:
    op.execute("ALTER TABLE offers.campaigns DROP CONSTRAINT ck_campaigns_trigger_type")
    listed = ", ".join(f"'{trigger}'" for trigger in triggers)
    op.execute(
        f"ALTER TABLE offers.campaigns ADD CONSTRAINT ck_campaigns_trigger_type CHECK (trigger_type IN ({listed}))"
    )
