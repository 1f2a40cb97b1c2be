-- Hand-written SQL of events out. Each block is EXPLAINed in a test.

-- name: webhooks_due
SELECT w.webhook_id FROM offers.webhooks AS w
WHERE w.paused_reason IS NULL
  AND EXISTS (SELECT FROM offers.webhook_events AS q WHERE q.webhook_id = w.webhook_id AND q.due_at <= :now)
ORDER BY w.webhook_id

-- name: hold_webhook
-- one worker at a time, for as long as its connection lives; a worker that stands still loses the connection, so that
-- another one can go on
SELECT CASE WHEN pg_try_advisory_lock(5242011, hashint8(:webhook_id))
            THEN set_config('idle_session_timeout', :silent_for, false) END

-- name: let_webhook_go
SELECT pg_advisory_unlock(5242011, hashint8(:webhook_id)), set_config('idle_session_timeout', '0', false)

-- name: due_webhook_events
-- the longest due first. What is due while an older event of its device waits has to wait as long: that is the order of
-- a device's events, and costs each row one look for each attempt of the older one
SELECT q.seq, q.type, q.ref_id, q.tenant_id, q.device_id, q.at, q.attempts,
       (SELECT max(o.due_at) FILTER (WHERE o.due_at > q.due_at) FROM offers.webhook_events AS o
        WHERE o.webhook_id = q.webhook_id AND o.device_id = q.device_id AND o.seq < q.seq) AS behind
FROM offers.webhook_events AS q
WHERE q.webhook_id = :webhook_id AND q.due_at <= :now
ORDER BY q.due_at, q.seq
LIMIT :limit

-- name: put_behind
UPDATE offers.webhook_events AS q SET due_at = b.due_at
FROM unnest(CAST(:seqs AS bigint[]), CAST(:times AS timestamptz[])) AS b(seq, due_at)
WHERE q.webhook_id = :webhook_id AND q.seq = b.seq

-- name: visits_to_tell
SELECT q.seq, e.event_id AS ref_id, e.visit_id, e.root_visit_id, e.fence_id, f.external_id AS fence_external_id,
       e.store_id, s.external_id AS store_external_id, d.external_id AS device_external_id, d.external_user_id,
       e.at, e.clock AS known_at, e.confidence, e.already_inside, e.detail
FROM offers.webhook_events AS q
JOIN geofences.events AS e
    ON e.tenant_id = q.tenant_id AND e.device_id = q.device_id AND e.at = q.at AND e.event_id = q.ref_id
JOIN geofences.devices AS d ON d.device_id = e.device_id
LEFT JOIN geofences.fences AS f ON f.fence_id = e.fence_id
LEFT JOIN geofences.stores AS s ON s.store_id = e.store_id
WHERE q.webhook_id = :webhook_id AND q.seq = ANY(CAST(:seqs AS bigint[])) AND q.type LIKE 'visit.%'

-- name: decisions_to_tell
SELECT q.seq, c.decision_id, c.outcome, c.reason, c.campaign_id, c.campaign_version, c.store_id,
       s.external_id AS store_external_id, d.external_id AS device_external_id, d.external_user_id, c.trigger_type,
       c.event_id, c.root_visit_id, c.delivery, c.event_at, c.decided_at
FROM offers.webhook_events AS q
JOIN offers.decisions AS c
    ON c.tenant_id = q.tenant_id AND c.device_id = q.device_id AND c.decided_at = q.at AND c.decision_id = q.ref_id
LEFT JOIN geofences.devices AS d ON d.device_id = c.device_id
LEFT JOIN geofences.stores AS s ON s.store_id = c.store_id
WHERE q.webhook_id = :webhook_id AND q.seq = ANY(CAST(:seqs AS bigint[])) AND q.type LIKE 'decision.%'

-- name: redemptions_to_tell
SELECT q.seq, r.redemption_id, r.claim_id, r.campaign_id, r.decision_id, r.store_id,
       s.external_id AS store_external_id, d.external_id AS device_external_id, d.external_user_id, r.order_id,
       r.amount, r.currency, r.discount, r.attributed_to, r.redeemed_at, r.cancelled_at, r.cancel_reason
FROM offers.webhook_events AS q
JOIN offers.redemptions AS r ON r.redemption_id = q.ref_id
JOIN offers.claims AS c ON c.claim_id = r.claim_id
LEFT JOIN geofences.devices AS d ON d.device_id = c.device_id
LEFT JOIN geofences.stores AS s ON s.store_id = r.store_id
WHERE q.webhook_id = :webhook_id AND q.seq = ANY(CAST(:seqs AS bigint[])) AND q.type LIKE 'redemption.%'

-- name: wait_for_webhook
-- failed: the event is due again in its rhythm
UPDATE offers.webhook_events AS q SET attempts = q.attempts + 1, due_at = coalesce(f.due_at, q.due_at)
FROM unnest(CAST(:seqs AS bigint[]), CAST(:times AS timestamptz[])) AS f(seq, due_at)
WHERE q.webhook_id = :webhook_id AND q.seq = f.seq

-- name: tell_again
-- all that became known in a time, whoever has been told of it before, in the order in which it did
INSERT INTO offers.webhook_events (webhook_id, tenant_id, type, ref_id, device_id, at)
SELECT :webhook_id, told.tenant_id, told.type, told.ref_id, told.device_id, told.at
FROM (
    SELECT e.tenant_id, e.type, e.event_id AS ref_id, e.device_id, e.at, e.clock AS known_at, 1 AS step, e.seq
    FROM geofences.events AS e
    WHERE e.tenant_id = :tenant_id AND e.clock >= :since AND e.clock < :until
    UNION ALL
    SELECT d.tenant_id, 'decision.' || d.outcome, d.decision_id, d.device_id, d.decided_at, d.decided_at, 2, 0
    FROM offers.decisions AS d
    WHERE d.tenant_id = :tenant_id AND d.decided_at >= :since AND d.decided_at < :until
    UNION ALL
    SELECT r.tenant_id, 'redemption.verified', r.redemption_id, c.device_id, r.redeemed_at, r.redeemed_at, 3, 0
    FROM offers.redemptions AS r JOIN offers.claims AS c ON c.claim_id = r.claim_id
    WHERE r.tenant_id = :tenant_id AND r.redeemed_at >= :since AND r.redeemed_at < :until
    UNION ALL
    SELECT r.tenant_id, 'redemption.cancelled', r.redemption_id, c.device_id, r.cancelled_at, r.cancelled_at, 4, 0
    FROM offers.redemptions AS r JOIN offers.claims AS c ON c.claim_id = r.claim_id
    WHERE r.tenant_id = :tenant_id AND r.cancelled_at >= :since AND r.cancelled_at < :until
) AS told
WHERE CAST(:types AS text[]) && offers.patterns_of(told.type)
ORDER BY told.known_at, told.step, told.seq

-- name: webhook_lag
-- of those that are not paused, how long the oldest event has waited
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(oldest.created_at)), 0)
FROM offers.webhooks AS w
CROSS JOIN LATERAL (
    SELECT q.created_at FROM offers.webhook_events AS q WHERE q.webhook_id = w.webhook_id ORDER BY q.seq LIMIT 1
) AS oldest
WHERE w.paused_reason IS NULL

-- name: forget_webhook_past
WITH attempts AS (DELETE FROM offers.webhook_attempts WHERE at < :kept_since)
DELETE FROM offers.webhook_events WHERE created_at < :kept_since

-- name: end_old_secrets
UPDATE offers.webhooks SET secrets = secrets[1:1], old_secret_until = NULL WHERE old_secret_until <= :now
