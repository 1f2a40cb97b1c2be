"""Imports over HTTP, which outlive their request; and an index by which the messages of the last hour are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TABLE = "lbs.imports"


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("import_id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("done", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("report", JSONB(), nullable=True),
        sa.Column("preview", JSONB(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('stores', 'fences')", name=op.f("ck_imports_kind")),
        sa.CheckConstraint(
            "state IN ('waiting', 'reading', 'writing', 'done', 'failed', 'interrupted')", name=op.f("ck_imports_state")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["geofences.tenants.tenant_id"], name=op.f("fk_imports_tenant_id")),
        sa.PrimaryKeyConstraint("import_id", name=op.f("pk_imports")),
        schema="lbs",
    )
    op.create_index(op.f("ix_imports_tenant_id_import_id"), "imports", ["tenant_id", "import_id"], schema="lbs")
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {TABLE} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY tenant ON {TABLE}"
        " USING (tenant_id = (SELECT nullif(current_setting('lbs.tenant', true), '')::int))"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {TABLE} TO lbs_api, lbs_system")
    op.execute(f"GRANT SELECT ON {TABLE} TO lbs_reader")
    op.create_index(
        op.f("ix_notifications_created_at"),
        "notifications",
        ["created_at"],
        schema="offers",
        postgresql_using="brin",
        postgresql_with={"autosummarize": "on"},
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_notifications_created_at"), "notifications", schema="offers")
    op.execute(f"DROP TABLE {TABLE}")
