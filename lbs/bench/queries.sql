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
