"""Campaigns, the inbox and its stream, receipts, traffic, and offers nearby, over HTTP."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from geofences.model import DeviceId
from geofences.store import device_id_for
from geofences.tables import visits
from lbs.auth import create_key
from lbs.tables import KeyKind
from offers.messages import message_id
from offers.tables import campaigns, notifications
from tests.support.api import HELSINKI, Api, TestTenant, problem, wait_for
from tests.support.people import person

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.servers

COFFEE: dict[str, Any] = {
    "name": "Coffee",
    "offer": {"kind": "percentage", "value": 20},
    "creatives": [{"title": "Coffee at {store}"}, {"locale": "fi", "title": "Kahvia: {store}"}],
}
ITEM = {"title": "Coffee", "body": "", "data": {"campaign_id": "1"}}


def _campaign(tenant: TestTenant, *, live: bool = True, **more: Any) -> str:
    answer = tenant.secret.post("/v1/campaigns", json={**COFFEE, **more})
    assert answer.status_code == 201, answer.text
    campaign_id = str(answer.json()["campaign_id"])
    for move in ("submit", "approve") if live else ():
        assert tenant.secret.post(f"/v1/campaigns/{campaign_id}/{move}").status_code == 200
    return campaign_id


def _deliver(api: Api, tenant: TestTenant, campaign_id: str, device: str, number: int) -> str:
    """A message in a device's inbox, as the worker would have put it there."""
    now = datetime.now(UTC)
    with api.system.begin() as connection:
        seq = connection.execute(sa.text("SELECT nextval('offers.inbox_seq')")).scalar_one()
        connection.execute(
            sa.insert(notifications).values(
                notification_id=number,
                tenant_id=tenant.tenant_id,
                decision_id=number,
                campaign_id=int(campaign_id),
                device_id=device_id_for(tenant.tenant_id, device),
                channel="inbox",
                state="sent",
                payload=ITEM,
                created_at=now,
                not_before=now,
                expires_at=now + timedelta(hours=1),
                inbox_seq=seq,
            )
        )
        connection.execute(sa.text("NOTIFY lbs_inbox"))
    return message_id(number)


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(int(datetime.now(UTC).timestamp() * 1e6), 2**62))


def test_a_campaign_lives_from_draft_to_archive(tenant: TestTenant) -> None:
    campaign_id = _campaign(tenant, live=False)
    path = f"/v1/campaigns/{campaign_id}"
    for move, status in (
        ("submit", "submitted"), ("approve", "live"), ("pause", "paused"), ("resume", "live"),
        ("stop", "ended"), ("archive", "archived"),
    ):  # fmt: skip
        assert tenant.secret.post(f"{path}/{move}").json()["status"] == status
    problem(tenant.secret.post(f"{path}/approve"), 409, "conflict")


def test_a_live_campaign_cannot_be_edited_and_a_paused_one_gets_a_new_version(tenant: TestTenant) -> None:
    campaign_id = _campaign(tenant)
    path = f"/v1/campaigns/{campaign_id}"
    problem(tenant.secret.put(path, json={**COFFEE, "name": "Tea"}), 409, "conflict")
    tenant.secret.post(f"{path}/pause")
    changed = tenant.secret.put(path, json={**COFFEE, "name": "Tea"}).json()
    assert (changed["name"], changed["version"]) == ("Tea", 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"stores": ["no such store"]},
        {"windows": {"weekly": [{"days": ["mo"], "start": "25:00", "end": "26:00"}]}},
        {"windows": {"first_day": "2026-06-02", "last_day": "2026-06-01"}},
        {"offer": {"kind": "percentage", "value": 120}},
        {"offer": {"kind": "amount", "value": 5}},
        {"creatives": []},
        {"trigger": {"type": "teleport"}},
        {"trigger": {"type": "scheduled", "at": "12:00"}, "fences": ["1"]},
        {"stock": -1},
        {"nmae": "typo"},
    ],
)
def test_a_campaign_that_makes_no_sense_is_refused_and_not_stored(tenant: TestTenant, wrong: dict[str, Any]) -> None:
    answer = tenant.secret.post("/v1/campaigns", json={**COFFEE, **wrong})
    problem(answer, 422, answer.json()["type"].rpartition("/")[2])
    assert tenant.secret.get("/v1/campaigns").json()["items"] == []


def test_windows_are_previewed_in_the_stores_time(tenant: TestTenant) -> None:
    store = tenant.store(opening_hours="Mo-Su 10:00-18:00")
    weekly = [{"days": ["mo", "tu", "we", "th", "fr", "sa", "su"], "start": "09:00", "end": "12:00"}]
    campaign_id = _campaign(tenant, windows={"weekly": weekly, "only_while_open": True})
    answer = tenant.secret.get(f"/v1/campaigns/{campaign_id}/windows", params={"store_id": store["store_id"], "n": 5})
    assert answer.json()["timezone"] == "Europe/Helsinki"
    starts = [datetime.fromisoformat(window["starts_at"]) for window in answer.json()["items"]]
    assert {start.hour for start in starts[1:]} == {10}


def test_windows_that_are_not_stored_yet_are_previewed_as_stored_ones_are(tenant: TestTenant) -> None:
    store_id = tenant.store(opening_hours="Mo-Su 10:00-18:00")["store_id"]
    windows = {"weekly": [{"days": ["mo", "th"], "start": "09:00", "end": "12:00"}], "only_while_open": True}
    stored = _campaign(tenant, windows=windows)
    expected = tenant.secret.get(f"/v1/campaigns/{stored}/windows", params={"store_id": store_id, "n": 5}).json()
    body = {"windows": windows, "store_id": store_id, "n": 5}
    assert tenant.secret.post("/v1/campaigns/windows", json=body).json() == expected
    assert len(expected["items"]) == 5
    problem(tenant.secret.post("/v1/campaigns/windows", json=body | {"store_id": "999999"}), 404, "not-found")
    wrong = {"weekly": [{"days": ["mo"], "start": "25:00", "end": "12:00"}]}
    refused = tenant.secret.post("/v1/campaigns/windows", json=body | {"windows": wrong})
    assert problem(refused, 422, "malformed")["errors"][0]["where"] == "body.windows.weekly[0].start"


def test_offers_nearby_shows_live_ones_that_can_be_used_now(api: Api, tenant: TestTenant) -> None:
    store = tenant.store(name="Kahvila")
    usable = _campaign(tenant, stores=[store["store_id"]])
    _campaign(tenant, live=False)
    sold_out = _campaign(tenant, stock=1)
    with api.system.begin() as connection:
        connection.execute(sa.update(campaigns).where(campaigns.c.campaign_id == int(sold_out)).values(reserved=1))
    yesterday = (datetime.now(UTC) - timedelta(days=2)).date().isoformat()
    _campaign(tenant, windows={"last_day": yesterday})

    def seen() -> list[tuple[str, str]]:
        answer = tenant.app.get("/v1/offers/nearby", params=HELSINKI, headers={"Accept-Language": "fi-FI,fi;q=0.9"})
        return [(offer["campaign_id"], offer["title"]) for item in answer.json()["items"] for offer in item["offers"]]

    assert wait_for(seen) == [(usable, "Kahvia: Kahvila")]


def test_the_inbox_is_the_devices_own_and_reading_it_counts_as_delivered(
    api: Api, tenant: TestTenant, numbers: Iterator[int]
) -> None:
    anna, bert = tenant.device("anna"), tenant.device("bert")
    campaign_id = _campaign(tenant)
    sent = _deliver(api, tenant, campaign_id, "anna", next(numbers))
    assert [item["message_id"] for item in anna.get("/v1/devices/anna/inbox").json()["items"]] == [sent]
    assert bert.get("/v1/devices/bert/inbox").json()["items"] == []
    problem(bert.get("/v1/devices/anna/inbox"), 403, "forbidden")
    report = tenant.secret.get(f"/v1/campaigns/{campaign_id}/report").json()
    assert report["notifications"] == {"inbox": {"delivered": 1}}


def test_receipts_only_ever_move_forward(api: Api, tenant: TestTenant, numbers: Iterator[int]) -> None:
    anna = tenant.device("anna")
    sent = _deliver(api, tenant, _campaign(tenant), "anna", next(numbers))
    said = [
        anna.post("/v1/receipts", json={"message_id": sent, "event": event}).json()["recorded"]
        for event in ("delivered", "opened", "delivered", "opened")
    ]
    assert said == [True, True, False, False]
    problem(anna.post("/v1/receipts", json={"message_id": "?", "event": "opened"}), 422, "malformed")


def test_a_receipt_for_somebody_elses_message_changes_nothing(
    api: Api, tenant: TestTenant, numbers: Iterator[int]
) -> None:
    tenant.device("anna")
    bert = tenant.device("bert")
    sent = _deliver(api, tenant, _campaign(tenant), "anna", next(numbers))
    assert bert.post("/v1/receipts", json={"message_id": sent, "event": "opened"}).json() == {"recorded": False}


def _stream(client: httpx.Client, path: str, n: int, **headers: str) -> list[tuple[str, str]]:
    """(event id, message id) of the next n events, over a connection of its own."""
    found: list[tuple[str, str]] = []
    event_id = ""
    own = httpx.Client(base_url=client.base_url, headers=client.headers, timeout=20)
    with own, own.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        for line in answer.iter_lines():
            if line.startswith("id:"):
                event_id = line[3:].strip()
            elif line.startswith("data:"):
                found.append((event_id, json.loads(line[5:])["message_id"]))
                if len(found) == n:
                    break
    return found


def test_a_stream_resumes_after_the_last_event_without_loss(
    api: Api, tenant: TestTenant, numbers: Iterator[int]
) -> None:
    anna = tenant.device("anna")
    campaign_id = _campaign(tenant)
    sent = [_deliver(api, tenant, campaign_id, "anna", next(numbers)) for _ in range(3)]
    path = "/v1/devices/anna/stream"
    first = _stream(anna, path, 1, **{"Last-Event-ID": "0"})
    assert first[0][1] == sent[0]
    rest = _stream(anna, path, 2, **{"Last-Event-ID": first[0][0]})
    assert [message for _, message in rest] == sent[1:]


def test_an_open_stream_brings_what_arrives(api: Api, tenant: TestTenant, numbers: Iterator[int]) -> None:
    anna = tenant.device("anna")
    campaign_id = _campaign(tenant)
    found: list[tuple[str, str]] = []
    reader = threading.Thread(target=lambda: found.extend(_stream(anna, "/v1/devices/anna/stream", 1)))
    reader.start()
    anna_id = DeviceId(device_id_for(tenant.tenant_id, "anna"))
    wait_for(lambda: api.services.streams.is_open(anna_id))
    sent = _deliver(api, tenant, campaign_id, "anna", next(numbers))
    reader.join(timeout=20)
    assert [message for _, message in found] == [sent]


def test_a_page_of_our_own_reads_the_stream_with_a_devices_token(
    api: Api, tenant: TestTenant, numbers: Iterator[int]
) -> None:
    """As `fetch` of a browser asks: it names its origin, and has the cookie of whoever is signed in there."""
    tenant.device("anna")
    sent = _deliver(api, tenant, _campaign(tenant), "anna", next(numbers))
    staff = person(tenant, "analyst")
    staff.headers.update(tenant.device("anna").headers)
    asked = {"Origin": api.url, "Sec-Fetch-Site": "same-origin", "Last-Event-ID": "0"}
    cookie = "; ".join(f"{name}={value}" for name, value in staff.cookies.items())
    found = _stream(staff, "/v1/devices/anna/stream", 1, **asked, Cookie=cookie)
    assert [message for _, message in found] == [sent]
    receipt = staff.post("/v1/receipts", json={"message_id": sent, "event": "opened"}, headers={"Origin": api.url})
    assert receipt.json() == {"recorded": True}


def _visit(  # noqa: PLR0917 - a row, column by column
    api: Api,
    tenant: TestTenant,
    store_id: int,
    number: int,
    device: int,
    at: datetime,
    dwell_s: float,
    ended_by: str = "exit",
) -> None:
    with api.system.begin() as connection:
        connection.execute(
            sa.insert(visits).values(
                visit_id=number, tenant_id=tenant.tenant_id, shard=0, device_id=device, fence_id=1, fence_version=1,
                store_id=store_id, root_visit_id=number, status="closed", entered_at=at, last_in_at=at, as_of=at,
                exited_at=at + timedelta(seconds=dwell_s), dwell_waits=False, dwell_s=dwell_s, ended_by=ended_by,
                already_inside=False, positions=2, confidence=1.0,
            )
        )  # fmt: skip


def test_traffic_is_by_local_hour_and_withholds_fewer_than_five(
    api: Api, tenant: TestTenant, numbers: Iterator[int]
) -> None:
    store_id = int(tenant.store()["store_id"])
    ten = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)  # 10:00 in Helsinki
    for device in range(10):
        _visit(api, tenant, store_id, next(numbers), device, ten + timedelta(minutes=device), 100.0 * (device + 1))
    for device in range(4):
        _visit(api, tenant, store_id, next(numbers), device, ten + timedelta(hours=1, minutes=device), 600)
    for device in range(10, 14):  # who only passed through is no visitor
        _visit(api, tenant, store_id, next(numbers), device, ten + timedelta(hours=1), 300, "crossed")
    api.roll_traffic()
    path = f"/v1/traffic/stores/{store_id}/hours"
    range_ = {"start": "2026-06-01T10:00:00+03:00", "end": "2026-06-01T12:00:00+03:00"}
    answer = tenant.secret.get(path, params=range_).json()
    # nine visits of at least 120 s by nine devices, of which five stayed for 600 s or less, and five for 600 s or more
    assert answer["items"] == [
        {"starts_at": "2026-06-01T10:00:00+03:00", "visits": 9, "visitors": 5, "median_dwell_s": 600.0},
        {"starts_at": "2026-06-01T11:00:00+03:00", "visits": None, "visitors": None, "median_dwell_s": None},
    ]
    text = tenant.secret.get(path, params={**range_, "format": "csv"}).text
    assert text.splitlines() == [
        "starts_at,visits,visitors,median_dwell_s",
        "2026-06-01T10:00:00+03:00,9,5,600.0",
        "2026-06-01T11:00:00+03:00,,,",
    ]


def test_who_says_no_to_analytics_is_in_no_figure(api: Api, tenant: TestTenant, numbers: Iterator[int]) -> None:
    store_id = int(tenant.store()["store_id"])
    ten = datetime(2026, 6, 1, 7, 0, tzinfo=UTC)
    names = [f"visitor-{i}" for i in range(7)]
    for name in names:
        tenant.device(name)
        _visit(api, tenant, store_id, next(numbers), device_id_for(tenant.tenant_id, name), ten, 600)

    def visits() -> int | None:
        api.roll_traffic()
        range_ = {"start": "2026-06-01T10:00:00+03:00", "end": "2026-06-01T11:00:00+03:00"}
        (hour,) = tenant.secret.get(f"/v1/traffic/stores/{store_id}/hours", params=range_).json()["items"]
        assert (hour["visits"] is None) == (hour["visitors"] is None)
        return None if hour["visits"] is None else int(hour["visits"])

    def says(name: str, *, granted: bool) -> None:
        word = {"purpose": "analytics", "version": "1", "granted": granted}
        assert tenant.secret.patch(f"/v1/devices/{name}", json={"consents": [word]}).status_code == 200

    said = [visits()]
    for name, granted in ((names[0], True), (names[0], False), (names[1], False), (names[2], False), (names[2], True)):
        says(name, granted=granted)
        said.append(visits())
    assert said == [7, 7, 6, 5, None, 5]


@pytest.mark.parametrize(("day", "bars"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_has_as_many_hours_as_the_stores_clock_says(tenant: TestTenant, day: str, bars: int) -> None:
    store_id = tenant.store()["store_id"]
    begin = datetime.fromisoformat(f"{day}T00:00:00")
    offsets = {"2026-03-29": (2, 3), "2026-10-25": (3, 2), "2026-06-01": (3, 3)}[day]
    start = begin - timedelta(hours=offsets[0])
    end = begin + timedelta(days=1) - timedelta(hours=offsets[1])
    range_ = {"start": f"{start.isoformat()}Z", "end": f"{end.isoformat()}Z"}
    answer = tenant.secret.get(f"/v1/traffic/stores/{store_id}/hours", params=range_).json()
    assert len(answer["items"]) == bars


def test_a_store_key_sees_its_own_store_only(api: Api, tenant: TestTenant) -> None:
    own, other = (int(tenant.store(name)["store_id"]) for name in ("a", "b"))
    with api.system.begin() as connection:
        key = create_key(connection, tenant.tenant_id, KeyKind.STORE, own)  # type: ignore[arg-type]
    till = api.client(key)
    range_ = {"start": "2026-06-01T00:00:00Z", "end": "2026-06-01T02:00:00Z"}
    assert till.get(f"/v1/traffic/stores/{own}/hours", params=range_).status_code == 200
    problem(till.get(f"/v1/traffic/stores/{other}/hours", params=range_), 403, "forbidden")
    problem(till.get("/v1/campaigns"), 403, "forbidden")


def test_two_tenants_with_the_same_ids_see_nothing_of_each_other(api: Api, numbers: Iterator[int]) -> None:
    ours, theirs = api.tenant(), api.tenant()
    for tenant in (ours, theirs):
        tenant.device("anna")
        tenant.store("same")
    campaign_id = _campaign(ours)
    store_id = ours.secret.get("/v1/stores").json()["items"][0]["store_id"]
    _deliver(api, ours, campaign_id, "anna", next(numbers))
    stranger = theirs.secret
    assert stranger.get("/v1/campaigns").json()["items"] == []
    assert stranger.get("/v1/devices/anna/inbox").json()["items"] == []
    for path in ("", "/report", "/windows?store_id=1", "/explain?device_id=anna"):
        problem(stranger.get(f"/v1/campaigns/{campaign_id}{path}"), 404, "not-found")
    for move in ("submit", "stop", "clone"):
        problem(stranger.post(f"/v1/campaigns/{campaign_id}/{move}"), 404, "not-found")
    problem(stranger.put(f"/v1/campaigns/{campaign_id}", json=COFFEE), 404, "not-found")
    range_ = {"start": "2026-06-01T00:00:00Z", "end": "2026-06-01T02:00:00Z"}
    problem(stranger.get(f"/v1/traffic/stores/{store_id}/hours", params=range_), 404, "not-found")
    problem(stranger.post("/v1/campaigns", json={**COFFEE, "stores": [store_id]}), 422, "invalid-campaign")
    wait_for(lambda: ours.app.get("/v1/offers/nearby", params=HELSINKI).json()["items"])
    assert theirs.app.get("/v1/offers/nearby", params=HELSINKI).json()["items"] == []
