"""What would happen if: the rules asked about any moment, about the past, and about what was decided before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa

from geofences.sql import queries
from geofences.store import device_id_for
from offers.decisions import encode_gates
from offers.explain import explain_row
from tests.support.api import problem
from tests.support.live import CONSENTS, Live, Shop, living

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.servers

LUNCH = {"weekly": [{"days": ["mo", "tu", "we", "th", "fr", "sa", "su"], "start": "11:00", "end": "14:00"}]}


@pytest.fixture(scope="module")
def live(new_database_url: Callable[[], str], redis_url: str) -> Iterator[Live]:
    with living(new_database_url(), redis_url) as running:
        yield running


@pytest.fixture
def shop(live: Live) -> Shop:
    return live.shop()


def _supposed(shop: Shop, campaign: str, **asked: Any) -> dict[str, Any]:
    answer = shop.server.get(f"/v1/campaigns/{campaign}/explain", params=asked)
    assert answer.status_code == 200, answer.text
    (found,) = answer.json()["items"]
    assert (found["decision_id"], found["reproduced"]) == (None, None)
    return dict(found)


@pytest.mark.parametrize(
    ("at", "outcome", "reason"),
    [
        ("2026-06-01T12:00:00+03:00", "offered", None),
        ("2026-06-01T10:59:59+03:00", "suppressed", "window"),
        ("2026-06-01T14:00:00+03:00", "suppressed", "window"),
        # in winter the same instant of the day is another hour of the store
        ("2026-12-01T08:59:59+00:00", "suppressed", "window"),
        ("2026-12-01T09:00:00+00:00", "offered", None),
    ],
)
def test_anybody_is_supposed_at_any_time_in_the_stores_own_time(
    shop: Shop, at: str, outcome: str, reason: str | None
) -> None:
    campaign = shop.campaign(
        live=False, windows=LUNCH, holdout_share=0.9, audience={"not": {"attribute": "x", "is": 1}}
    )
    found = _supposed(shop, campaign, at=at)
    assert (found["outcome"], found["reason"], found["store_id"]) == (outcome, reason, shop.store_id)


def test_a_device_is_supposed_with_all_that_is_known_of_it(shop: Shop) -> None:
    campaign = shop.campaign(audience={"attribute": "tier", "is": "gold"})
    shop.device("anna", attributes={"tier": "gold"})
    shop.device("bert", attributes={"tier": "tin"})
    shop.device("carl", attributes={"tier": "gold"}, consents=CONSENTS[:1])
    found = {
        name: _supposed(shop, campaign, device_id=name, store_id=shop.store_id)["reason"]
        for name in ("anna", "bert", "carl")
    }
    assert found == {"anna": None, "bert": "audience", "carl": "consent"}


def test_a_cap_that_is_used_up_is_free_again_when_its_window_is_over(shop: Shop) -> None:
    campaign = shop.campaign(caps=[{"count": 1, "window_s": 3600}])
    shop.device("anna")
    shop.enter("anna")
    shop.decision(campaign, "anna")
    now = datetime.now(UTC)
    for at, reason in ((now + timedelta(minutes=1), "cap"), (now + timedelta(hours=2), None)):
        assert _supposed(shop, campaign, device_id="anna", at=at.isoformat())["reason"] == reason
    before = _supposed(shop, campaign, device_id="anna", at=(now - timedelta(hours=1)).isoformat())
    assert before["reason"] is None


def test_supposing_changes_nothing(shop: Shop) -> None:
    campaign = shop.campaign(stock=1)
    shop.device("anna")
    for _ in range(3):
        assert _supposed(shop, campaign, device_id="anna", store_id=shop.store_id)["outcome"] == "offered"
    assert shop.server.get(f"/v1/campaigns/{campaign}").json()["reserved"] == 0
    assert shop.decisions(campaign, "anna") == []


def test_a_campaign_with_many_places_must_be_told_which(shop: Shop) -> None:
    everywhere = shop.campaign(stores=[])
    problem(shop.server.get(f"/v1/campaigns/{everywhere}/explain"), 422, "invalid-campaign")
    found = _supposed(shop, everywhere, fence_id=shop.fence_id)
    assert (found["outcome"], found["store_id"]) == ("offered", shop.store_id)
    problem(shop.server.get(f"/v1/campaigns/{everywhere}/explain", params={"store_id": "999999999"}), 404, "not-found")


def test_another_tenants_store_is_no_place_to_suppose(live: Live, shop: Shop) -> None:
    other = live.shop()
    campaign = shop.campaign(stores=[])
    answer = shop.server.get(f"/v1/campaigns/{campaign}/explain", params={"store_id": other.store_id})
    problem(answer, 404, "not-found")


def test_a_dry_run_tells_what_the_campaign_would_have_done(shop: Shop) -> None:
    decided = shop.campaign(caps=[])
    for name, tier in (("anna", "gold"), ("bert", "tin"), ("carl", "gold"), ("dora", "gold")):
        shop.device(name, attributes={"tier": tier})
        shop.enter(name)
        shop.decision(decided, name)
    shop.leave_and_enter("anna")
    shop.decision(decided, "anna", n=2)
    draft = shop.campaign(live=False, stock=2, caps=[{"count": 1}], audience={"attribute": "tier", "is": "gold"})
    answer = shop.server.post(f"/v1/campaigns/{draft}/dry-run", json={"days": 1})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["decisions"] == {"offered": 2, "held_out": 0, "suppressed": 3}
    assert found["suppressed"] == {"audience": 1, "stock": 1, "cap": 1}
    assert (found["events"], found["devices"], found["complete"]) == (5, 2, True)
    assert found["by_store"] == {shop.store_id: 2}
    assert shop.server.get(f"/v1/campaigns/{draft}").json()["reserved"] == 0


def test_a_scheduled_campaign_cannot_be_run_over_events(shop: Shop) -> None:
    campaign = shop.campaign(live=False, trigger={"type": "scheduled", "at": "12:00"})
    problem(shop.server.post(f"/v1/campaigns/{campaign}/dry-run", json={}), 422, "invalid-campaign")


def test_all_decisions_of_a_day_say_the_same_when_asked_again_after_everything_was_edited(live: Live) -> None:
    """Campaign, store and device change after the decisions: what they rested on does not."""
    shop = live.shop(opening_hours="24/7")
    campaigns = [
        shop.campaign(windows={"only_while_open": True}, stock=3, caps=[{"count": 1}]),
        shop.campaign(audience={"attribute": "tier", "is": "gold"}, holdout_share=0.5, cool_down_s=1),
    ]
    names = [f"device {n}" for n in range(8)]
    for n, name in enumerate(names):
        shop.device(name, attributes={"tier": "gold" if n % 2 else "tin"}, timezone="Asia/Tokyo")
        shop.enter(name)
    for campaign in campaigns:
        for name in names:
            shop.decision(campaign, name)
        shop.server.post(f"/v1/campaigns/{campaign}/pause")
        body = {"name": "New", "offer": {"kind": "other"}, "creatives": [{"title": "x"}], "staleness_s": 1, "caps": []}
        assert shop.server.put(f"/v1/campaigns/{campaign}", json=body).status_code == 200
    for name in names:
        shop.device(name, attributes={"tier": "lead"}, timezone="Europe/Lisbon")
    with live.api.system.begin() as connection:
        changed = sa.text("UPDATE geofences.stores SET opening_hours = 'off', timezone = 'UTC' WHERE store_id = :id")
        connection.execute(changed, {"id": int(shop.store_id)})
        rows = [
            row
            for campaign in campaigns
            for name in names
            for row in connection.execute(
                queries("offers")["stored_decisions"],
                {
                    "campaign_id": int(campaign),
                    "device_id": device_id_for(shop.tenant.tenant_id, name),
                    "limit": 10,
                },
            )
        ]
    assert len(rows) == 16
    assert {row.outcome for row in rows} >= {"offered", "suppressed"}
    for row in rows:
        again = explain_row(row)
        assert again.reproduced, row
        assert again.decision is not None
        assert msgspec.json.decode(encode_gates(again.decision)) == row.gates


def test_after_an_erasure_a_decision_is_no_longer_asked_again(shop: Shop, live: Live) -> None:
    campaign = shop.campaign(audience={"attribute": "tier", "is": "gold"})
    shop.device("anna", attributes={"tier": "gold"})
    shop.enter("anna")
    shop.decision(campaign, "anna")
    assert shop.server.delete("/v1/devices/anna").status_code == 200
    with live.api.system.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT facts::text, gates::text FROM offers.decisions WHERE campaign_id = :id"),
            {"id": int(campaign)},
        ).all()
    assert [row.facts for row in rows] == ["{}"]
    assert "gold" not in rows[0].gates
