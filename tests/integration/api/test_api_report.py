"""A campaign's report equals a recount of the raw rows, in all and however it is cut, and tells of no few people."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.store import use_tenant
from offers import funnel
from offers.funnel import COUNTS, REASONS, Asked
from offers.model import CampaignId, Outcome
from offers.store import get_campaign
from offers.tables import decisions
from tests.support.api import problem
from tests.support.funnels import CLOCK_CHANGES, WINDOW_S, Past

if TYPE_CHECKING:
    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers

SEED = 1
MOMENTS = 500
K = 5


@pytest.fixture(scope="module")
def past(api: Api) -> Past:
    return Past.invent(api, api.tenant(), seed=SEED, moments=MOMENTS)


def _report(past: Past, campaign_id: int, **params: Any) -> dict[str, Any]:
    answer = past.tenant.secret.get(f"/v1/campaigns/{campaign_id}/report", params=params)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _funnel(item: dict[str, Any]) -> dict[str, Any]:
    return {word: item[word] for word in (*COUNTS, *REASONS, "revenue")}


def test_in_all_it_equals_a_recount(past: Past) -> None:
    for campaign_id in past.campaigns:
        report = _report(past, campaign_id)
        counted = past.count(campaign_id)["all"]
        assert report["funnel"] == counted
        assert counted["visited"] is not None, "else nothing of it was counted"
        assert (report["k"], report["attribution_s"], report["by"], report["items"]) == (K, WINDOW_S, None, [])
        assert report["decisions"] == {outcome: counted[outcome] for outcome in Outcome}
        assert report["suppressed"] == counted["suppressed_by"]


@pytest.mark.parametrize("channel", ["webpush", "inbox", "fcm"])
def test_messages_of_one_channel_equal_a_recount(past: Past, channel: str) -> None:
    for campaign_id in past.campaigns:
        assert _report(past, campaign_id, channel=channel)["funnel"] == past.count(campaign_id, channel=channel)["all"]


@pytest.mark.parametrize("by", ["hour", "day"])
def test_by_the_stores_own_hours_and_days_it_equals_a_recount(past: Past, by: str) -> None:
    withheld = []
    for campaign_id in past.campaigns:
        items = _report(past, campaign_id, by=by)["items"]
        counted = past.count(campaign_id, past.hour if by == "hour" else past.day)
        assert {item["period"]: _funnel(item) for item in items} == counted
        begun = [datetime.fromisoformat(item["period"]) for item in items]
        assert all(one <= other for one, other in pairwise(begun)), "in order"
        withheld += [item["visited"] is None for item in items]
    assert by == "hour" or set(withheld) == {True, False}, "both kinds of rows were seen"


def test_an_hour_that_comes_twice_has_two_rows(past: Past) -> None:
    items = [item["period"] for one in past.campaigns for item in _report(past, one, by="hour")["items"]]
    assert {"2026-10-25T01:00:00+01:00", "2026-10-25T01:00:00+00:00"} <= set(items)


def test_by_store_it_equals_a_recount_and_comes_in_pages(past: Past) -> None:
    for campaign_id in past.campaigns:
        counted = past.count(campaign_id, lambda row: None if row["store_id"] is None else str(row["store_id"]))
        found: dict[str | None, dict[str, Any]] = {}
        cursor: dict[str, str] = {}
        pages = 0
        while True:
            page = _report(past, campaign_id, by="store", limit=2, **cursor)
            found |= {item["store_id"]: _funnel(item) for item in page["items"]}
            pages += 1
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert (found, pages) == (counted, 3)


def test_a_range_is_of_decisions_whatever_came_of_them_later(past: Past) -> None:
    for campaign_id in past.campaigns:
        decided = sorted(row["decided_at"] for row in past.rows[decisions] if row["campaign_id"] == campaign_id)
        start, end = decided[len(decided) // 4], decided[len(decided) * 3 // 4]
        report = _report(past, campaign_id, **{"from": start.isoformat(), "to": end.isoformat(), "by": "store"})
        assert report["funnel"] == past.count(campaign_id, start=start, end=end)["all"]
        counted = past.count(campaign_id, lambda row: row["store_id"], start=start, end=end)
        assert {item["store_id"]: _funnel(item) for item in report["items"]} == {
            store_id and str(store_id): funnel for store_id, funnel in counted.items()
        }


def test_a_range_of_hours_has_whole_hours_only(past: Past) -> None:
    start, end = CLOCK_CHANGES[1] + timedelta(minutes=7), CLOCK_CHANGES[1] + timedelta(hours=9, minutes=7)
    for campaign_id in past.campaigns:
        items = _report(past, campaign_id, **{"from": start.isoformat(), "to": end.isoformat(), "by": "hour"})["items"]
        counted = past.count(campaign_id, past.hour)
        assert {item["period"]: _funnel(item) for item in items} == {
            hour: funnel for hour, funnel in counted.items() if start <= datetime.fromisoformat(hour) < end
        }


def test_a_file_says_the_same(past: Past) -> None:
    campaign_id = past.campaigns[0]
    for by in (None, "hour", "day", "store"):
        params = {} if by is None else {"by": by}
        answer = past.tenant.secret.get(f"/v1/campaigns/{campaign_id}/report", params={**params, "format": "csv"})
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        report = _report(past, campaign_id, limit=1000, **params)
        items = report["items"] or [report["funnel"]]
        assert len(rows) == len(items)
        for row, item in zip(rows, items, strict=True):
            assert [row[word] for word in COUNTS] == ["" if item[word] is None else str(item[word]) for word in COUNTS]
            assert {word: row.get(f"failed_by.{word}") for word in item["failed_by"]} == {
                word: str(n) for word, n in item["failed_by"].items()
            }
            assert all(float(row[f"revenue.{word}"]) == float(sum_) for word, sum_ in item["revenue"].items())


def test_a_visit_figure_rests_on_people_with_all_their_phones(past: Past) -> None:
    for campaign_id in past.campaigns:
        people = len(past.visitors(campaign_id))
        with past.api.services.api.begin() as connection:
            use_tenant(connection, past.tenant.tenant_id)
            campaign = get_campaign(
                connection, tenant_id=past.tenant.tenant_id, campaign_id=CampaignId(campaign_id)
            ).campaign
            told = [funnel.total(connection, campaign, Asked(), k=k).visited for k in (1, people, people + 1)]
        assert told == [past.count(campaign_id, k=k)["all"]["visited"] for k in (1, people, people + 1)]
        assert told[1] is not None
        assert told[2] is None


def test_fewer_than_k_people_are_withheld_and_others_told_in_steps(api: Api) -> None:
    """Four people more than k visited: the figure says k, and taking one figure from another tells of nobody."""
    few = Past.invent(api, api.tenant(), seed=3, moments=25)
    told = [_report(few, campaign_id)["funnel"]["visited"] for campaign_id in few.campaigns]
    assert told == [few.count(campaign_id)["all"]["visited"] for campaign_id in few.campaigns]
    assert None in told
    assert all(visited is None or visited % K == 0 for visited in told)


def test_what_is_erased_still_counts_as_decided_and_nobody_else_sees_it(api: Api, past: Past) -> None:
    assert any(row["device_id"] == 0 for row in past.rows[decisions])
    stranger = api.tenant()
    problem(stranger.secret.get(f"/v1/campaigns/{past.campaigns[0]}/report"), 404, "not-found")


def test_a_campaign_that_decided_nothing_has_an_empty_report(tenant: TestTenant, past: Past) -> None:
    made = tenant.secret.post(
        "/v1/campaigns",
        json={"name": "New", "offer": {"kind": "percentage", "value": 20}, "creatives": [{"title": "New"}]},
    ).json()
    for by in ("hour", "day", "store"):
        report = tenant.secret.get(f"/v1/campaigns/{made['campaign_id']}/report", params={"by": by}).json()
        assert (report["items"], report["funnel"]["decided"], report["funnel"]["visited"]) == ([], 0, None)
    with past.api.system.begin() as connection:
        connection.execute(sa.text("SELECT geofences.make_partitions('2026-03-01', '2026-03-01')"))
        early = {**past.rows[decisions][0], "decided_at": datetime(2026, 3, 1, tzinfo=UTC), "decision_id": 1}
        early |= {"tenant_id": tenant.tenant_id, "campaign_id": int(made["campaign_id"])}
        connection.execute(sa.insert(decisions), [early, {**past.rows[decisions][0], **early, "decision_id": 2,
            "decided_at": CLOCK_CHANGES[2]}])  # fmt: skip
    path = f"/v1/campaigns/{made['campaign_id']}/report"
    problem(tenant.secret.get(path, params={"by": "hour"}), 422, "malformed")
    of_day = tenant.secret.get(
        path, params={"by": "hour", "from": "2026-02-28T00:00:00Z", "to": "2026-03-02T00:00:00Z"}
    )
    assert [item["decided"] for item in of_day.json()["items"]] == [1]
