-- Vector tiles. Rows are found by cell numbers: the operators of PostGIS lose their index under row-level security.

-- name: tile_stores
-- what the process has in memory, written as a tile
SELECT ST_AsMVT(mark, 'stores', 4096, 'geom')
FROM (
    SELECT ST_AsMVTGeom(ST_SetSRID(ST_MakePoint(x_m, y_m), 3857), ST_TileEnvelope(:z, :x, :y), 4096, 64) AS geom,
           store_id, external_id, name, count
    FROM unnest(CAST(:xs_m AS float8[]), CAST(:ys_m AS float8[]), CAST(:store_ids AS text[]),
                CAST(:external_ids AS text[]), CAST(:names AS text[]), CAST(:counts AS int[]))
        AS given(x_m, y_m, store_id, external_id, name, count)
) AS mark

-- name: tile_fences
-- on the map a circle is an ellipse, whose halves follow from the radii of curvature of WGS 84 at its latitude
WITH near AS (
    SELECT DISTINCT c.fence_id, c.version
    FROM unnest(CAST(:lows AS bigint[]), CAST(:highs AS bigint[])) AS span(low, high)
    JOIN geofences.fence_cells AS c ON c.tenant_id = :tenant_id AND c.cell BETWEEN span.low AND span.high
),
found AS (
    SELECT f.fence_id, f.external_id, f.name, f.store_id, v.kind, v.radius_m, v.area,
           radians(ST_Y(v.center::geometry)) AS lat, ST_X(v.center::geometry) AS lng,
           6378137 / sqrt(1 - 0.00669437999014 * power(sin(radians(ST_Y(v.center::geometry))), 2)) AS across_m
    FROM near
    JOIN geofences.fences AS f ON f.fence_id = near.fence_id AND f.version = near.version
    JOIN geofences.fence_versions AS v ON v.fence_id = near.fence_id AND v.version = near.version
    WHERE f.tenant_id = :tenant_id AND f.deleted_at IS NULL AND (v.center IS NULL OR abs(ST_Y(v.center::geometry)) < 86)
),
measured AS (
    SELECT found.*,
           6378137 * asin(least(1, sin(radius_m / across_m) / cos(lat))) AS half_m,
           6378137 * asinh(tan(lat + radius_m * power(6378137 / across_m, 2) / 0.99330562000986 / across_m)) AS top_m,
           6378137 * asinh(tan(lat - radius_m * power(6378137 / across_m, 2) / 0.99330562000986 / across_m)) AS foot_m,
           -- on that side of 180 degrees that is nearer to the tile
           6378137 * radians(lng + 360 * round((CAST(:middle_deg AS float8) - lng) / 360)) AS middle_m
    FROM found
),
drawn AS MATERIALIZED (
    SELECT fence_id, external_id, name, store_id, kind, radius_m, ST_AsMVTGeom(
        CASE
            WHEN lat IS NOT NULL THEN ST_SetSRID(
                ST_Translate(
                    ST_Scale(
                        -- more corners for those that look larger
                        ST_Buffer(ST_MakePoint(0, 0), 1, CAST(least(32, 4 + sqrt(half_m / :unit_m)) AS int)),
                        half_m, (top_m - foot_m) / 2
                    ),
                    middle_m, (top_m + foot_m) / 2
                ),
                3857
            )
            WHEN greatest(ST_YMax(area), -ST_YMin(area)) > 85.06
                THEN ST_Transform(ST_ClipByBox2D(area, ST_MakeEnvelope(-180, -85.06, 180, 85.06, 4326)), 3857)
            ELSE ST_Transform(area, 3857)
        END,
        ST_TileEnvelope(:z, :x, :y), 4096, 64
    ) AS geom
    FROM measured
)
SELECT ST_AsMVT(fence, 'fences', 4096, 'geom')
FROM (
    SELECT geom, CAST(fence_id AS text) AS fence_id, external_id, name, kind, CAST(store_id AS text) AS store_id, radius_m
    FROM drawn
    WHERE geom IS NOT NULL
    ORDER BY drawn.fence_id
    LIMIT :most
) AS fence

-- name: cells_in_spans
WITH near AS MATERIALIZED (
    SELECT c.fence_id, c.version, c.cell
    FROM unnest(CAST(:lows AS bigint[]), CAST(:highs AS bigint[])) AS span(low, high)
    JOIN geofences.fence_cells AS c ON c.tenant_id = :tenant_id AND c.cell BETWEEN span.low AND span.high
)
SELECT near.cell, count(DISTINCT near.fence_id) AS fences
FROM near
JOIN geofences.fences AS f ON f.fence_id = near.fence_id AND f.version = near.version
WHERE f.tenant_id = :tenant_id AND f.deleted_at IS NULL
GROUP BY near.cell
ORDER BY near.cell
LIMIT :most

-- name: tile_cells
WITH drawn AS MATERIALIZED (
    SELECT ST_AsMVTGeom(ST_GeomFromWKB(wkb, 3857), ST_TileEnvelope(:z, :x, :y), 4096, 64) AS geom, cell, fences
    FROM unnest(CAST(:wkbs AS bytea[]), CAST(:names AS text[]), CAST(:counts AS int[])) AS given(wkb, cell, fences)
)
SELECT ST_AsMVT(hexagon, 'cells', 4096, 'geom') FROM (SELECT * FROM drawn WHERE geom IS NOT NULL) AS hexagon
