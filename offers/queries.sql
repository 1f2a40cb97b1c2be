-- Hand-written SQL of the offers room. Each block is EXPLAINed in a test.

-- name: campaigns
SELECT c.*,
       coalesce((SELECT array_agg(f.fence_id ORDER BY f.fence_id) FROM offers.campaign_fences AS f
                 WHERE f.campaign_id = c.campaign_id), '{}') AS fence_ids,
       coalesce((SELECT array_agg(s.store_id ORDER BY s.store_id) FROM offers.campaign_stores AS s
                 WHERE s.campaign_id = c.campaign_id), '{}') AS store_ids,
       coalesce((SELECT array_agg(DISTINCT g.store_id) FROM offers.campaign_fences AS f
                 JOIN geofences.fences AS g ON g.fence_id = f.fence_id
                 WHERE f.campaign_id = c.campaign_id AND g.store_id IS NOT NULL), '{}') AS stores_of_fences
FROM offers.campaigns AS c
WHERE c.campaign_id > :after
  AND (CAST(:campaign_ids AS bigint[]) IS NULL OR c.campaign_id = ANY(CAST(:campaign_ids AS bigint[])))
  AND (CAST(:tenant_id AS integer) IS NULL OR c.tenant_id = :tenant_id)
ORDER BY c.campaign_id
LIMIT :limit

-- name: waiting_shards
-- shards with events the decider has not seen, or scheduled offers not decided
SELECT s.shard FROM geofences.shards AS s JOIN offers.cursors AS c USING (shard) WHERE s.seq > c.seq
UNION
SELECT DISTINCT d.shard FROM offers.occasion_devices AS d WHERE NOT d.decided
ORDER BY shard

-- name: lock_cursor
SELECT seq FROM offers.cursors WHERE shard = :shard FOR UPDATE

-- name: events_after
-- told_before: a late position made this event of a visit that may have been told under another name or time
SELECT event_id, tenant_id, seq, type, device_id, fence_id, store_id, root_visit_id, at, clock, received_at,
       confidence, already_inside, detail IS NOT NULL OR root_visit_id <> visit_id AS told_before
FROM geofences.events
WHERE shard = :shard AND seq > :seq
ORDER BY seq
LIMIT :limit

-- name: decided_before
SELECT decision_id FROM offers.decisions
WHERE tenant_id = ANY(CAST(:tenant_ids AS integer[])) AND device_id = ANY(CAST(:device_ids AS bigint[]))
  AND decision_id = ANY(CAST(:decision_ids AS bigint[]))

-- name: advance_cursor
UPDATE offers.cursors SET seq = :seq WHERE shard = :shard

-- name: undecided_occasions
SELECT seq, campaign_id, store_id, due_at, device_id, tenant_id, clock
FROM offers.occasion_devices
WHERE shard = :shard AND NOT decided
ORDER BY seq
LIMIT :limit

-- name: end_occasions
UPDATE offers.occasion_devices SET decided = true WHERE shard = :shard AND NOT decided AND seq = ANY(CAST(:seqs AS bigint[]))

-- name: shoppers
SELECT d.device_id, d.external_id, d.locale, t.sandbox,
       coalesce((SELECT c.granted FROM geofences.consents AS c
                 WHERE c.device_id = d.device_id AND c.purpose = 'push'), false) AS push_consent,
       coalesce((SELECT jsonb_agg(jsonb_build_object('channel_id', h.channel_id, 'type', h.type) ORDER BY h.channel_id)
                 FROM offers.channels AS h
                 WHERE h.device_id = d.device_id AND h.status = 'active'), '[]') AS channels
FROM geofences.devices AS d
JOIN geofences.tenants AS t ON t.tenant_id = d.tenant_id
WHERE d.device_id = ANY(CAST(:device_ids AS bigint[]))

-- name: earlier_offers
-- a refused or stopped offer gives its cap back; one that ran out was still made
SELECT r.campaign_id, r.device_id, r.created_at
FROM unnest(CAST(:campaign_ids AS bigint[]), CAST(:device_ids AS bigint[])) AS asked(campaign_id, device_id)
JOIN offers.reservations AS r USING (campaign_id, device_id)
WHERE r.release_reason IS NULL OR r.release_reason = 'expired'
ORDER BY r.created_at

-- name: lock_stock
-- in id order, so that two deciders can never wait for each other
SELECT campaign_id, stock - reserved AS left
FROM offers.campaigns
WHERE campaign_id = ANY(CAST(:campaign_ids AS bigint[])) AND stock IS NOT NULL
ORDER BY campaign_id
FOR NO KEY UPDATE

-- name: take_stock
UPDATE offers.campaigns SET reserved = reserved + :n WHERE campaign_id = :campaign_id

-- name: places
-- where an offer would be used: its store, or the middle of a fence that belongs to none
SELECT f.fence_id, s.store_id, s.name, s.timezone, s.opening_hours,
       ST_Y(coalesce(s.location::geometry, v.center::geometry, ST_PointOnSurface(v.area))) AS lat,
       ST_X(coalesce(s.location::geometry, v.center::geometry, ST_PointOnSurface(v.area))) AS lng
FROM geofences.fences AS f
JOIN geofences.fence_versions AS v ON v.fence_id = f.fence_id AND v.version = f.version
LEFT JOIN geofences.stores AS s ON s.store_id = f.store_id
WHERE f.fence_id = ANY(CAST(:fence_ids AS bigint[]))

-- name: store_places
SELECT s.store_id, s.name, s.timezone, s.opening_hours,
       ST_Y(s.location::geometry) AS lat, ST_X(s.location::geometry) AS lng
FROM geofences.stores AS s
WHERE s.store_id = ANY(CAST(:store_ids AS bigint[]))

-- name: expire_queued
UPDATE offers.notifications SET state = 'expired', reason = :reason
WHERE campaign_id = :campaign_id AND state = 'queued'

-- name: claim_due
-- the oldest due messages, each taken by one worker; an attempt is counted before it is made
WITH due AS (
    SELECT notification_id
    FROM offers.notifications
    WHERE state = 'queued' AND not_before <= :now
    ORDER BY not_before, notification_id
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
),
claimed AS (
    UPDATE offers.notifications AS n
    SET state = 'sending', attempts = attempts + 1, lease_until = :lease_until
    FROM due
    WHERE n.notification_id = due.notification_id
    RETURNING n.*
)
SELECT claimed.*, c.status AS campaign_status, c.definition, r.state AS reservation_state,
       coalesce(g.granted, false) AS push_consent, h.address, h.status AS channel_status, w.secrets,
       s.timezone, s.opening_hours, ST_Y(s.location::geometry) AS lat, ST_X(s.location::geometry) AS lng
FROM claimed
JOIN offers.campaigns AS c ON c.campaign_id = claimed.campaign_id
LEFT JOIN offers.reservations AS r ON r.decision_id = claimed.decision_id
LEFT JOIN geofences.consents AS g ON g.device_id = claimed.device_id AND g.purpose = 'push'
LEFT JOIN offers.channels AS h ON h.channel_id = claimed.channel_id
LEFT JOIN offers.webhooks AS w
    ON claimed.channel = 'webhook' AND w.tenant_id = claimed.tenant_id AND w.url = h.address ->> 'url'
LEFT JOIN geofences.stores AS s ON s.store_id = claimed.store_id
ORDER BY claimed.not_before, claimed.notification_id

-- name: reclaim
-- the worker that took these is gone: nobody knows whether they were sent, so they go again with the same id
UPDATE offers.notifications
SET state = 'queued', outcome_unknown = true, lease_until = NULL
WHERE state = 'sending' AND lease_until < :now

-- name: finish
-- only the attempt that was made may end it: a worker that lost its lease changes nothing
UPDATE offers.notifications
SET state = :state, reason = :reason, not_before = coalesce(:not_before, not_before), lease_until = NULL,
    outcome_unknown = outcome_unknown OR :outcome_unknown,
    sent_at = CASE WHEN :state IN ('sent', 'delivered') THEN :now ELSE sent_at END,
    delivered_at = CASE WHEN :state = 'delivered' THEN :now ELSE delivered_at END
WHERE notification_id = :notification_id AND state = 'sending' AND attempts = :attempts

-- name: lock_inbox
SELECT pg_advisory_xact_lock(5242005, hashint8(:device_id))

-- name: put_in_inbox
UPDATE offers.notifications
SET state = 'sent', sent_at = :now, lease_until = NULL, inbox_seq = nextval('offers.inbox_seq')
WHERE notification_id = :notification_id AND state = 'sending' AND attempts = :attempts

-- name: release_refused
-- every channel definitely refused and nothing reached an inbox: the offer was never made
WITH refused AS (
    UPDATE offers.reservations AS r
    SET state = 'released', released_at = :now, release_reason = 'refused'
    WHERE r.decision_id = ANY(CAST(:decision_ids AS bigint[])) AND r.state = 'held'
      AND NOT EXISTS (
          SELECT FROM offers.notifications AS n
          WHERE n.decision_id = r.decision_id
            AND (n.outcome_unknown OR n.state NOT IN ('failed', 'expired', 'suppressed')))
    RETURNING r.campaign_id
),
counted AS (SELECT campaign_id, count(*) AS n FROM refused GROUP BY campaign_id)
UPDATE offers.campaigns AS c SET reserved = reserved - counted.n
FROM counted WHERE c.campaign_id = counted.campaign_id AND c.stock IS NOT NULL

-- name: release_expired
WITH due AS (
    -- a sandbox lives in the time of its data: the wall clock ends nothing there
    SELECT r.decision_id FROM offers.reservations AS r
    JOIN geofences.tenants AS t ON t.tenant_id = r.tenant_id AND NOT t.sandbox
    WHERE r.state = 'held' AND r.expires_at <= :now
    ORDER BY r.expires_at LIMIT 5000
    FOR UPDATE OF r SKIP LOCKED
),
expired AS (
    UPDATE offers.reservations AS r
    SET state = 'released', released_at = :now, release_reason = 'expired'
    FROM due WHERE r.decision_id = due.decision_id
    RETURNING r.campaign_id
),
counted AS (SELECT campaign_id, count(*) AS n FROM expired GROUP BY campaign_id),
returned AS (
    UPDATE offers.campaigns AS c SET reserved = reserved - counted.n
    FROM counted WHERE c.campaign_id = counted.campaign_id AND c.stock IS NOT NULL
    RETURNING c.campaign_id
)
SELECT coalesce(sum(n), 0) AS released FROM counted

-- name: live_scheduled
SELECT c.campaign_id, c.tenant_id, c.definition, s.timezone, array_agg(s.store_id ORDER BY s.store_id) AS store_ids
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

-- name: inbox
-- newest first; what has ended is gone
SELECT notification_id, campaign_id, store_id, state, payload, created_at, expires_at, opened_at, inbox_seq
FROM offers.notifications
WHERE device_id = :device_id AND inbox_seq IS NOT NULL AND inbox_seq < :before AND expires_at > :now
ORDER BY inbox_seq DESC
LIMIT :limit

-- name: inbox_after
-- oldest first, for streams that resume
SELECT notification_id, device_id, campaign_id, store_id, state, payload, created_at, expires_at, opened_at, inbox_seq
FROM offers.notifications
WHERE device_id = ANY(CAST(:device_ids AS bigint[])) AND inbox_seq > :after AND expires_at > :now
ORDER BY inbox_seq
LIMIT 1000

-- name: campaign_counts
SELECT 'decision' AS what, outcome AS state, reason AS detail, count(*) AS n
FROM offers.decisions WHERE campaign_id = :campaign_id GROUP BY outcome, reason
UNION ALL
SELECT channel, state, NULL, count(*)
FROM offers.notifications WHERE campaign_id = :campaign_id GROUP BY channel, state
ORDER BY what, state, detail

-- name: stored_decisions
SELECT decision_id, campaign_version, store_id, event_id, trigger_type, outcome, reason, gates, event_at, decided_at
FROM offers.decisions
WHERE campaign_id = :campaign_id AND device_id = :device_id
ORDER BY decided_at DESC, decision_id
LIMIT :limit

-- name: newest_inbox_seq
-- a sequence that was never asked says 1, as after the first message
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM offers.inbox_seq

-- name: sold_out
SELECT campaign_id FROM offers.campaigns
WHERE campaign_id = ANY(CAST(:campaign_ids AS bigint[])) AND stock IS NOT NULL AND reserved >= stock
