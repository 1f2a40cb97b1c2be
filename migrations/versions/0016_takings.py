"""A redemption keeps its person, so that the takings of a store are read from one index, without the claims."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

INDEX = "ix_redemptions_store_id_redeemed_at"
KEY = ["store_id", "redeemed_at"]


def upgrade() -> None:
    op.add_column("redemptions", sa.Column("person", sa.BigInteger(), nullable=True), schema="offers")
    op.execute(
        "UPDATE offers.redemptions AS x SET person = c.person FROM offers.claims AS c WHERE c.claim_id = x.claim_id"
    )
    op.drop_index(INDEX, "redemptions", schema="offers")
    op.create_index(
        INDEX,
        "redemptions",
        KEY,
        schema="offers",
        postgresql_include=["tenant_id", "redemption_id", "claim_id", "person", "state", "amount", "currency"],
    )


def downgrade() -> None:
    op.drop_index(INDEX, "redemptions", schema="offers")
    op.create_index(INDEX, "redemptions", KEY, schema="offers")
    op.drop_column("redemptions", "person", schema="offers")
