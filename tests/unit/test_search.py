"""Offers near a place: only those that can be used, in the order asked for, page by page while everything changes."""

from __future__ import annotations

import random
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofences.model import StoreId, TenantId
from geofences.store_table import PATIENT_STORES
from offers.errors import TooManyStoresError
from offers.search import MAX_SORTED, Place, Sort
from tests.support.searches import AT, TENANT, Town, campaign, question, store

if TYPE_CHECKING:
    from offers.search import Answer

LUNCH = {"weekly": [{"days": ["we"], "start": "11:00", "end": "14:00"}]}
EVENING = {"weekly": [{"days": ["we"], "start": "18:00", "end": "22:00"}]}


def euros(value: float) -> dict[str, Any]:
    return {"kind": "amount", "value": value, "currency": "EUR"}


def percent(value: float) -> dict[str, Any]:
    return {"kind": "percentage", "value": value}


def campaigns_of(answer: Answer) -> list[int]:
    return [offer.listing.campaign.campaign_id for offer in answer.offers]


def test_only_stores_with_an_offer_that_is_on_are_found_nearest_first() -> None:
    town = Town(
        [store(i, 100 * i) for i in range(1, 7)],
        [
            campaign(1, [4, 2]),
            campaign(2, [1], windows=EVENING),
            campaign(3, [3], windows=LUNCH),
            campaign(4, [5], live=False),
        ],
    )
    assert town.found() == [2, 3, 4]
    assert town.found(at=AT + timedelta(hours=7)) == [1, 2, 4]
    assert town.found(radius_m=250) == [2]
    ends_at = town.offers()[1].offers[0].ends_at
    assert ends_at == AT + timedelta(hours=2)


def test_an_offer_of_all_stores_is_at_each_beside_its_own() -> None:
    town = Town([store(1, 10), store(2, 20)], [campaign(1, [2]), campaign(2)])
    assert [campaigns_of(answer) for answer in town.offers()] == [[2], [1, 2]]


def test_only_while_open_needs_hours_that_say_so() -> None:
    open_now, closed = "Mo-Su 09:00-18:00", "Mo-Su 18:00-19:00"
    stores = [store(1, 1, opening_hours=open_now), store(2, 2, opening_hours=closed), store(3, 3)]
    town = Town(stores, [campaign(1, windows={"only_while_open": True})])
    assert town.found() == [1]
    assert town.offers()[0].offers[0].ends_at == AT + timedelta(hours=6)
    assert town.found(at=AT + timedelta(hours=6)) == [2]


def test_open_now_leaves_out_stores_that_are_closed_or_say_nothing() -> None:
    stores = [store(1, 1, opening_hours="Mo-Su 09:00-18:00"), store(2, 2, opening_hours="We off"), store(3, 3)]
    town = Town(stores, [campaign(1)])
    assert town.found(only_open=True) == [1]
    assert [a.near.store.store_id for a in town.searcher.stores(question(only_open=True))] == [1]


def test_stock_is_asked_for_once_for_a_page_and_what_is_sold_out_gives_way() -> None:
    town = Town(
        [store(i, i) for i in range(1, 9)],
        [campaign(i, [i], stock=5) for i in range(1, 9)],
    )
    assert town.found(limit=3) == [1, 2, 3]
    assert town.asked == [[1, 2, 3]]
    town.sold_out = {1, 3}
    assert town.found(limit=3) == [2, 4, 5]
    town.sold_out = set(range(1, 9))
    town.asked.clear()
    assert town.found(limit=2) == []
    assert list(chain(*town.asked)) == list(range(1, 9))
    assert len(town.asked) == 3


def test_nobody_is_asked_for_stock_that_has_no_limit() -> None:
    town = Town([store(1, 1)], [campaign(1)])
    assert town.found() == [1]
    assert town.asked == []


def test_words_are_looked_for_in_stores_and_in_titles_of_their_offers() -> None:
    town = Town(
        [store(1, 1, name="Café Ursula"), store(2, 2, name="Pizzeria", brand="Luigi"), store(3, 3, name="Kahvila")],
        [campaign(1, [1, 2], title="Free pizza"), campaign(2, [1, 3], title="Kahvi & pulla"), campaign(3, [2])],
    )
    assert town.found(text="cafe") == [1]
    assert [campaigns_of(answer) for answer in town.offers(text="cafe")] == [[1, 2]]
    assert [campaigns_of(answer) for answer in town.offers(text="pizza ursula")] == [[1]]
    assert [campaigns_of(answer) for answer in town.offers(text="pizz")] == [[1], [1, 3]]
    assert town.found(text="kahv") == [1, 3]
    assert town.found(text="luigi kahvi") == []
    assert town.found(text="?") == []


@pytest.mark.parametrize("beside", [None, "everywhere"])
def test_a_rare_word_far_away_is_found_among_thousands(beside: str | None) -> None:
    far = 3 * PATIENT_STORES
    stores = [store(i, i) for i in range(1, far)]
    stores += [store(far, far, name="Quetzalcoatl"), store(far + 1, far + 1)]
    some = [campaign(1, range(1, far + 1)), campaign(2, [far + 1], title="quetzal"), campaign(3, title=beside or "-")]
    town = Town(stores, some)
    assert town.found(text="quetz") == [far, far + 1]
    assert town.found(text="everyw quetz") == ([far] if beside else [])
    assert [a.near.store.store_id for a in town.searcher.stores(question(text="quetz"))] == [far]


def test_another_tenants_offers_and_stores_are_never_found() -> None:
    other = TenantId(2)
    town = Town(
        [store(1, 1), store(2, 2, tenant_id=other)],
        [campaign(1), campaign(2, tenant_id=other), campaign(3, [1], tenant_id=other)],
    )
    assert [campaigns_of(answer) for answer in town.offers()] == [[1]]
    assert town.found(tenant_id=other) == [2]


def test_value_puts_money_before_percentages_before_gifts_and_more_before_less() -> None:
    offers: list[dict[str, Any]] = [
        percent(20),
        euros(5),
        {"kind": "gift"},
        percent(50),
        euros(12),
        {"kind": "other"},
        {"kind": "gift", "value": 3, "currency": "EUR"},
        {"kind": "amount", "value": 100, "currency": "SEK"},
    ]
    some = [campaign(i, [i], offer=offer) for i, offer in enumerate(offers, start=1)]
    town = Town([store(i, 10 * i) for i in range(1, 10)], [*some, campaign(9, [1], offer=percent(10))])
    asked = {"sort": Sort.VALUE, "radius_m": 1_000}
    assert town.found(**asked) == [5, 2, 8, 4, 1, 7, 3, 6]
    assert campaigns_of(town.offers(**asked)[4]) == [1, 9]
    assert [a.near.store.store_id for a in town.searcher.stores(question(**asked))][-1] == 9


def test_ends_soon_puts_what_ends_first_first_and_what_never_ends_last() -> None:
    town = Town(
        [store(i, 10 * i) for i in range(1, 5)],
        [campaign(1, [1]), campaign(2, [1, 2], windows={"last_day": "2026-06-30"}), campaign(3, [3, 4], windows=LUNCH)],
    )
    asked = {"sort": Sort.ENDS_SOON, "radius_m": 1_000}
    assert town.found(**asked) == [3, 4, 1, 2]
    assert campaigns_of(town.offers(**asked)[2]) == [2, 1]


def test_too_many_stores_to_sort_are_refused_and_not_cut() -> None:
    town = Town([store(i, 0) for i in range(1, MAX_SORTED + 2)], [campaign(1)])
    with pytest.raises(TooManyStoresError, match="smaller radius_m"):
        town.found(sort=Sort.VALUE, radius_m=5)
    assert len(town.found(limit=5)) == 5


STORES = 30
sorts = st.sampled_from(list(Sort))


def _random_campaign(rng: random.Random, number: int) -> Any:
    stores = rng.sample(range(1, STORES + 1), rng.randint(1, 6))
    offer = rng.choice([euros(rng.randint(1, 3)), percent(rng.randint(1, 3)), {"kind": "gift"}])
    last_day = {"last_day": f"2026-06-0{rng.randint(2, 9)}"} if rng.random() < 0.5 else {}
    return campaign(number, stores, live=rng.random() < 0.8, offer=offer, windows=last_day)


def _random_store(rng: random.Random, number: int) -> Any:
    return store(number, rng.choice([1, 5, 5, 20, 50]) * rng.randint(1, 3))


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), sort=sorts, size=st.integers(1, 7))
def test_pages_tell_once_whatever_keeps_its_place_while_all_else_changes(seed: int, sort: Sort, size: int) -> None:
    rng = random.Random(seed)
    town = Town([_random_store(rng, i) for i in range(1, STORES + 1)], [_random_campaign(rng, i) for i in range(1, 15)])
    asked = {"sort": sort, "radius_m": 1_000}

    def places() -> dict[int, Place]:
        return {answer.near.store.store_id: answer.place for answer in town.offers(**asked)}

    told: list[tuple[int, Place]] = []
    steady = places()
    after: Place | None = None
    while page := town.offers(**asked, limit=size, after=after):
        told += [(answer.near.store.store_id, answer.place) for answer in page]
        assert len(page) <= size
        after = page[-1].place
        for _ in range(rng.randint(0, 4)):
            if rng.random() < 0.5:
                town.book.apply([_random_campaign(rng, rng.randint(1, 20))])
            else:
                number = rng.randint(1, STORES + 5)
                gone = rng.random() < 0.3
                town.stores.apply([] if gone else [_random_store(rng, number)], gone=[StoreId(number)] if gone else [])
            now = places()
            steady = {number: place for number, place in steady.items() if now.get(number) == place}
    assert [place for _, place in told] == sorted({place for _, place in told})
    numbers = [number for number, _ in told]
    for number, place in steady.items():
        assert (number, place) in told
        assert numbers.count(number) == 1


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), sort=sorts)
def test_answers_are_those_of_a_look_at_every_store_and_campaign(seed: int, sort: Sort) -> None:
    rng = random.Random(seed)
    stores = [_random_store(rng, i) for i in range(1, STORES + 1)]
    some = [_random_campaign(rng, i) for i in range(1, 15)]
    town = Town(stores, some)
    at = AT + timedelta(days=rng.randint(0, 7), hours=rng.randint(0, 23))
    expected = set()
    for row in stores:
        for stored in some:
            definition, live = stored.campaign.definition, stored.campaign.status == "live"
            last_day = definition.windows.last_day
            begun = last_day is None or (at + timedelta(hours=3)).date() <= last_day
            if live and begun and row.store_id in stored.campaign.store_ids:
                expected.add((row.store_id, stored.campaign.campaign_id))
    found = town.offers(at=at, sort=sort, radius_m=1_000)
    pairs = {(answer.near.store.store_id, campaign_id) for answer in found for campaign_id in campaigns_of(answer)}
    assert pairs == expected
    assert [answer.place for answer in found] == sorted(answer.place for answer in found)


def test_a_books_changes_are_as_if_loaded_anew() -> None:
    rng = random.Random(3)
    newest = {i: _random_campaign(rng, i) for i in range(1, 20)}
    town = Town([store(i, i) for i in range(1, STORES + 1)], newest.values())
    for _ in range(30):
        changed = {i: _random_campaign(rng, i) for i in rng.sample(range(1, 25), 4)}
        newest |= changed
        town.book.apply(changed.values())
        anew = Town(campaigns=newest.values()).book.of(TENANT)
        for number in range(1, STORES + 1):
            ours, theirs = (book.at(StoreId(number)).listings for book in (town.book.of(TENANT), anew))
            assert [entry.campaign for entry in ours] == [entry.campaign for entry in theirs]
