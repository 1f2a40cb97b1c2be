"""Searches over HTTP: every parameter, every order, pages while things change, and what is never shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from offers.tables import campaigns
from tests.support.api import HELSINKI, Api, TestTenant, problem, wait_for

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.servers

ROUTES = ("/v1/stores/nearby", "/v1/offers/nearby")
CAMPAIGN: dict[str, Any] = {"name": "c", "offer": {"kind": "percentage", "value": 20}, "creatives": [{"title": "Deal"}]}


def put_campaign(tenant: TestTenant, **given: Any) -> str:
    answer = tenant.secret.post("/v1/campaigns", json={**CAMPAIGN, **given})
    assert answer.status_code == 201, answer.text
    campaign_id = str(answer.json()["campaign_id"])
    for move in ("submit", "approve"):
        assert tenant.secret.post(f"/v1/campaigns/{campaign_id}/{move}").status_code == 200
    return campaign_id


def north(metres: float) -> dict[str, float]:
    return {"lat": HELSINKI["lat"] + metres / 111_400, "lng": HELSINKI["lng"]}


def ask(tenant: TestTenant, route: str = ROUTES[1], **asked: Any) -> dict[str, Any]:
    answer = tenant.app.get(route, params={**HELSINKI, **asked})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def names(tenant: TestTenant, route: str = ROUTES[1], **asked: Any) -> list[str]:
    return [item["external_id"] for item in ask(tenant, route, **asked)["items"]]


def settled(tenant: TestTenant, stores: int, offers: int) -> None:
    """Waits until the API's memory has so many stores, and so many of them with an offer."""
    wait_for(lambda: len(names(tenant, ROUTES[0])) == stores and len(names(tenant)) == offers)


@pytest.fixture
def street(tenant: TestTenant) -> TestTenant:
    """Four stores northwards with an offer each, and one without."""
    given: list[dict[str, Any]] = [
        {"name": "Café Ursula", "brand": "Ursula", "categories": ["cafe"]},
        {"name": "星巴克\uff08国贸店\uff09", "brand": "Starbucks", "categories": ["cafe"], "opening_hours": "24/7"},
        {"name": "Hauptstraße 3", "categories": ["books"], "opening_hours": "off"},
        {"name": "Kahvila", "address": "Bulevardi 9"},
        {"name": "Nothing"},
    ]
    offers: list[dict[str, Any]] = [
        {"offer": {"kind": "percentage", "value": 30}},
        {"offer": {"kind": "amount", "value": 2, "currency": "EUR"}, "creatives": [{"title": "Ilmainen pulla"}]},
        {"offer": {"kind": "gift"}, "windows": {"last_day": _days_on(2)}},
        {"offer": {"kind": "amount", "value": 3, "currency": "EUR"}, "windows": {"last_day": _days_on(1)}},
    ]
    for i, body in enumerate(given, start=1):
        tenant.store(f"s{i}", **north(100 * i), **body)
    for i, body in enumerate(offers, start=1):
        put_campaign(tenant, stores=[f"s{i}"], **body)
    settled(tenant, 5, 4)
    return tenant


def _days_on(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "cafe"}, ["s1", "s2"]),
        ({"q": "URSULA café"}, ["s1"]),
        ({"q": "国贸星巴克"}, ["s2"]),
        ({"q": "國貿"}, ["s2"]),
        ({"q": "hauptstrasse"}, ["s3"]),
        ({"q": "bul kahvila"}, ["s4"]),
        ({"q": "s3"}, ["s3"]),
        ({"q": "ulevar"}, ["s4"]),
        ({"q": "nobody"}, []),
        ({"q": "-"}, []),
        ({"category": "CAFÉ"}, ["s1", "s2"]),
        ({"brand": "starbucks", "category": "cafe"}, ["s2"]),
        ({"radius_m": 250}, ["s1", "s2"]),
        ({"radius_m": 250, "q": "kahvila"}, []),
        ({"open_now": True}, ["s2"]),
        ({"open_at": "2027-01-01T03:00:00Z"}, ["s2"]),
        ({"limit": 1}, ["s1"]),
    ],
)
def test_a_parameter_means_the_same_in_both_searches(
    street: TestTenant, route: str, asked: dict[str, Any], found: list[str]
) -> None:
    assert names(street, route, **asked) == found


def test_offers_are_found_by_their_titles_too(street: TestTenant) -> None:
    assert names(street, q="pulla") == ["s2"]
    assert names(street, q="starbucks ilmainen") == ["s2"]
    assert names(street, ROUTES[0], q="pulla") == []


def test_offers_are_sorted_by_distance_value_or_end(street: TestTenant) -> None:
    assert names(street) == ["s1", "s2", "s3", "s4"]
    assert names(street, sort="distance") == ["s1", "s2", "s3", "s4"]
    assert names(street, sort="value") == ["s4", "s2", "s1", "s3"]
    assert names(street, sort="ends_soon") == ["s4", "s3", "s1", "s2"]
    assert names(street, ROUTES[0], sort="value") == ["s4", "s2", "s1", "s3", "s5"]
    assert names(street, ROUTES[0], sort="ends_soon") == ["s4", "s3", "s1", "s2", "s5"]


def test_a_search_sorted_by_offers_looks_five_kilometres_far_unless_told(tenant: TestTenant) -> None:
    tenant.store("near", **north(4_900))
    tenant.store("far", **north(5_100))
    put_campaign(tenant)
    settled(tenant, 2, 2)
    assert names(tenant, sort="value") == ["near"]
    assert names(tenant, sort="ends_soon", radius_m=6_000) == ["near", "far"]
    assert names(tenant) == ["near", "far"]


def pages(client: httpx.Client, route: str, **asked: Any) -> list[list[str]]:
    found, cursor = [], None
    while True:
        answer = client.get(route, params={**HELSINKI, **asked, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found.append([item["external_id"] for item in answer.json()["items"]])
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("sort", ["distance", "value", "ends_soon"])
def test_pages_put_together_are_the_whole(street: TestTenant, route: str, sort: str) -> None:
    whole = names(street, route, sort=sort)
    for limit in (1, 2, 3):
        assert list(chain(*pages(street.app, route, sort=sort, limit=limit))) == whole
    assert pages(street.app, route, sort=sort, limit=len(whole)) == [whole]


def test_a_page_goes_on_where_the_last_ended_though_stores_came_and_went(street: TestTenant) -> None:
    first = ask(street, limit=2)
    street.store("s0", **north(50), name="Newcomer")
    put_campaign(street, stores=["s0"])
    s1 = street.secret.get("/v1/stores", params={"external_id": "s1"}).json()["items"][0]["store_id"]
    assert street.secret.delete(f"/v1/stores/{s1}").status_code == 204
    wait_for(lambda: names(street) == ["s0", "s2", "s3", "s4"])
    assert names(street, limit=2, cursor=first["next_cursor"]) == ["s3", "s4"]


@pytest.mark.parametrize(
    "changed",
    [{"q": "s"}, {"sort": "value"}, {"radius_m": 900}, {"open_now": True}, {"lat": 60.1}, {"category": "cafe"}],
)
def test_a_cursor_of_another_search_is_refused(street: TestTenant, changed: dict[str, Any]) -> None:
    cursor = ask(street, limit=1)["next_cursor"]
    answer = street.app.get(ROUTES[1], params={**HELSINKI, "limit": 1, "cursor": cursor, **changed})
    refused = problem(answer, 422, "malformed")
    assert refused["errors"] == [
        {"where": "query.cursor", "message": "a cursor of another search: repeat all parameters of the page before"}
    ]


def test_a_cursor_of_another_route_or_tenant_or_made_up_is_refused(api: Api, street: TestTenant) -> None:
    cursor = ask(street, limit=1)["next_cursor"]
    problem(street.app.get(ROUTES[0], params={**HELSINKI, "cursor": cursor}), 422, "malformed")
    problem(api.tenant().app.get(ROUTES[1], params={**HELSINKI, "cursor": cursor}), 422, "malformed")
    for text in ("x", "e30", cursor[:-4], cursor + "AAAA"):
        problem(street.app.get(ROUTES[1], params={**HELSINKI, "cursor": text}), 422, "malformed")


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "wrong",
    [
        {"sort": "price"},
        {"open_now": True, "open_at": "2026-06-01T12:00:00Z"},
        {"radius_m": 0},
        {"cell": "891126d338fffff"},
        {"limit": 1001},
        {"q": ""},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(tenant: TestTenant, route: str, wrong: dict[str, Any]) -> None:
    problem(tenant.app.get(route, params={**HELSINKI, **wrong}), 422, "malformed")


def test_what_sells_out_disappears_at_once_and_comes_back(api: Api, tenant: TestTenant) -> None:
    tenant.store("s1")
    campaign_id = put_campaign(tenant, stock=1)
    settled(tenant, 1, 1)

    def reserve(n: int) -> None:
        with api.system.begin() as connection:
            chosen = campaigns.c.campaign_id == int(campaign_id)
            connection.execute(sa.update(campaigns).where(chosen).values(reserved=n))

    reserve(1)
    for sort in ("distance", "value", "ends_soon"):
        assert names(tenant, sort=sort) == []
    assert names(tenant, ROUTES[0], sort="value") == ["s1"]
    reserve(0)
    assert names(tenant) == ["s1"]


def test_stores_are_open_in_their_own_zone_and_offers_on_in_it(tenant: TestTenant) -> None:
    zones = ("Europe/Helsinki", "Asia/Tokyo", "America/New_York")
    for name in zones:
        tenant.store(name, timezone=name, opening_hours="Mo-Su 09:00-17:00")
    days = ["mo", "tu", "we", "th", "fr", "sa", "su"]
    put_campaign(
        tenant, windows={"weekly": [{"days": days, "start": "09:00", "end": "12:00"}], "only_while_open": True}
    )
    wait_for(lambda: len(names(tenant, ROUTES[0])) == 3)
    for hour in range(0, 24, 2):
        at = datetime(2027, 3, 10, hour, 30, tzinfo=UTC)
        local = {name: at.astimezone(ZoneInfo(name)).hour for name in zones}
        asked = {"open_at": at.isoformat()}
        assert names(tenant, ROUTES[0], **asked) == [name for name in zones if 9 <= local[name] < 17]
        wait_for(lambda asked=asked, local=local: names(tenant, **asked) == [n for n in zones if 9 <= local[n] < 12])  # type: ignore[misc]


def test_an_hour_that_comes_twice_is_open_twice_and_one_left_out_never(tenant: TestTenant) -> None:
    tenant.store("night", opening_hours="Mo-Su 03:00-04:00")  # Helsinki turns its clocks at 01:00 UTC

    def is_open(at: str) -> bool:
        return names(tenant, ROUTES[0], open_at=at) == ["night"]

    wait_for(lambda: names(tenant, ROUTES[0]))
    assert [is_open(f"2026-10-25T{at}:00Z") for at in ("00:30", "01:30", "02:30")] == [True, True, False]
    assert [is_open(f"2026-03-29T{at}:00Z") for at in ("00:30", "01:00", "01:30")] == [False, False, False]


def test_anonymous_and_known_shoppers_see_the_same_offers(street: TestTenant) -> None:
    anna = street.device("anna")
    own = anna.get(ROUTES[1], params=HELSINKI)
    assert own.status_code == 200
    assert own.json()["items"] == ask(street)["items"]


def test_a_stores_best_offer_comes_first(tenant: TestTenant) -> None:
    tenant.store("s1")
    small = put_campaign(tenant, offer={"kind": "percentage", "value": 5})
    large = put_campaign(tenant, offer={"kind": "percentage", "value": 50})
    wait_for(lambda: len(ask(tenant)["items"][0]["offers"]) == 2 if ask(tenant)["items"] else False)
    (item,) = ask(tenant)["items"]
    assert [offer["campaign_id"] for offer in item["offers"]] == [large, small]


def test_a_device_sees_offers_for_its_audience_and_anybody_else_does_not(tenant: TestTenant) -> None:
    store = tenant.store()
    gold = put_campaign(tenant, stores=[store["store_id"]], audience={"attribute": "tier", "is": "gold"})
    anna, bert = tenant.device("anna", attributes={"tier": "gold"}), tenant.device("bert")

    def seen(client: httpx.Client) -> list[str]:
        items = client.get("/v1/offers/nearby", params=HELSINKI).json()["items"]
        return [offer["campaign_id"] for item in items for offer in item["offers"]]

    assert wait_for(lambda: seen(anna)) == [gold]
    assert seen(bert) == seen(tenant.app) == []


def test_what_a_person_has_used_is_shown_to_others_only(tenant: TestTenant) -> None:
    store = tenant.store()
    once = put_campaign(tenant, stores=[store["store_id"]])
    phone = tenant.device("phone", external_user_id="anna")
    tablet, other = tenant.device("tablet", external_user_id="anna"), tenant.device("other")

    def seen(client: httpx.Client) -> list[str]:
        items = client.get("/v1/offers/nearby", params=HELSINKI).json()["items"]
        return [offer["campaign_id"] for item in items for offer in item["offers"]]

    assert wait_for(lambda: seen(phone)) == [once]
    claim = phone.post("/v1/claims", json={"campaign_id": once, "device_id": "phone"}).json()
    assert seen(phone) == [once]
    used = {"code": claim["code"], "store_id": store["store_id"], "order_id": "1"}
    assert tenant.secret.post("/v1/redemptions/verify", json=used).status_code == 200
    assert (seen(phone), seen(tablet), seen(other)) == ([], [], [once])


def test_an_offer_whose_money_is_spent_is_not_shown(tenant: TestTenant) -> None:
    store = tenant.store()
    offer = {"kind": "amount", "value": 5, "currency": "EUR"}
    paid = put_campaign(tenant, stores=[store["store_id"]], offer=offer, budget={"currency": "EUR", "total": 7.5})

    def seen() -> list[str]:
        items = tenant.app.get("/v1/offers/nearby", params=HELSINKI).json()["items"]
        return [one["campaign_id"] for item in items for one in item["offers"]]

    assert wait_for(seen) == [paid]
    phone = tenant.device("phone")
    claimed = phone.post("/v1/claims", json={"campaign_id": paid, "device_id": "phone", "store_id": store["store_id"]})
    assert claimed.status_code == 200, claimed.text
    assert seen() == []
