-- Hand-written SQL of the composition room. Each block is EXPLAINed in a test.

-- name: key_by_hash
-- over the reader's connection: nobody is known yet whose tenant could be set
SELECT k.key_id, k.tenant_id, k.kind, k.hash, k.store_id, t.sandbox
FROM lbs.keys AS k JOIN geofences.tenants AS t USING (tenant_id)
WHERE k.hash = :hash AND k.revoked_at IS NULL

-- name: store_exists
SELECT store_id FROM geofences.stores WHERE tenant_id = :tenant_id AND store_id = :store_id AND deleted_at IS NULL

-- name: device_facts
-- what ingest asks of a device before it takes a position
SELECT d.device_id, d.tenant_id, d.generation, t.sandbox, coalesce(c.granted, false) AS located
FROM geofences.devices AS d
JOIN geofences.tenants AS t USING (tenant_id)
LEFT JOIN geofences.consents AS c ON c.device_id = d.device_id AND c.purpose = 'location'
WHERE d.device_id = :device_id

-- name: snapshot_stores
-- all stores, or those named, that are not deleted
SELECT store_id, tenant_id, external_id, name, brand, categories, address, phone, url, timezone, opening_hours,
       attributes, ST_Y(location::geometry) AS lat, ST_X(location::geometry) AS lng
FROM geofences.stores
WHERE deleted_at IS NULL
  AND (CAST(:store_ids AS bigint[]) IS NULL OR store_id = ANY(CAST(:store_ids AS bigint[])))

-- name: stores_page
SELECT store_id, tenant_id, external_id, name, brand, categories, address, phone, url, timezone, opening_hours,
       attributes, ST_Y(location::geometry) AS lat, ST_X(location::geometry) AS lng, created_at, updated_at
FROM geofences.stores
WHERE tenant_id = :tenant_id AND deleted_at IS NULL AND store_id > :after
  AND (CAST(:store_id AS bigint) IS NULL OR store_id = CAST(:store_id AS bigint))
  AND (CAST(:store_ids AS bigint[]) IS NULL OR store_id = ANY(CAST(:store_ids AS bigint[])))
  AND (CAST(:external_id AS text) IS NULL OR external_id = CAST(:external_id AS text))
ORDER BY store_id
LIMIT :limit

-- name: fences_page
SELECT f.fence_id, f.external_id, f.name, f.store_id, f.version, f.created_at, f.updated_at,
       v.kind, v.radius_m, ST_Y(v.center::geometry) AS lat, ST_X(v.center::geometry) AS lng,
       ST_AsBinary(v.area) AS wkb, v.profile, v.settings, v.effective_at
FROM geofences.fences AS f
JOIN geofences.fence_versions AS v ON v.fence_id = f.fence_id AND v.version = f.version
WHERE f.tenant_id = :tenant_id AND f.deleted_at IS NULL AND f.fence_id > :after
  AND (CAST(:fence_id AS bigint) IS NULL OR f.fence_id = CAST(:fence_id AS bigint))
  AND (CAST(:external_id AS text) IS NULL OR f.external_id = CAST(:external_id AS text))
  AND (CAST(:store_id AS bigint) IS NULL OR f.store_id = CAST(:store_id AS bigint))
  AND (CAST(:q AS text) IS NULL OR strpos(lower(concat_ws(' ', f.name, f.external_id)), lower(CAST(:q AS text))) > 0)
ORDER BY f.fence_id
LIMIT :limit

-- name: overlapping_fences
-- what only touches does not overlap; a circle is its centre and how far it reaches
WITH drawn AS (
    SELECT CASE WHEN CAST(:wkb AS bytea) IS NULL THEN ST_SetSRID(ST_MakePoint(:lng, :lat), 4326)
                ELSE ST_GeomFromWKB(CAST(:wkb AS bytea), 4326) END AS shape
),
near AS (
    SELECT DISTINCT c.fence_id, c.version
    FROM unnest(CAST(:lows AS bigint[]), CAST(:highs AS bigint[])) AS span(low, high)
    JOIN geofences.fence_cells AS c ON c.tenant_id = :tenant_id AND c.cell BETWEEN span.low AND span.high
)
SELECT f.fence_id, f.external_id, f.name
FROM near
JOIN geofences.fences AS f ON f.fence_id = near.fence_id AND f.version = near.version
JOIN geofences.fence_versions AS v ON v.fence_id = near.fence_id AND v.version = near.version
CROSS JOIN drawn
WHERE f.tenant_id = :tenant_id AND f.deleted_at IS NULL
  AND CASE WHEN v.center IS NULL AND CAST(:wkb AS bytea) IS NOT NULL
           THEN ST_Intersects(v.area, drawn.shape) AND NOT ST_Touches(v.area, drawn.shape)
           ELSE ST_DWithin(COALESCE(v.center, v.area::geography), drawn.shape::geography,
                           COALESCE(v.radius_m, 0) + CAST(:radius_m AS float8)) END
ORDER BY f.fence_id
LIMIT :limit

-- name: try_write_lock
-- one write with an Idempotency-Key at a time; given back with the transaction
SELECT pg_try_advisory_xact_lock(:lock)

-- name: lock_device
SELECT device_id FROM geofences.devices WHERE tenant_id = :tenant_id AND device_id = :device_id FOR UPDATE

-- name: keep_device
-- until the transaction ends nobody erases it, and no other changes it
SELECT device_id FROM geofences.devices WHERE tenant_id = :tenant_id AND device_id = :device_id FOR NO KEY UPDATE

-- name: tombstone
SELECT count(*) FILTER (WHERE finished_at IS NULL) AS unfinished, max(finished_at) AS erased_at
FROM lbs.erasures WHERE tenant_id = :tenant_id AND subject = :subject

-- name: erasure_under_way
SELECT * FROM lbs.erasures WHERE tenant_id = :tenant_id AND device_id = :device_id AND finished_at IS NULL

-- name: lock_erasure
SELECT * FROM lbs.erasures WHERE erasure_id = :erasure_id FOR UPDATE

-- name: unfinished_erasures
SELECT erasure_id FROM lbs.erasures WHERE finished_at IS NULL ORDER BY erasure_id

-- name: shard_offset
SELECT "offset" FROM geofences.shards WHERE shard = :shard

-- name: devices_left
-- those of some devices that are still there
SELECT device_id FROM geofences.devices WHERE device_id = ANY(CAST(:device_ids AS bigint[]))

-- name: erase_notifications
DELETE FROM offers.notifications WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_webhook_events
DELETE FROM offers.webhook_events AS q USING offers.webhooks AS w
WHERE w.tenant_id = :tenant_id AND q.webhook_id = w.webhook_id AND q.device_id = :device_id

-- name: erase_channels
DELETE FROM offers.channels WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_occasion_devices
DELETE FROM offers.occasion_devices WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_events
DELETE FROM geofences.events WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_visits
DELETE FROM geofences.visits WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_positions
DELETE FROM geofences.positions WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_device_last
DELETE FROM geofences.device_last WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_traffic_seen
DELETE FROM geofences.traffic_seen WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_consents
DELETE FROM geofences.consents WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_user_attributes
-- of a person with no other device
DELETE FROM offers.user_attributes AS u
USING geofences.devices AS d
WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id AND d.user_vouched
  AND u.tenant_id = d.tenant_id AND u.external_user_id = d.external_user_id
  AND NOT EXISTS (SELECT FROM geofences.devices AS o
                  WHERE o.tenant_id = d.tenant_id AND o.external_user_id = d.external_user_id
                    AND o.user_vouched AND o.device_id <> d.device_id)

-- name: erase_users
-- the row that is locked for a person with several devices, if this was the last of them
DELETE FROM offers.users AS u
USING geofences.devices AS d
WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id AND u.tenant_id = d.tenant_id AND u.user_key = :user_key
  AND NOT EXISTS (SELECT FROM geofences.devices AS o
                  WHERE o.tenant_id = d.tenant_id AND o.external_user_id = d.external_user_id
                    AND o.device_id <> d.device_id)

-- name: erase_remembered_writes
DELETE FROM lbs.remembered_writes WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: erase_dead_letters
-- with the positions of others in the same entry: nobody will handle them any more
DELETE FROM geofences.dead_letters
WHERE shard = :shard AND (position(CAST(:packed AS bytea) IN payload) > 0
                          OR position(CAST(:written AS bytea) IN payload || CAST('\x0a' AS bytea)) > 0)

-- name: erase_changes
-- news of the device, once everybody has heard it
DELETE FROM geofences.changes WHERE tenant_id = :tenant_id AND kind = 'device' AND object_id = :device_id

-- name: erase_devices
DELETE FROM geofences.devices WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: unname_decisions
-- facts say what the person was like: they go, the gates' verdicts stay
UPDATE offers.decisions SET device_id = 0, facts = '{}' WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: unname_reservations
UPDATE offers.reservations SET device_id = 0 WHERE tenant_id = :tenant_id AND device_id = :device_id

-- name: unname_claims
WITH others AS (
    SELECT min(d.device_id) AS device_id
    FROM geofences.devices AS mine
    JOIN geofences.devices AS d
        ON d.tenant_id = mine.tenant_id AND d.external_user_id = mine.external_user_id AND d.device_id <> mine.device_id
    WHERE mine.tenant_id = :tenant_id AND mine.device_id = :device_id
      -- an app alone may name anybody
      AND mine.user_vouched AND d.user_vouched
), redeemed AS (
    -- whoever redeems holds the reservation, which has lost its device before: no redemption comes in between
    UPDATE offers.redemptions AS x SET person = NULL
    FROM offers.claims AS c, others
    WHERE c.claim_id = x.claim_id AND c.tenant_id = :tenant_id AND c.device_id = :device_id AND others.device_id IS NULL
)
UPDATE offers.claims AS c
SET device_id = coalesce(others.device_id, 0),
    person = CASE WHEN others.device_id IS NOT NULL THEN c.person END,
    code_sealed = CASE WHEN others.device_id IS NOT NULL THEN c.code_sealed END
FROM others
WHERE c.tenant_id = :tenant_id AND c.device_id = :device_id

-- name: export_registration
SELECT to_jsonb(d) FROM geofences.devices AS d WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id

-- name: export_consents
SELECT to_jsonb(c) FROM geofences.consents AS c
WHERE c.tenant_id = :tenant_id AND c.device_id = :device_id
ORDER BY c.purpose

-- name: export_user_attributes
-- an app alone may name anybody
SELECT to_jsonb(u)
FROM geofences.devices AS d
JOIN offers.user_attributes AS u ON u.tenant_id = d.tenant_id AND u.external_user_id = d.external_user_id
WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id AND d.user_vouched

-- name: export_channels
SELECT to_jsonb(c) FROM offers.channels AS c
WHERE c.tenant_id = :tenant_id AND c.device_id = :device_id
ORDER BY c.channel_id

-- name: export_last_seen
SELECT to_jsonb(l) FROM geofences.device_last AS l WHERE l.tenant_id = :tenant_id AND l.device_id = :device_id

-- name: export_seen_around_stores
SELECT to_jsonb(s) FROM geofences.traffic_seen AS s
WHERE s.tenant_id = :tenant_id AND s.device_id = :device_id
ORDER BY s.day, s.cell_r10

-- name: export_positions
SELECT to_jsonb(p) FROM geofences.positions AS p
WHERE p.tenant_id = :tenant_id AND p.device_id = :device_id
ORDER BY p.recorded_at

-- name: export_visits
SELECT to_jsonb(v) || jsonb_build_object('fence_external_id', f.external_id)
FROM geofences.visits AS v LEFT JOIN geofences.fences AS f ON f.fence_id = v.fence_id
WHERE v.tenant_id = :tenant_id AND v.device_id = :device_id
ORDER BY v.entered_at, v.visit_id

-- name: export_events
SELECT to_jsonb(e) FROM geofences.events AS e
WHERE e.tenant_id = :tenant_id AND e.device_id = :device_id
ORDER BY e.at, e.event_id

-- name: export_occasions
SELECT to_jsonb(o) FROM offers.occasion_devices AS o
WHERE o.tenant_id = :tenant_id AND o.device_id = :device_id
ORDER BY o.seq

-- name: export_decisions
SELECT to_jsonb(d) FROM offers.decisions AS d
WHERE d.tenant_id = :tenant_id AND d.device_id = :device_id
ORDER BY d.decided_at, d.decision_id

-- name: export_reservations
SELECT to_jsonb(r) || jsonb_build_object('cost', r.cost::text)
FROM offers.reservations AS r
WHERE r.tenant_id = :tenant_id AND r.device_id = :device_id
ORDER BY r.created_at, r.decision_id

-- name: export_notifications
SELECT to_jsonb(n) FROM offers.notifications AS n
WHERE n.tenant_id = :tenant_id AND n.device_id = :device_id
ORDER BY n.created_at, n.notification_id

-- name: export_claims
SELECT to_jsonb(c) || jsonb_build_object(
    'redeemed_at', x.redeemed_at, 'redeemed_at_store_id', x.store_id::text, 'redemption_id', x.redemption_id::text,
    'redemption_state', x.state, 'nonce', x.nonce::text, 'order_id', x.order_id, 'amount', x.amount::text,
    'currency', x.currency, 'discount', x.discount::text, 'attributed_to', x.attributed_to, 'visited', x.visited,
    'cancelled_at', x.cancelled_at, 'cancel_reason', x.cancel_reason)
FROM offers.claims AS c LEFT JOIN offers.redemptions AS x ON x.claim_id = c.claim_id
WHERE c.tenant_id = :tenant_id AND c.device_id = :device_id
ORDER BY c.claim_id

-- name: export_remembered_answers
-- when, and that there is one: the answer itself is sealed, and may hold a token
SELECT jsonb_build_object('created_at', w.created_at, 'status', w.status)
FROM lbs.remembered_writes AS w
WHERE w.tenant_id = :tenant_id AND w.device_id = :device_id
ORDER BY w.created_at
