"""Every block of SQL plans, and the hot ones can use the index they were written for, as the role that runs them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.sql import queries
from lbs.connections import sqlalchemy_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.servers

AT = datetime(2026, 6, 1, tzinfo=UTC)
PARAMETERS: dict[str, Any] = {
    "shard": 1, "device_ids": [1], "recorded_at": [AT], "number": 0, "horizon_at": AT, "fence_ids": [1], "fence_id": 1,
    "campaign_ids": [1], "campaign_id": 1, "tenant_id": 1, "after": 0, "limit": 10, "seq": 0, "seqs": [1], "n": 1,
    "store_ids": [1], "store_id": 1, "reason": "stopped", "now": AT, "lease_until": AT, "longest": AT, "state": "sent",
    "not_before": AT, "outcome_unknown": False, "notification_id": 1, "attempts": 1, "decision_ids": [1],
    "decision_id": 1,
    "device_id": 1, "due_at": AT, "cells": [1], "seen_after": AT, "radius_m": 10.0, "before": 10, "owner": "a",
    "since": AT, "until": AT, "since_each": [AT], "shards": [1], "tenant_ids": [1],
    "lease_s": 6.0, "grace_s": 1.0, "entries_at_least": 0, "name": "lbs engine a",
    "new": 0, "with_attributes": True, "user_keys": [1], "most": [1], "scopes": ["total"], "scope": "total", "cost": 1,
    "total": 1, "store": 1, "day": 1, "place_ids": [1], "timezones": ["UTC"], "opening_hours": ["24/7"],
    "lats": [0.0], "lngs": [0.0], "expires_at": AT, "type": "visit.entered",
    "times": [AT], "at": AT, "notification_ids": [1], "decided_at": datetime.now(UTC), "person": 1,
    "start": AT, "end": AT, "after_draw": ["stock"], "ns": [1], "also": [1], "news": [0], "costs": [1],
    "window_s": 60.0, "closed_lanes": ["https://push.example"], "lanes": ["a"], "rooms": [1],
    "first_room": 32, "states": ["sent"], "reasons": ["gone"], "unknown": [False], "attempts_each": [1],
    "delivered": [AT], "displayed": [AT], "opened": [None], "dismissed": [None], "by": "total", "channel": "webpush",
    "old_since": datetime.now(UTC) - timedelta(days=1), "old_before": datetime.now(UTC),
    "fine": [1], "k": 5,
    "webhook_id": 1, "silent_for": "1min", "types": ["visit.*"], "kept_since": AT,
    "rested": AT, "rows": "[]", "grain": "day", "kept": [AT], "what": "week", "today": AT.date(), "days": 62,
    "first_day": AT.date(), "first_days": [AT.date()], "last_day": AT.date(), "parents": [1],
    "only": [1], "kinds": ["week"],
}  # fmt: skip
USES = {
    ("geofences", "unfinished_visits"): "ix_visits_shard_unfinished",
    ("geofences", "visits_not_settled"): "ix_visits_tenant_id_device_id_entered_at",
    ("geofences", "fence_visitors"): "ix_visits_tenant_id_device_id_entered_at",
    ("geofences", "trust_before"): "device_id_recorded_at_idx",
    ("geofences", "positions_since"): "device_id_recorded_at_idx",
    ("geofences", "good_positions_since"): "device_id_recorded_at_idx",
    ("geofences", "device_facts"): "device_id_recorded_at_idx",
    ("geofences", "positions_at"): "device_id_recorded_at_idx",
    ("geofences", "changes_after"): "pk_changes",
    ("offers", "decided_before"): "device_id_decided_at_idx",
    ("offers", "events_after"): "shard_seq_idx",
    ("offers", "lock_rates"): "ix_campaigns_send_rate",
    ("offers", "positions_before"): "device_id_recorded_at_idx",
    ("offers", "given_before"): "ix_reservations_device_id_created_at",
    ("offers", "siblings"): "ix_devices_tenant_id_external_user_id",
    ("offers", "claim_due"): "ix_notifications_due",
    ("offers", "reclaim"): "ix_notifications_lease",
    ("offers", "expired"): "ix_reservations_expires_at_held",
    ("offers", "held_of_campaign"): "ix_reservations_campaign_id_held",
    ("offers", "undecided_occasions"): "ix_occasion_devices_shard_undecided",
    ("offers", "gather_devices"): "ix_device_last_tenant_id_cell_r9",
    ("offers", "inbox"): "ix_notifications_device_id_inbox_seq",
    ("offers", "inbox_after"): "ix_notifications_device_id_inbox_seq",
    ("offers", "stored_decisions"): "device_id_decided_at_idx",
    ("offers", "decided_version"): "device_id_decided_at_idx",
    ("offers", "people_near"): "device_id_recorded_at_idx",
    ("offers", "redemption_counts"): "ix_redemptions_campaign_id",
    ("offers", "statement"): "ix_redemptions_store_id_redeemed_at",
    ("offers", "message_counts"): "ix_notifications_campaign_id_state",
    ("offers", "decided_span"): "campaign_id_decided_at_idx",
    ("offers", "lock_told"): "pk_notifications",
    ("offers", "devices_after"): "Index Scan",
    ("offers", "forget_positions"): "device_id_recorded_at_idx",
    ("offers", "forget_visits"): "ix_visits_tenant_id_device_id_entered_at",
    ("offers", "forget_events"): "tenant_id_device_id_at_idx",
    ("offers", "forget_decisions"): "tenant_id_device_id_decided_at_idx",
    ("offers", "forget_notifications"): "ix_notifications_device_id_inbox_seq",
    ("lbs", "messages_lately"): "ix_notifications_created_at",
    ("lbs", "events_waiting"): "shard_seq_idx",
    ("lbs", "messages_waiting"): "ix_notifications_due",
    ("geofences", "stays"): "Index Scan",
    ("geofences", "first_stays"): "ix_visits_store_id_device_id_counted",
    ("geofences", "inside_now"): "ix_visits_fence_id_unfinished",
    ("geofences", "figures"): "pk_traffic",
    ("geofences", "figures_at"): "Index Scan",
    ("geofences", "figures_of_stores"): "ix_traffic_tenant_id_grain_first_day",
    ("geofences", "due_since"): "ix_traffic_due_store_id",
    ("geofences", "take_due"): "ix_traffic_due_store_id",
    ("geofences", "drop_figures"): "Index Scan",
    ("geofences", "seen_around"): "pk_traffic_seen",
    ("geofences", "forget_seen"): "ix_traffic_seen_day",
    ("geofences", "stores_of_overview"): "pk_stores",
    ("offers", "takings"): "ix_redemptions_store_id_redeemed_at",
    ("offers", "webhooks_due"): "ix_webhook_events_webhook_id_due_at_seq",
    ("offers", "due_webhook_events"): "ix_webhook_events_webhook_id_device_id_seq",
    ("offers", "visits_to_tell"): "tenant_id_device_id_at_idx",
    ("offers", "decisions_to_tell"): "device_id_decided_at_idx",
    ("offers", "redemptions_to_tell"): "pk_redemptions",
    ("offers", "webhook_lag"): "pk_webhook_events",
}
AS_API = {
    ("geofences", "inside_now"),
    ("geofences", "figures"),
    ("geofences", "figures_at"),
    ("geofences", "figures_of_stores"),
    ("geofences", "due_since"),
    ("geofences", "seen_around"),
    ("geofences", "place_of_store"),
    ("geofences", "stores_of_overview"),
    ("offers", "takings"),
    ("offers", "inbox"),
    ("offers", "stored_decisions"),
    ("offers", "expire_queued"),
    ("offers", "keep_cost"),
    ("offers", "held_for_claim"),
    ("offers", "decided_version"),
    ("offers", "claims_of_person"),
    ("offers", "people_near"),
    ("offers", "way_to_till"),
    ("offers", "redemption_counts"),
    ("offers", "statement"),
    ("offers", "lift"),
    ("offers", "lock_told"),
    ("offers", "put_told"),
    ("offers", "decided_span"),
    ("offers", "zones_of_places"),
    ("offers", "message_counts"),
    ("offers", "funnel"),
    ("offers", "tell_again"),
    ("offers", "places_of_tenant"),
    ("offers", "triggers"),
    ("lbs", "messages_lately"),
}
BLOCKS = [(package, name) for package in ("geofences", "offers") for name in queries(package)]
BLOCKS += [("lbs", name) for name in ("events_waiting", "messages_waiting", "messages_lately", "dead_letters")]


@pytest.fixture(scope="module")
def database(new_database_url: Callable[[], str]) -> Iterator[sa.Engine]:
    engine = sa.create_engine(sqlalchemy_url(new_database_url()))
    yield engine
    engine.dispose()


def _plan(database: sa.Engine, statement: sa.TextClause, role: str) -> str:
    wanted = {name: PARAMETERS[name] for name in statement._bindparams}
    explained = sa.text(f"EXPLAIN {statement.text}").bindparams(**wanted)
    with database.connect() as connection:
        connection.execute(sa.text(f"SET LOCAL ROLE {role}"))
        connection.execute(sa.text("SELECT set_config('lbs.tenant', '1', true)"))
        # tables are empty here: the question is which index could serve, not which is cheaper now
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        return "\n".join(connection.execute(explained).scalars())


@pytest.mark.parametrize(("package", "name"), BLOCKS)
def test_a_block_plans_and_uses_its_index(database: sa.Engine, package: str, name: str) -> None:
    role = "lbs_api" if (package, name) in AS_API else "lbs_system"
    plan = _plan(database, queries(package)[name], role)
    index = USES.get((package, name))
    if index is not None:
        assert index in plan


def test_stores_are_found_by_cell_under_row_level_security(database: sa.Engine) -> None:
    statement = sa.text("SELECT store_id FROM geofences.stores WHERE tenant_id = 1 AND cell_r9 = ANY(:cells)")
    assert "ix_stores_tenant_id_cell_r9" in _plan(database, statement, "lbs_api")


def test_a_postgis_operator_loses_its_index_under_row_level_security(database: sa.Engine) -> None:
    """The trap that cells are there for: if this ever fails, PostGIS became LEAKPROOF and life simpler."""
    statement = sa.text(
        "SELECT store_id FROM geofences.stores"
        " WHERE ST_DWithin(location, ST_MakePoint(24.9, 60.2)::geography, :radius_m)"
    )
    assert "ix_stores_location" in _plan(database, statement, "lbs_system")
    assert "ix_stores_location" not in _plan(database, statement, "lbs_api")
