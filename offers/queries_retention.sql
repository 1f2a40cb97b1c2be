-- Hand-written SQL of what a tenant keeps no longer than it wants to. Each block is EXPLAINed in a test.

-- name: retentions
-- a sandbox keeps what it has: its data is of any age
SELECT tenant_id, retention FROM geofences.tenants WHERE retention <> '{}' AND NOT sandbox ORDER BY tenant_id

-- name: devices_after
SELECT device_id FROM geofences.devices
WHERE tenant_id = :tenant_id AND device_id > :after
ORDER BY device_id
LIMIT :limit

-- name: forget_positions
DELETE FROM geofences.positions
WHERE tenant_id = :tenant_id AND device_id = ANY(CAST(:device_ids AS bigint[]))
  AND recorded_at >= :old_since AND recorded_at < :old_before

-- name: forget_visits
-- one that a late position could still change stays
DELETE FROM geofences.visits
WHERE tenant_id = :tenant_id AND device_id = ANY(CAST(:device_ids AS bigint[]))
  AND entered_at < :old_before AND settled_at < :old_before AND status IN ('closed', 'retracted')

-- name: forget_events
-- what a webhook waits to be told of stays until it is told, or given up
DELETE FROM geofences.events AS e
WHERE e.tenant_id = :tenant_id AND e.device_id = ANY(CAST(:device_ids AS bigint[]))
  AND e.at >= :old_since AND e.at < :old_before
  AND NOT EXISTS (SELECT FROM offers.webhook_events AS q WHERE q.device_id = e.device_id AND q.ref_id = e.event_id)

-- name: forget_decisions
DELETE FROM offers.decisions AS d
WHERE d.tenant_id = :tenant_id AND d.device_id = ANY(CAST(:device_ids AS bigint[]))
  AND d.decided_at >= :old_since AND d.decided_at < :old_before
  AND NOT EXISTS (SELECT FROM offers.webhook_events AS q WHERE q.device_id = d.device_id AND q.ref_id = d.decision_id)

-- name: forget_notifications
-- one that waits, or that an inbox still shows, stays
DELETE FROM offers.notifications
WHERE tenant_id = :tenant_id AND device_id = ANY(CAST(:device_ids AS bigint[]))
  AND created_at < :old_before AND expires_at < :old_before AND state NOT IN ('queued', 'sending')
