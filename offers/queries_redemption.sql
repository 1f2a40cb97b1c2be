-- Hand-written SQL of claims and redemptions. Each block is EXPLAINed in a test.

-- name: keep_cost
WITH was AS (
    SELECT r.decision_id, r.campaign_id, r.store_id, r.budget_day, r.cost
    FROM offers.reservations AS r
    WHERE r.decision_id = :decision_id AND r.state = 'confirmed' AND r.cost > :cost
    FOR UPDATE
),
kept AS (
    UPDATE offers.reservations AS r SET cost = :cost FROM was WHERE r.decision_id = was.decision_id
)
UPDATE offers.budgets AS b SET reserved = b.reserved - (was.cost - :cost)
FROM was CROSS JOIN LATERAL (VALUES ('total'), ('store:' || was.store_id), ('day:' || was.budget_day)) AS held(scope)
WHERE b.campaign_id = was.campaign_id AND b.scope = held.scope

-- name: held_for_claim
-- what a push keeps for this person, the oldest first: of several they use up the one that ends first
SELECT r.decision_id, r.device_id, r.store_id, r.created_at, r.expires_at
FROM offers.reservations AS r
WHERE r.device_id = ANY(CAST(:device_ids AS bigint[])) AND r.campaign_id = :campaign_id
  AND r.state = 'held' AND r.claimed_at IS NULL AND r.expires_at > :now
ORDER BY r.expires_at, r.decision_id
LIMIT 1

-- name: decided_version
SELECT campaign_version FROM offers.decisions
WHERE tenant_id = :tenant_id AND device_id = :device_id AND decision_id = :decision_id AND decided_at = :decided_at

-- name: claims_of_person
-- devices of one person that had no common user id before may have claims of their own
SELECT claim_id, decision_id, state, expires_at
FROM offers.claims
WHERE campaign_id = :campaign_id AND (person = :person OR device_id = ANY(CAST(:device_ids AS bigint[])))
ORDER BY claim_id

-- name: people_near
-- positions that nothing speaks against, of the phones of whoever holds the code
SELECT count(*) AS known,
       coalesce(bool_or(ST_DWithin(s.location, ST_MakePoint(p.lng, p.lat)::geography, :radius_m)), false) AS near
FROM geofences.positions AS p
JOIN geofences.stores AS s ON s.store_id = :store_id
WHERE p.device_id = ANY(CAST(:device_ids AS bigint[])) AND p.recorded_at > :seen_after AND p.flags = 0

-- name: way_to_till
-- what came between an offer and its redemption at a store
SELECT r.created_at AS offered_at,
       EXISTS (SELECT FROM offers.notifications AS n
               WHERE n.decision_id = r.decision_id AND n.state IN ('sent', 'delivered', 'opened')) AS notified,
       EXISTS (SELECT FROM geofences.visits AS v
               WHERE v.tenant_id = r.tenant_id AND v.device_id = ANY(CAST(:device_ids AS bigint[]))
                 AND v.store_id = :store_id AND v.status IN ('open', 'closed')
                 AND v.entered_at <= :now AND coalesce(v.exited_at, :now) >= r.created_at) AS visited
FROM offers.reservations AS r
WHERE r.decision_id = :decision_id

-- name: redemption_counts
SELECT store_id, state, attributed_to, currency, count(*) AS n, count(*) FILTER (WHERE visited) AS visited,
       sum(amount) AS amount, sum(discount) AS discount
FROM offers.redemptions
WHERE campaign_id = :campaign_id AND redeemed_at >= :start AND redeemed_at < :end
GROUP BY store_id, state, attributed_to, currency
ORDER BY store_id, state, attributed_to, currency

-- name: statement
SELECT x.redemption_id, x.redeemed_at, x.campaign_id, k.name AS campaign, c.code_tail, x.order_id, x.amount,
       x.currency, x.discount, x.state
FROM offers.redemptions AS x
JOIN offers.claims AS c ON c.claim_id = x.claim_id
JOIN offers.campaigns AS k ON k.campaign_id = x.campaign_id
WHERE x.store_id = :store_id AND x.redeemed_at >= :start AND x.redeemed_at < :end
ORDER BY x.redeemed_at, x.redemption_id

-- name: takings
-- as columns, each an array; a claim whose person was erased stands for somebody of its own
SELECT coalesce(array_agg(CAST(extract(epoch FROM x.redeemed_at) * 1000000 AS bigint)), '{}') AS redeemed_us,
       coalesce(array_agg(coalesce(x.person, -x.claim_id)), '{}') AS person,
       coalesce(array_agg(x.currency), '{}') AS currency,
       coalesce(array_agg(CAST(x.amount * 10000 AS bigint)), '{}') AS amount_e4
FROM offers.redemptions AS x
WHERE x.store_id = :store_id AND x.redeemed_at >= :start AND x.redeemed_at < :end AND x.state = 'redeemed'
