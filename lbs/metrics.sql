-- What every worker tells of the whole installation, asked whenever somebody looks. As lbs_system.

-- name: events_waiting
-- the age counts from the position that brought the event, and not in sandboxes, which have the time of their data
SELECT coalesce(sum(s.seq - c.seq), 0) AS events,
       coalesce(extract(epoch FROM clock_timestamp() - min(first.at)), 0) AS oldest_s
FROM geofences.shards AS s
JOIN offers.cursors AS c USING (shard)
LEFT JOIN LATERAL (
    SELECT CASE WHEN t.sandbox THEN NULL ELSE coalesce(next.received_at, next.clock) END AS at
    FROM (SELECT e.tenant_id, e.received_at, e.clock FROM geofences.events AS e
          WHERE e.shard = s.shard AND e.seq > c.seq ORDER BY e.seq LIMIT 1) AS next
    JOIN geofences.tenants AS t USING (tenant_id)
) AS first ON true
WHERE s.seq > c.seq

-- name: messages_waiting
-- each state by the index of its own: those that ended are many
SELECT channel, CASE WHEN not_before <= clock_timestamp() THEN 'due' ELSE 'later' END AS what, count(*) AS n,
       extract(epoch FROM clock_timestamp() - min(not_before)) AS oldest_s
FROM offers.notifications WHERE state = 'queued' GROUP BY 1, 2
UNION ALL
SELECT channel, 'sending', count(*), 0
FROM offers.notifications WHERE state = 'sending' GROUP BY 1

-- name: dead_letters
SELECT count(*) FROM geofences.dead_letters

-- name: messages_lately
-- tests are told too
SELECT channel, state, reason, count(*) AS n
FROM offers.notifications WHERE created_at > :since
GROUP BY channel, state, reason
ORDER BY channel, state, reason
