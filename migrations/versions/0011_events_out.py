"""Events out: webhooks subscribe to visits, decisions and redemptions; what waits for each, and every attempt."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

NEW_TABLES = ("webhook_events", "webhook_attempts")

PATTERNS = """
CREATE FUNCTION offers.patterns_of(type text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN ARRAY[type, split_part(type, '.', 1) || '.*']
"""

# A row for each subscription, in the transaction of what happened. The engine writes each shard in order.
QUEUE_VISITS = """
CREATE FUNCTION offers.queue_visits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO offers.webhook_events (webhook_id, tenant_id, type, ref_id, device_id, at)
    SELECT w.webhook_id, t.tenant_id, t.type, t.event_id, t.device_id, t.at
    FROM told AS t JOIN offers.webhooks AS w ON w.tenant_id = t.tenant_id
    WHERE w.events <> '{}' AND w.events && offers.patterns_of(t.type)
    ORDER BY t.shard, t.seq;
    IF FOUND THEN PERFORM pg_notify('lbs_webhook_events', ''); END IF;
    RETURN NULL;
END $$
"""
QUEUE_DECISIONS = """
CREATE FUNCTION offers.queue_decisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO offers.webhook_events (webhook_id, tenant_id, type, ref_id, device_id, at)
    SELECT w.webhook_id, t.tenant_id, 'decision.' || t.outcome, t.decision_id, t.device_id, t.decided_at
    FROM told AS t JOIN offers.webhooks AS w ON w.tenant_id = t.tenant_id
    WHERE w.events <> '{}' AND w.events && offers.patterns_of('decision.' || t.outcome);
    IF FOUND THEN PERFORM pg_notify('lbs_webhook_events', ''); END IF;
    RETURN NULL;
END $$
"""
QUEUE_REDEMPTION = """
CREATE FUNCTION offers.queue_redemption() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text := CASE NEW.state WHEN 'cancelled' THEN 'redemption.cancelled' ELSE 'redemption.verified' END;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.state = OLD.state THEN RETURN NULL; END IF;
    INSERT INTO offers.webhook_events (webhook_id, tenant_id, type, ref_id, device_id, at)
    SELECT w.webhook_id, NEW.tenant_id, told, NEW.redemption_id, c.device_id,
           coalesce(NEW.cancelled_at, NEW.redeemed_at)
    FROM offers.webhooks AS w JOIN offers.claims AS c ON c.claim_id = NEW.claim_id
    WHERE w.tenant_id = NEW.tenant_id AND w.events <> '{}' AND w.events && offers.patterns_of(told);
    IF FOUND THEN PERFORM pg_notify('lbs_webhook_events', ''); END IF;
    RETURN NULL;
END $$
"""
TRIGGERS = {
    "geofences.events": (
        "AFTER INSERT ON geofences.events REFERENCING NEW TABLE AS told FOR EACH STATEMENT",
        "queue_visits",
    ),
    "offers.decisions": (
        "AFTER INSERT ON offers.decisions REFERENCING NEW TABLE AS told FOR EACH STATEMENT",
        "queue_decisions",
    ),
    "offers.redemptions": (
        "AFTER INSERT OR UPDATE OF state ON offers.redemptions FOR EACH ROW",
        "queue_redemption",
    ),
}


def upgrade() -> None:
    op.add_column(
        "webhooks",
        sa.Column("events", ARRAY(sa.Text), nullable=False, server_default=sa.text("'{}'::text[]")),
        schema="offers",
    )
    op.add_column("webhooks", sa.Column("old_secret_until", sa.DateTime(timezone=True)), schema="offers")
    # a tenant may have a webhook for every device, and a few that subscribe to events
    op.create_index(
        "ix_webhooks_subscribed",
        "webhooks",
        ["tenant_id"],
        schema="offers",
        postgresql_where=sa.text("events <> '{}'"),
    )
    _waiting()
    _attempts()
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
    # a replay asks what became known from some time on; rows come in about that order
    op.create_index(
        "ix_events_clock",
        "events",
        ["clock"],
        schema="geofences",
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )
    for function in (PATTERNS, QUEUE_VISITS, QUEUE_DECISIONS, QUEUE_REDEMPTION):
        op.execute(function)
    for when, function in TRIGGERS.values():
        op.execute(f"CREATE TRIGGER {function} {when} EXECUTE FUNCTION offers.{function}()")


def _waiting() -> None:
    op.create_table(
        "webhook_events",
        # no foreign key: a webhook that goes away must not fail the transaction of what happened
        sa.Column("webhook_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Integer, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("ref_id", sa.BigInteger, nullable=False),
        sa.Column("device_id", sa.BigInteger, nullable=False),
        _time("at"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        _time("due_at", default_now=True),
        _time("created_at", default_now=True),
        schema="offers",
    )
    for columns in (
        ("webhook_id", "due_at", "seq"),
        ("webhook_id", "device_id", "seq"),
        ("device_id",),
        ("created_at",),
    ):
        op.create_index(f"ix_webhook_events_{'_'.join(columns)}", "webhook_events", list(columns), schema="offers")


def _attempts() -> None:
    op.create_table(
        "webhook_attempts",
        sa.Column(
            "webhook_id",
            sa.BigInteger,
            sa.ForeignKey("offers.webhooks.webhook_id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("attempt_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Integer, sa.ForeignKey("geofences.tenants.tenant_id"), nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        _time("at"),
        sa.Column("duration_ms", sa.Float(53), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("delivered", sa.Boolean, nullable=False),
        _time("next_attempt_at", nullable=True),
        schema="offers",
    )
    op.create_index("ix_webhook_attempts_at", "webhook_attempts", ["at"], schema="offers")


def _time(name: str, *, nullable: bool = False, default_now: bool = False) -> sa.Column[object]:
    default = sa.func.now() if default_now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def downgrade() -> None:
    for table, (_, function) in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {function} ON {table}")
        op.execute(f"DROP FUNCTION offers.{function}()")
    op.execute("DROP FUNCTION offers.patterns_of(text)")
    op.drop_index("ix_events_clock", "events", schema="geofences")
    for name in reversed(NEW_TABLES):
        op.drop_table(name, schema="offers")
    op.drop_index("ix_webhooks_subscribed", "webhooks", schema="offers")
    for column in ("old_secret_until", "events"):
        op.drop_column("webhooks", column, schema="offers")
