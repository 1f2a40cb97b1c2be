"""When a message was displayed and dismissed, and that what happened to it happened in order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CHECKS = {
    "delivered_at": "state NOT IN ('delivered', 'opened') OR delivered_at IS NOT NULL",
    "displayed_at": "displayed_at IS NULL OR (delivered_at IS NOT NULL AND displayed_at >= delivered_at)",
    "opened_at": "(state <> 'opened' OR opened_at IS NOT NULL)"
    " AND (opened_at IS NULL OR (displayed_at IS NOT NULL AND opened_at >= displayed_at))",
    "dismissed_at": "dismissed_at IS NULL OR (displayed_at IS NOT NULL AND dismissed_at >= displayed_at)",
}


def upgrade() -> None:
    for column in ("displayed_at", "dismissed_at"):
        op.add_column("notifications", sa.Column(column, sa.DateTime(timezone=True)), schema="offers")
    # what was opened had been displayed; two clocks may have told the order wrong
    op.execute(
        "UPDATE offers.notifications SET delivered_at = least(delivered_at, opened_at), displayed_at = opened_at"
        " WHERE opened_at IS NOT NULL"
    )
    for name, check in CHECKS.items():
        op.create_check_constraint(name, "notifications", check, schema="offers")


def downgrade() -> None:
    for name in CHECKS:
        op.drop_constraint(op.f(f"ck_notifications_{name}"), "notifications", schema="offers", type_="check")
    for column in ("displayed_at", "dismissed_at"):
        op.drop_column("notifications", column, schema="offers")
