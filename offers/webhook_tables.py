"""Tables of events out, in the schema `offers`: what waits for each webhook, and every attempt to deliver it."""

from __future__ import annotations

import sqlalchemy as sa

from geofences.tables import metadata, tenant_column, timestamp
from offers.tables import SCHEMA

webhook_events = sa.Table(
    "webhook_events",
    metadata,
    # one row for each event and subscription, written by a trigger in the transaction of what happened; it goes once
    # the receiver has it. No foreign keys: a webhook that goes away must not fail that transaction
    sa.Column("webhook_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    # where the event is: the event, decision or redemption of that id, at that time; 0 for what names no device
    sa.Column("ref_id", sa.BigInteger, nullable=False),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    timestamp("at"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    # never earlier than that of an older row of the same device, once somebody has looked
    timestamp("due_at", default_now=True),
    timestamp("created_at", default_now=True),
    sa.Index("ix_webhook_events_webhook_id_due_at_seq", "webhook_id", "due_at", "seq"),
    sa.Index("ix_webhook_events_webhook_id_device_id_seq", "webhook_id", "device_id", "seq"),
    sa.Index("ix_webhook_events_device_id", "device_id"),
    sa.Index("ix_webhook_events_created_at", "created_at"),
    schema=SCHEMA,
)

webhook_attempts = sa.Table(
    "webhook_attempts",
    metadata,
    sa.Column(
        "webhook_id",
        sa.BigInteger,
        sa.ForeignKey(f"{SCHEMA}.webhooks.webhook_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("attempt_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    # as the receiver knows it
    sa.Column("event_id", sa.Text, nullable=False),
    sa.Column("type", sa.Text, nullable=False),
    # counts from 1, anew when a paused webhook goes on
    sa.Column("attempt", sa.Integer, nullable=False),
    timestamp("at"),
    sa.Column("duration_ms", sa.Float(53), nullable=False),
    # NULL: no answer came
    sa.Column("status", sa.Integer),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("delivered", sa.Boolean, nullable=False),
    timestamp("next_attempt_at", nullable=True),
    sa.Index("ix_webhook_attempts_at", "at"),
    schema=SCHEMA,
)
