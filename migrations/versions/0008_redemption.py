"""Claims with their codes, and what tills redeem."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NEW_TABLES = ("claims", "redemptions")


def upgrade() -> None:
    _claims()
    _redemptions()
    for name in NEW_TABLES:
        table = f"offers.{name}"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table}"
            " USING (tenant_id = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
        )
        # nobody deletes one: what was redeemed is what a store is paid for
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {table} TO lbs_api")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lbs_system")
        op.execute(f"GRANT SELECT ON {table} TO lbs_reader")


def _claims() -> None:
    op.create_table(
        "claims",
        sa.Column("claim_id", sa.BigInteger, sa.Identity(), primary_key=True),
        _tenant(),
        sa.Column("campaign_id", sa.BigInteger, _campaign(), nullable=False),
        sa.Column("campaign_version", sa.Integer, nullable=False),
        sa.Column("person", sa.BigInteger),
        sa.Column("device_id", sa.BigInteger, nullable=False),
        sa.Column(
            "decision_id",
            sa.BigInteger,
            sa.ForeignKey("offers.reservations.decision_id"),
            nullable=False,
            unique=True,
        ),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("store_id", sa.BigInteger),
        sa.Column("state", sa.Text, nullable=False, server_default="claimed"),
        sa.Column("code_hash", sa.LargeBinary, nullable=False),
        sa.Column("code_sealed", sa.LargeBinary),
        sa.Column("code_tail", sa.Text, nullable=False),
        _time("created_at", nullable=False),
        _time("expires_at", nullable=False),
        sa.CheckConstraint("source IN ('push', 'search')", name="source"),
        sa.CheckConstraint("state IN ('claimed', 'redeemed', 'cancelled', 'expired')", name="state"),
        sa.UniqueConstraint("tenant_id", "code_hash"),
        schema="offers",
    )
    op.create_index(
        "uq_claims_campaign_id_person_live",
        "claims",
        ["campaign_id", "person"],
        unique=True,
        schema="offers",
        postgresql_where=sa.text("state = 'claimed'"),
    )
    op.create_index("ix_claims_device_id", "claims", ["device_id", "claim_id"], schema="offers")


def _redemptions() -> None:
    op.create_table(
        "redemptions",
        sa.Column("redemption_id", sa.BigInteger, sa.Identity(), primary_key=True),
        _tenant(),
        sa.Column("claim_id", sa.BigInteger, sa.ForeignKey("offers.claims.claim_id"), nullable=False, unique=True),
        sa.Column("campaign_id", sa.BigInteger, _campaign(), nullable=False),
        sa.Column("decision_id", sa.BigInteger, nullable=False),
        sa.Column("store_id", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="redeemed"),
        sa.Column("nonce", sa.BigInteger),
        sa.Column("order_id", sa.Text),
        sa.Column("amount", sa.Numeric(16, 4)),
        sa.Column("currency", sa.Text),
        sa.Column("discount", sa.Numeric(16, 4)),
        sa.Column("attributed_to", sa.Text, nullable=False),
        sa.Column("visited", sa.Boolean, nullable=False),
        _time("redeemed_at", nullable=False),
        _time("cancelled_at", nullable=True),
        sa.Column("cancel_reason", sa.Text),
        sa.CheckConstraint("state IN ('redeemed', 'cancelled')", name="state"),
        sa.CheckConstraint("attributed_to IN ('push', 'search', 'none')", name="attributed_to"),
        sa.CheckConstraint("(state = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled_at"),
        sa.CheckConstraint("amount IS NULL OR currency IS NOT NULL", name="currency"),
        schema="offers",
    )
    op.create_index("ix_redemptions_campaign_id", "redemptions", ["campaign_id"], schema="offers")
    op.create_index("ix_redemptions_store_id_redeemed_at", "redemptions", ["store_id", "redeemed_at"], schema="offers")


def _campaign() -> sa.ForeignKey:
    return sa.ForeignKey("offers.campaigns.campaign_id")


def _tenant() -> sa.Column[int]:
    return sa.Column("tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"), nullable=False)


def _time(name: str, *, nullable: bool) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def downgrade() -> None:
    for name in reversed(NEW_TABLES):
        op.drop_table(name, schema="offers")
