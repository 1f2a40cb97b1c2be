-- Offers at a time of the clock: which campaigns are due where, and who is there.

-- name: undecided_occasions
SELECT d.*
FROM unnest(CAST(:shards AS smallint[])) AS c(shard)
CROSS JOIN LATERAL (
    SELECT d.shard, d.seq, d.campaign_id, d.store_id, d.due_at, d.device_id, d.tenant_id, d.clock
    FROM offers.occasion_devices AS d
    WHERE d.shard = c.shard AND NOT d.decided
    ORDER BY d.seq
    LIMIT :limit
) AS d
ORDER BY d.shard, d.seq

-- name: end_occasions
UPDATE offers.occasion_devices SET decided = true
WHERE shard = ANY(CAST(:shards AS smallint[])) AND NOT decided AND seq = ANY(CAST(:seqs AS bigint[]))

-- name: live_scheduled
SELECT c.campaign_id, c.tenant_id, c.definition, s.timezone, array_agg(s.store_id ORDER BY s.store_id) AS store_ids,
       (SELECT max(m.at) FROM offers.campaign_moves AS m
        WHERE m.campaign_id = c.campaign_id AND m.status = 'live' AND m.move <> 'test-send') AS live_since
FROM offers.campaigns AS c
JOIN geofences.stores AS s ON s.tenant_id = c.tenant_id AND s.deleted_at IS NULL
WHERE c.status = 'live' AND c.trigger_type = 'scheduled'
  AND (NOT EXISTS (SELECT FROM offers.campaign_stores AS t WHERE t.campaign_id = c.campaign_id)
       OR EXISTS (SELECT FROM offers.campaign_stores AS t WHERE t.campaign_id = c.campaign_id AND t.store_id = s.store_id))
GROUP BY c.campaign_id, c.tenant_id, c.definition, s.timezone
ORDER BY c.campaign_id, s.timezone

-- name: begin_occasions
-- answers only the occasions that nobody began before: a second scheduler, or a second look, changes nothing
INSERT INTO offers.occasions (campaign_id, store_id, due_at, tenant_id)
SELECT :campaign_id, store_id, :due_at, :tenant_id FROM unnest(CAST(:store_ids AS bigint[])) AS t(store_id)
ON CONFLICT DO NOTHING
RETURNING store_id

-- name: gather_devices
-- who is inside a fence of the store now, or was last seen in one of these cells within the radius not long ago
INSERT INTO offers.occasion_devices (campaign_id, store_id, due_at, device_id, tenant_id, shard, clock)
SELECT :campaign_id, :store_id, :due_at, found.device_id, :tenant_id, (found.device_id % 64)::smallint, :now
FROM (
    SELECT v.device_id FROM geofences.visits AS v
    JOIN geofences.fences AS f ON f.fence_id = v.fence_id
    WHERE f.store_id = :store_id AND v.status = 'open' AND v.tenant_id = :tenant_id
    UNION
    SELECT l.device_id FROM geofences.device_last AS l
    JOIN geofences.stores AS s ON s.store_id = :store_id
    WHERE l.tenant_id = :tenant_id AND l.cell_r9 = ANY(CAST(:cells AS bigint[])) AND l.seen_at > :seen_after
      AND ST_DWithin(s.location, ST_MakePoint(l.lng, l.lat)::geography, :radius_m)
) AS found
ON CONFLICT DO NOTHING
