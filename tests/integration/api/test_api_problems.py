"""What goes wrong and what is promised of every answer: problems, headers, limits, remembered writes, logs."""

from __future__ import annotations

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import structlog

from geofences.store import use_tenant
from lbs.deps import Tx  # noqa: TC001 - FastAPI reads annotations at run time
from lbs.observe import configure_logging
from lbs.remembered import forget_old_writes
from lbs.tables import remembered_writes
from tests.support.api import HELSINKI, Api, TestTenant, position, problem, running_api, settings_for, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

KEY = {"kind": "publishable"}


def test_a_write_with_an_idempotency_key_is_done_once(tenant: TestTenant) -> None:
    headers = {"Idempotency-Key": "order-1"}
    first = tenant.secret.post("/v1/keys", json=KEY, headers=headers)
    second = tenant.secret.post("/v1/keys", json=KEY, headers=headers)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len(tenant.secret.get("/v1/keys").json()["items"]) == 3
    problem(tenant.secret.post("/v1/keys", json={"kind": "secret"}, headers=headers), 422, "idempotency-key-reused")
    problem(
        tenant.secret.post("/v1/webhooks", json={"url": "https://a.example"}, headers=headers),
        422,
        "idempotency-key-reused",
    )


def test_an_answer_without_a_body_is_remembered_too(tenant: TestTenant) -> None:
    store = tenant.store()
    headers = {"Idempotency-Key": "delete-1"}
    answers = [tenant.secret.delete(f"/v1/stores/{store['store_id']}", headers=headers) for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (204, b"")]


def test_a_write_that_was_refused_can_be_tried_again(tenant: TestTenant) -> None:
    headers = {"Idempotency-Key": "order-1"}
    body = {"external_id": "f", "center": HELSINKI, "radius_m": 10, "store_id": "1"}
    problem(tenant.secret.post("/v1/fences", json=body, headers=headers), 422, "malformed")
    del body["store_id"]
    assert tenant.secret.post("/v1/fences", json=body, headers=headers).status_code == 201


def test_remembered_answers_are_sealed_and_belong_to_their_caller(api: Api, tenant: TestTenant) -> None:
    headers = {"Idempotency-Key": "same"}
    first = tenant.secret.post("/v1/devices", json={}, headers=headers).json()
    second = tenant.app.post("/v1/devices", json={}, headers=headers).json()
    assert first["device_id"] != second["device_id"]
    with api.system.connect() as connection:
        stored = str(connection.execute(sa.select(remembered_writes)).all())
    assert first["device_token"] not in stored
    assert first["device_id"] not in stored


def test_remembered_writes_are_forgotten_after_a_day(api: Api, tenant: TestTenant) -> None:
    headers = {"Idempotency-Key": "old"}
    first = tenant.secret.post("/v1/keys", json=KEY, headers=headers).json()
    mine = remembered_writes.c.tenant_id == tenant.tenant_id
    aged = {"created_at": sa.text("now() - interval '25 hours'")}
    with api.system.begin() as connection:
        connection.execute(sa.update(remembered_writes).where(mine).values(**aged))
    again = tenant.secret.post("/v1/keys", json={"kind": "secret"}, headers=headers).json()
    assert again["key_id"] != first["key_id"]
    with api.system.begin() as connection:
        connection.execute(sa.update(remembered_writes).where(mine).values(**aged))
        assert forget_old_writes(connection, now=api.services.now()) >= 1


def test_of_two_same_writes_at_once_one_is_done(tenant: TestTenant) -> None:
    def write(_: int) -> Any:
        return tenant.secret.post("/v1/keys", json=KEY, headers={"Idempotency-Key": "race"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(write, range(16)))
    done = {answer.json()["key_id"] for answer in answers if answer.status_code == 201}
    assert len(done) == 1
    for answer in answers:
        if answer.status_code != 201:
            problem(answer, 409, "write-in-progress")
            assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_an_idempotency_key_must_be_usable(tenant: TestTenant, key: str) -> None:
    problem(tenant.secret.post("/v1/keys", json=KEY, headers={"Idempotency-Key": key}), 422, "malformed")


@pytest.mark.parametrize(
    ("content", "content_type", "status", "slug"),
    [
        (b"{", "application/json", 422, "malformed"),
        (b'{"kind": NaN}', "application/json", 422, "malformed"),
        (b'{"kind": "\xff"}', "application/json", 422, "malformed"),
        (b"[" * 100_000, "application/json", 422, "malformed"),
        (b"", "application/json", 422, "malformed"),
        (b"[]", "application/json", 422, "malformed"),
        (b"null", "application/json", 422, "malformed"),
        (b'{"kind": "secret"}', "text/plain", 415, "unsupported-media-type"),
        (b"kind=secret", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b"", None, 422, "malformed"),
    ],
)
def test_a_body_that_is_no_json_is_refused(
    tenant: TestTenant, content: bytes, content_type: str | None, status: int, slug: str
) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    problem(tenant.secret.post("/v1/keys", content=content, headers=headers), status, slug)


def test_what_does_not_exist_is_a_problem_too(api: Api) -> None:
    problem(api.client().get("/nothing"), 404, "no-such-route")
    answer = api.client().put("/healthz")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == "GET"
    for path in ("/docs", "/redoc"):
        problem(api.client().get(path), 404, "no-such-route")


def test_every_answer_is_safe_to_show_and_names_its_request(api: Api) -> None:
    for path in ("/healthz", "/nothing", "/v1/keys"):
        answer = api.client().get(path, headers={"X-Request-Id": "my-request-1"})
        assert answer.headers["X-Request-Id"] == "my-request-1"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "server" not in answer.headers or answer.headers["server"] == "uvicorn"
    odd = api.client().get("/healthz", headers={"X-Request-Id": "a b"})
    assert re.fullmatch(r"[0-9a-f]{16}", odd.headers["X-Request-Id"])


def test_health_readiness_and_numbers(api: Api, tenant: TestTenant) -> None:
    assert api.client().get("/healthz").json() == {"status": "ok"}
    assert api.client().get("/readyz").json() == {
        "ready": True,
        "checks": {"postgres": True, "redis": True, "memory": True},
    }
    tenant.secret.post("/v1/positions", json={"device_id": "d", "positions": [position(), position(lat=99)]})
    text = api.client().get("/metrics").text
    assert "lbs_positions_accepted_total" in text
    assert 'lbs_positions_rejected_total{reason="out_of_range"}' in text
    assert 'route="/v1/positions"' in text


def _broken(app: FastAPI) -> None:
    @app.post("/late")
    def late(connection: Tx) -> dict[str, str]:
        """Fails at the commit only."""
        connection.execute(sa.text("INSERT INTO public.late VALUES (1)"))
        return {"done": "yes"}

    @app.get("/secret-error")
    def secret_error() -> None:
        raise RuntimeError("the password is hunter2")

    @app.get("/other-tenant")
    def other_tenant(connection: Tx) -> int:
        return int(connection.execute(sa.text("SELECT count(*) FROM lbs.keys")).scalar_one())


@pytest.fixture
def broken(fresh_database_url: str, redis_url: str) -> Iterator[Api]:
    with running_api(settings_for(fresh_database_url, redis_url), change=_broken) as running:
        yield running


def test_a_commit_that_fails_is_not_answered_as_done(broken: Api) -> None:
    admin = sa.create_engine(broken.system.url, poolclass=sa.NullPool)
    with admin.begin() as connection:
        connection.execute(sa.text("CREATE TABLE public.parent (id int PRIMARY KEY)"))
        connection.execute(
            sa.text("CREATE TABLE public.late (id int REFERENCES public.parent DEFERRABLE INITIALLY DEFERRED)")
        )
        connection.execute(sa.text("GRANT INSERT ON public.late TO lbs_api"))
    problem(broken.tenant().secret.post("/late"), 500, "internal")


def test_an_unknown_error_answers_a_fixed_text(broken: Api, capsys: pytest.CaptureFixture[str]) -> None:
    answer = broken.client().get("/secret-error")
    body = problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    printed = capsys.readouterr().out
    assert body["request_id"] in printed
    assert "hunter2" not in printed


def test_a_database_that_is_away_is_said_to_be_away(fresh_database_url: str, redis_url: str) -> None:
    with running_api(settings_for(fresh_database_url, redis_url)) as api:
        wait_for(lambda: api.services.memory.ready)
        tenant = api.tenant()
        phone = tenant.device("phone")
        body = {"device_id": "phone", "positions": [position()]}
        assert phone.post("/v1/positions", json=body).status_code == 202
        assert tenant.app.get("/v1/stores/nearby", params=HELSINKI).status_code == 200
        away = sa.create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/nothing")
        api.services.api = away
        problem(tenant.secret.get("/v1/keys"), 503, "unavailable")
        assert phone.post("/v1/positions", json=body).status_code == 202, "what is remembered goes on working"
        assert tenant.app.get("/v1/stores/nearby", params=HELSINKI).status_code == 200
        assert api.client().get("/readyz").json()["checks"]["postgres"] is False
        away.dispose()


def test_the_log_names_requests_and_never_keys_queries_or_places(tenant: TestTenant) -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    configure_logging("info", stream=stream)
    try:
        tenant.device("phone-of-anna").post(
            "/v1/positions", json={"device_id": "phone-of-anna", "positions": [position(), position(lat=61.2345)]}
        )
        refused = {"device_id": "phone-of-anna", "positions": [{**position(lat=61.2345), "lng": "24.93"}]}
        problem(tenant.secret.post("/v1/positions", json=refused), 422, "malformed")
        tenant.app.get("/v1/stores/nearby", params=HELSINKI)
        tenant.secret.get("/v1/devices/phone-of-anna")
        problem(
            tenant.secret.post("/v1/keys", content=b"{", headers={"Content-Type": "application/json"}), 422, "malformed"
        )
        wait_for(lambda: stream.getvalue().count("\n") >= 5)
    finally:
        structlog.configure(**before)
    text = stream.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    routes = [line["route"] for line in lines if line["event"] == "http.request"]
    assert "/v1/stores/nearby" in routes
    assert routes.count("/v1/positions") == 1, "positions that were taken are counted, those refused are told"
    assert "/v1/devices/{device_id}" in routes
    for secret in ("lbs_", "60.16", "24.93", "61.23", "anna", "?"):
        assert secret not in text


def test_a_route_sees_the_tenant_of_its_caller(broken: Api) -> None:
    assert broken.tenant().secret.get("/other-tenant").json() == 2
    with broken.services.api.connect() as connection:
        use_tenant(connection, broken.tenant().tenant_id)
        assert connection.execute(sa.text("SELECT count(*) FROM lbs.keys")).scalar() == 2


def test_too_many_positions_waiting_are_refused(tenant: TestTenant) -> None:
    appender = tenant.api.services.appender
    before, appender._max_waiting = appender._max_waiting, 0
    try:
        tenant.device("phone")
        answer = tenant.secret.post("/v1/positions", json={"device_id": "phone", "positions": [position()]})
        problem(answer, 429, "too-many-requests")
        assert answer.headers["Retry-After"] == "1"
    finally:
        appender._max_waiting = before
