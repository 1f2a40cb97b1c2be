-- Hand-written SQL of the outbox and the inbox. Each block is EXPLAINed in a test.

-- name: expire_queued
UPDATE offers.notifications SET state = 'expired', reason = :reason
WHERE campaign_id = :campaign_id AND state = 'queued'

-- name: lock_rates
-- campaigns with a send rate and a push that is due; whoever finds one held lets the holder send
SELECT c.campaign_id, CAST(c.definition ->> 'send_rate_per_min' AS integer) AS per_min, c.next_send_at
FROM offers.campaigns AS c
WHERE c.definition ->> 'send_rate_per_min' IS NOT NULL
  AND EXISTS (SELECT FROM offers.notifications AS n
              WHERE n.campaign_id = c.campaign_id AND n.state = 'queued' AND n.not_before <= :now
                AND n.channel <> 'inbox' AND n.decision_id IS NOT NULL)
ORDER BY c.campaign_id
FOR NO KEY UPDATE OF c SKIP LOCKED

-- name: park
-- over the rate: queued again for its slot, as if it had not been claimed
UPDATE offers.notifications AS n
SET state = 'queued', not_before = parked.slot_at, slot_at = parked.slot_at, attempts = n.attempts - 1, lease_until = NULL
FROM unnest(CAST(:notification_ids AS bigint[]), CAST(:times AS timestamptz[])) AS parked(notification_id, slot_at)
WHERE n.notification_id = parked.notification_id

-- name: defer
-- quiet began while it waited: queued again for the end of the quiet, and for a new slot then
UPDATE offers.notifications AS n
SET state = 'queued', not_before = deferred.until, slot_at = NULL, attempts = n.attempts - 1, lease_until = NULL
FROM unnest(CAST(:notification_ids AS bigint[]), CAST(:times AS timestamptz[])) AS deferred(notification_id, until)
WHERE n.notification_id = deferred.notification_id

-- name: keep_rate
UPDATE offers.campaigns SET next_send_at = :at WHERE campaign_id = :campaign_id

-- name: claim_due
-- the oldest due messages, each taken by one worker; an attempt is counted before it is made. Pushes under a send rate
-- only of the campaigns that this worker holds; of each lane as many as there is room for
WITH candidates AS (
    SELECT n.notification_id, n.not_before, h.lane
    FROM offers.notifications AS n
    LEFT JOIN offers.channels AS h ON h.channel_id = n.channel_id
    WHERE n.state = 'queued' AND n.not_before <= :now
      AND (n.channel = 'inbox' OR n.decision_id IS NULL OR n.campaign_id = ANY(CAST(:campaign_ids AS bigint[]))
           OR NOT EXISTS (SELECT FROM offers.campaigns AS c
                          WHERE c.campaign_id = n.campaign_id AND c.definition ->> 'send_rate_per_min' IS NOT NULL))
      AND (h.lane IS NULL OR h.lane <> ALL(CAST(:closed_lanes AS text[])))
    ORDER BY n.not_before, n.notification_id
    LIMIT :limit
),
ranked AS (
    SELECT notification_id, lane,
           row_number() OVER (PARTITION BY lane ORDER BY not_before, notification_id) AS place
    FROM candidates
),
due AS (
    SELECT n.notification_id
    FROM offers.notifications AS n
    JOIN ranked ON ranked.notification_id = n.notification_id
    LEFT JOIN unnest(CAST(:lanes AS text[]), CAST(:rooms AS integer[])) AS open(lane, room) ON open.lane = ranked.lane
    WHERE n.state = 'queued' AND n.not_before <= :now
      AND (ranked.lane IS NULL OR ranked.place <= coalesce(open.room, :first_room))
    FOR UPDATE OF n SKIP LOCKED
),
claimed AS (
    UPDATE offers.notifications AS n
    SET state = 'sending', attempts = attempts + 1, lease_until = :lease_until
    FROM due
    WHERE n.notification_id = due.notification_id
    RETURNING n.*
),
offered AS MATERIALIZED (
    -- in two steps, because to try the orders out in which ten tables could be joined takes longer than to join them
    SELECT claimed.*, c.status AS campaign_status, c.version AS campaign_version, r.state AS reservation_state,
           coalesce(g.granted, false) AS push_consent, d.timezone AS device_timezone, d.quiet_times
    FROM claimed
    JOIN offers.campaigns AS c ON c.campaign_id = claimed.campaign_id
    LEFT JOIN offers.reservations AS r ON r.decision_id = claimed.decision_id
    LEFT JOIN geofences.consents AS g ON g.device_id = claimed.device_id AND g.purpose = 'push'
    LEFT JOIN geofences.devices AS d ON d.device_id = claimed.device_id
)
SELECT offered.*, h.address, h.lane, h.status AS channel_status,
       CASE WHEN w.old_secret_until <= :now THEN w.secrets[1:1] ELSE w.secrets END AS secrets,
       a.settings AS app_settings, a.sealed_key AS app_key,
       s.timezone, s.opening_hours, ST_Y(s.location::geometry) AS lat, ST_X(s.location::geometry) AS lng
FROM offered
LEFT JOIN offers.channels AS h ON h.channel_id = offered.channel_id
LEFT JOIN offers.webhooks AS w
    ON offered.channel = 'webhook' AND w.tenant_id = offered.tenant_id AND w.url = h.address ->> 'url'
LEFT JOIN LATERAL (
    -- an address that names no app is of the tenant's oldest
    SELECT p.settings, p.sealed_key FROM offers.push_apps AS p
    WHERE offered.channel IN ('apns', 'fcm') AND p.tenant_id = offered.tenant_id AND p.provider = offered.channel
      AND p.name = coalesce(h.address ->> 'app', p.name)
    ORDER BY p.push_app_id LIMIT 1
) AS a ON true
LEFT JOIN geofences.stores AS s ON s.store_id = offered.store_id
ORDER BY offered.not_before, offered.notification_id

-- name: definitions_of
SELECT campaign_id, version, definition FROM offers.campaigns WHERE campaign_id = ANY(CAST(:campaign_ids AS bigint[]))

-- name: put_back
-- its lane is full: queued again as if it had not been claimed
UPDATE offers.notifications
SET state = 'queued', attempts = attempts - 1, lease_until = NULL
WHERE notification_id = ANY(CAST(:notification_ids AS bigint[])) AND state = 'sending'

-- name: reclaim
-- the worker that took these is gone: nobody knows whether they were sent, so they go again with the same id
UPDATE offers.notifications
SET state = 'queued', outcome_unknown = outcome_unknown OR channel <> 'inbox', lease_until = NULL
WHERE state = 'sending' AND (lease_until < :now OR lease_until > :longest)

-- name: finish
-- only the attempt that was made may end it: a worker that lost its lease changes nothing
UPDATE offers.notifications AS n
SET state = f.state, reason = f.reason, not_before = coalesce(f.not_before, n.not_before), lease_until = NULL,
    outcome_unknown = n.outcome_unknown OR f.outcome_unknown,
    sent_at = CASE WHEN f.state IN ('sent', 'delivered') THEN :now ELSE n.sent_at END,
    delivered_at = CASE WHEN f.state = 'delivered' THEN :now ELSE n.delivered_at END
FROM unnest(CAST(:notification_ids AS bigint[]), CAST(:attempts_each AS integer[]), CAST(:states AS text[]),
            CAST(:reasons AS text[]), CAST(:times AS timestamptz[]), CAST(:unknown AS boolean[]))
    AS f(notification_id, attempts, state, reason, not_before, outcome_unknown)
WHERE n.notification_id = f.notification_id AND n.state = 'sending' AND n.attempts = f.attempts

-- name: lock_inboxes
SELECT pg_advisory_xact_lock(5242005, key)
FROM (SELECT DISTINCT hashint8(device_id) AS key FROM unnest(CAST(:device_ids AS bigint[])) AS device_id ORDER BY key) AS k

-- name: put_in_inbox
-- numbered in the order in which they are given
UPDATE offers.notifications AS n
SET state = 'sent', sent_at = :now, lease_until = NULL, inbox_seq = given.inbox_seq
FROM (SELECT notification_id, attempts, nextval('offers.inbox_seq') AS inbox_seq
      FROM (SELECT * FROM unnest(CAST(:notification_ids AS bigint[]), CAST(:attempts_each AS integer[]))
                          WITH ORDINALITY AS each(notification_id, attempts, place)
            ORDER BY place) AS in_order) AS given
WHERE n.notification_id = given.notification_id AND n.state = 'sending' AND n.attempts = given.attempts

-- name: inbox
-- newest first; what has ended is gone
SELECT notification_id, campaign_id, store_id, state, payload, created_at, expires_at, delivered_at, opened_at,
       inbox_seq
FROM offers.notifications
WHERE device_id = :device_id AND inbox_seq IS NOT NULL AND inbox_seq < :before AND expires_at > :now
ORDER BY inbox_seq DESC
LIMIT :limit

-- name: inbox_after
-- oldest first, for streams that resume
SELECT notification_id, device_id, campaign_id, store_id, state, payload, created_at, expires_at, delivered_at, opened_at,
       inbox_seq
FROM offers.notifications
WHERE device_id = ANY(CAST(:device_ids AS bigint[])) AND inbox_seq > :after AND expires_at > :now
ORDER BY inbox_seq
LIMIT 1000

-- name: dead_letters
SELECT n.campaign_id, n.channel, n.reason, count(*) AS messages,
       count(*) FILTER (WHERE n.expires_at > :now AND coalesce(h.status, 'active') = 'active'
                          AND (n.decision_id IS NULL OR r.state IN ('held', 'confirmed'))) AS replayable,
       max(n.not_before) AS last_at
FROM offers.notifications AS n
LEFT JOIN offers.channels AS h ON h.channel_id = n.channel_id
LEFT JOIN offers.reservations AS r ON r.decision_id = n.decision_id
WHERE n.tenant_id = :tenant_id AND n.state = 'failed'
  AND n.campaign_id = coalesce(CAST(:campaign_id AS bigint), n.campaign_id)
  AND n.channel = coalesce(CAST(:channel AS text), n.channel)
  AND n.reason = coalesce(CAST(:reason AS text), n.reason)
GROUP BY n.campaign_id, n.channel, n.reason
ORDER BY n.campaign_id, n.channel, n.reason

-- name: replay_dead_letters
-- attempts go on counting: an attempt that ended long ago must not be taken for the new one
UPDATE offers.notifications AS n
SET state = 'queued', not_before = :now, slot_at = NULL
WHERE n.tenant_id = :tenant_id AND n.state = 'failed' AND n.expires_at > :now
  AND n.campaign_id = coalesce(CAST(:campaign_id AS bigint), n.campaign_id)
  AND n.channel = coalesce(CAST(:channel AS text), n.channel)
  AND n.reason = coalesce(CAST(:reason AS text), n.reason)
  AND NOT EXISTS (SELECT FROM offers.channels AS h WHERE h.channel_id = n.channel_id AND h.status <> 'active')
  AND (n.decision_id IS NULL
       OR EXISTS (SELECT FROM offers.reservations AS r
                  WHERE r.decision_id = n.decision_id AND r.state IN ('held', 'confirmed')))
