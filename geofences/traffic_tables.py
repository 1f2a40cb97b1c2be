"""Tables of foot traffic: figures by period, what of them is due, and where devices were seen around stores."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from geofences.periods import Grain
from geofences.tables import SCHEMA, metadata, one_of, timestamp, visits


class Due(StrEnum):
    """What has to be worked out anew for a store."""

    WEEK = "week"
    """The hours, days and week around a time."""
    MONTH = "month"
    """The month around a time: made due by its weeks."""
    AREA = "area"
    """Which cells lie around the store."""


traffic = sa.Table(
    "traffic",
    metadata,
    sa.Column("store_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("grain", sa.Text, primary_key=True),
    sa.Column("starts_at", sa.DateTime(timezone=True), primary_key=True),
    sa.Column("tenant_id", sa.Integer, nullable=False),
    timestamp("ends_at"),
    # by the store's own calendar
    sa.Column("first_day", sa.Date, nullable=False),
    # exact, but for visits: those that count in the sum while k is as it was
    sa.Column("visits", sa.Integer, nullable=False),
    sa.Column("visitors", sa.Integer, nullable=False),
    sa.Column("new_visitors", sa.Integer, nullable=False),
    sa.Column("passers_by", sa.Integer, nullable=False),
    # NULL where k devices do not lie on either side
    sa.Column("median_dwell_s", sa.Float(53)),
    sa.Column("p90_dwell_s", sa.Float(53)),
    # devices with a visit of each length; of hours none
    sa.Column("dwell", ARRAY(sa.Integer), nullable=False),
    sa.Column("k", sa.Integer, nullable=False),
    one_of("grain", Grain),
    sa.Index(
        "ix_traffic_tenant_id_grain_first_day",
        "tenant_id",
        "grain",
        "first_day",
        "store_id",
        postgresql_where=sa.text("grain <> 'hour'"),
    ),
    schema=SCHEMA,
)

traffic_due = sa.Table(
    "traffic_due",
    metadata,
    # nothing is unique: writers never wait for each other, and never for whoever works it off
    sa.Column("due_id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("tenant_id", sa.Integer, nullable=False),
    sa.Column("store_id", sa.BigInteger, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    timestamp("at"),
    timestamp("created_at", default_now=True),
    one_of("what", Due),
    sa.Index("ix_traffic_due_store_id", "store_id", "what"),
    schema=SCHEMA,
)

traffic_areas = sa.Table(
    "traffic_areas",
    metadata,
    sa.Column("tenant_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cell_r8", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("store_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Index("ix_traffic_areas_store_id", "store_id"),
    schema=SCHEMA,
)

traffic_seen = sa.Table(
    "traffic_seen",
    metadata,
    sa.Column("tenant_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("cell_r10", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("device_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Index("ix_traffic_seen_device_id", "device_id"),
    sa.Index("ix_traffic_seen_day", "day", postgresql_using="brin", postgresql_with={"autosummarize": "on"}),
    schema=SCHEMA,
)

sa.Index(
    "ix_visits_store_id_device_id_counted",
    visits.c.store_id,
    visits.c.device_id,
    visits.c.entered_at,
    postgresql_where=sa.text("status = 'closed' AND dwell_s >= 120 AND ended_by <> 'crossed'"),
)
