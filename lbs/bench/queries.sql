-- The peers' SQL of `lbs bench engine`. A circle is looked up by a box that holds it and then by its geodesic distance on
-- the ellipsoid: an index on geography would have to be asked for the largest radius of all.

-- name: fence_table
CREATE TABLE bench.fences (
    fence_id integer PRIMARY KEY,
    radius_m float8,
    center geography(Point, 4326),
    shape geometry(Polygon, 4326) NOT NULL
)

-- name: copy_fences
COPY bench.fences (fence_id, radius_m, center, shape) FROM STDIN

-- name: fence_index
CREATE INDEX ix_fences_shape ON bench.fences USING gist (shape)

-- name: prepare_match
PREPARE bench_match (float8, float8) AS
SELECT fence_id
FROM bench.fences
WHERE shape && ST_SetSRID(ST_MakePoint($1, $2), 4326)
  AND CASE WHEN radius_m IS NULL THEN ST_Covers(shape, ST_SetSRID(ST_MakePoint($1, $2), 4326))
           ELSE ST_DWithin(center, ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography, radius_m, true) END

-- name: copy_positions
COPY bench_positions (position, at) FROM STDIN

-- name: position_table
CREATE TEMPORARY TABLE bench_positions (position integer, at geometry(Point, 4326))

-- name: match_join
SELECT p.position, f.fence_id
FROM bench_positions AS p
JOIN bench.fences AS f
  ON f.shape && p.at
 AND CASE WHEN f.radius_m IS NULL THEN ST_Covers(f.shape, p.at)
          ELSE ST_DWithin(f.center, p.at::geography, f.radius_m, true) END

-- The rule of `lbs bench traces`: position by position in order of arrival, as one would write it on PostGIS.

-- name: trace_tables
CREATE TEMPORARY TABLE traced_fences (
    fence_id integer PRIMARY KEY,
    trace integer NOT NULL,
    radius_m float8,
    center geography(Point, 4326),
    shape geometry(MultiPolygon, 4326)
);
CREATE TEMPORARY TABLE traced_positions (
    trace integer NOT NULL,
    arrival integer NOT NULL,
    recorded_us bigint NOT NULL,
    received_us bigint NOT NULL,
    at geometry(Point, 4326) NOT NULL,
    PRIMARY KEY (trace, arrival)
)

-- name: copy_traced_fences
COPY traced_fences (fence_id, trace, radius_m, center, shape) FROM STDIN

-- name: copy_traced_positions
COPY traced_positions (trace, arrival, recorded_us, received_us, at) FROM STDIN

-- name: trace_rule
WITH verdicts AS (
    SELECT p.trace, f.fence_id, p.arrival, p.recorded_us, p.received_us,
           CASE WHEN f.radius_m IS NULL THEN ST_Covers(f.shape, p.at)
                ELSE ST_DWithin(f.center, p.at::geography, f.radius_m, true) END AS inside
    FROM traced_positions AS p
    JOIN traced_fences AS f ON f.trace = p.trace
),
steps AS (
    SELECT *, lag(inside, 1, false) OVER (PARTITION BY fence_id ORDER BY arrival) AS was_inside
    FROM verdicts
),
stays AS (
    SELECT *, count(*) FILTER (WHERE inside AND NOT was_inside) OVER (PARTITION BY fence_id ORDER BY arrival) AS stay
    FROM steps
),
lasting AS (
    SELECT *, recorded_us - first_value(recorded_us) OVER (PARTITION BY fence_id, stay ORDER BY arrival) AS lasted_us
    FROM stays
    WHERE inside
),
dwells AS (
    SELECT DISTINCT ON (fence_id, stay) trace, fence_id, recorded_us, received_us
    FROM lasting
    WHERE lasted_us >= %(dwell_us)s
    ORDER BY fence_id, stay, arrival
)
SELECT 'enter', trace, fence_id, recorded_us, received_us FROM steps WHERE inside AND NOT was_inside
UNION ALL
SELECT 'exit', trace, fence_id, recorded_us, received_us FROM steps WHERE was_inside AND NOT inside
UNION ALL
SELECT 'dwell', trace, fence_id, recorded_us, received_us FROM dwells

-- The oracle of `lbs bench soak`: every believed position of some devices, and whether PostGIS and the ledger hold it
-- inside, fence by fence, in whatever version was in force.

-- name: soak_versions
CREATE TEMPORARY TABLE soak_versions AS
SELECT fence_id, center, radius_m, effective_at, ended_at FROM geofences.fence_versions WHERE tenant_id = :tenant_id

-- name: soak_versions_index
CREATE INDEX ON soak_versions USING gist (center)

-- name: soak_positions
CREATE TEMPORARY TABLE soak_positions AS
SELECT device_id, recorded_at, ST_SetSRID(ST_MakePoint(lng, lat), 4326)::geography AS at
FROM geofences.positions
WHERE device_id = ANY(CAST(:device_ids AS bigint[])) AND flags = 0

-- name: soak_wrong_pairs
WITH expected AS (
    SELECT p.device_id, v.fence_id, p.recorded_at
    FROM soak_positions AS p
    JOIN soak_versions AS v
      ON ST_DWithin(v.center, p.at, :widest_m) AND ST_DWithin(v.center, p.at, v.radius_m, true)
     AND v.effective_at <= p.recorded_at AND (v.ended_at IS NULL OR p.recorded_at < v.ended_at)
),
told AS (
    SELECT p.device_id, v.fence_id, p.recorded_at
    FROM geofences.visits AS v
    JOIN soak_positions AS p
      ON p.device_id = v.device_id AND p.recorded_at >= v.entered_at
     AND (v.exited_at IS NULL OR p.recorded_at < v.exited_at)
    WHERE v.device_id = ANY(CAST(:device_ids AS bigint[])) AND v.status IN ('open', 'closed')
),
differing AS (
    SELECT device_id, fence_id, recorded_at, told.fence_id IS NULL AS missing
    FROM expected FULL JOIN told USING (device_id, fence_id, recorded_at)
    WHERE expected IS NULL OR told IS NULL
)
SELECT (SELECT count(*) FROM soak_positions) AS positions,
       (SELECT count(*) FROM expected) AS pairs,
       count(*) FILTER (WHERE missing) AS missing,
       count(*) FILTER (WHERE NOT missing) AS extra
FROM differing

-- The questions of `lbs bench nearby`. A window or an opening hour is a weekday (1 is Monday) and local minutes [start, end).

-- name: nearby_schema
DROP SCHEMA IF EXISTS nearby CASCADE;
CREATE SCHEMA nearby

-- name: nearby_stores
CREATE TABLE nearby.stores AS
SELECT store_id, location, timezone, categories[1] AS category,
       ' ' || lower(concat_ws(' ', name, brand, categories[1], address, external_id)) AS words
FROM geofences.stores
WHERE tenant_id = %(tenant_id)s AND deleted_at IS NULL

-- name: nearby_store_campaigns
CREATE TABLE nearby.store_campaigns AS
SELECT store_id, campaign_id FROM offers.campaign_stores WHERE tenant_id = %(tenant_id)s

-- name: nearby_spans
CREATE TABLE nearby.windows (campaign_id bigint, day integer, starts integer, ends integer);
CREATE TABLE nearby.hours (store_id bigint, day integer, starts integer, ends integer)

-- name: nearby_campaigns
CREATE TABLE nearby.campaigns AS
SELECT campaign_id, stock IS NULL OR reserved < stock AS left_over,
       (definition #>> '{windows,only_while_open}')::boolean AS only_while_open,
       NOT EXISTS (SELECT FROM nearby.windows AS w WHERE w.campaign_id = c.campaign_id) AS always_on,
       ' ' || lower(definition #>> '{creatives,0,title}') AS words
FROM offers.campaigns AS c
WHERE tenant_id = %(tenant_id)s AND status = 'live';
ALTER TABLE nearby.campaigns ADD PRIMARY KEY (campaign_id)

-- name: nearby_indexes
ALTER TABLE nearby.stores ADD PRIMARY KEY (store_id);
CREATE INDEX ON nearby.stores USING gist (location);
CREATE INDEX ON nearby.store_campaigns (store_id, campaign_id);
CREATE INDEX ON nearby.windows (campaign_id, day);
CREATE INDEX ON nearby.hours (store_id, day)

-- name: nearby_usable
-- what both questions ask of a store: $3 at, $5 patterns of the words
SELECT array_agg(c.campaign_id ORDER BY c.campaign_id) AS campaign_ids
FROM nearby.store_campaigns AS sc
JOIN nearby.campaigns AS c USING (campaign_id)
CROSS JOIN (SELECT $3 AT TIME ZONE s.timezone AS wall) AS l
CROSS JOIN LATERAL (
    SELECT extract(isodow FROM l.wall) AS day,
           floor(extract(hour FROM l.wall) * 60 + extract(minute FROM l.wall)) AS minute
) AS n
WHERE sc.store_id = s.store_id AND c.left_over
  AND ($5 IS NULL OR (s.words || c.words) LIKE ALL ($5))
  AND (c.always_on OR EXISTS (
        SELECT FROM nearby.windows AS w
        WHERE w.campaign_id = c.campaign_id AND w.day = n.day AND w.starts <= n.minute AND n.minute < w.ends))
  AND (NOT c.only_while_open OR EXISTS (
        SELECT FROM nearby.hours AS h
        WHERE h.store_id = s.store_id AND h.day = n.day AND h.starts <= n.minute AND n.minute < h.ends))
HAVING count(*) > 0

-- name: nearby_prepare
PREPARE nearby_offers (float8, float8, timestamptz, text, text[], integer) AS
SELECT store_id, metres, campaign_ids FROM (
    SELECT s.store_id, ST_Distance(s.location, ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography) AS metres,
           u.campaign_ids
    FROM nearby.stores AS s CROSS JOIN LATERAL ({usable}) AS u
    WHERE $4 IS NULL OR s.category = $4
    ORDER BY s.location <-> ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography
    LIMIT $6 + 5
) AS nearest
ORDER BY metres, store_id LIMIT $6

-- name: nearby_prepare_within
PREPARE nearby_offers_within (float8, float8, timestamptz, text, text[], integer, float8) AS
SELECT store_id, metres, campaign_ids FROM (
    SELECT s.store_id, ST_Distance(s.location, ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography) AS metres,
           u.campaign_ids
    FROM nearby.stores AS s CROSS JOIN LATERAL ({usable}) AS u
    WHERE ST_DWithin(s.location, ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography, $7, true)
      AND ($4 IS NULL OR s.category = $4)
    ORDER BY s.location <-> ST_SetSRID(ST_MakePoint($1, $2), 4326)::geography
    LIMIT $6 + 5
) AS nearest
ORDER BY metres, store_id LIMIT $6
