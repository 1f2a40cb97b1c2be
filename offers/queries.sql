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

-- name: lock_due
-- campaigns whose first day has begun somewhere, or whose last is over everywhere; not in a sandbox, which has the time
-- of its data
SELECT c.* FROM offers.campaigns AS c
JOIN geofences.tenants AS t ON t.tenant_id = c.tenant_id AND NOT t.sandbox
WHERE (c.status = 'approved' AND (c.starts_at IS NULL OR c.starts_at <= :now))
   OR (c.status IN ('approved', 'live', 'paused') AND c.ends_at <= :now)
ORDER BY c.campaign_id
LIMIT 1000
FOR NO KEY UPDATE OF c SKIP LOCKED

-- name: waiting_shards
-- shards with events the decider has not seen, or scheduled offers not decided, and about how many
SELECT shard, CAST(sum(n) AS bigint) AS waiting
FROM (SELECT s.shard, s.seq - c.seq AS n FROM geofences.shards AS s JOIN offers.cursors AS c USING (shard)
      WHERE s.seq > c.seq
      UNION ALL
      SELECT d.shard, count(*) FROM offers.occasion_devices AS d WHERE NOT d.decided GROUP BY d.shard) AS each_kind
GROUP BY shard
ORDER BY shard

-- name: lock_cursors
-- but for those that another decider holds: it decides what is there
SELECT shard, seq FROM offers.cursors WHERE shard = ANY(CAST(:shards AS smallint[])) ORDER BY shard FOR UPDATE SKIP LOCKED

-- name: events_after
-- told_before: a late position made this event of a visit that may have been told under another name or time
SELECT e.*,
       CASE WHEN e.type IN ('visit.dwelled', 'visit.exited')
            THEN (SELECT extract(epoch FROM e.at - v.entered_at) FROM geofences.visits AS v WHERE v.visit_id = e.visit_id)
       END AS dwell_s
FROM unnest(CAST(:shards AS smallint[]), CAST(:seqs AS bigint[])) AS c(shard, seq)
CROSS JOIN LATERAL (
    SELECT e.event_id, e.tenant_id, e.shard, e.seq, e.type, e.device_id, e.fence_id, e.store_id, e.visit_id,
           e.root_visit_id, e.at, e.clock, e.received_at, e.confidence, e.already_inside,
           e.detail IS NOT NULL OR e.root_visit_id <> e.visit_id AS told_before
    FROM geofences.events AS e
    WHERE e.shard = c.shard AND e.seq > c.seq
    ORDER BY e.seq
    LIMIT :limit
) AS e
ORDER BY e.shard, e.seq

-- name: decided_before
SELECT decision_id FROM offers.decisions
WHERE tenant_id = ANY(CAST(:tenant_ids AS integer[])) AND device_id = ANY(CAST(:device_ids AS bigint[]))
  AND decision_id = ANY(CAST(:decision_ids AS bigint[]))

-- name: advance_cursors
UPDATE offers.cursors AS c SET seq = moved.seq
FROM unnest(CAST(:shards AS smallint[]), CAST(:seqs AS bigint[])) AS moved(shard, seq)
WHERE c.shard = moved.shard

-- name: shoppers
-- attributes only where a campaign asks for them: the app's, over them a server's of the device, over them of the person.
-- Whose device it is counts only if a server said so
SELECT d.device_id, d.tenant_id, CASE WHEN d.user_vouched THEN d.external_user_id END AS external_user_id, d.locale, d.timezone, d.quiet_times, d.created_at, d.vouched_at,
       t.sandbox,
       CASE WHEN :with_attributes THEN d.attributes || d.vouched_attributes || coalesce(
           (SELECT u.attributes FROM offers.user_attributes AS u
            WHERE d.user_vouched AND u.tenant_id = d.tenant_id AND u.external_user_id = d.external_user_id), '{}')
            ELSE '{}' END AS attributes,
       coalesce((SELECT c.granted FROM geofences.consents AS c
                 WHERE c.device_id = d.device_id AND c.purpose = 'push'), false) AS push_consent,
       coalesce((SELECT jsonb_agg(jsonb_build_object('channel_id', h.channel_id, 'type', h.type) ORDER BY h.channel_id)
                 FROM offers.channels AS h
                 WHERE h.device_id = d.device_id AND h.status = 'active'), '[]') AS channels
FROM geofences.devices AS d
JOIN geofences.tenants AS t ON t.tenant_id = d.tenant_id
WHERE d.device_id = ANY(CAST(:device_ids AS bigint[]))

-- name: positions_before
-- where each device was in the two minutes before a time: of the day's partition and the one before
SELECT asked.decision_id, p.lat, p.lng
FROM unnest(CAST(:decision_ids AS bigint[]), CAST(:device_ids AS bigint[]), CAST(:times AS timestamptz[]))
     AS asked(decision_id, device_id, at)
CROSS JOIN LATERAL (
    SELECT q.lat, q.lng FROM geofences.positions AS q
    WHERE q.device_id = asked.device_id AND q.flags = 0
      AND q.recorded_at <= asked.at AND q.recorded_at > asked.at - interval '2 min'
    ORDER BY q.recorded_at DESC
    LIMIT 1
) AS p

-- name: siblings
-- all devices of the people who own these
SELECT asked.device_id AS asked_for, d.device_id
FROM unnest(CAST(:device_ids AS bigint[])) AS asked(device_id)
JOIN geofences.devices AS mine ON mine.device_id = asked.device_id AND mine.user_vouched
JOIN geofences.devices AS d
    ON d.tenant_id = mine.tenant_id AND d.external_user_id = mine.external_user_id AND d.user_vouched

-- name: lock_devices
SELECT device_id FROM geofences.devices WHERE device_id = ANY(CAST(:device_ids AS bigint[])) ORDER BY device_id
FOR NO KEY UPDATE

-- name: keep_devices
-- until the transaction ends nobody erases them
SELECT device_id FROM geofences.devices WHERE device_id = ANY(CAST(:device_ids AS bigint[])) ORDER BY device_id
FOR KEY SHARE

-- name: put_users
INSERT INTO offers.users (user_key, tenant_id)
SELECT * FROM unnest(CAST(:user_keys AS bigint[]), CAST(:tenant_ids AS integer[]))
ON CONFLICT DO NOTHING

-- name: lock_users
-- in key order, so that two deciders can never wait for each other
SELECT user_key FROM offers.users WHERE user_key = ANY(CAST(:user_keys AS bigint[])) ORDER BY user_key FOR UPDATE

-- name: given_before
-- what counts for caps: an offer that ran out was still made, one that was refused or stopped was not
SELECT r.device_id, r.campaign_id, r.brand, r.store_id, r.created_at, r.event_at, r.delivery, r.exclusive, r.state
FROM offers.reservations AS r
WHERE r.device_id = ANY(CAST(:device_ids AS bigint[]))
  AND (r.release_reason IS NULL OR r.release_reason NOT IN ('refused', 'stopped'))
  AND (CAST(:since AS timestamptz) IS NULL OR r.created_at > :since)
ORDER BY r.created_at, r.decision_id

-- name: lock_supply
-- in id order; only campaigns that have something to run out of
SELECT campaign_id FROM offers.campaigns
WHERE campaign_id = ANY(CAST(:campaign_ids AS bigint[]))
  AND (stock IS NOT NULL OR definition -> 'budget' <> 'null' OR campaign_id = ANY(CAST(:also AS bigint[])))
ORDER BY campaign_id
FOR NO KEY UPDATE

-- name: stock_left
SELECT campaign_id, stock - reserved AS left,
       floor(stock * CAST(definition ->> 'new_device_stock_share' AS float))::integer - reserved_new AS new_left
FROM offers.campaigns
WHERE campaign_id = ANY(CAST(:campaign_ids AS bigint[])) AND stock IS NOT NULL

-- name: put_budgets
INSERT INTO offers.budgets (campaign_id, scope, tenant_id, most)
SELECT * FROM unnest(CAST(:campaign_ids AS bigint[]), CAST(:scopes AS text[]), CAST(:tenant_ids AS integer[]),
                     CAST(:most AS numeric[]))
ON CONFLICT DO NOTHING

-- name: budgets_left
SELECT b.campaign_id, b.scope, b.most - b.reserved AS left
FROM unnest(CAST(:campaign_ids AS bigint[]), CAST(:scopes AS text[])) AS asked(campaign_id, scope)
JOIN offers.budgets AS b USING (campaign_id, scope)

-- name: take_stock
-- a campaign without limit is not counted: its row would be every shard's bottleneck
UPDATE offers.campaigns AS c SET reserved = c.reserved + taken.n, reserved_new = c.reserved_new + taken.new
FROM unnest(CAST(:campaign_ids AS bigint[]), CAST(:ns AS integer[]), CAST(:news AS integer[]))
    AS taken(campaign_id, n, new)
WHERE c.campaign_id = taken.campaign_id AND c.stock IS NOT NULL

-- name: take_money
UPDATE offers.budgets AS b SET reserved = b.reserved + taken.cost
FROM unnest(CAST(:campaign_ids AS bigint[]), CAST(:scopes AS text[]), CAST(:costs AS numeric[]))
    AS taken(campaign_id, scope, cost)
WHERE b.campaign_id = taken.campaign_id AND b.scope = taken.scope

-- name: confirm_reservation
UPDATE offers.reservations SET state = 'confirmed' WHERE decision_id = :decision_id AND state = 'held'
RETURNING decision_id

-- name: claim_reservation
UPDATE offers.reservations SET claimed_at = :now, expires_at = :expires_at
WHERE decision_id = :decision_id AND state = 'held'
RETURNING decision_id

-- name: lock_reserved
-- campaigns before reservations, as everywhere
SELECT c.campaign_id FROM offers.campaigns AS c
WHERE c.campaign_id IN (SELECT r.campaign_id FROM offers.reservations AS r
                        WHERE r.decision_id = ANY(CAST(:decision_ids AS bigint[])))
ORDER BY c.campaign_id
FOR NO KEY UPDATE

-- name: release
-- whoever asked for these rows may have seen them before they were claimed: what was prolonged or claimed since stays
WITH gone AS (
    UPDATE offers.reservations AS r
    SET state = 'released', released_at = :now, release_reason = :reason
    WHERE r.decision_id = ANY(CAST(:decision_ids AS bigint[])) AND r.state = :state
      AND CASE CAST(:reason AS text)
              WHEN 'expired' THEN r.expires_at <= :now
              WHEN 'cancelled' THEN true
              ELSE r.claimed_at IS NULL
          END
    RETURNING r.campaign_id, r.new_device, r.cost, r.store_id, r.budget_day
),
counted AS (
    SELECT campaign_id, count(*) AS n, count(*) FILTER (WHERE new_device) AS new FROM gone GROUP BY campaign_id
),
stock AS (
    UPDATE offers.campaigns AS c SET reserved = reserved - counted.n, reserved_new = reserved_new - counted.new
    FROM counted WHERE c.campaign_id = counted.campaign_id AND c.stock IS NOT NULL
),
money AS (
    SELECT gone.campaign_id, held.scope, sum(gone.cost) AS cost
    FROM gone CROSS JOIN LATERAL (VALUES ('total'), ('store:' || gone.store_id), ('day:' || gone.budget_day)) AS held(scope)
    WHERE gone.cost IS NOT NULL AND held.scope IS NOT NULL
    GROUP BY gone.campaign_id, held.scope
),
budget AS (
    UPDATE offers.budgets AS b SET reserved = reserved - money.cost
    FROM money WHERE b.campaign_id = money.campaign_id AND b.scope = money.scope
)
SELECT count(*) FROM gone

-- name: places
-- where an offer would be used: its store, or the middle of a fence that belongs to none
SELECT f.fence_id, f.tenant_id, s.store_id, s.name, s.timezone, s.opening_hours,
       ST_Y(coalesce(s.location::geometry, v.center::geometry, ST_PointOnSurface(v.area))) AS lat,
       ST_X(coalesce(s.location::geometry, v.center::geometry, ST_PointOnSurface(v.area))) AS lng
FROM geofences.fences AS f
JOIN geofences.fence_versions AS v ON v.fence_id = f.fence_id AND v.version = f.version
LEFT JOIN geofences.stores AS s ON s.store_id = f.store_id
WHERE f.fence_id = ANY(CAST(:fence_ids AS bigint[]))

-- name: store_places
SELECT s.store_id, s.tenant_id, s.name, s.timezone, s.opening_hours,
       ST_Y(s.location::geometry) AS lat, ST_X(s.location::geometry) AS lng
FROM geofences.stores AS s
WHERE s.store_id = ANY(CAST(:store_ids AS bigint[]))

-- name: reserved_units
SELECT count(*) AS n, count(*) FILTER (WHERE new_device) AS new
FROM offers.reservations WHERE campaign_id = :campaign_id AND state IN ('held', 'confirmed')

-- name: count_stock
UPDATE offers.campaigns SET reserved = :n, reserved_new = :new WHERE campaign_id = :campaign_id

-- name: over_budget
-- scopes that hold more than their new limit; a limit that is NULL is none
SELECT scope, reserved FROM offers.budgets
WHERE campaign_id = :campaign_id
  AND reserved > CASE split_part(scope, ':', 1)
                     WHEN 'total' THEN CAST(:total AS numeric)
                     WHEN 'store' THEN CAST(:store AS numeric)
                     ELSE CAST(:day AS numeric)
                 END
ORDER BY scope
LIMIT 1

-- name: limit_budgets
-- money that is held stays counted, limited or not: a limit may come back
UPDATE offers.budgets
SET most = coalesce(CASE split_part(scope, ':', 1)
                        WHEN 'total' THEN CAST(:total AS numeric)
                        WHEN 'store' THEN CAST(:store AS numeric)
                        ELSE CAST(:day AS numeric)
                    END, 999999999999)
WHERE campaign_id = :campaign_id

-- name: put_places
INSERT INTO offers.places (place_id, tenant_id, timezone, opening_hours, lat, lng)
SELECT * FROM unnest(CAST(:place_ids AS bigint[]), CAST(:tenant_ids AS integer[]), CAST(:timezones AS text[]),
                     CAST(:opening_hours AS text[]), CAST(:lats AS float[]), CAST(:lngs AS float[]))
ON CONFLICT DO NOTHING

-- name: refused
-- every channel definitely refused and nothing reached an inbox: the offer was never made
SELECT r.decision_id FROM offers.reservations AS r
WHERE r.decision_id = ANY(CAST(:decision_ids AS bigint[])) AND r.state = 'held' AND r.claimed_at IS NULL
  AND NOT EXISTS (
      SELECT FROM offers.notifications AS n
      WHERE n.decision_id = r.decision_id
        AND (n.outcome_unknown OR n.state NOT IN ('failed', 'expired', 'suppressed')))

-- name: expired
-- a sandbox lives in the time of its data: the wall clock ends nothing there
SELECT r.decision_id FROM offers.reservations AS r
JOIN geofences.tenants AS t ON t.tenant_id = r.tenant_id AND NOT t.sandbox
WHERE r.state = 'held' AND r.expires_at <= :now
ORDER BY r.expires_at
LIMIT 5000

-- name: held_of_campaign
SELECT decision_id FROM offers.reservations
WHERE campaign_id = :campaign_id AND state = 'held' AND claimed_at IS NULL

-- name: stored_decisions
-- with all that they rested on: the campaign's version, the place, the facts
SELECT d.decision_id, d.tenant_id, d.campaign_id, d.campaign_version, d.device_id, d.store_id, d.event_id,
       d.root_visit_id, d.trigger_type, d.outcome, d.reason, d.gates, d.facts, d.delivery, d.event_at, d.decided_at,
       v.definition, c.holdout_salt, p.timezone, p.opening_hours, p.lat, p.lng
FROM offers.decisions AS d
JOIN offers.campaigns AS c ON c.campaign_id = d.campaign_id
LEFT JOIN offers.campaign_versions AS v ON v.campaign_id = d.campaign_id AND v.version = d.campaign_version
LEFT JOIN offers.places AS p ON p.place_id = d.place_id
WHERE d.campaign_id = :campaign_id AND d.device_id = :device_id
ORDER BY d.decided_at DESC, d.decision_id
LIMIT :limit

-- name: events_of_campaign
-- what a campaign would have been asked about: the newest of a tenant's events, oldest first
SELECT * FROM (
    SELECT e.event_id, e.tenant_id, e.seq, e.type, e.device_id, e.fence_id, e.store_id, e.root_visit_id, e.at, e.clock,
           e.received_at, e.confidence, e.already_inside, false AS told_before,
           CASE WHEN e.type IN ('visit.dwelled', 'visit.exited')
                THEN (SELECT extract(epoch FROM e.at - v.entered_at)
                      FROM geofences.visits AS v WHERE v.visit_id = e.visit_id)
           END AS dwell_s
    FROM geofences.events AS e
    WHERE e.tenant_id = :tenant_id AND e.type = :type AND e.at >= :since AND e.at < :until AND e.detail IS NULL
    ORDER BY e.at DESC
    LIMIT :limit
) AS newest
ORDER BY at, event_id

-- name: newest_inbox_seq
-- a sequence that was never asked says 1, as after the first message
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM offers.inbox_seq

-- name: sold_out
-- no unit left, or not the money for one more
SELECT campaign_id FROM offers.campaigns AS c
WHERE c.campaign_id = ANY(CAST(:campaign_ids AS bigint[]))
  AND (c.stock IS NOT NULL AND c.reserved >= c.stock
       OR EXISTS (SELECT FROM offers.budgets AS b
                  WHERE b.campaign_id = c.campaign_id AND b.scope = 'total'
                    AND b.most - b.reserved < coalesce(CAST(c.definition #>> '{offer,max_cost}' AS numeric),
                                                       CAST(c.definition #>> '{offer,value}' AS numeric))))

-- name: seeker
-- what a search needs to know of the device that asks: its person's attributes, and what they have used
SELECT d.attributes || d.vouched_attributes || coalesce(
           (SELECT u.attributes FROM offers.user_attributes AS u
            WHERE d.user_vouched AND u.tenant_id = d.tenant_id AND u.external_user_id = d.external_user_id), '{}')
           AS attributes,
       coalesce((SELECT array_agg(DISTINCT c.campaign_id) FROM offers.claims AS c
                 WHERE c.state = 'redeemed' AND c.device_id IN (
                     SELECT d.device_id
                     UNION ALL
                     SELECT o.device_id FROM geofences.devices AS o
                     WHERE d.user_vouched AND o.user_vouched AND o.tenant_id = d.tenant_id
                       AND o.external_user_id = d.external_user_id)), '{}') AS used
FROM geofences.devices AS d
WHERE d.device_id = :device_id
