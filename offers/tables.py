"""Tables of the schema `offers`: channels, webhooks, campaigns, decisions, reservations, notifications.

Enums here are the only list of states: the CHECK constraints come from them.
"""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from geofences.tables import metadata, one_of, tenant_column, timestamp
from offers.lanes import LANE_SQL
from offers.model import (
    CampaignStatus,
    Delivery,
    NotificationState,
    Outcome,
    ReleaseReason,
    ReservationState,
    TriggerType,
)
from offers.push import ChannelType

SCHEMA = "offers"


class ChannelStatus(StrEnum):
    ACTIVE = "active"
    DEAD = "dead"


def campaign_key() -> sa.ForeignKey:
    return sa.ForeignKey(f"{SCHEMA}.campaigns.campaign_id")


channels = sa.Table(
    "channels",
    metadata,
    sa.Column("channel_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column(
        "device_id",
        sa.BigInteger,
        sa.ForeignKey("geofences.devices.device_id", ondelete="CASCADE"),
        nullable=False,
    ),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("address", JSONB, nullable=False),
    sa.Column("address_hash", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Text, nullable=False, server_default=ChannelStatus.ACTIVE),
    timestamp("created_at", default_now=True),
    # whom its messages go to: a server, or the tenant's app at a provider (offers.lanes)
    sa.Column("lane", sa.Text, sa.Computed(LANE_SQL, persisted=True)),
    one_of("type", ChannelType),
    one_of("status", ChannelStatus),
    sa.UniqueConstraint("device_id", "type", "address_hash"),
    schema=SCHEMA,
)

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("webhook_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("url", sa.Text, nullable=False),
    # encrypted with the installation's secret key
    sa.Column("secrets", ARRAY(sa.LargeBinary), nullable=False),
    # until then the second secret signs too; NULL while there is one
    timestamp("old_secret_until", nullable=True),
    # names or groups of events that it subscribes to
    sa.Column("events", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'::text[]")),
    # why no events are sent there any more; NULL while it works
    sa.Column("paused_reason", sa.Text),
    timestamp("created_at", default_now=True),
    sa.UniqueConstraint("tenant_id", "url"),
    sa.Index("ix_webhooks_subscribed", "tenant_id", postgresql_where=sa.text("events <> '{}'")),
    schema=SCHEMA,
)

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("brand", sa.Text),
    sa.Column("status", sa.Text, nullable=False, server_default=CampaignStatus.DRAFT),
    sa.Column("version", sa.Integer, nullable=False, server_default="1"),
    sa.Column("trigger_type", sa.Text, nullable=False),
    # everything a decision needs and SQL does not: trigger details, windows, offer, creatives, caps (offers.model)
    sa.Column("definition", JSONB, nullable=False),
    # NULL: without limit
    sa.Column("stock", sa.Integer),
    sa.Column("reserved", sa.Integer, nullable=False, server_default="0"),
    # of the reserved, those of devices that nobody vouches for yet
    sa.Column("reserved_new", sa.Integer, nullable=False, server_default="0"),
    # when the send rate has room for one more message; NULL: now
    timestamp("next_send_at", nullable=True),
    # before and after it no store on Earth has a day of its windows; NULL: always, never
    timestamp("starts_at", nullable=True),
    timestamp("ends_at", nullable=True),
    # makes the draw of the held-out unlike that of any other campaign
    sa.Column("holdout_salt", sa.LargeBinary, nullable=False, server_default=sa.text("uuid_send(gen_random_uuid())")),
    timestamp("created_at", default_now=True),
    timestamp("updated_at", default_now=True),
    # who wrote the first version, and who the newest
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("updated_by", sa.Text, nullable=False),
    one_of("status", CampaignStatus),
    one_of("trigger_type", TriggerType),
    sa.CheckConstraint("reserved >= 0 AND (stock IS NULL OR reserved <= stock)", name="never_over_stock"),
    sa.Index("ix_campaigns_tenant_id_status", "tenant_id", "status"),
    sa.Index(
        "ix_campaigns_send_rate",
        "campaign_id",
        postgresql_where=sa.text("definition ->> 'send_rate_per_min' IS NOT NULL"),
    ),
    schema=SCHEMA,
)

campaign_versions = sa.Table(
    "campaign_versions",
    metadata,
    # what every version said: a decision names its version, and can be asked again
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    tenant_column(),
    sa.Column("definition", JSONB, nullable=False),
    timestamp("created_at", default_now=True),
    sa.Column("created_by", sa.Text, nullable=False),
    schema=SCHEMA,
)

campaign_moves = sa.Table(
    "campaign_moves",
    metadata,
    # every step of a campaign's life, and who took it
    sa.Column("move_id", sa.BigInteger, sa.Identity(), primary_key=True),
    tenant_column(),
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("move", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    timestamp("at"),
    sa.Column("actor", sa.Text, nullable=False),
    # why it was rejected, in the approver's words
    sa.Column("reason", sa.Text),
    sa.Index("ix_campaign_moves_campaign_id", "campaign_id", "move_id"),
    schema=SCHEMA,
)

budgets = sa.Table(
    "budgets",
    metadata,
    # money that reservations hold, for each of a campaign's limits: in all, of a store, of a local day
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), primary_key=True),
    # `total`, `store:12` or `day:2026-06-01`
    sa.Column("scope", sa.Text, primary_key=True),
    tenant_column(),
    sa.Column("most", sa.Numeric(16, 4), nullable=False),
    sa.Column("reserved", sa.Numeric(16, 4), nullable=False, server_default="0"),
    sa.CheckConstraint("reserved >= 0 AND reserved <= most", name="never_over_budget"),
    schema=SCHEMA,
)

users = sa.Table(
    "users",
    metadata,
    # one row a person with devices of their own: locked while an offer to any of them is decided
    sa.Column("user_key", sa.BigInteger, primary_key=True, autoincrement=False),
    tenant_column(),
    schema=SCHEMA,
)

user_attributes = sa.Table(
    "user_attributes",
    metadata,
    # what the tenant says of a person: it holds for all devices of theirs that a server vouches for, later ones too
    sa.Column(
        "tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"), primary_key=True, autoincrement=False
    ),
    sa.Column("external_user_id", sa.Text, primary_key=True),
    sa.Column("attributes", JSONB, nullable=False),
    timestamp("updated_at", default_now=True),
    schema=SCHEMA,
)

places = sa.Table(
    "places",
    metadata,
    # what a decision knew of its place; named by its content, so that a store that changes gets another row
    sa.Column("place_id", sa.BigInteger, primary_key=True, autoincrement=False),
    tenant_column(),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("opening_hours", sa.Text),
    sa.Column("lat", sa.Float(53), nullable=False),
    sa.Column("lng", sa.Float(53), nullable=False),
    timestamp("created_at", default_now=True),
    schema=SCHEMA,
)

campaign_fences = sa.Table(
    "campaign_fences",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), primary_key=True),
    sa.Column("fence_id", sa.BigInteger, sa.ForeignKey("geofences.fences.fence_id"), primary_key=True),
    tenant_column(),
    sa.Index("ix_campaign_fences_fence_id", "fence_id"),
    schema=SCHEMA,
)

campaign_stores = sa.Table(
    "campaign_stores",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), primary_key=True),
    sa.Column("store_id", sa.BigInteger, sa.ForeignKey("geofences.stores.store_id"), primary_key=True),
    tenant_column(),
    sa.Index("ix_campaign_stores_store_id", "store_id"),
    schema=SCHEMA,
)

cursors = sa.Table(
    "cursors",
    metadata,
    # how far the decider has come in the events of a shard; committed with its decisions
    sa.Column("shard", sa.SmallInteger, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False, server_default="0"),
    schema=SCHEMA,
)

occasions = sa.Table(
    "occasions",
    metadata,
    # one row for each time a scheduled campaign is due at a store; the scheduler writes it
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), primary_key=True),
    sa.Column("store_id", sa.BigInteger, primary_key=True),
    sa.Column("due_at", sa.DateTime(timezone=True), primary_key=True),
    tenant_column(),
    timestamp("created_at", default_now=True),
    schema=SCHEMA,
)

occasion_devices = sa.Table(
    "occasion_devices",
    metadata,
    # who was there at that time; every row is decided by the shard of its device
    sa.Column("seq", sa.BigInteger, sa.Identity(), nullable=False),
    sa.Column("campaign_id", sa.BigInteger, primary_key=True),
    sa.Column("store_id", sa.BigInteger, primary_key=True),
    sa.Column("due_at", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("device_id", sa.BigInteger, primary_key=True),
    tenant_column(),
    sa.Column("shard", sa.SmallInteger, nullable=False),
    timestamp("clock"),
    sa.Column("decided", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.ForeignKeyConstraint(
        ["campaign_id", "store_id", "due_at"],
        [f"{SCHEMA}.occasions.campaign_id", f"{SCHEMA}.occasions.store_id", f"{SCHEMA}.occasions.due_at"],
    ),
    sa.Index("ix_occasion_devices_shard_undecided", "shard", "seq", postgresql_where=sa.text("NOT decided")),
    schema=SCHEMA,
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("decision_id", sa.BigInteger, nullable=False),
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("shard", sa.SmallInteger, nullable=False),
    sa.Column("campaign_id", sa.BigInteger, nullable=False),
    sa.Column("campaign_version", sa.Integer, nullable=False),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    sa.Column("store_id", sa.BigInteger),
    # both NULL for a scheduled offer
    sa.Column("event_id", sa.BigInteger),
    sa.Column("root_visit_id", sa.BigInteger),
    sa.Column("trigger_type", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    # the first gate that failed; NULL where all passed
    sa.Column("reason", sa.Text),
    # every gate asked, up to the first that failed: [gate, passed, value, threshold] each
    sa.Column("gates", JSONB, nullable=False),
    # what was known then: with the campaign's version and the place, all it takes to decide again
    sa.Column("facts", JSONB, nullable=False),
    sa.Column("place_id", sa.BigInteger),
    sa.Column("delivery", sa.Text),
    timestamp("event_at"),
    timestamp("decided_at"),
    one_of("delivery", Delivery),
    one_of("outcome", Outcome),
    sa.Index("ix_decisions_tenant_id_campaign_id_decided_at", "tenant_id", "campaign_id", "decided_at"),
    sa.Index("ix_decisions_tenant_id_device_id_decided_at", "tenant_id", "device_id", "decided_at"),
    schema=SCHEMA,
    postgresql_partition_by="RANGE (decided_at)",
)

reservations = sa.Table(
    "reservations",
    metadata,
    sa.Column("decision_id", sa.BigInteger, primary_key=True, autoincrement=False),
    tenant_column(),
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), nullable=False),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    sa.Column("store_id", sa.BigInteger),
    sa.Column("brand", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    # the moment that brought it, and how it was told then: several campaigns may want one moment
    timestamp("event_at"),
    sa.Column("delivery", sa.Text, nullable=False),
    sa.Column("exclusive", sa.Boolean, nullable=False, server_default=sa.false()),
    # of a device that nobody vouches for yet
    sa.Column("new_device", sa.Boolean, nullable=False, server_default=sa.false()),
    # what it holds of the campaign's budget, and of which local day's; NULL without a budget
    sa.Column("cost", sa.Numeric(16, 4)),
    sa.Column("budget_day", sa.Date),
    timestamp("created_at"),
    timestamp("expires_at"),
    # from then on it is kept for the code that was given out
    timestamp("claimed_at", nullable=True),
    timestamp("released_at", nullable=True),
    # a reservation that was refused gives its cap back too, one that ran out only its stock
    sa.Column("release_reason", sa.Text),
    one_of("state", ReservationState),
    one_of("release_reason", ReleaseReason),
    one_of("delivery", Delivery),
    sa.Index("ix_reservations_device_id_created_at", "device_id", "created_at"),
    sa.Index("ix_reservations_campaign_id_held", "campaign_id", postgresql_where=sa.text("state = 'held'")),
    sa.Index("ix_reservations_expires_at_held", "expires_at", postgresql_where=sa.text("state = 'held'")),
    schema=SCHEMA,
)

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("notification_id", sa.BigInteger, primary_key=True, autoincrement=False),
    tenant_column(),
    # NULL: a test that somebody sent, which no decision brought
    sa.Column("decision_id", sa.BigInteger),
    sa.Column("campaign_id", sa.BigInteger, campaign_key(), nullable=False),
    sa.Column("device_id", sa.BigInteger, nullable=False),
    sa.Column("store_id", sa.BigInteger),
    # NULL for the inbox, which every device has
    sa.Column("channel_id", sa.BigInteger),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    # why it ended where it ended; machine word
    sa.Column("reason", sa.Text),
    sa.Column("payload", JSONB, nullable=False),
    timestamp("created_at"),
    timestamp("not_before"),
    # its turn under the campaign's send rate; NULL: not asked for yet
    timestamp("slot_at", nullable=True),
    timestamp("expires_at"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    timestamp("lease_until", nullable=True),
    timestamp("sent_at", nullable=True),
    # what receipts tell, each for the first time
    timestamp("delivered_at", nullable=True),
    timestamp("displayed_at", nullable=True),
    timestamp("opened_at", nullable=True),
    timestamp("dismissed_at", nullable=True),
    # order of arrival in the inbox: what an event stream resumes from
    sa.Column("inbox_seq", sa.BigInteger),
    # an outcome that nobody knows holds its reservation to the end
    sa.Column("outcome_unknown", sa.Boolean, nullable=False, server_default=sa.false()),
    # when the position that caused it was received: measures position to delivery
    timestamp("position_received_at", nullable=True),
    one_of("channel", ChannelType),
    one_of("state", NotificationState),
    sa.CheckConstraint("state NOT IN ('delivered', 'opened') OR delivered_at IS NOT NULL", name="delivered_at"),
    sa.CheckConstraint(
        "displayed_at IS NULL OR (delivered_at IS NOT NULL AND displayed_at >= delivered_at)", name="displayed_at"
    ),
    sa.CheckConstraint(
        "(state <> 'opened' OR opened_at IS NOT NULL)"
        " AND (opened_at IS NULL OR (displayed_at IS NOT NULL AND opened_at >= displayed_at))",
        name="opened_at",
    ),
    sa.CheckConstraint(
        "dismissed_at IS NULL OR (displayed_at IS NOT NULL AND dismissed_at >= displayed_at)", name="dismissed_at"
    ),
    sa.Index(
        "ix_notifications_due",
        "not_before",
        "notification_id",
        postgresql_where=sa.text("state = 'queued'"),
    ),
    sa.Index("ix_notifications_lease", "lease_until", postgresql_where=sa.text("state = 'sending'")),
    sa.Index("ix_notifications_device_id_inbox_seq", "device_id", "inbox_seq"),
    sa.Index("ix_notifications_decision_id", "decision_id"),
    sa.Index("ix_notifications_campaign_id_state", "campaign_id", "state"),
    sa.Index(None, "created_at", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    schema=SCHEMA,
)

inbox_seq = sa.Sequence("inbox_seq", schema=SCHEMA, metadata=metadata)
