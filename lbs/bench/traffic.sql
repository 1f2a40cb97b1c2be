-- The ledger of `lbs bench traffic`, written straight into the tables: :days days of :stores stores, busy from 8 to 22.

-- name: traffic_visits
-- a third of the visits are too short to count; of a store's devices few come often and many seldom
INSERT INTO geofences.visits (visit_id, tenant_id, shard, device_id, fence_id, fence_version, store_id, root_visit_id,
    status, entered_at, last_in_at, exited_at, as_of, settled_at, dwell_waits, dwell_s, ended_by, already_inside,
    positions, confidence)
SELECT i, :tenant_id, device_id % 64, device_id, store_id, 1, store_id, i, 'closed', entered_at, entered_at,
       entered_at + make_interval(secs => dwell_s), entered_at + make_interval(secs => dwell_s), entered_at, false,
       dwell_s, 'exit', false, 5, 1
FROM (
    SELECT i, s.store_id, s.store_id * 10000000 + floor(power(random(), 2) * :devices)::bigint AS device_id,
           -- in order of time, as an engine writes
           CAST(:start AS timestamptz) + make_interval(secs => floor((i - 1) * CAST(:days AS float8) / :visits) * 86400
               + 6 * 3600 + random() * 14 * 3600) AS entered_at,
           floor(-ln(1 - random()) * 300) AS dwell_s
    FROM generate_series(1, CAST(:visits AS bigint)) AS i
    JOIN (SELECT store_id, row_number() OVER (ORDER BY store_id) - 1 AS place FROM geofences.stores) AS s
      ON s.place = i % :stores
) AS made

-- name: traffic_indexes
SELECT indexname, indexdef FROM pg_indexes
WHERE schemaname = 'geofences' AND tablename = 'visits' AND indexname <> 'pk_visits'

-- name: traffic_inside
-- forty devices are in each store
INSERT INTO geofences.visits (visit_id, tenant_id, shard, device_id, fence_id, fence_version, store_id, root_visit_id,
    status, entered_at, last_in_at, as_of, dwell_waits, already_inside, positions, confidence)
SELECT -row_number() OVER (), f.tenant_id, 0, f.store_id * 10000000 + d, f.fence_id, 1, f.store_id, 0, 'open', :now,
       :now, :now, false, false, 1, 1
FROM geofences.fences AS f CROSS JOIN generate_series(1, 40) AS d

-- name: traffic_sightings
-- devices around each store on each of the last 62 days, at most one in a cell
INSERT INTO geofences.traffic_seen (tenant_id, cell_r10, day, device_id)
SELECT :tenant_id, cells.cell, CAST(:now AS date) - d, cells.store_id * 10000000 + floor(random() * 500)::bigint
FROM unnest(CAST(:cells AS bigint[]), CAST(:places AS bigint[])) AS cells(cell, store_id)
CROSS JOIN generate_series(0, 61) AS d
WHERE random() < :share
ON CONFLICT DO NOTHING

-- name: traffic_claims
-- three of a hundred visits, in every store alike
INSERT INTO offers.claims (tenant_id, campaign_id, campaign_version, person, device_id, decision_id, source, code_hash,
    code_tail, created_at, expires_at, state)
SELECT :tenant_id, 1, 1, device_id, device_id, visit_id, 'push', int8send(visit_id), '0000', entered_at, entered_at,
       'redeemed'
FROM geofences.visits WHERE visit_id > 0 AND (hashint8(visit_id) & 1023) < 31 AND dwell_s >= 120

-- name: traffic_redemptions
INSERT INTO offers.redemptions (tenant_id, claim_id, campaign_id, decision_id, store_id, person, amount, currency,
    attributed_to, visited, redeemed_at)
SELECT c.tenant_id, c.claim_id, 1, c.decision_id, v.store_id, c.person, 10 + c.decision_id % 40, 'EUR', 'push', true,
       v.exited_at
FROM offers.claims AS c JOIN geofences.visits AS v ON v.visit_id = c.decision_id

-- name: traffic_due_all
INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)
SELECT s.tenant_id, s.store_id, 'week', CAST(:start AS timestamptz) + make_interval(days => d)
FROM geofences.stores AS s CROSS JOIN generate_series(0, CAST(:days AS integer), 7) AS d

-- name: traffic_ledger
-- everything of one store, to count again
SELECT device_id, entered_at, dwell_s FROM geofences.visits WHERE store_id = :store_id AND status = 'closed'

-- name: traffic_sizes
SELECT pg_total_relation_size('geofences.visits') AS ledger, pg_total_relation_size('geofences.traffic') AS figures,
       (SELECT count(*) FROM geofences.traffic) AS rows
