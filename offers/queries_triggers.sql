-- Hand-written SQL of where a campaign's decisions were triggered. Each block is EXPLAINed in a test.

-- name: places_of_tenant
SELECT place_id, lat, lng FROM offers.places WHERE tenant_id = :tenant_id

-- name: triggers
-- what is not published by itself is in no sum either; who was erased has number 0
WITH place AS (
    SELECT * FROM unnest(CAST(:place_ids AS bigint[]), CAST(:fine AS bigint[]), CAST(:cells AS bigint[]))
        AS given(place_id, fine, cell)
),
seen AS MATERIALIZED (
    SELECT place.fine, place.cell, d.device_id, count(*) AS n
    FROM offers.decisions AS d
    JOIN place ON place.place_id = d.place_id
    WHERE d.tenant_id = :tenant_id AND d.campaign_id = :campaign_id AND d.device_id <> 0
      AND NOT EXISTS (
          SELECT FROM geofences.consents AS c
          WHERE c.device_id = d.device_id AND c.purpose = 'analytics' AND NOT c.granted
      )
    GROUP BY place.fine, place.cell, d.device_id
),
published AS (
    SELECT fine FROM seen GROUP BY fine HAVING count(DISTINCT device_id) >= :k
)
SELECT cell, sum(n) AS decisions, count(DISTINCT device_id) AS devices
FROM seen
WHERE fine IN (SELECT fine FROM published)
GROUP BY cell
ORDER BY cell
