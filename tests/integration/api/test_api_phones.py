"""Existing phone apps over HTTP: requests as their sources make them, and what the apps hear."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import pytest

from geofences.log import EntryKind
from geofences.model import Flag
from tests.support.api import HELSINKI, Api, TestTenant, problem, running_api, settings_for, wait_for

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.servers

OWNTRACKS, OSMAND = "/v1/positions/owntracks", "/v1/positions/osmand"
LOCATION = {"_type": "location", "lat": HELSINKI["lat"], "lon": HELSINKI["lng"], "acc": 12, "vel": 36, "tid": "p1"}
CONSENT = {"purpose": "location", "version": "2"}


class Phone:
    """An app on a phone that holds a device's token, and keeps to no cookies or keys."""

    def __init__(self, tenant: TestTenant, name: str = "phone", **device: Any) -> None:
        self.name = name
        self.http = tenant.api.client()
        self.owner = tenant.device(name, **device)
        self.token = self.owner.headers["Authorization"].removeprefix("Bearer ")

    def owntracks(self, message: Any, *, user: str | None = None, password: str | None = None) -> httpx.Response:
        """As owntracks/android 2.5 posts (HttpMessageProcessorEndpoint.kt)."""
        headers = {"X-Limit-U": self.name, "X-Limit-D": "pixel", "Content-Type": "application/json; charset=utf-8"}
        auth = (self.name if user is None else user, password or self.token)
        return self.http.post(OWNTRACKS, json=message, headers=headers, auth=auth)

    def located(self, **more: Any) -> httpx.Response:
        return self.owntracks({**LOCATION, "tst": int(time.time()), **more})

    def traccar(self, **coords: Any) -> httpx.Response:
        """As traccar/traccar-client 9.x posts (preferences.dart)."""
        now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
        there = {
            "latitude": HELSINKI["lat"],
            "longitude": HELSINKI["lng"],
            "accuracy": 4.7,
            "speed": 1.25,
            "heading": -1,
        }
        location = {"timestamp": now, "coords": {**there, **coords}, "is_moving": True, "event": "motionchange"}
        return self.http.post(OSMAND, json={"location": location, "device_id": self.token})

    def parameters(self, method: str = "POST", **more: Any) -> httpx.Response:
        """As traccar/traccar-client-android 8.x asks: POST, all in the address, no body (ProtocolFormatter.kt)."""
        given: dict[str, Any] = {
            "id": self.token,
            "timestamp": int(time.time()),
            "lat": HELSINKI["lat"],
            "lon": HELSINKI["lng"],
        }
        return self.http.request(method, OSMAND, params={**given, "speed": 19.43844, "batt": 81.0, **more})


@pytest.fixture
def phone(tenant: TestTenant) -> Phone:
    return Phone(tenant)


def logged(tenant: TestTenant, name: str = "phone") -> list[Any]:
    """The device's positions in the log."""
    entries = [entry for entry in tenant.log(name) if entry.kind is EntryKind.POSITIONS]
    return [row for entry in entries if entry.positions is not None for row in entry.positions]


def rejected(tenant: TestTenant, reason: str) -> float:
    lines = tenant.api.client().get("/metrics").text.splitlines()
    start = f'lbs_positions_rejected_total{{reason="{reason}"}} '
    return next((float(line.removeprefix(start)) for line in lines if line.startswith(start)), 0.0)


def test_owntracks_sends_a_position_and_hears_an_empty_list(tenant: TestTenant, phone: Phone) -> None:
    at = int(time.time()) - 3600  # queued while there was no network
    answer = phone.located(tst=at)
    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["content-type"] == "application/json"
    (row,) = logged(tenant)
    assert (row["recorded_us"], row["lat"], row["lng"]) == (at * 1_000_000, HELSINKI["lat"], HELSINKI["lng"])
    assert (row["accuracy_m"], row["speed_mps"]) == (12.0, 10.0)


def test_an_address_may_end_with_a_slash(tenant: TestTenant, phone: Phone) -> None:
    message = {**LOCATION, "tst": int(time.time())}
    assert phone.http.post(f"{OWNTRACKS}/", json=message, auth=("phone", phone.token)).json() == []
    assert phone.http.get(f"{OSMAND}/", params={"id": phone.token, "location": "60.1,24.9"}).status_code == 200
    assert len(logged(tenant)) == 2


def test_a_token_names_its_device_and_a_user_name_does_not(tenant: TestTenant, phone: Phone) -> None:
    tenant.device("other")
    assert phone.located().status_code == 200
    assert phone.owntracks({**LOCATION, "tst": int(time.time())}, user="other").status_code == 200
    assert len(logged(tenant)) == 2
    assert logged(tenant, "other") == []
    latin = base64.b64encode(f"Jürgen:{phone.token}".encode("latin-1")).decode()
    answer = phone.http.post(OWNTRACKS, json=LOCATION, headers={"Authorization": f"Basic {latin}"})
    assert answer.status_code == 200, "as OkHttp writes names"


def test_a_server_that_forwards_says_which_device_and_makes_it(tenant: TestTenant, phone: Phone) -> None:
    secret = tenant.secret.headers["Authorization"].removeprefix("Bearer ")
    assert phone.located().status_code == 200
    message = {**LOCATION, "tst": int(time.time())}
    assert phone.owntracks(message, user="van: 7", password=secret).status_code == 200
    assert len(logged(tenant, "van: 7")) == 1
    answer = tenant.secret.get(OSMAND, params={"id": "van: 7", "location": "60.1,24.9"})
    assert answer.json() == {"accepted": 1, "rejected": []}
    assert len(logged(tenant, "van: 7")) == 2
    problem(phone.owntracks(message, user="", password=secret), 422, "malformed")
    problem(tenant.secret.get(OSMAND), 422, "malformed")


@pytest.mark.parametrize("password", ["lbs_dt_AAAA.BBBB", "lbs_sk_nobody", "geheim", "ä"])
def test_whoever_is_unknown_hears_401(phone: Phone, password: str) -> None:
    for answer in (phone.owntracks([], password=password), phone.http.get(OSMAND, params={"id": password})):
        body = problem(answer, 401, "unauthorized")
        assert password not in answer.text
        assert body["instance"] in {OWNTRACKS, OSMAND}
    problem(phone.http.post(OWNTRACKS, json=[]), 401, "unauthorized")
    malformed = phone.http.post(OWNTRACKS, json=[], headers={"Authorization": "Basic ????"})
    problem(malformed, 401, "unauthorized")


def test_a_revoked_token_is_refused_everywhere(tenant: TestTenant, phone: Phone) -> None:
    assert tenant.secret.post("/v1/devices/phone/revoke-tokens").status_code == 204
    for answer in (phone.located(), phone.traccar(), phone.parameters()):
        problem(answer, 401, "unauthorized")


def test_basic_authentication_is_for_owntracks_only(phone: Phone) -> None:
    problem(phone.http.post("/v1/positions", json={}, auth=("phone", phone.token)), 401, "unauthorized")
    problem(phone.http.post(OSMAND, json={}, auth=("phone", phone.token)), 401, "unauthorized")
    problem(phone.http.get("/v1/devices/phone", auth=("phone", phone.token)), 401, "unauthorized")


def test_what_can_never_be_a_position_is_received_counted_and_gone(tenant: TestTenant, phone: Phone) -> None:
    """Else the app would repeat it for ever (Android and iOS: owntracks/owntracks 29, traccar/traccar 3260)."""
    before = {reason: rejected(tenant, reason) for reason in ("encrypted", "not_a_position", "too_old", "out_of_range")}
    for message in (
        {"_type": "encrypted", "data": "hqHk"},
        {"_type": "location", "lat": 60.0},
        {**LOCATION, "tst": 1},
        {**LOCATION, "tst": int(time.time()), "lat": 91},
        {"_type": "dump", "configuration": {}},
    ):
        answer = phone.owntracks(message)
        assert (answer.status_code, answer.json()) == (200, [])
    assert phone.http.post(OWNTRACKS, content=b"", auth=("phone", phone.token)).json() == []
    assert logged(tenant) == []
    assert {reason: rejected(tenant, reason) - n for reason, n in before.items()} == dict.fromkeys(before, 1.0)


def test_a_body_that_no_app_sends_is_refused(phone: Phone) -> None:
    auth = ("phone", phone.token)
    json_type = {"Content-Type": "application/json"}
    problem(phone.http.post(OWNTRACKS, content=b"{", headers=json_type, auth=auth), 422, "malformed")
    csv = {"Content-Type": "text/csv"}
    problem(phone.http.post(OWNTRACKS, content=b"a", headers=csv, auth=auth), 415, "unsupported-media-type")
    problem(phone.http.post(OSMAND, content=b"a", headers=csv), 415, "unsupported-media-type")


def test_several_messages_at_once_are_taken_together(tenant: TestTenant, phone: Phone) -> None:
    now = int(time.time())
    messages = [{**LOCATION, "tst": now - i} for i in range(5)]
    assert phone.owntracks([*messages, {"_type": "lwt", "tst": now}]).json() == []
    (entry,) = [entry for entry in tenant.log("phone") if entry.kind is EntryKind.POSITIONS]
    assert entry.positions is not None
    assert len(entry.positions) == 5


def test_without_consent_a_phone_is_relieved_of_its_position_and_nothing_is_stored(tenant: TestTenant) -> None:
    """Refused, it would wait on the phone until there is consent, and be sent then."""
    phone = Phone(tenant, consents=[])
    before = rejected(tenant, "no_consent")
    assert phone.located().json() == []
    answer = phone.traccar()
    assert answer.json() == {"accepted": 0, "rejected": [{"index": 0, "reason": "no_consent"}]}
    assert tenant.log("phone") == []
    assert rejected(tenant, "no_consent") == before + 2
    assert phone.owner.patch("/v1/devices/phone", json={"consents": [CONSENT]}).status_code == 200
    assert phone.located().status_code == 200
    assert len(logged(tenant)) == 1


def test_traccar_client_9_sends_json(tenant: TestTenant, phone: Phone) -> None:
    answer = phone.traccar()
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
    (row,) = logged(tenant)
    assert (row["lat"], row["accuracy_m"], row["speed_mps"]) == (HELSINKI["lat"], pytest.approx(4.7), 1.25)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_older_traccar_clients_and_osmand_send_parameters(tenant: TestTenant, phone: Phone, method: str) -> None:
    answer = phone.parameters(method, mock="true")
    assert (answer.status_code, answer.json()) == (200, {"accepted": 1, "rejected": []})
    (row,) = logged(tenant)
    assert row["speed_mps"] == pytest.approx(10.0, abs=1e-5)
    assert row["flags"] == Flag.MOCKED


def test_osmand_fills_its_template(tenant: TestTenant, phone: Phone) -> None:
    """osmandapp/OsmAnd, LiveMonitoringHelper.java: {3}, called hdop, is the accuracy in metres, {2} milliseconds."""
    template = f"{OSMAND}?id={phone.token}&lat={{0}}&lon={{1}}&timestamp={{2}}&accuracy={{3}}"
    answer = phone.http.get(template.format("60.1699", "24.9384", int(time.time() * 1000), "8.0"))
    assert answer.json()["accepted"] == 1
    assert logged(tenant)[0]["accuracy_m"] == 8.0


def test_a_form_is_read_too(tenant: TestTenant, phone: Phone) -> None:
    form = {"id": phone.token, "lat": "60.1699", "lon": "24.9384"}
    answer = phone.http.post(OSMAND, data=form)
    assert answer.json() == {"accepted": 1, "rejected": []}
    assert abs(logged(tenant)[0]["recorded_us"] / 1e6 - time.time()) < 60, "without a time it is now"


def test_a_place_among_many_that_is_none_is_named(phone: Phone) -> None:
    now = time.time()
    good = {"timestamp": now, "coords": {"latitude": 60.1, "longitude": 24.9}}
    far = {"timestamp": now, "coords": {"latitude": 95, "longitude": 24.9}}
    answer = phone.http.post(OSMAND, json={"device_id": phone.token, "location": [{}, good, far, good]})
    assert answer.json() == {
        "accepted": 2,
        "rejected": [{"index": 0, "reason": "not_a_position"}, {"index": 2, "reason": "out_of_range"}],
    }


def test_a_full_log_answers_phones_503_which_they_repeat(fresh_database_url: str, redis_url: str) -> None:
    """429 would do for Android; iOS drops what is answered 4xx (owntracks/ios 665)."""
    with running_api(settings_for(fresh_database_url, redis_url, log_max_bytes=100_000)) as api:
        tenant = api.tenant()
        phone = Phone(tenant)

        def refused() -> bool:
            many = [{**LOCATION, "tst": int(time.time()), "acc": i + 1} for i in range(500)]
            return phone.owntracks(many).status_code != 200

        wait_for(refused)
        for answer in (phone.located(), phone.traccar(), phone.parameters("GET")):
            problem(answer, 503, "log-unavailable")
            assert answer.headers["Retry-After"] == "1"
        answer = phone.owner.post("/v1/positions", json={"device_id": "phone", "positions": []})
        problem(answer, 429, "log-full")


def test_positions_of_a_phone_keep_to_its_sandbox(api: Api) -> None:
    sandbox = api.tenant(sandbox=True)
    assert Phone(sandbox).located().status_code == 200
    assert {entry.scope for entry in sandbox.log("phone") if entry.positions is not None} == {sandbox.tenant_id}
