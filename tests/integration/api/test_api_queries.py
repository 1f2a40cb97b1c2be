"""Every block of this room's SQL plans as the role that runs it, and the hot ones can use the index they need."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.sql import queries
from lbs.connections import sqlalchemy_url
from lbs.erasure import KEPT_WITHOUT_DEVICE, STEPS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PARAMETERS: dict[str, Any] = {
    "hash": b"x",
    "tenant_id": 1,
    "store_id": 1,
    "fence_id": 1,
    "device_id": 1,
    "store_ids": [1],
    "after": 0,
    "limit": 10,
    "external_id": "x",
    "q": "x",
    "lat": 60.17,
    "lng": 24.94,
    "radius_m": 10.0,
    "wkb": None,
    "lock": 1,
    "subject": b"x",
    "erasure_id": 1,
    "shard": 1,
    "device_ids": [1],
    "user_key": 1,
    "packed": b"x",
    "written": b"x",
    "now": datetime(2026, 6, 1, tzinfo=UTC),
    "since": datetime(2026, 6, 1, tzinfo=UTC),
    "lows": [1, 5],
    "highs": [4, 9],
    "most": 10,
    "middle_deg": 25.0,
    "unit_m": 2.4,
    "z": 12,
    "x": 2331,
    "y": 1185,
    "xs_m": [0.0],
    "ys_m": [0.0],
    "external_ids": ["x"],
    "names": ["x"],
    "counts": [1],
    "wkbs": [b"x"],
}
ANY_INDEX = "Index Scan"
"""Of two that serve, the better depends on how many stores the other tenants have."""
USES = {
    "key_by_hash": "uq_keys_hash",
    "store_exists": ANY_INDEX,
    "tile_fences": "ix_fence_cells_tenant_id_cell",
    "cells_in_spans": "ix_fence_cells_tenant_id_cell",
    "device_facts": "pk_devices",
    # of few devices the planner may as well take the tenant's own index
    "lock_device": "Index Scan",
    "keep_device": "Index Scan",
    "tombstone": "ix_erasures_tenant_id_subject",
    "erasure_under_way": "ix_erasures_unfinished",
    "unfinished_erasures": "ix_erasures_unfinished",
    "erase_remembered_writes": "ix_remembered_writes_device_id",
    "snapshot_stores": "pk_stores",
    "stores_page": ANY_INDEX,
    "fences_page": ANY_INDEX,
    "overlapping_fences": "ix_fence_cells_tenant_id_cell",
    "erase_notifications": "ix_notifications_device_id_inbox_seq",
    "erase_webhook_events": ANY_INDEX,
    "erase_events": "tenant_id_device_id_at_idx",
    "erase_visits": "ix_visits_tenant_id_device_id_entered_at",
    "erase_positions": "device_id_recorded_at_idx",
    "erase_device_last": "pk_device_last",
    "erase_traffic_seen": "Index Scan",
    "export_seen_around_stores": "Index Scan",
    "unname_decisions": "tenant_id_device_id_decided_at_idx",
    "export_positions": "device_id_recorded_at_idx",
    "export_visits": "ix_visits_tenant_id_device_id_entered_at",
    "export_events": "tenant_id_device_id_at_idx",
    "export_decisions": "tenant_id_device_id_decided_at_idx",
    "export_notifications": "ix_notifications_device_id_inbox_seq",
    "unname_claims": "ix_claims_device_id",
    "export_claims": "ix_claims_device_id",
}
READER = {"key_by_hash", "device_facts", "snapshot_stores", "devices_left"}
SYSTEM = {"lock_device", *(f"erase_{table}" for table in STEPS), *(f"unname_{table}" for table in KEPT_WITHOUT_DEVICE)}
SYSTEM |= {name for name in queries("lbs") if name.startswith(("deep_", "doubtful_"))}
SYSTEM |= {"events_waiting", "messages_waiting", "dead_letters", "newest_sealed", "sequence_values"}
SYSTEM |= {"erase_changes", "erasure_under_way", "lock_erasure", "unfinished_erasures", "shard_offset"}


@pytest.fixture(scope="module")
def empty(new_database_url: Callable[[], str]) -> Iterator[sa.Engine]:
    """A database that no other test fills: what is known of the tables' contents decides between indexes."""
    engine = sa.create_engine(sqlalchemy_url(new_database_url()), poolclass=sa.NullPool)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("name", sorted(queries("lbs")))
def test_a_block_plans_and_uses_its_index(empty: sa.Engine, name: str) -> None:
    role = "lbs_reader" if name in READER else "lbs_system" if name in SYSTEM else "lbs_api"
    statement = queries("lbs")[name]
    wanted = {parameter: PARAMETERS[parameter] for parameter in statement._bindparams}
    with empty.connect() as connection:
        connection.execute(sa.text(f"SET LOCAL ROLE {role}"))
        connection.execute(sa.text("SELECT set_config('lbs.tenant', '1', true)"))
        # the tables are small: the question is which index could serve, not which is cheaper now
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(connection.execute(sa.text(f"EXPLAIN {statement.text}").bindparams(**wanted)).scalars())
    assert USES.get(name, "") in plan
