-- Whether the ledgers agree: each block answers how many rows do not (`n`) and the name of one of them (`example`).
-- As lbs_reader. Those named `deep_...` read whole tables.

-- name: doubtful_cursors
-- a decider that has decided more events than there were
SELECT count(*) AS n, CAST(min(c.shard) AS text) AS example
FROM offers.cursors AS c JOIN geofences.shards AS s USING (shard)
WHERE c.seq > s.seq

-- name: doubtful_event_numbers
-- events above the number that their shard will give to the next one
SELECT count(*) AS n, CAST(min(s.shard) AS text) AS example
FROM geofences.shards AS s
WHERE EXISTS (SELECT FROM geofences.events AS e WHERE e.shard = s.shard AND e.seq > s.seq)

-- name: doubtful_open_visits
-- somebody is in one fence twice at once
SELECT count(*) AS n, CAST(min(visit_id) AS text) AS example
FROM (
    SELECT min(visit_id) AS visit_id FROM geofences.visits
    WHERE status IN ('candidate', 'open')
    GROUP BY device_id, fence_id
    HAVING count(*) > 1
) AS twice

-- name: deep_doubtful_events
-- two events of one number, or one event twice
SELECT count(*) AS n, min(example) AS example
FROM (
    SELECT min(event_id)::text AS example FROM geofences.events GROUP BY shard, seq HAVING count(*) > 1
    UNION
    SELECT event_id::text FROM geofences.events GROUP BY event_id HAVING count(*) > 1
) AS twice

-- name: deep_doubtful_decisions
-- a decision's id names its campaign, device, visit and trigger: twice is one offer too many
SELECT count(*) AS n, CAST(min(decision_id) AS text) AS example
FROM (SELECT decision_id FROM offers.decisions GROUP BY decision_id HAVING count(*) > 1) AS twice

-- name: deep_decisions_without_event
-- the event is not there, though the tenant's events of that time are; 0 is a device that was erased
SELECT count(*) AS n, CAST(min(d.decision_id) AS text) AS example
FROM offers.decisions AS d
JOIN (SELECT tenant_id, min(at) AS first_at FROM geofences.events GROUP BY tenant_id) AS kept
    ON kept.tenant_id = d.tenant_id AND d.event_at >= kept.first_at
WHERE d.event_id IS NOT NULL AND d.device_id <> 0
  AND NOT EXISTS (SELECT FROM geofences.events AS e WHERE e.event_id = d.event_id)

-- name: deep_held_without_decision
-- stock that is held for nobody: neither a decision nor a claim from a search brought it
SELECT count(*) AS n, CAST(min(r.decision_id) AS text) AS example
FROM offers.reservations AS r
WHERE r.state = 'held'
  AND NOT EXISTS (SELECT FROM offers.decisions AS d WHERE d.decision_id = r.decision_id)
  AND NOT EXISTS (SELECT FROM offers.claims AS c WHERE c.decision_id = r.decision_id)

-- name: deep_offered_without_reservation
SELECT count(*) AS n, CAST(min(d.decision_id) AS text) AS example
FROM offers.decisions AS d
WHERE d.outcome = 'offered'
  AND NOT EXISTS (SELECT FROM offers.reservations AS r WHERE r.decision_id = d.decision_id)

-- name: deep_doubtful_stock
-- a campaign without limit is not counted
SELECT count(*) AS n, CAST(min(c.campaign_id) AS text) AS example
FROM offers.campaigns AS c
LEFT JOIN (
    SELECT campaign_id, count(*) AS n, count(*) FILTER (WHERE new_device) AS new
    FROM offers.reservations WHERE state IN ('held', 'confirmed') GROUP BY campaign_id
) AS held USING (campaign_id)
WHERE c.stock IS NOT NULL
  AND (c.reserved <> coalesce(held.n, 0) OR c.reserved_new <> coalesce(held.new, 0))

-- name: deep_doubtful_budgets
SELECT count(*) AS n, min(coalesce(b.campaign_id, held.campaign_id)::text || ' ' || coalesce(b.scope, held.scope)) AS example
FROM offers.budgets AS b
FULL JOIN (
    SELECT r.campaign_id, s.scope, sum(r.cost) AS cost
    FROM offers.reservations AS r
    CROSS JOIN LATERAL (VALUES ('total'), ('store:' || r.store_id), ('day:' || r.budget_day)) AS s(scope)
    WHERE r.state IN ('held', 'confirmed') AND r.cost IS NOT NULL AND s.scope IS NOT NULL
    GROUP BY r.campaign_id, s.scope
) AS held USING (campaign_id, scope)
WHERE coalesce(b.reserved, 0) <> coalesce(held.cost, 0)

-- name: deep_doubtful_notifications
-- a message at a provider has a lease and no other has; what is said to have arrived says when; and no message of an
-- offer is without what the offer holds
SELECT count(*) AS n, CAST(min(n.notification_id) AS text) AS example
FROM offers.notifications AS n
WHERE (n.state = 'sending') <> (n.lease_until IS NOT NULL)
   OR (n.state = 'delivered' AND n.delivered_at IS NULL)
   OR (n.state = 'opened' AND n.opened_at IS NULL)
   OR (n.decision_id IS NOT NULL
       AND NOT EXISTS (SELECT FROM offers.reservations AS r WHERE r.decision_id = n.decision_id))

-- name: deep_doubtful_claims
-- a code that can be used holds its unit; one that was used kept it, with one redemption; one that was cancelled did not
SELECT count(*) AS n, CAST(min(c.claim_id) AS text) AS example
FROM offers.claims AS c
JOIN offers.reservations AS r USING (decision_id)
LEFT JOIN offers.redemptions AS d USING (claim_id)
WHERE (c.state = 'claimed' AND c.expires_at > :now AND r.state <> 'held')
   OR (c.state = 'redeemed' AND (r.state <> 'confirmed' OR d.state IS DISTINCT FROM 'redeemed'))
   OR (c.state = 'cancelled' AND d.state IS DISTINCT FROM 'cancelled')
   OR (c.state IN ('claimed', 'expired') AND d.state IS NOT NULL)

-- name: zones_named
SELECT timezone FROM geofences.stores WHERE deleted_at IS NULL
UNION
SELECT timezone FROM geofences.devices WHERE timezone IS NOT NULL
UNION
SELECT timezone FROM offers.places

-- name: newest_sealed
-- some of what was encrypted with the installation's key
(SELECT 'secret of webhook ' || webhook_id AS what, secrets[1] AS sealed
 FROM offers.webhooks ORDER BY webhook_id DESC LIMIT :limit)
UNION ALL
(SELECT 'code of claim ' || claim_id, code_sealed
 FROM offers.claims WHERE code_sealed IS NOT NULL ORDER BY claim_id DESC LIMIT :limit)

-- name: sequence_values
-- what each table's next number comes after; NULL: none was taken, or this user may not know
SELECT format('%I.%I', s.schemaname, s.sequencename) AS sequence, s.last_value,
       has_sequence_privilege(format('%I.%I', s.schemaname, s.sequencename), 'SELECT, USAGE') AS visible
FROM pg_sequences AS s
WHERE s.schemaname IN ('geofences', 'offers', 'lbs')
