from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from geofences.log import LIVE, EntryKind
from geofences.model import Flag
from geofences.store import device_id_for
from tests.support.api import LOCATED, Api, TestTenant, position, problem, running_api, settings_for, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

JSON = {"Content-Type": "application/json"}


def send(client: httpx.Client, device_id: str, *positions: dict[str, Any]) -> httpx.Response:
    return client.post("/v1/positions", json={"device_id": device_id, "positions": list(positions)})


def test_accepted_positions_are_in_the_log_when_the_answer_comes(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    at = datetime.now(UTC).replace(microsecond=123_457)
    answer = send(phone, "phone", position(recorded_at=at.isoformat(), accuracy_m=8.5, speed_mps=1.5, mocked=True))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1, "rejected": []})
    entry = tenant.log("phone")[-1]
    assert entry.kind is EntryKind.POSITIONS
    assert entry.scope == LIVE
    assert entry.positions is not None
    (row,) = entry.positions
    assert row["device_id"] == device_id_for(tenant.tenant_id, "phone")
    assert row["tenant_id"] == tenant.tenant_id
    assert row["recorded_us"] == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert (row["lat"], row["lng"], row["accuracy_m"], row["speed_mps"]) == (60.1699, 24.9384, 8.5, 1.5)
    assert row["flags"] == Flag.MOCKED
    assert abs(row["received_us"] / 1e6 - time.time()) < 60
    assert abs(entry.clock_us / 1e6 - time.time()) < 60


def test_a_position_says_what_is_wrong_with_it_and_the_others_are_accepted(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    old = (datetime.now(UTC) - timedelta(hours=24, minutes=1)).isoformat()
    ahead = time.time() + 61
    answer = send(
        phone,
        "phone",
        position(),
        position(lat=91, id="north"),
        position(lng=-180.5, id=7),
        position(lat=0, lng=0),
        position(recorded_at=old),
        position(recorded_at=ahead),
        position(recorded_at=1e300),
        position(recorded_at=time.time() - 3600),
    )
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 2,
        "rejected": [
            {"index": 1, "reason": "out_of_range", "id": "north"},
            {"index": 2, "reason": "out_of_range", "id": 7},
            {"index": 3, "reason": "null_island"},
            {"index": 4, "reason": "too_old"},
            {"index": 5, "reason": "in_future"},
            {"index": 6, "reason": "in_future"},
        ],
    }
    stored = tenant.log("phone")[-1].positions
    assert stored is not None
    assert len(stored) == 2


def test_message_pack_is_read_too_and_may_hold_numbers_that_are_none(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    bad = [position(lat=math.nan), position(lng=math.inf), position(recorded_at=math.nan)]
    body = msgspec.msgpack.encode({"device_id": "phone", "positions": [position(accuracy_m=-1, speed_mps=1e300), *bad]})
    answer = phone.post("/v1/positions", content=body, headers={"Content-Type": "application/msgpack"})
    assert answer.json() == {
        "accepted": 1,
        "rejected": [{"index": index, "reason": "not_finite"} for index in (1, 2, 3)],
    }
    stored = tenant.log("phone")[-1].positions
    assert stored is not None
    assert np.isnan(stored["accuracy_m"]).all(), "a negative accuracy is one that was not said"
    assert np.isnan(stored["speed_mps"]).all()


def test_a_thousand_positions_are_taken_and_one_more_is_not(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    assert send(phone, "phone", *[position()] * 1000).json()["accepted"] == 1000
    body = problem(send(phone, "phone", *[position()] * 1001), 422, "malformed")
    assert body["errors"] == [{"where": "body.positions", "message": "Expected `array` of length <= 1000"}]
    problem(send(phone, "phone"), 422, "malformed")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"device_id":"phone","positions":[{"lat":NaN,"lng":1,"recorded_at":1}]}', "malformed JSON"),
        (b'{"device_id":"phone","positions":[', "malformed JSON"),
        (b"", "malformed JSON"),
        (b"\xff\xfe", "malformed JSON"),
        (b"[]", "Expected `object`"),
        (b'{"device_id":"phone","positions":[{"lng":1,"recorded_at":1}]}', "body.positions[0]: Object missing"),
        (b'{"device_id":"phone","positions":[{"lat":"1","lng":1,"recorded_at":1}]}', "body.positions[0].lat"),
        (b'{"device_id":"phone","positions":[{"lat":1,"lng":1,"recorded_at":"2026-06-01T12:00:00"}]}', "recorded_at"),
        (b'{"device_id":"","positions":[{"lat":1,"lng":1,"recorded_at":1}]}', "body.device_id"),
        (b'{"device_id":"a\\u0000","positions":[{"lat":1,"lng":1,"recorded_at":1}]}', "body.device_id"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_with_the_place(tenant: TestTenant, body: bytes, says: str) -> None:
    phone = tenant.device("phone")
    answer = problem(phone.post("/v1/positions", content=body, headers=JSON), 422, "malformed")
    assert says in answer["detail"]


def test_a_body_of_another_type_is_refused(tenant: TestTenant) -> None:
    answer = tenant.secret.post("/v1/positions", content=b"a=b", headers={"Content-Type": "text/csv"})
    problem(answer, 415, "unsupported-media-type")


def test_too_many_bytes_are_refused_with_a_length_and_without(tenant: TestTenant) -> None:
    ten_million = b" " * 10_000_000
    problem(tenant.secret.post("/v1/positions", content=ten_million, headers=JSON), 413, "body-too-large")

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    problem(tenant.secret.post("/v1/positions", content=chunks(), headers=JSON), 413, "body-too-large")


def test_without_consent_a_position_is_stored_nowhere(tenant: TestTenant) -> None:
    phone = tenant.device("phone", consents=[])
    problem(send(phone, "phone", position()), 403, "no_consent")
    problem(send(tenant.secret, "phone", position()), 403, "no_consent")
    assert tenant.log("phone") == []


def test_consent_that_is_taken_back_holds_at_once_and_can_be_given_again(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    assert send(phone, "phone", position()).status_code == 202
    for granted, status in ((False, 403), (True, 202)):
        consent = {"purpose": "location", "version": "2", "granted": granted}
        assert phone.patch("/v1/devices/phone", json={"consents": [consent]}).status_code == 200
        assert send(phone, "phone", position()).status_code == status
    kinds = [(entry.kind, entry.granted) for entry in tenant.log("phone")]
    assert kinds == [
        (EntryKind.CONSENT, True),
        (EntryKind.POSITIONS, False),
        (EntryKind.CONSENT, False),
        (EntryKind.CONSENT, True),
        (EntryKind.POSITIONS, False),
    ]


def test_an_unknown_device_is_created_by_a_secret_key_only(tenant: TestTenant) -> None:
    problem(send(tenant.app, "nobody", position()), 404, "not-found")
    assert send(tenant.secret, "van-1", position()).json() == {"accepted": 1, "rejected": []}
    device = tenant.secret.get("/v1/devices/van-1").json()
    assert [(consent["purpose"], consent["source"]) for consent in device["consents"]] == [
        ("location", "server"),
        ("push", "server"),
    ]


def test_a_token_sends_for_its_own_device_only(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    tenant.device("other")
    problem(send(phone, "other", position()), 403, "forbidden")
    problem(send(phone, "nobody", position()), 403, "forbidden")
    problem(send(tenant.app, "phone", position()), 403, "forbidden")


def test_many_requests_at_once_all_reach_the_log(tenant: TestTenant) -> None:
    names = [f"van-{i % 10}" for i in range(100)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda name: send(tenant.secret, name, position(), position()), names))
    assert {answer.status_code for answer in answers} == {202}
    for name in set(names):
        device_id = device_id_for(tenant.tenant_id, name)
        devices = [entry.positions["device_id"] for entry in tenant.log(name) if entry.positions is not None]
        assert np.count_nonzero(np.concatenate(devices) == device_id) == 20


def test_a_log_that_is_away_accepts_nothing_and_says_when_to_come_back(fresh_database_url: str, redis_url: str) -> None:
    with running_api(settings_for(fresh_database_url, redis_url)) as up:
        secret = up.tenant().secret.headers["Authorization"].removeprefix("Bearer ")
        key = up.settings.secret_key
    assert key is not None
    gone = settings_for(fresh_database_url, "redis://127.0.0.1:1/0", secret_key=key.get_secret_value())
    with running_api(gone) as down:
        client = down.client(secret)
        wait_for(lambda: down.services.memory.ready)
        answer = send(client, "van-1", position())
        problem(answer, 503, "log-unavailable")
        assert answer.headers["Retry-After"] == "1"
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"]["redis"]) == (503, False)
        problem(client.post("/v1/devices", json={"consents": [LOCATED]}), 503, "log-unavailable")


def test_positions_of_a_sandbox_keep_to_its_scope(api: Api) -> None:
    sandbox = api.tenant(sandbox=True)
    assert send(sandbox.secret, "van-1", position()).status_code == 202
    assert {entry.scope for entry in sandbox.log("van-1")} == {sandbox.tenant_id}
