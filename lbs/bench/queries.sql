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
