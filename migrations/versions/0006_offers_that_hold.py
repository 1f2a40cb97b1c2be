"""What decisions rest on and hold: facts, places, people, budgets, campaigns' versions and the steps of their life."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NEW_TABLES = ("campaign_versions", "campaign_moves", "budgets", "users", "places")
LISTS = {
    "campaigns.status": (
        ("draft", "submitted", "live", "paused", "ended", "archived"),
        ("draft", "submitted", "approved", "live", "paused", "ended", "archived"),
    ),
    "campaigns.trigger_type": (
        ("enter", "dwell", "exit", "crossed", "scheduled"),
        ("enter", "already_inside", "dwell", "exit", "crossed", "scheduled"),
    ),
    "decisions.outcome": (("offered", "suppressed"), ("offered", "held_out", "suppressed")),
    "reservations.state": (("held", "confirmed", "released"), ("held", "confirmed", "released", "ghost")),
    "reservations.release_reason": (
        ("expired", "refused", "stopped"),
        ("expired", "refused", "stopped", "cancelled"),
    ),
}


def upgrade() -> None:
    for column, (_, after) in LISTS.items():
        _listed(column, after)
    _people()
    _campaigns()
    _decisions()
    _reservations()
    _tables()
    # a cap says whose offers it counts: what was called a device's is a campaign's
    op.execute(
        "UPDATE offers.campaigns SET definition = jsonb_set(definition, '{caps}', (SELECT coalesce(jsonb_agg("
        "jsonb_set(cap, '{per}', '\"campaign\"')), '[]') FROM jsonb_array_elements(definition -> 'caps') AS cap))"
    )
    op.execute(
        "INSERT INTO offers.campaign_versions (campaign_id, version, tenant_id, definition, created_at, created_by)"
        " SELECT campaign_id, version, tenant_id, definition, updated_at, created_by FROM offers.campaigns"
    )


def _people() -> None:
    op.add_column("devices", sa.Column("quiet_times", JSONB), schema="geofences")
    op.add_column("devices", sa.Column("vouched_at", sa.DateTime(timezone=True)), schema="geofences")
    op.create_index(
        "ix_devices_tenant_id_external_user_id",
        "devices",
        ["tenant_id", "external_user_id"],
        schema="geofences",
        postgresql_where=sa.text("external_user_id IS NOT NULL"),
    )


def _campaigns() -> None:
    for column in (
        sa.Column("reserved_new", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_send_at", sa.DateTime(timezone=True)),
        sa.Column(
            "holdout_salt", sa.LargeBinary, nullable=False, server_default=sa.text("uuid_send(gen_random_uuid())")
        ),
        sa.Column("updated_by", sa.Text),
    ):
        op.add_column("campaigns", column, schema="offers")
    op.execute("UPDATE offers.campaigns SET updated_by = created_by")
    op.alter_column("campaigns", "updated_by", nullable=False, schema="offers")


def _decisions() -> None:
    # of a decision from before nobody knows what it rested on
    op.add_column("decisions", sa.Column("facts", JSONB, nullable=False, server_default="{}"), schema="offers")
    op.alter_column("decisions", "facts", server_default=None, schema="offers")
    op.add_column("decisions", sa.Column("place_id", sa.BigInteger), schema="offers")
    op.add_column("decisions", sa.Column("delivery", sa.Text), schema="offers")
    op.create_check_constraint("delivery", "decisions", "delivery IN ('push', 'inbox')", schema="offers")


def _reservations() -> None:
    for column in (
        sa.Column("store_id", sa.BigInteger),
        sa.Column("brand", sa.Text),
        sa.Column("event_at", sa.DateTime(timezone=True)),
        sa.Column("delivery", sa.Text, nullable=False, server_default="push"),
        sa.Column("exclusive", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("new_device", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("cost", sa.Numeric(16, 4)),
        sa.Column("budget_day", sa.Date),
        sa.Column("claimed_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("reservations", column, schema="offers")
    op.alter_column("reservations", "delivery", server_default=None, schema="offers")
    op.execute("UPDATE offers.reservations SET event_at = created_at")
    op.alter_column("reservations", "event_at", nullable=False, schema="offers")
    op.create_check_constraint("delivery", "reservations", "delivery IN ('push', 'inbox')", schema="offers")
    op.drop_index("ix_reservations_campaign_id_device_id", "reservations", schema="offers")
    op.create_index(
        "ix_reservations_device_id_created_at", "reservations", ["device_id", "created_at"], schema="offers"
    )
    op.create_index(
        "ix_reservations_campaign_id_held",
        "reservations",
        ["campaign_id"],
        schema="offers",
        postgresql_where=sa.text("state = 'held'"),
    )


def _tables() -> None:
    op.create_table(
        "campaign_versions",
        sa.Column("campaign_id", sa.BigInteger, _campaign(), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        _tenant(),
        sa.Column("definition", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("created_by", sa.Text, nullable=False),
        schema="offers",
    )
    op.create_table(
        "campaign_moves",
        sa.Column("move_id", sa.BigInteger, sa.Identity(), primary_key=True),
        _tenant(),
        sa.Column("campaign_id", sa.BigInteger, _campaign(), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("move", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        schema="offers",
    )
    op.create_index("ix_campaign_moves_campaign_id", "campaign_moves", ["campaign_id", "move_id"], schema="offers")
    op.create_table(
        "budgets",
        sa.Column("campaign_id", sa.BigInteger, _campaign(), primary_key=True),
        sa.Column("scope", sa.Text, primary_key=True),
        _tenant(),
        sa.Column("most", sa.Numeric(16, 4), nullable=False),
        sa.Column("reserved", sa.Numeric(16, 4), nullable=False, server_default="0"),
        sa.CheckConstraint("reserved >= 0 AND reserved <= most", name="never_over_budget"),
        schema="offers",
    )
    op.create_table(
        "users", sa.Column("user_key", sa.BigInteger, primary_key=True, autoincrement=False), _tenant(), schema="offers"
    )
    op.create_table(
        "places",
        sa.Column("place_id", sa.BigInteger, primary_key=True, autoincrement=False),
        _tenant(),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("opening_hours", sa.Text),
        sa.Column("lat", sa.Float(53), nullable=False),
        sa.Column("lng", sa.Float(53), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="offers",
    )
    for name in NEW_TABLES:
        table = f"offers.{name}"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table}"
            " USING (tenant_id = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lbs_api, lbs_system")
        op.execute(f"GRANT SELECT ON {table} TO lbs_reader")
    # a claim of somebody who found the offer in a search reserves it
    op.execute("GRANT SELECT, INSERT, UPDATE ON offers.reservations TO lbs_api")


def _campaign() -> sa.ForeignKey:
    return sa.ForeignKey("offers.campaigns.campaign_id")


def _tenant() -> sa.Column[int]:
    return sa.Column("tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"), nullable=False)


def downgrade() -> None:
    op.execute("REVOKE INSERT, UPDATE ON offers.reservations FROM lbs_api")
    for name in reversed(NEW_TABLES):
        op.drop_table(name, schema="offers")
    op.drop_index("ix_reservations_campaign_id_held", "reservations", schema="offers")
    op.drop_index("ix_reservations_device_id_created_at", "reservations", schema="offers")
    op.create_index(
        "ix_reservations_campaign_id_device_id", "reservations", ["campaign_id", "device_id"], schema="offers"
    )
    added = ("store_id", "brand", "event_at", "delivery", "exclusive", "new_device", "cost", "budget_day", "claimed_at")
    for column in added:
        op.drop_column("reservations", column, schema="offers")
    for column in ("facts", "place_id", "delivery"):
        op.drop_column("decisions", column, schema="offers")
    for column in ("reserved_new", "next_send_at", "holdout_salt", "updated_by"):
        op.drop_column("campaigns", column, schema="offers")
    op.drop_index("ix_devices_tenant_id_external_user_id", "devices", schema="geofences")
    op.drop_column("devices", "quiet_times", schema="geofences")
    op.drop_column("devices", "vouched_at", schema="geofences")
    # what the code of before has no word for
    op.execute("DELETE FROM offers.reservations WHERE state = 'ghost'")
    op.execute("UPDATE offers.reservations SET release_reason = 'stopped' WHERE release_reason = 'cancelled'")
    op.execute("UPDATE offers.decisions SET outcome = 'suppressed' WHERE outcome = 'held_out'")
    op.execute("UPDATE offers.campaigns SET status = 'submitted' WHERE status = 'approved'")
    op.execute("UPDATE offers.campaigns SET trigger_type = 'enter' WHERE trigger_type = 'already_inside'")
    op.execute(
        "UPDATE offers.campaigns SET definition = definition - '{audience,cool_down_s,quiet_hours,priority,stacking,"
        "holdout_share,new_device_stock_share,budget,send_rate_per_min,redemption,attribution_s}'::text[]"
        " #- '{offer,max_cost}' #- '{trigger,min_dwell_s}'"
    )
    op.execute(
        "UPDATE offers.campaigns SET definition = jsonb_set(definition, '{trigger,type}', '\"enter\"')"
        " WHERE definition #>> '{trigger,type}' = 'already_inside'"
    )
    op.execute(
        "UPDATE offers.campaigns SET definition = jsonb_set(definition, '{caps}', (SELECT coalesce(jsonb_agg("
        "jsonb_set(cap, '{per}', '\"device\"') - 'days'), '[]') FROM (SELECT cap FROM"
        " jsonb_array_elements(definition -> 'caps') AS cap LIMIT 1) AS first))"
    )
    for column, (before, _) in LISTS.items():
        _listed(column, before)


def _listed(column: str, words: tuple[str, ...]) -> None:
    table, _, name = column.partition(".")
    op.execute(f"ALTER TABLE offers.{table} DROP CONSTRAINT ck_{table}_{name}")
    listed = ", ".join(f"'{word}'" for word in words)
    op.execute(f"ALTER TABLE offers.{table} ADD CONSTRAINT ck_{table}_{name} CHECK ({name} IN ({listed}))")
