"""All tables of the first version, as autogenerate wrote them; PostGIS and the schemas first."""

from __future__ import annotations

import geoalchemy2
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS postgis")
    for schema in ("geofences", "offers", "lbs"):
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    op.execute("CREATE SEQUENCE offers.inbox_seq")
    op.create_table(
        "dead_letters",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("shard", "entry_id", name=op.f("pk_dead_letters")),
        schema="geofences",
    )
    op.create_table(
        "device_last",
        sa.Column("device_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("cell_r9", sa.BigInteger(), nullable=False),
        sa.Column("lat", sa.Float(precision=53), nullable=False),
        sa.Column("lng", sa.Float(precision=53), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_device_last")),
        schema="geofences",
    )
    op.create_index(
        "ix_device_last_tenant_id_cell_r9", "device_last", ["tenant_id", "cell_r9"], unique=False, schema="geofences"
    )
    op.create_table(
        "events",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("fence_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=True),
        sa.Column("visit_id", sa.BigInteger(), nullable=False),
        sa.Column("root_visit_id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("clock", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confidence", sa.Float(precision=53), nullable=False),
        sa.Column("already_inside", sa.Boolean(), nullable=False),
        schema="geofences",
        postgresql_partition_by="RANGE (at)",
    )
    op.create_index("ix_events_shard_seq", "events", ["shard", "seq"], unique=False, schema="geofences")
    op.create_index(
        "ix_events_tenant_id_device_id_at", "events", ["tenant_id", "device_id", "at"], unique=False, schema="geofences"
    )
    op.create_table(
        "positions",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lat", sa.Float(precision=53), nullable=False),
        sa.Column("lng", sa.Float(precision=53), nullable=False),
        sa.Column("accuracy_m", sa.REAL(), nullable=True),
        sa.Column("speed_mps", sa.REAL(), nullable=True),
        sa.Column("flags", sa.SmallInteger(), nullable=False),
        schema="geofences",
        postgresql_partition_by="RANGE (recorded_at)",
    )
    op.create_index(
        "ix_positions_device_id_recorded_at",
        "positions",
        ["device_id", "recorded_at"],
        unique=False,
        schema="geofences",
    )
    op.create_table(
        "shards",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), server_default="1", nullable=False),
        sa.Column("offset", sa.Text(), server_default="0-0", nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_shards")),
        schema="geofences",
    )
    op.create_table(
        "tenants",
        sa.Column("tenant_id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sandbox", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_tenants")),
        sa.UniqueConstraint("name", name=op.f("uq_tenants_name")),
        schema="geofences",
    )
    op.create_table(
        "visits",
        sa.Column("visit_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("fence_id", sa.BigInteger(), nullable=False),
        sa.Column("fence_version", sa.Integer(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=True),
        sa.Column("root_visit_id", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_in_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("out_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("exited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dwelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dwell_waits", sa.Boolean(), nullable=False),
        sa.Column("dwell_s", sa.Float(precision=53), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("already_inside", sa.Boolean(), nullable=False),
        sa.Column("positions", sa.Integer(), nullable=False),
        sa.Column("confidence", sa.Float(precision=53), nullable=False),
        sa.CheckConstraint(
            "ended_by IN ('exit', 'gap', 'fence_changed', 'consent_withdrawn')", name=op.f("ck_visits_ended_by")
        ),
        sa.CheckConstraint("status IN ('candidate', 'open', 'closed', 'retracted')", name=op.f("ck_visits_status")),
        sa.PrimaryKeyConstraint("visit_id", name=op.f("pk_visits")),
        schema="geofences",
    )
    op.create_index(
        "ix_visits_fence_id_unfinished",
        "visits",
        ["fence_id"],
        unique=False,
        schema="geofences",
        postgresql_where=sa.text("status IN ('candidate', 'open')"),
    )
    op.create_index(
        "ix_visits_shard_unfinished",
        "visits",
        ["shard"],
        unique=False,
        schema="geofences",
        postgresql_where=sa.text("status IN ('candidate', 'open')"),
    )
    op.create_index(
        "ix_visits_tenant_id_device_id_entered_at",
        "visits",
        ["tenant_id", "device_id", "entered_at"],
        unique=False,
        schema="geofences",
    )
    op.create_index(
        "ix_visits_tenant_id_store_id_entered_at",
        "visits",
        ["tenant_id", "store_id", "entered_at"],
        unique=False,
        schema="geofences",
    )
    op.create_table(
        "cursors",
        sa.Column("shard", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("shard", name=op.f("pk_cursors")),
        schema="offers",
    )
    op.create_table(
        "decisions",
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_version", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=True),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("root_visit_id", sa.BigInteger(), nullable=True),
        sa.Column("trigger_type", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("gates", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("event_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("outcome IN ('offered', 'suppressed')", name=op.f("ck_decisions_outcome")),
        schema="offers",
        postgresql_partition_by="RANGE (decided_at)",
    )
    op.create_index(
        "ix_decisions_tenant_id_campaign_id_decided_at",
        "decisions",
        ["tenant_id", "campaign_id", "decided_at"],
        unique=False,
        schema="offers",
    )
    op.create_index(
        "ix_decisions_tenant_id_device_id_decided_at",
        "decisions",
        ["tenant_id", "device_id", "decided_at"],
        unique=False,
        schema="offers",
    )
    op.create_table(
        "changes",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('fence', 'store', 'campaign', 'device')", name=op.f("ck_changes_kind")),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_changes_tenant_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_changes")),
        schema="geofences",
    )
    op.create_table(
        "devices",
        sa.Column("device_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("external_user_id", sa.Text(), nullable=True),
        sa.Column(
            "attributes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=True),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_devices_tenant_id")),
        sa.PrimaryKeyConstraint("device_id", name=op.f("pk_devices")),
        sa.UniqueConstraint("tenant_id", "external_id", name=op.f("uq_devices_tenant_id_external_id")),
        schema="geofences",
    )
    op.create_table(
        "stores",
        sa.Column("store_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("categories", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("opening_hours", sa.Text(), nullable=True),
        sa.Column(
            "attributes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "location",
            geoalchemy2.types.Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
                nullable=False,
            ),
            nullable=False,
        ),
        sa.Column("cell_r7", sa.BigInteger(), nullable=False),
        sa.Column("cell_r9", sa.BigInteger(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_stores_tenant_id")),
        sa.PrimaryKeyConstraint("store_id", name=op.f("pk_stores")),
        sa.UniqueConstraint("tenant_id", "external_id", name=op.f("uq_stores_tenant_id_external_id")),
        schema="geofences",
    )
    op.create_index(
        "ix_stores_location", "stores", ["location"], unique=False, schema="geofences", postgresql_using="gist"
    )
    op.create_index("ix_stores_tenant_id_cell_r7", "stores", ["tenant_id", "cell_r7"], unique=False, schema="geofences")
    op.create_index("ix_stores_tenant_id_cell_r9", "stores", ["tenant_id", "cell_r9"], unique=False, schema="geofences")
    op.create_table(
        "remembered_writes",
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_remembered_writes_tenant_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "idempotency_key", name=op.f("pk_remembered_writes")),
        schema="lbs",
    )
    op.create_table(
        "campaigns",
        sa.Column("campaign_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("brand", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("trigger_type", sa.Text(), nullable=False),
        sa.Column("definition", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=True),
        sa.Column("reserved", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "status IN ('draft', 'submitted', 'live', 'paused', 'ended', 'archived')", name=op.f("ck_campaigns_status")
        ),
        sa.CheckConstraint(
            "trigger_type IN ('enter', 'dwell', 'exit', 'scheduled')", name=op.f("ck_campaigns_trigger_type")
        ),
        sa.CheckConstraint(
            "reserved >= 0 AND (stock IS NULL OR reserved <= stock)", name=op.f("ck_campaigns_never_over_stock")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_campaigns_tenant_id")),
        sa.PrimaryKeyConstraint("campaign_id", name=op.f("pk_campaigns")),
        schema="offers",
    )
    op.create_index(
        "ix_campaigns_tenant_id_status", "campaigns", ["tenant_id", "status"], unique=False, schema="offers"
    )
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("secrets", postgresql.ARRAY(sa.LargeBinary()), nullable=False),
        sa.Column("paused_reason", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_webhooks_tenant_id")),
        sa.PrimaryKeyConstraint("webhook_id", name=op.f("pk_webhooks")),
        sa.UniqueConstraint("tenant_id", "url", name=op.f("uq_webhooks_tenant_id_url")),
        schema="offers",
    )
    op.create_table(
        "consents",
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("purpose IN ('location', 'push', 'analytics')", name=op.f("ck_consents_purpose")),
        sa.CheckConstraint("source IN ('app', 'server', 'replay')", name=op.f("ck_consents_source")),
        sa.ForeignKeyConstraint(
            ["device_id"], ["geofences.devices.device_id"], name=op.f("fk_consents_device_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_consents_tenant_id")),
        sa.PrimaryKeyConstraint("device_id", "purpose", name=op.f("pk_consents")),
        schema="geofences",
    )
    op.create_table(
        "fences",
        sa.Column("fence_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("store_id", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["store_id"], ["geofences.stores.store_id"], name=op.f("fk_fences_store_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_fences_tenant_id")),
        sa.PrimaryKeyConstraint("fence_id", name=op.f("pk_fences")),
        sa.UniqueConstraint("tenant_id", "external_id", name=op.f("uq_fences_tenant_id_external_id")),
        schema="geofences",
    )
    op.create_index("ix_fences_store_id", "fences", ["store_id"], unique=False, schema="geofences")
    op.create_table(
        "keys",
        sa.Column("key_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(kind = 'store') = (store_id IS NOT NULL)", name=op.f("ck_keys_store")),
        sa.CheckConstraint("kind IN ('publishable', 'secret', 'store')", name=op.f("ck_keys_kind")),
        sa.ForeignKeyConstraint(["store_id"], ["geofences.stores.store_id"], name=op.f("fk_keys_store_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_keys_tenant_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_keys")),
        sa.UniqueConstraint("hash", name=op.f("uq_keys_hash")),
        schema="lbs",
    )
    op.create_table(
        "campaign_stores",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["offers.campaigns.campaign_id"], name=op.f("fk_campaign_stores_campaign_id")
        ),
        sa.ForeignKeyConstraint(["store_id"], ["geofences.stores.store_id"], name=op.f("fk_campaign_stores_store_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_campaign_stores_tenant_id")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "store_id", name=op.f("pk_campaign_stores")),
        schema="offers",
    )
    op.create_index("ix_campaign_stores_store_id", "campaign_stores", ["store_id"], unique=False, schema="offers")
    op.create_table(
        "channels",
        sa.Column("channel_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("address", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("address_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Text(), server_default="active", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('active', 'dead')", name=op.f("ck_channels_status")),
        sa.CheckConstraint("type IN ('webpush', 'webhook', 'inbox', 'apns', 'fcm')", name=op.f("ck_channels_type")),
        sa.ForeignKeyConstraint(
            ["device_id"], ["geofences.devices.device_id"], name=op.f("fk_channels_device_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_channels_tenant_id")),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_channels")),
        sa.UniqueConstraint("device_id", "type", "address_hash", name=op.f("uq_channels_device_id_type_address_hash")),
        schema="offers",
    )
    op.create_table(
        "notifications",
        sa.Column("notification_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("inbox_seq", sa.BigInteger(), nullable=True),
        sa.Column("outcome_unknown", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("position_received_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "channel IN ('webpush', 'webhook', 'inbox', 'apns', 'fcm')", name=op.f("ck_notifications_channel")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'sent', 'delivered', 'opened', 'failed', 'expired', 'suppressed')",
            name=op.f("ck_notifications_state"),
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["offers.campaigns.campaign_id"], name=op.f("fk_notifications_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_notifications_tenant_id")
        ),
        sa.PrimaryKeyConstraint("notification_id", name=op.f("pk_notifications")),
        schema="offers",
    )
    op.create_index(
        "ix_notifications_campaign_id_state", "notifications", ["campaign_id", "state"], unique=False, schema="offers"
    )
    op.create_index("ix_notifications_decision_id", "notifications", ["decision_id"], unique=False, schema="offers")
    op.create_index(
        "ix_notifications_device_id_inbox_seq",
        "notifications",
        ["device_id", "inbox_seq"],
        unique=False,
        schema="offers",
    )
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["not_before", "notification_id"],
        unique=False,
        schema="offers",
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_notifications_lease",
        "notifications",
        ["lease_until"],
        unique=False,
        schema="offers",
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_table(
        "occasions",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["offers.campaigns.campaign_id"], name=op.f("fk_occasions_campaign_id")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_occasions_tenant_id")),
        sa.PrimaryKeyConstraint("campaign_id", "store_id", "due_at", name=op.f("pk_occasions")),
        schema="offers",
    )
    op.create_table(
        "reservations",
        sa.Column("decision_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "release_reason IN ('expired', 'refused', 'stopped')", name=op.f("ck_reservations_release_reason")
        ),
        sa.CheckConstraint("state IN ('held', 'confirmed', 'released')", name=op.f("ck_reservations_state")),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["offers.campaigns.campaign_id"], name=op.f("fk_reservations_campaign_id")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_reservations_tenant_id")),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_reservations")),
        schema="offers",
    )
    op.create_index(
        "ix_reservations_campaign_id_device_id",
        "reservations",
        ["campaign_id", "device_id"],
        unique=False,
        schema="offers",
    )
    op.create_index(
        "ix_reservations_expires_at_held",
        "reservations",
        ["expires_at"],
        unique=False,
        schema="offers",
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_table(
        "fence_versions",
        sa.Column("fence_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "center",
            geoalchemy2.types.Geography(
                geometry_type="POINT",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeogFromText",
                name="geography",
            ),
            nullable=True,
        ),
        sa.Column("radius_m", sa.Float(precision=53), nullable=True),
        sa.Column(
            "area",
            geoalchemy2.types.Geometry(
                geometry_type="MULTIPOLYGON",
                srid=4326,
                dimension=2,
                spatial_index=False,
                from_text="ST_GeomFromEWKT",
                name="geometry",
            ),
            nullable=True,
        ),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column(
            "settings", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(kind = 'circle' AND center IS NOT NULL AND radius_m IS NOT NULL AND area IS NULL)"
            " OR (kind <> 'circle' AND area IS NOT NULL AND center IS NULL)",
            name=op.f("ck_fence_versions_shape"),
        ),
        sa.CheckConstraint("kind IN ('circle', 'polygon', 'multipolygon')", name=op.f("ck_fence_versions_kind")),
        sa.ForeignKeyConstraint(["fence_id"], ["geofences.fences.fence_id"], name=op.f("fk_fence_versions_fence_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_fence_versions_tenant_id")
        ),
        sa.PrimaryKeyConstraint("fence_id", "version", name=op.f("pk_fence_versions")),
        schema="geofences",
    )
    op.create_table(
        "campaign_fences",
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("fence_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["offers.campaigns.campaign_id"], name=op.f("fk_campaign_fences_campaign_id")
        ),
        sa.ForeignKeyConstraint(["fence_id"], ["geofences.fences.fence_id"], name=op.f("fk_campaign_fences_fence_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_campaign_fences_tenant_id")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "fence_id", name=op.f("pk_campaign_fences")),
        schema="offers",
    )
    op.create_index("ix_campaign_fences_fence_id", "campaign_fences", ["fence_id"], unique=False, schema="offers")
    op.create_table(
        "occasion_devices",
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("device_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("shard", sa.SmallInteger(), nullable=False),
        sa.Column("clock", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["campaign_id", "store_id", "due_at"],
            ["offers.occasions.campaign_id", "offers.occasions.store_id", "offers.occasions.due_at"],
            name=op.f("fk_occasion_devices_campaign_id_store_id_due_at"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_occasion_devices_tenant_id")
        ),
        sa.PrimaryKeyConstraint("campaign_id", "store_id", "due_at", "device_id", name=op.f("pk_occasion_devices")),
        schema="offers",
    )
    op.create_index(
        "ix_occasion_devices_shard_undecided",
        "occasion_devices",
        ["shard", "seq"],
        unique=False,
        schema="offers",
        postgresql_where=sa.text("NOT decided"),
    )
    op.create_table(
        "fence_cells",
        sa.Column("fence_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("cell", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["fence_id", "version"],
            ["geofences.fence_versions.fence_id", "geofences.fence_versions.version"],
            name=op.f("fk_fence_cells_fence_id_version"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_fence_cells_tenant_id")),
        sa.PrimaryKeyConstraint("fence_id", "version", "cell", name=op.f("pk_fence_cells")),
        schema="geofences",
    )
    op.create_index(
        "ix_fence_cells_tenant_id_cell", "fence_cells", ["tenant_id", "cell"], unique=False, schema="geofences"
    )


def downgrade() -> None:
    op.drop_index("ix_fence_cells_tenant_id_cell", table_name="fence_cells", schema="geofences")
    op.drop_table("fence_cells", schema="geofences")
    op.drop_index(
        "ix_occasion_devices_shard_undecided",
        table_name="occasion_devices",
        schema="offers",
        postgresql_where=sa.text("NOT decided"),
    )
    op.drop_table("occasion_devices", schema="offers")
    op.drop_index("ix_campaign_fences_fence_id", table_name="campaign_fences", schema="offers")
    op.drop_table("campaign_fences", schema="offers")
    op.drop_table("fence_versions", schema="geofences")
    op.drop_index(
        "ix_reservations_expires_at_held",
        table_name="reservations",
        schema="offers",
        postgresql_where=sa.text("state = 'held'"),
    )
    op.drop_index("ix_reservations_campaign_id_device_id", table_name="reservations", schema="offers")
    op.drop_table("reservations", schema="offers")
    op.drop_table("occasions", schema="offers")
    op.drop_index(
        "ix_notifications_lease",
        table_name="notifications",
        schema="offers",
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.drop_index(
        "ix_notifications_due",
        table_name="notifications",
        schema="offers",
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.drop_index("ix_notifications_device_id_inbox_seq", table_name="notifications", schema="offers")
    op.drop_index("ix_notifications_decision_id", table_name="notifications", schema="offers")
    op.drop_index("ix_notifications_campaign_id_state", table_name="notifications", schema="offers")
    op.drop_table("notifications", schema="offers")
    op.drop_table("channels", schema="offers")
    op.drop_index("ix_campaign_stores_store_id", table_name="campaign_stores", schema="offers")
    op.drop_table("campaign_stores", schema="offers")
    op.drop_table("keys", schema="lbs")
    op.drop_index("ix_fences_store_id", table_name="fences", schema="geofences")
    op.drop_table("fences", schema="geofences")
    op.drop_table("consents", schema="geofences")
    op.drop_table("webhooks", schema="offers")
    op.drop_index("ix_campaigns_tenant_id_status", table_name="campaigns", schema="offers")
    op.drop_table("campaigns", schema="offers")
    op.drop_table("remembered_writes", schema="lbs")
    op.drop_index("ix_stores_tenant_id_cell_r9", table_name="stores", schema="geofences")
    op.drop_index("ix_stores_tenant_id_cell_r7", table_name="stores", schema="geofences")
    op.drop_index("ix_stores_location", table_name="stores", schema="geofences", postgresql_using="gist")
    op.drop_table("stores", schema="geofences")
    op.drop_table("devices", schema="geofences")
    op.drop_table("changes", schema="geofences")
    op.drop_index("ix_decisions_tenant_id_device_id_decided_at", table_name="decisions", schema="offers")
    op.drop_index("ix_decisions_tenant_id_campaign_id_decided_at", table_name="decisions", schema="offers")
    op.drop_table("decisions", schema="offers")
    op.drop_table("cursors", schema="offers")
    op.drop_index("ix_visits_tenant_id_store_id_entered_at", table_name="visits", schema="geofences")
    op.drop_index("ix_visits_tenant_id_device_id_entered_at", table_name="visits", schema="geofences")
    op.drop_index(
        "ix_visits_shard_unfinished",
        table_name="visits",
        schema="geofences",
        postgresql_where=sa.text("status IN ('candidate', 'open')"),
    )
    op.drop_index(
        "ix_visits_fence_id_unfinished",
        table_name="visits",
        schema="geofences",
        postgresql_where=sa.text("status IN ('candidate', 'open')"),
    )
    op.drop_table("visits", schema="geofences")
    op.drop_table("tenants", schema="geofences")
    op.drop_table("shards", schema="geofences")
    op.drop_index("ix_positions_device_id_recorded_at", table_name="positions", schema="geofences")
    op.drop_table("positions", schema="geofences")
    op.drop_index("ix_events_tenant_id_device_id_at", table_name="events", schema="geofences")
    op.drop_index("ix_events_shard_seq", table_name="events", schema="geofences")
    op.drop_table("events", schema="geofences")
    op.drop_index("ix_device_last_tenant_id_cell_r9", table_name="device_last", schema="geofences")
    op.drop_table("device_last", schema="geofences")
    op.drop_table("dead_letters", schema="geofences")
    op.execute("DROP SEQUENCE offers.inbox_seq")
    for schema in ("lbs", "offers", "geofences"):
        op.execute(f"DROP SCHEMA {schema}")
