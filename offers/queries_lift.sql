-- Hand-written SQL of the lift report. Each block is EXPLAINed in a test.

-- name: lift
-- each person once, by the first lot that was drawn for them; then what they did while the attribution window lasted
WITH drawn AS (
    SELECT DISTINCT ON (person) p.person, d.decided_at, d.root_visit_id, d.outcome = 'held_out' AS held_out,
           CAST(v.definition ->> 'holdout_share' AS double precision) AS share
    FROM offers.decisions AS d
    JOIN geofences.devices AS i ON i.device_id = d.device_id
    JOIN offers.campaign_versions AS v ON v.campaign_id = d.campaign_id AND v.version = d.campaign_version
    CROSS JOIN LATERAL (
        SELECT CASE WHEN i.user_vouched AND i.external_user_id IS NOT NULL THEN 'user ' || i.external_user_id
                    ELSE 'device ' || i.device_id END AS person
    ) AS p
    WHERE d.tenant_id = :tenant_id AND d.campaign_id = :campaign_id
      AND (d.outcome <> 'suppressed' OR d.reason = ANY(CAST(:after_draw AS text[])))
      AND CAST(v.definition ->> 'holdout_share' AS double precision) > 0
    ORDER BY person, d.decided_at, d.decision_id
),
assigned AS (
    SELECT * FROM drawn WHERE decided_at + make_interval(secs => :window_s) <= :now
),
people AS (
    SELECT a.person, a.held_out, i.device_id, a.decided_at, a.root_visit_id
    FROM assigned AS a
    JOIN geofences.devices AS i
        ON i.tenant_id = :tenant_id AND i.user_vouched AND i.external_user_id = substr(a.person, 6)
    WHERE a.person LIKE 'user %'
    UNION ALL
    SELECT a.person, a.held_out, CAST(substr(a.person, 8) AS bigint), a.decided_at, a.root_visit_id
    FROM assigned AS a WHERE a.person LIKE 'device %'
),
places AS (
    SELECT store_id FROM offers.campaign_stores WHERE campaign_id = :campaign_id
    UNION
    SELECT f.store_id FROM offers.campaign_fences AS c JOIN geofences.fences AS f ON f.fence_id = c.fence_id
    WHERE c.campaign_id = :campaign_id AND f.store_id IS NOT NULL
),
visited AS (
    SELECT DISTINCT p.person
    FROM people AS p
    JOIN geofences.visits AS v
        ON v.tenant_id = :tenant_id AND v.device_id = p.device_id
        AND v.entered_at > p.decided_at AND v.entered_at <= p.decided_at + make_interval(secs => :window_s)
        AND v.status IN ('open', 'closed') AND v.root_visit_id IS DISTINCT FROM p.root_visit_id
    WHERE v.store_id IN (SELECT store_id FROM places)
       OR (v.store_id IS NOT NULL AND NOT EXISTS (SELECT FROM places))
),
redeemed AS (
    SELECT p.person, x.currency, sum(x.amount) AS amount
    FROM people AS p
    JOIN offers.claims AS c ON c.device_id = p.device_id AND c.campaign_id = :campaign_id
    JOIN offers.redemptions AS x ON x.claim_id = c.claim_id AND x.state = 'redeemed'
    WHERE x.redeemed_at > p.decided_at AND x.redeemed_at <= p.decided_at + make_interval(secs => :window_s)
    GROUP BY p.person, x.currency
)
SELECT held_out, 'drawn' AS what, NULL AS currency, count(*) AS n, sum(share) AS total,
       sum(share * (1 - share)) AS squares
FROM drawn GROUP BY held_out
UNION ALL
SELECT held_out, 'assigned', NULL, count(*), NULL, NULL FROM assigned GROUP BY held_out
UNION ALL
SELECT a.held_out, 'visited', NULL, count(*), NULL, NULL
FROM visited AS v JOIN assigned AS a ON a.person = v.person GROUP BY a.held_out
UNION ALL
SELECT a.held_out, 'redeemed', NULL, count(DISTINCT r.person), NULL, NULL
FROM redeemed AS r JOIN assigned AS a ON a.person = r.person GROUP BY a.held_out
UNION ALL
SELECT a.held_out, 'revenue', r.currency, count(*), sum(r.amount), sum(r.amount * r.amount)
FROM redeemed AS r JOIN assigned AS a ON a.person = r.person
WHERE r.amount IS NOT NULL GROUP BY a.held_out, r.currency
ORDER BY what, currency, held_out
