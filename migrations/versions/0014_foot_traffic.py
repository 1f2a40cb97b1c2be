"""Foot traffic: figures of stores by period, what of them is due, and where devices were seen around stores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

RIGHTS = {"traffic": "SELECT", "traffic_due": "SELECT, INSERT", "traffic_areas": "SELECT", "traffic_seen": "SELECT"}

COUNTS = "status = 'closed' AND dwell_s >= 120 AND ended_by <> 'crossed'"

# Whose visits changed; a later one of the same device at the same store may be its first no longer, or now.
MARK = """
CREATE FUNCTION geofences.mark_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH changed AS ({changed})
    INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)
    SELECT DISTINCT c.tenant_id, c.store_id, 'week', date_trunc('hour', moved.at, 'UTC')
    FROM changed AS c
    CROSS JOIN LATERAL (
        SELECT c.entered_at AS at
        UNION ALL
        (SELECT v.entered_at FROM geofences.visits AS v
         WHERE v.store_id = c.store_id AND v.device_id = c.device_id AND v.entered_at > c.entered_at
           AND v.status = 'closed' AND v.dwell_s >= 120 AND v.ended_by <> 'crossed'
         ORDER BY v.entered_at LIMIT 1)
    ) AS moved
    WHERE c.store_id IS NOT NULL;
    RETURN NULL;
END $$
"""
CHANGED = {
    "inserted_visits": "SELECT tenant_id, store_id, device_id, entered_at FROM told WHERE status = 'closed'",
    "deleted_visits": "SELECT tenant_id, store_id, device_id, entered_at FROM was WHERE status = 'closed'",
    "updated_visits": """
        SELECT n.tenant_id, at_store.store_id, n.device_id, n.entered_at
        FROM told AS n JOIN was AS o ON o.visit_id = n.visit_id
        CROSS JOIN LATERAL (VALUES (n.store_id), (o.store_id)) AS at_store(store_id)
        WHERE 'closed' IN (n.status, o.status)
          AND (n.status, n.dwell_s, n.ended_by, n.store_id)
              IS DISTINCT FROM (o.status, o.dwell_s, o.ended_by, o.store_id)""",
}
MARK_CONSENT = """
CREATE FUNCTION geofences.mark_consent() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.purpose <> 'analytics' OR (CASE TG_OP WHEN 'INSERT' THEN NEW.granted ELSE NEW.granted = OLD.granted END) THEN
        RETURN NULL;
    END IF;
    INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)
    SELECT DISTINCT v.tenant_id, v.store_id, 'week', date_trunc('hour', v.entered_at, 'UTC')
    FROM geofences.visits AS v
    WHERE v.tenant_id = NEW.tenant_id AND v.device_id = NEW.device_id AND v.status = 'closed'
      AND v.store_id IS NOT NULL;
    RETURN NULL;
END $$
"""
# a store of another time zone has other hours and days: those that were, and those that will be
MARK_STORE = """
CREATE FUNCTION geofences.mark_store() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.timezone <> OLD.timezone THEN
            INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)
            SELECT NEW.tenant_id, NEW.store_id, 'week', moved.at
            FROM (SELECT date_trunc('hour', entered_at, 'UTC') AS at FROM geofences.visits
                  WHERE tenant_id = NEW.tenant_id AND store_id = NEW.store_id AND status = 'closed'
                  UNION SELECT starts_at FROM geofences.traffic WHERE store_id = NEW.store_id) AS moved;
        END IF;
        IF NEW.content_hash = OLD.content_hash AND NEW.deleted_at IS NOT DISTINCT FROM OLD.deleted_at THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)
    VALUES (NEW.tenant_id, NEW.store_id, 'area', now());
    RETURN NULL;
END $$
"""
# of an H3 cell its ancestor at resolution 8: the resolution's four bits are set, and the digits after it to ones
PARENT = """
CREATE FUNCTION geofences.parent_r8(cell bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN (cell & ~(15::bigint << 52)) | (8::bigint << 52) | ((1::bigint << 21) - 1)
"""
NOTE_SEEN = """
CREATE FUNCTION geofences.note_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO geofences.traffic_seen (tenant_id, cell_r10, day, device_id)
    SELECT n.tenant_id, n.cell_r10, (n.seen_at AT TIME ZONE 'UTC')::date, n.device_id
    FROM {source}
    WHERE {moved} EXISTS (
        SELECT FROM geofences.traffic_areas AS a
        WHERE a.tenant_id = n.tenant_id AND a.cell_r8 = geofences.parent_r8(n.cell_r10)
    )
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""
SEEN = {
    "new_devices": {"source": "told AS n", "moved": ""},
    "moved_devices": {
        "source": "told AS n JOIN was AS o ON o.device_id = n.device_id",
        "moved": "(n.cell_r10 IS DISTINCT FROM o.cell_r10 OR (n.seen_at AT TIME ZONE 'UTC')::date"
        " <> (o.seen_at AT TIME ZONE 'UTC')::date) AND",
    },
}
NEW, OLD = "NEW TABLE AS told", "OLD TABLE AS was"
TRIGGERS = {
    "mark_inserted_visits": f"AFTER INSERT ON geofences.visits REFERENCING {NEW} FOR EACH STATEMENT",
    "mark_updated_visits": f"AFTER UPDATE ON geofences.visits REFERENCING {NEW} {OLD} FOR EACH STATEMENT",
    "mark_deleted_visits": f"AFTER DELETE ON geofences.visits REFERENCING {OLD} FOR EACH STATEMENT",
    "mark_consent": "AFTER INSERT OR UPDATE OF granted ON geofences.consents FOR EACH ROW",
    "mark_store": "AFTER INSERT OR UPDATE ON geofences.stores FOR EACH ROW",
    "note_new_devices": f"AFTER INSERT ON geofences.device_last REFERENCING {NEW} FOR EACH STATEMENT",
    "note_moved_devices": f"AFTER UPDATE ON geofences.device_last REFERENCING {NEW} {OLD} FOR EACH STATEMENT",
}


def upgrade() -> None:
    _figures()
    _around()
    for name, api in RIGHTS.items():
        table = f"geofences.{name}"
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table}"
            " USING (tenant_id = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
        )
        op.execute(f"GRANT {api} ON {table} TO lbs_api")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lbs_system")
        op.execute(f"GRANT SELECT ON {table} TO lbs_reader")
    # a device's first visit of a store, and its next one
    op.create_index(
        "ix_visits_store_id_device_id_counted",
        "visits",
        ["store_id", "device_id", "entered_at"],
        schema="geofences",
        postgresql_where=sa.text(COUNTS),
    )
    op.add_column("device_last", sa.Column("cell_r10", sa.BigInteger), schema="geofences")
    for name, changed in CHANGED.items():
        op.execute(MARK.format(name=name, changed=changed))
    op.execute(PARENT)
    for name, more in SEEN.items():
        op.execute(NOTE_SEEN.format(name=name, **more))
    op.execute(MARK_CONSENT)
    op.execute(MARK_STORE)
    for name, when in TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION geofences.{name}()")
    op.execute(
        "INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)"
        " SELECT DISTINCT tenant_id, store_id, 'week', date_trunc('day', entered_at, 'UTC') + make_interval(hours => h)"
        " FROM geofences.visits CROSS JOIN (VALUES (0), (23)) AS both_ends(h)"
        " WHERE status = 'closed' AND store_id IS NOT NULL"
    )
    op.execute(
        "INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)"
        " SELECT tenant_id, store_id, 'area', now() FROM geofences.stores"
    )


def _figures() -> None:
    op.create_table(
        "traffic",
        sa.Column("store_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("grain", sa.Text, primary_key=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("tenant_id", sa.Integer, nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("visits", sa.Integer, nullable=False),
        sa.Column("visitors", sa.Integer, nullable=False),
        sa.Column("new_visitors", sa.Integer, nullable=False),
        sa.Column("passers_by", sa.Integer, nullable=False),
        sa.Column("median_dwell_s", sa.Float(53)),
        sa.Column("p90_dwell_s", sa.Float(53)),
        sa.Column("dwell", ARRAY(sa.Integer), nullable=False),
        sa.Column("k", sa.Integer, nullable=False),
        sa.CheckConstraint("grain IN ('hour', 'day', 'week', 'month')", name="grain"),
        schema="geofences",
    )
    op.create_index(
        "ix_traffic_tenant_id_grain_first_day",
        "traffic",
        ["tenant_id", "grain", "first_day", "store_id"],
        schema="geofences",
        postgresql_where=sa.text("grain <> 'hour'"),
    )
    op.create_table(
        "traffic_due",
        sa.Column("due_id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("tenant_id", sa.Integer, nullable=False),
        sa.Column("store_id", sa.BigInteger, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.CheckConstraint("what IN ('week', 'month', 'area')", name="what"),
        schema="geofences",
    )
    op.create_index("ix_traffic_due_store_id", "traffic_due", ["store_id", "what"], schema="geofences")


def _around() -> None:
    op.create_table(
        "traffic_areas",
        sa.Column("tenant_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("cell_r8", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("store_id", sa.BigInteger, primary_key=True, autoincrement=False),
        schema="geofences",
    )
    op.create_index("ix_traffic_areas_store_id", "traffic_areas", ["store_id"], schema="geofences")
    op.create_table(
        "traffic_seen",
        sa.Column("tenant_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("cell_r10", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
        schema="geofences",
    )
    op.create_index("ix_traffic_seen_device_id", "traffic_seen", ["device_id"], schema="geofences")
    op.create_index(
        "ix_traffic_seen_day",
        "traffic_seen",
        ["day"],
        schema="geofences",
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )


def downgrade() -> None:
    for name, when in TRIGGERS.items():
        op.execute(f"DROP TRIGGER {name} ON {when.split(' ON ')[1].split()[0]}")
        op.execute(f"DROP FUNCTION geofences.{name}()")
    op.execute("DROP FUNCTION geofences.parent_r8(bigint)")
    op.drop_column("device_last", "cell_r10", schema="geofences")
    op.drop_index("ix_visits_store_id_device_id_counted", "visits", schema="geofences")
    for name in reversed(RIGHTS):
        op.drop_table(name, schema="geofences")
