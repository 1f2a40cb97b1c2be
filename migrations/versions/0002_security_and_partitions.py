"""Roles, row-level security, daily partitions and the rows of the shards.

Three roles that nobody logs in as; a process takes one at connection time (`options=-c role=...`):
`lbs_api` sees one tenant a transaction, `lbs_reader` reads all, `lbs_system` writes all (COPY is refused under
row-level security). Nothing is granted on partitions: reading a child would bypass its parent's policy.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SHARDS = 64
SCHEMAS = ("geofences", "offers", "lbs")
TENANT_TABLES = (
    "geofences.tenants",
    "geofences.devices",
    "geofences.consents",
    "geofences.stores",
    "geofences.fences",
    "geofences.fence_versions",
    "geofences.fence_cells",
    "geofences.changes",
    "geofences.positions",
    "geofences.device_last",
    "geofences.visits",
    "geofences.events",
    "offers.channels",
    "offers.webhooks",
    "offers.campaigns",
    "offers.campaign_fences",
    "offers.campaign_stores",
    "offers.occasions",
    "offers.occasion_devices",
    "offers.decisions",
    "offers.reservations",
    "offers.notifications",
    "lbs.keys",
    "lbs.remembered_writes",
)
SYSTEM_TABLES = ("geofences.shards", "geofences.dead_letters", "offers.cursors")
API_READS = (
    "geofences.tenants",
    "geofences.positions",
    "geofences.device_last",
    "geofences.visits",
    "geofences.events",
    "offers.decisions",
    "offers.reservations",
    "offers.occasions",
    "offers.occasion_devices",
)

ROLES = {"lbs_api": "NOBYPASSRLS", "lbs_reader": "BYPASSRLS", "lbs_system": "BYPASSRLS"}

MAKE_PARTITIONS = """
CREATE FUNCTION geofences.make_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
-- one partition a UTC day for each partitioned table, where missing; answers how many it made
DECLARE
    parent text;
    day date;
    child text;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(5242004);
    FOREACH parent IN ARRAY ARRAY['geofences.positions', 'geofences.events', 'offers.decisions'] LOOP
        day := first_day;
        WHILE day <= last_day LOOP
            child := parent || '_p' || to_char(day, 'YYYYMMDD');
            IF to_regclass(child) IS NULL THEN
                EXECUTE format('CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%L) TO (%L)',
                               child, parent, day::timestamptz, (day + 1)::timestamptz);
                made := made + 1;
            END IF;
            day := day + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$
"""

DROP_POSITIONS = """
CREATE FUNCTION geofences.drop_positions_before(first_kept date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
-- drops whole days of raw positions; answers how many days went
DECLARE
    child regclass;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(5242004);
    FOR child IN SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'geofences.positions'::regclass LOOP
        IF to_date(right(child::text, 8), 'YYYYMMDD') < first_kept THEN
            EXECUTE format('DROP TABLE %s', child);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$
"""


def upgrade() -> None:
    for role, bypass in ROLES.items():
        # roles belong to the whole server: another database of it may have made them, even at this very moment
        op.execute(
            f"DO $$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} NOLOGIN {bypass}; END IF;"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
        op.execute(
            f"DO $$ BEGIN IF NOT pg_has_role(current_user, '{role}', 'MEMBER') THEN GRANT {role} TO CURRENT_USER;"
            " END IF; END $$"
        )
    for schema in SCHEMAS:
        op.execute(f"GRANT USAGE ON SCHEMA {schema} TO lbs_api, lbs_reader, lbs_system")
    for table in TENANT_TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table}"
            " USING (tenant_id = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
        )
        rights = "SELECT" if table in API_READS else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {rights} ON {table} TO lbs_api")
    for table in (*TENANT_TABLES, *SYSTEM_TABLES):
        op.execute(f"GRANT SELECT ON {table} TO lbs_reader")
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO lbs_system")
    op.execute("GRANT USAGE ON SEQUENCE offers.inbox_seq TO lbs_system")
    op.execute("GRANT SELECT ON SEQUENCE offers.inbox_seq TO lbs_system, lbs_reader")
    op.execute(MAKE_PARTITIONS)
    op.execute(DROP_POSITIONS)
    for function in ("make_partitions(date, date)", "drop_positions_before(date)"):
        op.execute(f"REVOKE ALL ON FUNCTION geofences.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION geofences.{function} TO lbs_system")
    op.execute(f"INSERT INTO geofences.shards (shard) SELECT generate_series(0, {SHARDS - 1})")
    op.execute(f"INSERT INTO offers.cursors (shard) SELECT generate_series(0, {SHARDS - 1})")
    op.execute("SELECT geofences.make_partitions(current_date - 2, current_date + 7)")


def downgrade() -> None:
    op.execute("DELETE FROM offers.cursors")
    op.execute("DELETE FROM geofences.shards")
    for function in ("make_partitions(date, date)", "drop_positions_before(date)"):
        op.execute(f"DROP FUNCTION geofences.{function}")
    # roles stay: other databases of the server may use them
    op.execute("REVOKE ALL ON SEQUENCE offers.inbox_seq FROM lbs_system, lbs_reader")
    for table in (*TENANT_TABLES, *SYSTEM_TABLES):
        op.execute(f"REVOKE ALL ON {table} FROM lbs_api, lbs_reader, lbs_system")
    for table in TENANT_TABLES:
        op.execute(f"DROP POLICY tenant ON {table}")
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    for schema in SCHEMAS:
        op.execute(f"REVOKE ALL ON SCHEMA {schema} FROM lbs_api, lbs_reader, lbs_system")
