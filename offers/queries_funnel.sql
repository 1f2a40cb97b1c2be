-- Hand-written SQL of a campaign's funnel. Each block is EXPLAINed in a test.

-- name: decided_span
SELECT min(decided_at) AS first, max(decided_at) AS last
FROM offers.decisions WHERE tenant_id = :tenant_id AND campaign_id = :campaign_id

-- name: zones_of_places
SELECT DISTINCT timezone FROM offers.places WHERE tenant_id = :tenant_id

-- name: message_counts
-- tests belong to no decision; a message is written at the time of its decision
SELECT channel, state, count(*) AS n
FROM offers.notifications
WHERE campaign_id = :campaign_id AND decision_id IS NOT NULL AND created_at >= :start AND created_at < :end
GROUP BY channel, state
ORDER BY channel, state

-- name: funnel
-- every decision lies in one cell: 0 for all of them, its store, or the local hour or day that periods lists for its zone
WITH periods AS (
    SELECT timezone, array_agg(starts_at ORDER BY starts_at, cell) AS starts,
           array_agg(cell ORDER BY starts_at, cell) AS cells
    FROM unnest(CAST(:timezones AS text[]), CAST(:times AS timestamptz[]), CAST(:cells AS bigint[]))
        AS given(timezone, starts_at, cell)
    GROUP BY timezone
),
decided AS NOT MATERIALIZED (
    SELECT d.decision_id, d.device_id, d.decided_at, d.root_visit_id, d.outcome, d.reason,
           CASE CAST(:by AS text)
               WHEN 'total' THEN 0
               WHEN 'store' THEN coalesce(d.store_id, 0)
               ELSE p.cells[width_bucket(d.decided_at, p.starts)]
           END AS cell
    FROM offers.decisions AS d
    LEFT JOIN offers.places AS l ON l.place_id = d.place_id
    LEFT JOIN periods AS p ON p.timezone = coalesce(l.timezone, 'UTC')
    WHERE d.tenant_id = :tenant_id AND d.campaign_id = :campaign_id AND d.decided_at >= :start AND d.decided_at < :end
),
counted AS MATERIALIZED (
    SELECT cell, outcome, reason, count(*) AS n FROM decided WHERE cell > :after GROUP BY cell, outcome, reason
),
page AS MATERIALIZED (
    SELECT DISTINCT cell FROM counted ORDER BY cell LIMIT :limit
),
offered AS MATERIALIZED (
    SELECT decision_id, device_id, decided_at, root_visit_id, cell
    FROM decided
    WHERE outcome = 'offered' AND cell IN (SELECT cell FROM page)
),
reached AS MATERIALIZED (
    SELECT o.decision_id, o.cell, o.device_id, o.decided_at, o.root_visit_id,
           bool_or(n.state IN ('queued', 'sending')) AS queued,
           bool_or(n.state IN ('sent', 'delivered', 'opened')) AS sent,
           bool_or(n.delivered_at IS NOT NULL) AS delivered, bool_or(n.displayed_at IS NOT NULL) AS displayed,
           bool_or(n.opened_at IS NOT NULL) AS opened, bool_or(n.dismissed_at IS NOT NULL) AS dismissed,
           bool_or(n.state = 'failed') AS failed, bool_or(n.state = 'expired') AS expired,
           bool_or(n.state = 'suppressed') AS withheld
    FROM offered AS o
    JOIN offers.notifications AS n ON n.decision_id = o.decision_id
    WHERE n.campaign_id = :campaign_id AND (CAST(:channel AS text) IS NULL OR n.channel = :channel)
    GROUP BY o.decision_id, o.cell, o.device_id, o.decided_at, o.root_visit_id
),
ended AS (
    SELECT o.cell, n.state, coalesce(n.reason, 'unknown') AS reason, count(DISTINCT n.decision_id) AS n
    FROM offers.notifications AS n
    JOIN offered AS o ON o.decision_id = n.decision_id
    WHERE n.campaign_id = :campaign_id AND n.state IN ('failed', 'suppressed')
      AND (CAST(:channel AS text) IS NULL OR n.channel = :channel)
    GROUP BY o.cell, n.state, coalesce(n.reason, 'unknown')
),
sent AS (
    SELECT r.decision_id, r.cell, r.device_id, r.decided_at, r.root_visit_id,
           CASE WHEN i.user_vouched THEN i.external_user_id END AS person
    FROM reached AS r JOIN geofences.devices AS i ON i.device_id = r.device_id
    WHERE r.sent
),
carried AS (
    -- a person is seen by all their devices
    SELECT s.*, s.device_id AS seen_by FROM sent AS s
    UNION ALL
    SELECT s.*, i.device_id
    FROM sent AS s
    JOIN geofences.devices AS i
        ON i.tenant_id = :tenant_id AND i.user_vouched AND i.external_user_id = s.person AND i.device_id <> s.device_id
    WHERE s.person IS NOT NULL
),
places AS (
    SELECT store_id FROM offers.campaign_stores WHERE campaign_id = :campaign_id
    UNION
    SELECT f.store_id FROM offers.campaign_fences AS c JOIN geofences.fences AS f ON f.fence_id = c.fence_id
    WHERE c.campaign_id = :campaign_id AND f.store_id IS NOT NULL
),
came AS (
    SELECT v.device_id, v.entered_at, v.root_visit_id
    FROM geofences.visits AS v
    WHERE v.tenant_id = :tenant_id AND v.status IN ('open', 'closed') AND v.store_id IS NOT NULL
      AND v.entered_at > :start AND v.entered_at <= CAST(:end AS timestamptz) + make_interval(secs => :window_s)
      AND (v.store_id IN (SELECT store_id FROM places) OR NOT EXISTS (SELECT FROM places))
),
visited AS (
    SELECT DISTINCT c.decision_id, c.cell, coalesce('user ' || c.person, 'device ' || c.device_id) AS person
    FROM carried AS c
    JOIN came AS v ON v.device_id = c.seen_by
        AND v.entered_at > c.decided_at AND v.entered_at <= c.decided_at + make_interval(secs => :window_s)
        AND v.root_visit_id IS DISTINCT FROM c.root_visit_id
),
claimed AS MATERIALIZED (
    SELECT o.cell, c.claim_id
    FROM offered AS o JOIN offers.claims AS c ON c.decision_id = o.decision_id
    WHERE c.campaign_id = :campaign_id
),
redeemed AS MATERIALIZED (
    SELECT c.cell, x.currency, x.amount
    FROM claimed AS c JOIN offers.redemptions AS x ON x.claim_id = c.claim_id AND x.state = 'redeemed'
)
SELECT cell, outcome AS what, reason AS detail, n, CAST(NULL AS bigint) AS people, CAST(NULL AS numeric) AS amount
FROM counted JOIN page USING (cell)
UNION ALL
SELECT cell, what, NULL, n, NULL, NULL
FROM (
    SELECT cell, count(*) FILTER (WHERE queued) AS queued, count(*) FILTER (WHERE sent) AS sent,
           count(*) FILTER (WHERE delivered) AS delivered, count(*) FILTER (WHERE displayed) AS displayed,
           count(*) FILTER (WHERE opened) AS opened, count(*) FILTER (WHERE dismissed) AS dismissed,
           count(*) FILTER (WHERE failed) AS failed, count(*) FILTER (WHERE expired) AS expired,
           count(*) FILTER (WHERE withheld) AS withheld
    FROM reached GROUP BY cell
) AS steps
CROSS JOIN LATERAL (
    VALUES ('queued', queued), ('sent', sent), ('delivered', delivered), ('displayed', displayed), ('opened', opened),
           ('dismissed', dismissed), ('failed', failed), ('expired', expired), ('withheld', withheld)
) AS step(what, n)
UNION ALL
SELECT cell, state || '_by', reason, n, NULL, NULL FROM ended
UNION ALL
SELECT cell, 'visited', NULL, count(*), count(DISTINCT person), NULL FROM visited GROUP BY cell
UNION ALL
SELECT cell, 'claimed', NULL, count(*), NULL, NULL FROM claimed GROUP BY cell
UNION ALL
SELECT cell, 'redeemed', NULL, count(*), NULL, NULL FROM redeemed GROUP BY cell
UNION ALL
SELECT cell, 'revenue', currency, count(*), NULL, sum(amount) FROM redeemed WHERE amount IS NOT NULL GROUP BY cell, currency
ORDER BY cell
