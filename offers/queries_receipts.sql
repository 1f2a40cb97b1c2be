-- Hand-written SQL of receipts. Each block is EXPLAINed in a test.

-- name: lock_told
-- messages of a device that it may have seen. Of a push still `sending`, or queued for a repeat, the provider may have
-- been faster than our commit, or an attempt of unknown outcome have arrived. An inbox message is seen once it is numbered
SELECT n.notification_id, coalesce(n.sent_at, n.created_at) AS earliest,
       n.delivered_at, n.displayed_at, n.opened_at, n.dismissed_at
FROM offers.notifications AS n
WHERE n.device_id = :device_id AND n.notification_id = ANY(CAST(:notification_ids AS bigint[]))
  AND (n.state IN ('sent', 'delivered', 'opened')
       OR n.channel <> 'inbox' AND n.attempts > 0 AND (n.state IN ('queued', 'sending') OR n.outcome_unknown))
ORDER BY n.notification_id
FOR UPDATE

-- name: put_told
-- a row that a worker still has in its hands is no longer `sending`: what the attempt comes to changes nothing
UPDATE offers.notifications AS n
SET state = CASE WHEN told.opened_at IS NULL THEN 'delivered' ELSE 'opened' END, reason = NULL, lease_until = NULL,
    sent_at = coalesce(n.sent_at, told.delivered_at), delivered_at = told.delivered_at,
    displayed_at = told.displayed_at, opened_at = told.opened_at, dismissed_at = told.dismissed_at
FROM unnest(CAST(:notification_ids AS bigint[]), CAST(:delivered AS timestamptz[]), CAST(:displayed AS timestamptz[]),
            CAST(:opened AS timestamptz[]), CAST(:dismissed AS timestamptz[]))
    AS told(notification_id, delivered_at, displayed_at, opened_at, dismissed_at)
WHERE n.notification_id = told.notification_id
