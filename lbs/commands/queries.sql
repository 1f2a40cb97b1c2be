-- Hand-written SQL of the exports. Each block is EXPLAINed in a test.

-- name: export_visits
SELECT v.visit_id, d.external_id AS device_id, v.store_id, v.fence_id, f.external_id AS fence_external_id,
       v.entered_at, v.exited_at, v.dwell_s, v.ended_by, v.positions, v.confidence,
       ST_Y(p.place) AS place_lat, ST_X(p.place) AS place_lng
FROM geofences.visits AS v
JOIN geofences.fences AS f ON f.fence_id = v.fence_id
JOIN geofences.fence_versions AS w ON w.fence_id = v.fence_id AND w.version = v.fence_version
CROSS JOIN LATERAL (SELECT coalesce(w.center::geometry, ST_PointOnSurface(w.area)) AS place) AS p
LEFT JOIN geofences.devices AS d ON d.device_id = v.device_id
WHERE v.tenant_id = :tenant_id AND v.status IN ('open', 'closed')
ORDER BY v.entered_at, v.visit_id

-- name: export_events
SELECT e.event_id, e.type, d.external_id AS device_id, e.fence_id, f.external_id AS fence_external_id, e.at,
       e.confidence, ST_Y(p.place) AS place_lat, ST_X(p.place) AS place_lng
FROM geofences.events AS e
JOIN geofences.fences AS f ON f.fence_id = e.fence_id
JOIN geofences.fence_versions AS w ON w.fence_id = f.fence_id AND w.version = f.version
CROSS JOIN LATERAL (SELECT coalesce(w.center::geometry, ST_PointOnSurface(w.area)) AS place) AS p
LEFT JOIN geofences.devices AS d ON d.device_id = e.device_id
WHERE e.tenant_id = :tenant_id
ORDER BY e.at, e.event_id

-- name: export_stores
SELECT store_id, external_id, name, ST_Y(location::geometry) AS lat, ST_X(location::geometry) AS lng, timezone
FROM geofences.stores
WHERE tenant_id = :tenant_id AND deleted_at IS NULL
ORDER BY store_id

-- name: export_fences
SELECT f.fence_id, f.external_id, f.name, s.external_id AS store_external_id, v.kind,
       ST_Y(v.center::geometry) AS lat, ST_X(v.center::geometry) AS lng, v.radius_m, v.profile, v.settings,
       ST_AsBinary(v.area) AS wkb
FROM geofences.fences AS f
JOIN geofences.fence_versions AS v ON v.fence_id = f.fence_id AND v.version = f.version
LEFT JOIN geofences.stores AS s ON s.store_id = f.store_id
WHERE f.tenant_id = :tenant_id AND f.deleted_at IS NULL
ORDER BY f.fence_id

-- name: export_decisions
SELECT x.decision_id, x.campaign_id, c.name AS campaign_name, d.external_id AS device_id, x.store_id,
       s.external_id AS store_external_id, x.trigger_type AS trigger, x.outcome, x.reason, x.event_at, x.decided_at,
       ST_Y(s.location::geometry) AS place_lat, ST_X(s.location::geometry) AS place_lng
FROM offers.decisions AS x
JOIN offers.campaigns AS c ON c.campaign_id = x.campaign_id
LEFT JOIN geofences.devices AS d ON d.device_id = x.device_id
LEFT JOIN geofences.stores AS s ON s.store_id = x.store_id
WHERE x.tenant_id = :tenant_id
ORDER BY x.decided_at, x.decision_id

-- name: export_redemptions
SELECT x.redemption_id, x.campaign_id, c.name AS campaign_name, x.store_id, s.external_id AS store_external_id,
       d.external_id AS device_id, x.state, x.order_id, x.amount::float AS amount, x.currency,
       x.discount::float AS discount, x.attributed_to, x.visited::text AS visited, x.redeemed_at, x.cancelled_at,
       ST_Y(s.location::geometry) AS place_lat, ST_X(s.location::geometry) AS place_lng
FROM offers.redemptions AS x
JOIN offers.claims AS k ON k.claim_id = x.claim_id
JOIN offers.campaigns AS c ON c.campaign_id = x.campaign_id
LEFT JOIN geofences.devices AS d ON d.device_id = k.device_id
LEFT JOIN geofences.stores AS s ON s.store_id = x.store_id
WHERE x.tenant_id = :tenant_id
ORDER BY x.redeemed_at, x.redemption_id
