"""The funnel of a large campaign: what PostgreSQL reads for it, and how long that takes.

LBS_TEST_DECISIONS says how many decisions are made up; docs/operations.md names the large run.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from lbs.connections import sqlalchemy_url
from offers import funnel
from offers.funnel import Asked, Funnel, Period
from tests.support.offers import campaign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.servers

DECISIONS = int(os.environ.get("LBS_TEST_DECISIONS", "4000"))
FIRST = datetime(2026, 10, 12, tzinfo=UTC)
DAYS = 28
SHOPS = 200
ROWS = """
INSERT INTO geofences.tenants (tenant_id, name)
OVERRIDING SYSTEM VALUE
VALUES (1, 'large');
INSERT INTO offers.campaigns (campaign_id, tenant_id, name, trigger_type, definition, created_by, updated_by)
OVERRIDING SYSTEM VALUE
SELECT i, 1, 'c', 'enter', '{}', 'a', 'a'
FROM generate_series(1, 2) AS i;
INSERT INTO offers.places (place_id, tenant_id, timezone, lat, lng)
SELECT i, 1, (ARRAY['Europe/Lisbon', 'Europe/Helsinki', 'Asia/Kolkata'])[1 + i % 3], 0, 0
FROM generate_series(1, :shops) AS i;
INSERT INTO geofences.devices (device_id, tenant_id, external_id, external_user_id, user_vouched)
SELECT i, 1, 'd' || i, CASE WHEN i % 4 = 0 THEN 'u' || i / 8 END, i % 4 = 0
FROM generate_series(1, greatest(:n / 5, 1)) AS i;
-- half a kilobyte of gates and facts a row, as real ones have; every tenth decision is of another campaign
INSERT INTO offers.decisions (decision_id, tenant_id, shard, campaign_id, campaign_version, device_id,
    store_id, event_id, root_visit_id, trigger_type, outcome, reason, gates, facts, place_id, delivery,
    event_at, decided_at)
SELECT i, 1, 0, 1 + (i % 10 = 9)::int, 1, 1 + i % greatest(:n / 5, 1), 1 + i % :shops, i, i, 'enter', CASE WHEN
    i % 10 < 4 THEN 'offered' WHEN i % 10 = 4 THEN 'held_out' ELSE 'suppressed' END, CASE WHEN i % 10 = 4 THEN
    'holdout' WHEN i % 10 > 4 THEN (ARRAY['cap', 'window', 'open'])[1 + i % 3] END,
    to_jsonb(repeat(md5(i::text), 8)), to_jsonb(repeat(md5(i::text), 8)), 1 + i % :shops, 'push', at, at
FROM generate_series(0, :n - 1) AS i,
LATERAL (SELECT CAST(:first AS timestamptz) + i * (CAST(:days AS interval) / :n) AS at) AS moment;
INSERT INTO offers.notifications (notification_id, tenant_id, decision_id, campaign_id, device_id, store_id,
    channel, state, reason, payload, created_at, not_before, expires_at, attempts, sent_at, delivered_at,
    displayed_at, opened_at)
SELECT 2 * d.decision_id + c, 1, d.decision_id, d.campaign_id, d.device_id, d.store_id, (ARRAY['inbox',
    'webpush'])[c + 1], CASE WHEN d.decision_id % 30 = c THEN 'failed' WHEN d.decision_id % 20 < 10 THEN
    'opened' ELSE 'sent' END, CASE WHEN d.decision_id % 30 = c THEN 'dead_address' END,
    to_jsonb(repeat(md5(d.decision_id::text), 8)), d.decided_at, d.decided_at, d.decided_at + interval '1 h',
    1, d.decided_at, seen, seen, seen
FROM offers.decisions AS d, generate_series(0, 1) AS c,
LATERAL (SELECT CASE WHEN d.decision_id % 30 <> c AND d.decision_id % 20 < 10 THEN d.decided_at END AS seen) AS
    s
WHERE d.outcome = 'offered';
INSERT INTO geofences.visits (visit_id, tenant_id, shard, device_id, fence_id, fence_version, store_id,
    root_visit_id, status, entered_at, last_in_at, as_of, dwell_waits, already_inside, positions, confidence)
SELECT d.decision_id + v * CAST(:n AS bigint), 1, 0, d.device_id, 1, 1, d.store_id, d.decision_id + v * CAST(:n
    AS bigint), 'closed', at, at, at, false, false, 1, 1
FROM offers.decisions AS d, generate_series(0, 1) AS v,
LATERAL (SELECT d.decided_at - interval '1 min' + v * interval '2 h' AS at) AS moment
WHERE v = 0 OR d.decision_id % 3 = 0;
INSERT INTO offers.reservations (decision_id, tenant_id, campaign_id, device_id, store_id, state, event_at,
    delivery, created_at, expires_at)
SELECT decision_id, 1, campaign_id, device_id, store_id, 'confirmed', decided_at, 'push', decided_at,
    decided_at + interval '1 h'
FROM offers.decisions
WHERE decision_id % 20 = 0;
INSERT INTO offers.claims (claim_id, tenant_id, campaign_id, campaign_version, device_id, decision_id, source,
    state, code_hash, code_tail, created_at, expires_at)
OVERRIDING SYSTEM VALUE
SELECT decision_id, 1, campaign_id, 1, device_id, decision_id, 'push', 'redeemed', CAST(md5(decision_id::text)
    AS bytea), 'AB', created_at, expires_at
FROM offers.reservations;
INSERT INTO offers.redemptions (tenant_id, claim_id, campaign_id, decision_id, store_id, amount, currency,
    attributed_to, visited, redeemed_at)
SELECT 1, claim_id, campaign_id, decision_id, 1, 2.5, 'EUR', 'push', false, created_at
FROM offers.claims;
"""


@pytest.fixture(scope="module")
def large(new_database_url: Callable[[], str]) -> Iterator[sa.Engine]:
    engine = sa.create_engine(sqlalchemy_url(new_database_url()))
    values = {"n": DECISIONS, "shops": SHOPS, "first": FIRST, "days": f"{DAYS} days"}
    with engine.begin() as connection:
        partitions = "SELECT geofences.make_partitions(:first, :last)"
        connection.execute(sa.text(partitions), {"first": FIRST.date(), "last": (FIRST + timedelta(DAYS)).date()})
        connection.execute(sa.text(ROWS), values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    yield engine
    engine.dispose()


def _timed(what: str, ask: Callable[[sa.Connection], Any], large: sa.Engine) -> Any:
    with large.connect() as connection:
        connection.execute(sa.text("SET LOCAL ROLE lbs_api"))
        connection.execute(sa.text("SELECT set_config('lbs.tenant', '1', true)"))
        started = time.perf_counter()
        found = ask(connection)
        print(f"{DECISIONS} decisions, {what}: {time.perf_counter() - started:.2f} s")  # noqa: T201 - for the large run
    return found


def test_a_large_campaign_adds_up_however_it_is_cut(large: sa.Engine) -> None:
    asked = campaign()
    whole: Funnel = _timed("in all", lambda c: funnel.total(c, asked, Asked(), k=5), large)
    cuts = [
        _timed("by store", lambda c: funnel.by_store(c, asked, Asked(), k=5), large),
        _timed("by day", lambda c: funnel.by_period(c, asked, Asked(), Period.DAY, k=5), large),
        _timed("by hour", lambda c: funnel.by_period(c, asked, Asked(), Period.HOUR, k=5), large),
    ]
    assert whole.counts["decided"] == DECISIONS * 9 // 10
    assert whole.visited is not None
    for cut in cuts:
        for word in funnel.COUNTS:
            if word != "visited":
                assert sum(row.counts[word] for row in cut.values()) == whole.counts[word], word
    day = Asked(start=FIRST + timedelta(days=3), end=FIRST + timedelta(days=4))
    of_day = _timed("of one day", lambda c: funnel.total(c, asked, day, k=5), large)
    assert of_day.counts["decided"] == pytest.approx(DECISIONS * 0.9 / DAYS, abs=2)
