"""Approval, the days a campaign can be live on, tests, send slots, and who vouches for what is said of a device."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

WITH_CREATIVES = ("campaigns", "campaign_versions")
EMPTY = sa.text("'{}'::jsonb")


def upgrade() -> None:
    op.add_column(
        "tenants", sa.Column("approval", sa.Text, nullable=False, server_default="anyone"), schema="geofences"
    )
    op.create_check_constraint("approval", "tenants", "approval IN ('anyone', 'people')", schema="geofences")
    _devices()
    for column in ("starts_at", "ends_at"):
        op.add_column("campaigns", sa.Column(column, sa.DateTime(timezone=True)), schema="offers")
    # the earliest and the latest zone on Earth: UTC+14 and UTC-12
    op.execute(
        "UPDATE offers.campaigns SET starts_at = (CAST(definition #>> '{windows,first_day}' AS timestamp)"
        " - interval '14 h') AT TIME ZONE 'UTC', ends_at = (CAST(definition #>> '{windows,last_day}' AS timestamp)"
        " + interval '36 h') AT TIME ZONE 'UTC'"
    )
    op.create_index(
        "ix_campaigns_send_rate",
        "campaigns",
        ["campaign_id"],
        schema="offers",
        postgresql_where=sa.text("definition ->> 'send_rate_per_min' IS NOT NULL"),
    )
    op.add_column("campaign_moves", sa.Column("reason", sa.Text), schema="offers")
    op.alter_column("notifications", "decision_id", nullable=True, schema="offers")
    op.add_column("notifications", sa.Column("slot_at", sa.DateTime(timezone=True)), schema="offers")
    _user_attributes()
    # {store} was all that texts could say: every other brace stood for itself, and goes on to
    _texts(
        "replace(replace(replace(CAST({text} AS text), '{', '{{'), '}', '}}'), '{{store}}', '{store}')",
    )


def _devices() -> None:
    for column in (
        sa.Column("user_vouched", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("vouched_attributes", JSONB, nullable=False, server_default=EMPTY),
    ):
        op.add_column("devices", column, schema="geofences")
    # nobody knows who named them: they go on as they were
    op.execute("UPDATE geofences.devices SET user_vouched = true WHERE external_user_id IS NOT NULL")


def _user_attributes() -> None:
    op.create_table(
        "user_attributes",
        sa.Column(
            "tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"), primary_key=True, autoincrement=False
        ),
        sa.Column("external_user_id", sa.Text, primary_key=True),
        sa.Column("attributes", JSONB, nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="offers",
    )
    table = "offers.user_attributes"
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {table}"
        " USING (tenant_id = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lbs_api, lbs_system")
    op.execute(f"GRANT SELECT ON {table} TO lbs_reader")


def _texts(expression: str) -> None:
    """Rewrites title and body of all creatives; `{text}` in the expression stands for the text."""
    changed = ", ".join(
        f"'{name}', " + expression.replace("{text}", f"coalesce(creative ->> '{name}', '')")
        for name in ("title", "body")
    )
    for table in WITH_CREATIVES:
        op.execute(
            f"UPDATE offers.{table} SET definition = jsonb_set(definition, '{{creatives}}', (SELECT jsonb_agg("  # noqa: S608 - our own words
            f"creative || jsonb_build_object({changed}) ORDER BY place)"
            " FROM jsonb_array_elements(definition -> 'creatives') WITH ORDINALITY AS t(creative, place)))"
        )


def downgrade() -> None:
    _texts("replace(replace(CAST({text} AS text), '{{', '{'), '}}', '}')")
    op.drop_table("user_attributes", schema="offers")
    op.drop_column("notifications", "slot_at", schema="offers")
    op.execute("DELETE FROM offers.notifications WHERE decision_id IS NULL")
    op.alter_column("notifications", "decision_id", nullable=False, schema="offers")
    op.drop_column("campaign_moves", "reason", schema="offers")
    op.drop_index("ix_campaigns_send_rate", "campaigns", schema="offers")
    for column in ("starts_at", "ends_at"):
        op.drop_column("campaigns", column, schema="offers")
    # what a server said is all that the code of before could keep
    op.execute("UPDATE geofences.devices SET attributes = attributes || vouched_attributes")
    for column in ("user_vouched", "vouched_attributes"):
        op.drop_column("devices", column, schema="geofences")
    op.drop_column("tenants", "approval", schema="geofences")
