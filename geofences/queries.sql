-- Hand-written SQL of the geofence room. Each block is EXPLAINed in a test.

-- name: shard_places
SELECT shard, epoch, "offset", seq FROM geofences.shards ORDER BY shard

-- name: reset_shard
UPDATE geofences.shards SET "offset" = '0-0', epoch = epoch + 1 WHERE shard = :shard

-- name: renew_leases
-- shows that the engine lives, and answers the shards that are still its own
WITH living AS (
    INSERT INTO geofences.engines (owner, seen_at) VALUES (:owner, clock_timestamp())
    ON CONFLICT (owner) DO UPDATE SET seen_at = EXCLUDED.seen_at
)
UPDATE geofences.shards SET leased_until = clock_timestamp() + make_interval(secs => :lease_s)
WHERE owner = :owner
RETURNING shard

-- name: engine_share
-- living engines, those of them before this one in order, and shards that are nobody's
SELECT count(*) AS engines,
       count(*) FILTER (WHERE owner < :owner) AS before,
       (SELECT count(*) FROM geofences.shards WHERE owner IS NULL OR leased_until < clock_timestamp()) AS free
FROM geofences.engines
WHERE seen_at > clock_timestamp() - make_interval(secs => :lease_s)

-- name: take_shards
-- a row that somebody holds is passed over: its owner may be committing at this very moment
WITH free AS (
    SELECT shard FROM geofences.shards
    WHERE owner IS NULL OR leased_until < clock_timestamp()
    ORDER BY shard LIMIT :n
    FOR UPDATE SKIP LOCKED
)
UPDATE geofences.shards AS s
SET owner = :owner, leased_until = clock_timestamp() + make_interval(secs => :lease_s), epoch = s.epoch + 1
FROM free WHERE s.shard = free.shard
RETURNING s.shard

-- name: owned_place
SELECT epoch, "offset", seq FROM geofences.shards WHERE shard = :shard AND owner = :owner

-- name: name_commit
-- until the transaction ends, so that the next owner can tell whose it is
SELECT set_config('application_name', :name, true)

-- name: end_stalled_commits
-- a commit of an engine whose lease ended long ago holds its shards' rows for as long as the engine stands still
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE pid <> pg_backend_pid()
  AND datname = current_database()
  AND application_name IN (
      SELECT 'lbs engine ' || owner FROM geofences.shards
      WHERE leased_until < clock_timestamp() - make_interval(secs => :grace_s)
  )

-- name: begin_log_anew
WITH told AS (
    INSERT INTO geofences.log_losses (shard, entries_at_least) VALUES (:shard, :entries_at_least)
)
UPDATE geofences.shards SET "offset" = '0-0', epoch = epoch + 1 WHERE shard = :shard AND owner = :owner

-- name: unfinished_visits
SELECT * FROM geofences.visits
WHERE shard = ANY(CAST(:shards AS smallint[])) AND status IN ('candidate', 'open')
ORDER BY visit_id

-- name: visits_not_settled
-- of several devices, all that a position can change from a time on; retracted ones say what they were told to be
SELECT v.*
FROM unnest(CAST(:device_ids AS bigint[]), CAST(:since_each AS timestamptz[])) AS wanted(device_id, since)
JOIN geofences.devices AS d ON d.device_id = wanted.device_id
JOIN geofences.visits AS v ON v.tenant_id = d.tenant_id AND v.device_id = wanted.device_id
WHERE v.settled_at IS NULL OR v.settled_at >= wanted.since
ORDER BY v.device_id, v.entered_at, v.fence_id

-- name: fence_visitors
-- those of some devices with a visit of a fence that was not settled by :since
SELECT DISTINCT v.device_id
FROM unnest(CAST(:device_ids AS bigint[])) AS wanted(device_id)
JOIN geofences.devices AS d ON d.device_id = wanted.device_id
JOIN geofences.visits AS v ON v.tenant_id = d.tenant_id AND v.device_id = wanted.device_id
WHERE v.fence_id = :fence_id AND (v.settled_at IS NULL OR v.settled_at >= :since)

-- name: positions_since
-- of several devices, each from a time of its own on; in this and all others, columns are those of POSITION_DTYPE
SELECT p.device_id, p.tenant_id, CAST(extract(epoch FROM p.recorded_at) * 1000000 AS bigint) AS recorded_us,
       CAST(extract(epoch FROM p.received_at) * 1000000 AS bigint) AS received_us, p.lat, p.lng,
       coalesce(p.accuracy_m, 'NaN') AS accuracy_m, coalesce(p.speed_mps, 'NaN') AS speed_mps, p.flags
FROM unnest(CAST(:device_ids AS bigint[]), CAST(:since_each AS timestamptz[])) AS wanted(device_id, since)
JOIN geofences.positions AS p ON p.device_id = wanted.device_id AND p.recorded_at >= wanted.since
ORDER BY p.device_id, p.recorded_at

-- name: good_positions_since
-- of several devices, each from a time of its own on
SELECT p.device_id, p.tenant_id, CAST(extract(epoch FROM p.recorded_at) * 1000000 AS bigint) AS recorded_us,
       CAST(extract(epoch FROM p.received_at) * 1000000 AS bigint) AS received_us, p.lat, p.lng,
       coalesce(p.accuracy_m, 'NaN') AS accuracy_m, coalesce(p.speed_mps, 'NaN') AS speed_mps, p.flags
FROM unnest(CAST(:device_ids AS bigint[]), CAST(:since_each AS timestamptz[])) AS wanted(device_id, since)
JOIN geofences.positions AS p ON p.device_id = wanted.device_id AND p.recorded_at >= wanted.since
WHERE p.flags = 0
ORDER BY p.device_id, p.recorded_at, p.lat, p.lng

-- name: trust_before
-- of several devices, each before a time of its own: the last good position, and what was doubted between
SELECT wanted.device_id, good.recorded_at, good.lat, good.lng, suspects.at, suspects.lats, suspects.lngs
FROM unnest(CAST(:device_ids AS bigint[]), CAST(:since_each AS timestamptz[])) AS wanted(device_id, since)
JOIN LATERAL (
    SELECT p.recorded_at, p.lat, p.lng FROM geofences.positions AS p
    WHERE p.device_id = wanted.device_id AND p.recorded_at < wanted.since AND p.flags = 0
    ORDER BY p.recorded_at DESC LIMIT 1
) AS good ON true
LEFT JOIN LATERAL (
    SELECT array_agg(p.recorded_at ORDER BY p.recorded_at) AS at,
           array_agg(p.lat ORDER BY p.recorded_at) AS lats,
           array_agg(p.lng ORDER BY p.recorded_at) AS lngs
    FROM geofences.positions AS p
    WHERE p.device_id = wanted.device_id AND p.flags = 4
      AND p.recorded_at > good.recorded_at AND p.recorded_at < wanted.since
) AS suspects ON true

-- name: device_facts
-- newest: of any kind, to know what is late; good: the newest that moved the tracker; suspects: impossible since then.
-- the newest position is nearly always good, and then nothing else is looked for
SELECT d.device_id, d.tenant_id, t.sandbox, coalesce(c.granted, false) AS consented,
       greatest(c.withdrawn_at, d.erased_at) AS withdrawn_at,
       (SELECT max(v.settled_at) FROM geofences.visits AS v
        WHERE v.tenant_id = d.tenant_id AND v.device_id = d.device_id) AS settled_at,
       newest.recorded_at AS newest_at,
       good.recorded_at AS good_at, good.lat AS good_lat, good.lng AS good_lng,
       coalesce(suspects.at, '{}') AS suspect_at,
       coalesce(suspects.lat, '{}') AS suspect_lat,
       coalesce(suspects.lng, '{}') AS suspect_lng
FROM geofences.devices AS d
JOIN geofences.tenants AS t ON t.tenant_id = d.tenant_id
LEFT JOIN geofences.consents AS c ON c.device_id = d.device_id AND c.purpose = 'location'
LEFT JOIN LATERAL (
    SELECT recorded_at, lat, lng, flags FROM geofences.positions AS p
    WHERE p.device_id = d.device_id ORDER BY recorded_at DESC LIMIT 1
) AS newest ON true
LEFT JOIN LATERAL (
    SELECT newest.recorded_at, newest.lat, newest.lng WHERE newest.flags = 0
    UNION ALL
    (SELECT recorded_at, lat, lng FROM geofences.positions AS p
     WHERE newest.flags <> 0 AND p.device_id = d.device_id AND p.flags = 0 ORDER BY recorded_at DESC LIMIT 1)
) AS good ON true
LEFT JOIN LATERAL (
    SELECT array_agg(p.recorded_at ORDER BY p.recorded_at) AS at,
           array_agg(p.lat ORDER BY p.recorded_at) AS lat,
           array_agg(p.lng ORDER BY p.recorded_at) AS lng
    FROM geofences.positions AS p
    WHERE newest.flags <> 0 AND p.device_id = d.device_id AND p.flags = 4 AND p.recorded_at > good.recorded_at
) AS suspects ON true
WHERE d.device_id = ANY(CAST(:device_ids AS bigint[]))

-- name: positions_at
SELECT p.device_id, p.tenant_id, CAST(extract(epoch FROM p.recorded_at) * 1000000 AS bigint) AS recorded_us,
       CAST(extract(epoch FROM p.received_at) * 1000000 AS bigint) AS received_us, p.lat, p.lng,
       coalesce(p.accuracy_m, 'NaN') AS accuracy_m, coalesce(p.speed_mps, 'NaN') AS speed_mps, p.flags
FROM unnest(CAST(:device_ids AS bigint[]), CAST(:recorded_at AS timestamptz[])) AS wanted(device_id, recorded_at)
JOIN geofences.positions AS p ON p.device_id = wanted.device_id AND p.recorded_at = wanted.recorded_at

-- name: changes_after
SELECT number, tenant_id, kind, object_id, effective_at
FROM geofences.changes
WHERE number > :number
ORDER BY number
LIMIT 10000

-- name: newest_change
SELECT coalesce(max(number), 0) AS number FROM geofences.changes

-- name: fence_versions
-- all versions that can still judge a position: in force, to come, or ended within the horizon
SELECT v.fence_id, v.version, v.tenant_id, f.external_id, f.store_id, v.kind, v.radius_m,
       ST_Y(v.center::geometry) AS lat, ST_X(v.center::geometry) AS lng, ST_AsBinary(v.area) AS wkb,
       v.profile, v.settings, v.effective_at, v.ended_at,
       (SELECT array_agg(c.cell ORDER BY c.cell) FROM geofences.fence_cells AS c
        WHERE c.fence_id = v.fence_id AND c.version = v.version) AS cells
FROM geofences.fence_versions AS v
JOIN geofences.fences AS f ON f.fence_id = v.fence_id
WHERE (v.ended_at IS NULL OR v.ended_at > :horizon_at OR EXISTS (
    SELECT FROM geofences.visits AS i
    WHERE i.fence_id = v.fence_id AND i.fence_version = v.version AND i.status IN ('candidate', 'open')))
  AND (CAST(:fence_ids AS bigint[]) IS NULL OR v.fence_id = ANY(CAST(:fence_ids AS bigint[])))
ORDER BY v.fence_id, v.version

-- name: no_replay_runs
-- a replay holds the lock shared while it needs the partitions of its data
SELECT pg_try_advisory_xact_lock(5242007)
