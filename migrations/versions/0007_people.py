"""People: users with roles, their invitations and sessions, and the audit of writes.

The operator of the installation has no tenant. Such rows are seen as those of tenant 0, which no tenant can have: a
connection that names no tenant sees them as little as any other.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = ("lbs.users", "lbs.user_stores", "lbs.invitations", "lbs.sessions", "lbs.audit")
APPENDED = "lbs.audit"


def upgrade() -> None:
    _users()
    _credentials()
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("operation_id", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_audit_tenant_id")),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit")),
        schema="lbs",
    )
    op.create_index(op.f("ix_audit_tenant_id_audit_id"), "audit", ["tenant_id", "audit_id"], schema="lbs")
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY tenant ON {table} USING"
            " (coalesce(tenant_id, 0) = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
        )
        rights = "SELECT, INSERT" if table == APPENDED else "SELECT, INSERT, UPDATE, DELETE"
        op.execute(f"GRANT {rights} ON {table} TO lbs_api, lbs_system")
        op.execute(f"GRANT SELECT ON {table} TO lbs_reader")


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=True),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("oidc_subject", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "role IN ('marketer', 'approver', 'store_manager', 'analyst', 'operator')", name=op.f("ck_users_role")
        ),
        sa.CheckConstraint("status IN ('invited', 'active', 'disabled')", name=op.f("ck_users_status")),
        sa.CheckConstraint("tenant_id IS NOT NULL OR role = 'operator'", name=op.f("ck_users_installation")),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email")),
        sa.CheckConstraint(
            "status <> 'active' OR password_hash IS NOT NULL OR oidc_subject IS NOT NULL",
            name=op.f("ck_users_credential"),
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_users_tenant_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("oidc_subject", name=op.f("uq_users_oidc_subject")),
        schema="lbs",
    )
    op.create_table(
        "user_stores",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("store_id", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["lbs.users.user_id"], name=op.f("fk_user_stores_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["store_id"], ["geofences.stores.store_id"], name=op.f("fk_user_stores_store_id")),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_user_stores_tenant_id")),
        sa.PrimaryKeyConstraint("user_id", "store_id", name=op.f("pk_user_stores")),
        schema="lbs",
    )


def _credentials() -> None:
    for table, more in (
        ("invitations", sa.Column("used_at", sa.DateTime(timezone=True), nullable=True)),
        ("sessions", sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False)),
    ):
        op.create_table(
            table,
            sa.Column("hash", sa.LargeBinary(), nullable=False),
            sa.Column("user_id", sa.BigInteger(), nullable=False),
            sa.Column("tenant_id", sa.Integer(), nullable=True),
            sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
            sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
            more,
            sa.ForeignKeyConstraint(
                ["user_id"], ["lbs.users.user_id"], name=op.f(f"fk_{table}_user_id"), ondelete="CASCADE"
            ),
            sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f(f"fk_{table}_tenant_id")),
            sa.PrimaryKeyConstraint("hash", name=op.f(f"pk_{table}")),
            schema="lbs",
        )
        op.create_index(op.f(f"ix_{table}_user_id"), table, ["user_id"], schema="lbs")


def downgrade() -> None:
    for table in reversed(TABLES):
        op.execute(f"DROP TABLE {table}")
