-- Foot traffic. A device that says no to analytics is in no figure, whenever it came; who has said nothing counts.

-- name: stays
-- closed visits of a store: those that count, and those too short to, of passers-by
SELECT v.device_id, CAST(extract(epoch FROM v.entered_at) * 1000000 AS bigint) AS entered_us, v.dwell_s,
       v.dwell_s >= 120 AND v.ended_by <> 'crossed' AS counts
FROM geofences.visits AS v
WHERE v.tenant_id = :tenant_id AND v.store_id = :store_id
  AND v.entered_at >= :start AND v.entered_at < :end AND v.status = 'closed'
  AND NOT EXISTS (
      SELECT FROM geofences.consents AS c
      WHERE c.device_id = v.device_id AND c.purpose = 'analytics' AND NOT c.granted
  )

-- name: first_stays
-- when devices first came to a store
SELECT wanted.device_id, CAST(extract(epoch FROM first.entered_at) * 1000000 AS bigint) AS first_us
FROM unnest(CAST(:device_ids AS bigint[])) AS wanted(device_id)
CROSS JOIN LATERAL (
    SELECT v.entered_at FROM geofences.visits AS v
    WHERE v.store_id = :store_id AND v.device_id = wanted.device_id
      AND v.status = 'closed' AND v.dwell_s >= 120 AND v.ended_by <> 'crossed'
    ORDER BY v.entered_at LIMIT 1
) AS first

-- name: stores_due
-- months rest a little: their weeks make them due again and again; a file of new stores makes nobody's figures wait
SELECT store_id FROM geofences.traffic_due
WHERE what <> 'month' OR created_at < :rested
GROUP BY store_id
ORDER BY bool_and(what = 'area'), min(due_id)
LIMIT :limit

-- name: lock_store_traffic
-- whoever rolls up a store is alone with it until the transaction ends
SELECT pg_advisory_xact_lock(5242014, CAST(:store_id % 2147483647 AS integer))

-- name: store_to_roll
-- kept_since: where a tenant keeps visits for so many days only, what was worked out before stays as it is
SELECT s.tenant_id, s.timezone, ST_Y(s.location::geometry) AS lat, ST_X(s.location::geometry) AS lng, s.deleted_at,
       :now - make_interval(days => CAST(t.retention ->> 'visits' AS integer)) AS kept_since
FROM geofences.stores AS s
JOIN geofences.tenants AS t ON t.tenant_id = s.tenant_id
WHERE s.store_id = :store_id

-- name: take_due
DELETE FROM geofences.traffic_due
WHERE store_id = :store_id AND (what <> 'month' OR created_at < :rested)
RETURNING what, at

-- name: put_figures
-- what has not changed is not written again
INSERT INTO geofences.traffic AS t
SELECT * FROM json_populate_recordset(NULL::geofences.traffic, CAST(:rows AS json))
ON CONFLICT (store_id, grain, starts_at) DO UPDATE
SET ends_at = EXCLUDED.ends_at, first_day = EXCLUDED.first_day, visits = EXCLUDED.visits,
    visitors = EXCLUDED.visitors, new_visitors = EXCLUDED.new_visitors, passers_by = EXCLUDED.passers_by,
    median_dwell_s = EXCLUDED.median_dwell_s, p90_dwell_s = EXCLUDED.p90_dwell_s, dwell = EXCLUDED.dwell,
    k = EXCLUDED.k
WHERE (t.*) IS DISTINCT FROM (EXCLUDED.*)

-- name: drop_figures
DELETE FROM geofences.traffic
WHERE store_id = :store_id AND grain = :grain AND starts_at >= :start AND starts_at < :end
  AND starts_at <> ALL (CAST(:kept AS timestamptz[]))

-- name: make_due
INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)
SELECT :tenant_id, :store_id, :what, wanted.at
FROM unnest(CAST(:times AS timestamptz[])) AS wanted(at)
WHERE NOT EXISTS (
    SELECT FROM geofences.traffic_due AS d
    WHERE d.store_id = :store_id AND d.what = :what AND d.at = wanted.at
)

-- name: make_other_k_due
INSERT INTO geofences.traffic_due (tenant_id, store_id, what, at)
SELECT tenant_id, store_id, 'week', starts_at FROM geofences.traffic WHERE grain = 'week' AND k <> :k

-- name: drop_area
DELETE FROM geofences.traffic_areas WHERE store_id = :store_id

-- name: put_area
INSERT INTO geofences.traffic_areas (tenant_id, cell_r8, store_id)
SELECT :tenant_id, cell, :store_id FROM unnest(CAST(:cells AS bigint[])) AS around(cell)

-- name: forget_seen
-- a replay's data has a clock of its own
DELETE FROM geofences.traffic_seen AS s
WHERE s.day < :today - :days
  AND NOT EXISTS (SELECT FROM geofences.tenants AS t WHERE t.tenant_id = s.tenant_id AND t.sandbox)

-- name: forget_seen_sooner
-- a tenant that keeps visits for a shorter time does so with this too
DELETE FROM geofences.traffic_seen AS s
USING geofences.tenants AS t
WHERE t.tenant_id = s.tenant_id AND NOT t.sandbox AND s.day < :today - CAST(t.retention ->> 'visits' AS integer)

-- name: figures
SELECT starts_at, ends_at, first_day, visits, visitors, new_visitors, passers_by, median_dwell_s, p90_dwell_s, dwell, k
FROM geofences.traffic
WHERE store_id = :store_id AND grain = :grain AND starts_at >= :start AND starts_at < :end
ORDER BY starts_at

-- name: figures_at
SELECT starts_at, ends_at, first_day, visits, visitors, new_visitors, passers_by, median_dwell_s, p90_dwell_s, dwell, k
FROM geofences.traffic
WHERE store_id = :store_id AND grain = :grain AND starts_at = ANY(CAST(:times AS timestamptz[]))

-- name: figures_of_stores
SELECT store_id, starts_at, ends_at, first_day, visits, visitors, new_visitors, passers_by, median_dwell_s,
       p90_dwell_s, dwell, k
FROM geofences.traffic
WHERE tenant_id = :tenant_id AND grain = :grain AND grain <> 'hour' AND first_day = ANY(CAST(:first_days AS date[]))
  AND store_id = ANY(CAST(:store_ids AS bigint[]))

-- name: due_since
SELECT min(created_at) FROM geofences.traffic_due
WHERE store_id = ANY(CAST(:store_ids AS bigint[])) AND what = ANY(CAST(:kinds AS text[]))

-- name: inside_now
SELECT count(DISTINCT v.device_id) AS inside
FROM geofences.fences AS f
JOIN geofences.visits AS v ON v.fence_id = f.fence_id AND v.status IN ('candidate', 'open')
WHERE f.store_id = :store_id AND v.status = 'open'
  AND NOT EXISTS (
      SELECT FROM geofences.consents AS c
      WHERE c.device_id = v.device_id AND c.purpose = 'analytics' AND NOT c.granted
  )

-- name: place_of_store
SELECT ST_Y(location::geometry) AS lat, ST_X(location::geometry) AS lng
FROM geofences.stores WHERE store_id = :store_id

-- name: seen_around
-- cells and what they belong to are worked out by the caller
SELECT around.parent AS cell, count(DISTINCT s.device_id) AS devices
FROM unnest(CAST(:cells AS bigint[]), CAST(:parents AS bigint[])) AS around(cell, parent)
JOIN geofences.traffic_seen AS s
  ON s.tenant_id = :tenant_id AND s.cell_r10 = around.cell AND s.day >= :first_day AND s.day < :last_day
WHERE NOT EXISTS (
    SELECT FROM geofences.consents AS c
    WHERE c.device_id = s.device_id AND c.purpose = 'analytics' AND NOT c.granted
)
GROUP BY around.parent
ORDER BY around.parent

-- name: stores_of_overview
SELECT store_id, external_id, name, timezone
FROM geofences.stores
WHERE tenant_id = :tenant_id AND deleted_at IS NULL AND store_id > :after
  AND (CAST(:only AS bigint[]) IS NULL OR store_id = ANY(CAST(:only AS bigint[])))
ORDER BY store_id
LIMIT :limit
