"""Tables of claims and redemptions, in the schema `offers`."""

from __future__ import annotations

import sqlalchemy as sa

from geofences.tables import metadata, one_of, tenant_column, timestamp
from offers.model import Attribution, ClaimSource, ClaimState, RedemptionState
from offers.tables import SCHEMA, campaign_key

claims = sa.Table(
    "claims",
    metadata,
    sa.Column("claim_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), nullable=False),
    # the terms that were claimed are the ones that count at the till
    sa.Column("campaign_version", sa.Integer, nullable=False),
    # all devices of one person share a claim; NULL once the device is erased and no other shares it
    sa.Column("person", sa.BigInteger),
    # 0 once it is erased
    sa.Column("device_id", sa.BigInteger, nullable=False),
    # the reservation that the claim keeps
    sa.Column(
        "decision_id",
        sa.BigInteger,
        sa.ForeignKey(f"{SCHEMA}.reservations.decision_id"),
        nullable=False,
        unique=True,
    ),
    sa.Column("source", sa.Text, nullable=False),
    # where the shopper means to use it; NULL: they have not said
    sa.Column("store_id", sa.BigInteger),
    sa.Column("state", sa.Text, nullable=False, server_default=ClaimState.CLAIMED),
    # to find it by: a keyed hash
    sa.Column("code_hash", sa.LargeBinary, nullable=False),
    # to show it again; NULL once the device is erased
    sa.Column("code_sealed", sa.LargeBinary),
    sa.Column("code_tail", sa.Text, nullable=False),
    timestamp("created_at"),
    timestamp("expires_at"),
    one_of("source", ClaimSource),
    one_of("state", ClaimState),
    sa.UniqueConstraint("tenant_id", "code_hash"),
    sa.Index(
        "uq_claims_campaign_id_person_live",
        "campaign_id",
        "person",
        unique=True,
        postgresql_where=sa.text("state = 'claimed'"),
    ),
    sa.Index("ix_claims_device_id", "device_id", "claim_id"),
    schema=SCHEMA,
)

redemptions = sa.Table(
    "redemptions",
    metadata,
    sa.Column("redemption_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    # a code is used once: one that was cancelled is gone too
    sa.Column("claim_id", sa.BigInteger, sa.ForeignKey(f"{SCHEMA}.claims.claim_id"), nullable=False, unique=True),
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), nullable=False),
    sa.Column("decision_id", sa.BigInteger, nullable=False),
    sa.Column("store_id", sa.BigInteger, nullable=False),
    # the claim's, so that a year of a store's takings is read from one index; NULL once it is there
    sa.Column("person", sa.BigInteger),
    sa.Column("state", sa.Text, nullable=False, server_default=RedemptionState.REDEEMED),
    # the number of the token that did it: a repeat is known by it; NULL: by the code alone
    sa.Column("nonce", sa.BigInteger),
    sa.Column("order_id", sa.Text),
    # what the order came to, and what the offer took off; without a word of the till, NULL
    sa.Column("amount", sa.Numeric(16, 4)),
    sa.Column("currency", sa.Text),
    sa.Column("discount", sa.Numeric(16, 4)),
    sa.Column("attributed_to", sa.Text, nullable=False),
    # whether the shopper was in the store between the offer and the till
    sa.Column("visited", sa.Boolean, nullable=False),
    timestamp("redeemed_at"),
    timestamp("cancelled_at", nullable=True),
    sa.Column("cancel_reason", sa.Text),
    one_of("state", RedemptionState),
    one_of("attributed_to", Attribution),
    sa.CheckConstraint("(state = 'cancelled') = (cancelled_at IS NOT NULL)", name="cancelled_at"),
    sa.CheckConstraint("amount IS NULL OR currency IS NOT NULL", name="currency"),
    sa.Index("ix_redemptions_campaign_id", "campaign_id"),
    sa.Index(
        "ix_redemptions_store_id_redeemed_at",
        "store_id",
        "redeemed_at",
        postgresql_include=["tenant_id", "redemption_id", "claim_id", "person", "state", "amount", "currency"],
    ),
    schema=SCHEMA,
)
