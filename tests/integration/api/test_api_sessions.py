"""Signing in and out: the cookie, how a session ends, and who may not get one."""

from __future__ import annotations

import io
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import structlog

from lbs.observe import configure_logging
from lbs.sessions import COOKIE, SessionRing, hash_of
from lbs.signing_in import WINDOW_S
from lbs.tables import audit, invitations, sessions, users
from lbs.versions import program_version
from tests.support.api import Api, TestTenant, problem, running_api, settings_for, wait_for
from tests.support.people import PASSWORD, accept, browser, installer, invited, person, sign_in, token_of

if TYPE_CHECKING:
    import httpx


@pytest.fixture
def email(tenant: TestTenant) -> str:
    """Of a marketer who has accepted the invitation."""
    return accept(tenant.api, invited(tenant.secret, "marketer")["invitation_url"])


def attempt(api: Api, email: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
    return api.client().post("/v1/sessions", json={"email": email, "password": password}, headers=headers)


def age(api: Api, session: str, **columns: str) -> None:
    """Moves times of a session into the past: `last_seen_at="9 hours"`."""
    moved = {name: sa.text(f"{name} - interval '{by}'") for name, by in columns.items()}
    with api.system.begin() as connection:
        mine = sessions.c.hash == hash_of(session, "session")
        assert connection.execute(sa.update(sessions).where(mine).values(**moved)).rowcount == 1


def session_of(client: httpx.Client) -> str:
    return str(client.cookies[COOKIE])


def test_somebody_who_signed_in_is_told_who_they_are(api: Api, tenant: TestTenant) -> None:
    store = tenant.store()
    client = person(tenant, "store_manager", store_ids=[store["store_id"]])
    found = client.get("/v1/sessions").json()
    assert found["role"] == "store_manager"
    assert found["store_ids"] == [store["store_id"]]
    assert found["tenant"]["tenant_id"] == str(tenant.tenant_id)
    assert "hourly_traffic" in found["may"]
    assert "create_store" not in found["may"]
    assert found["installation"] == {"name": "LBS", "version": program_version(), "k": 5, "map_style_url": None}
    assert installer(api).get("/v1/sessions").json()["tenant"] is None


def test_the_cookie_is_for_no_script_and_for_no_other_site(api: Api, email: str) -> None:
    answer = attempt(api, email)
    morsel = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
    assert len(morsel.value) >= 43
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "strict", "/")
    assert morsel["domain"] == ""
    assert morsel["secure"] == "", "over plain http it would never come back"
    assert int(morsel["max-age"]) == api.settings.session_s
    assert morsel.value not in answer.text


def test_the_cookie_of_an_https_installation_is_secure(fresh_database_url: str, redis_url: str) -> None:
    settings = settings_for(fresh_database_url, redis_url, public_url="https://offers.example/")
    with running_api(settings) as running:
        made = invited(running.tenant().secret, "analyst")
        assert made["invitation_url"].startswith("https://offers.example/console/invite#token=")
        answer = attempt(running, accept(running, made["invitation_url"]))
        morsel = SimpleCookie(answer.headers["set-cookie"])[COOKIE]
        assert morsel["secure"] is True
        client = browser(running, morsel.value)
        problem(client.delete("/v1/sessions"), 403, "forbidden")  # it says it comes from 127.0.0.1
        client.headers["Origin"] = "http://offers.example"
        problem(client.delete("/v1/sessions"), 403, "forbidden")
        client.headers["Origin"] = "https://offers.example"
        assert client.delete("/v1/sessions").status_code == 204


def test_only_hashes_of_sessions_invitations_and_passwords_are_stored(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "marketer")
    token = token_of(made["invitation_url"])
    client = sign_in(api, accept(api, made["invitation_url"]))
    with api.system.connect() as connection:
        mine = users.c.email == made["email"]
        assert str(connection.execute(sa.select(users.c.password_hash).where(mine)).scalar()).startswith("$argon2id$")
        stored = [str(connection.execute(sa.select(table)).all()) for table in (users, sessions, invitations, audit)]
    for secret in (token, session_of(client), PASSWORD):
        assert secret not in "".join(stored)


def test_unknown_address_wrong_password_and_disabled_people_get_the_same_answer(
    api: Api, tenant: TestTenant, email: str
) -> None:
    disabled = invited(tenant.secret, "analyst")
    accept(api, disabled["invitation_url"])
    tenant.secret.patch(f"/v1/users/{disabled['user_id']}", json={"status": "disabled"})
    waiting = invited(tenant.secret, "analyst")["email"]
    answers = [
        attempt(api, email, "not the right password"),
        attempt(api, "nobody@example.org"),
        attempt(api, "no address at all"),
        attempt(api, disabled["email"]),
        attempt(api, waiting),
    ]
    for answer in answers:
        problem(answer, 401, "unauthorized")
        assert "set-cookie" not in answer.headers
    assert len({answer.json()["detail"] for answer in answers}) == 1


def test_the_same_work_is_done_for_an_unknown_address(api: Api, email: str) -> None:
    passwords = api.services.passwords
    before = passwords._hasher
    costs = []

    class Watched:
        hash, check_needs_rehash = before.hash, before.check_needs_rehash

        def verify(self, stored: str, password: str) -> bool:
            costs.append(stored.split("$")[1:4])
            return bool(before.verify(stored, password))

    passwords._hasher = Watched()  # type: ignore[assignment]
    try:
        attempt(api, email, "not the right password")
        attempt(api, "nobody@example.org", "not the right password")
    finally:
        passwords._hasher = before
    assert len(costs) == 2
    assert costs[0] == costs[1], "the same algorithm, version and cost"


def test_a_password_that_is_changed_while_it_is_checked_opens_nothing(api: Api, email: str) -> None:
    passwords = api.services.passwords
    before = passwords._hasher

    class Slow:
        hash, check_needs_rehash = before.hash, before.check_needs_rehash

        def verify(self, stored: str, password: str) -> bool:
            with api.system.begin() as connection:
                changed = sa.update(users).where(users.c.email == email).values(password_hash=before.hash("x" * 12))
                connection.execute(changed)
            return bool(before.verify(stored, password))

    passwords._hasher = Slow()  # type: ignore[assignment]
    try:
        answer = attempt(api, email)
    finally:
        passwords._hasher = before
    problem(answer, 401, "unauthorized")
    assert "set-cookie" not in answer.headers


def test_a_session_that_ends_while_it_is_looked_up_is_not_remembered(api: Api, email: str) -> None:
    session = session_of(sign_in(api, email))
    services = api.services
    ring = SessionRing(services.reader, services.api, idle=timedelta(hours=1), now=services.now)

    def end(*_: object) -> None:
        ring.forget(session)

    sa.event.listen(services.reader, "after_cursor_execute", end)
    try:
        ring.find(session)
    finally:
        sa.event.remove(services.reader, "after_cursor_execute", end)
    assert ring.remembered(session) is None
    ring.find(session)
    assert ring.remembered(session) is not None


def test_an_address_is_the_same_in_capitals(api: Api, email: str) -> None:
    assert attempt(api, f" {email.upper()} ").status_code == 201


def test_a_session_that_came_with_the_request_is_never_adopted(api: Api, email: str) -> None:
    planted = "A" * 43
    client = browser(api, planted)
    client.post("/v1/sessions", json={"email": email, "password": PASSWORD})
    assert session_of(sign_in(api, email)) != planted
    problem(browser(api, planted).get("/v1/sessions"), 401, "unauthorized")


def test_signing_in_again_ends_the_session_that_the_browser_had(api: Api, email: str) -> None:
    client = sign_in(api, email)
    first = session_of(client)
    assert client.get("/v1/sessions").status_code == 200
    assert client.post("/v1/sessions", json={"email": email, "password": PASSWORD}).status_code == 201
    assert session_of(client) != first
    problem(browser(api, first).get("/v1/sessions"), 401, "unauthorized")
    assert client.get("/v1/sessions").status_code == 200


def test_signing_out_ends_the_session_and_takes_the_cookie_back(api: Api, email: str) -> None:
    client, elsewhere = sign_in(api, email), sign_in(api, email)
    session = session_of(client)
    answer = client.delete("/v1/sessions")
    assert answer.status_code == 204
    assert SimpleCookie(answer.headers["set-cookie"])[COOKIE]["max-age"] == "0"
    problem(browser(api, session).get("/v1/sessions"), 401, "unauthorized")
    assert elsewhere.get("/v1/sessions").status_code == 200


@pytest.mark.parametrize("aged", [{"expires_at": "7 days"}, {"last_seen_at": "8 hours"}])
def test_a_session_ends_after_its_time_and_when_nobody_used_it(api: Api, email: str, aged: dict[str, str]) -> None:
    client = sign_in(api, email)
    age(api, session_of(client), **aged)
    problem(client.get("/v1/sessions"), 401, "unauthorized")


def test_using_a_session_keeps_it_from_idling_but_not_from_ending(api: Api, email: str) -> None:
    client = sign_in(api, email)
    session = session_of(client)
    age(api, session, last_seen_at="7 hours")
    assert client.get("/v1/sessions").status_code == 200
    with api.system.connect() as connection:
        row = connection.execute(sa.select(sessions).where(sessions.c.hash == hash_of(session, "session"))).one()
    assert (row.last_seen_at - row.created_at).total_seconds() < 60, "seen just now"
    assert (row.expires_at - row.created_at).total_seconds() == api.settings.session_s


def test_a_session_that_is_remembered_ends_no_later(fresh_database_url: str, redis_url: str) -> None:
    with running_api(settings_for(fresh_database_url, redis_url, session_s=2)) as running:
        client = person(running.tenant(), "analyst")
        assert client.get("/v1/stores").status_code == 200
        wait_for(lambda: client.get("/v1/stores").status_code == 401, give_up_s=4)


def test_ended_sessions_are_swept_away(api: Api, tenant: TestTenant, email: str) -> None:
    age(api, session_of(sign_in(api, email)), expires_at="8 days")
    sign_in(api, email)
    with api.system.connect() as connection:
        mine = sessions.c.tenant_id == tenant.tenant_id
        assert len(connection.execute(sa.select(sessions).where(mine)).all()) == 1


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
        ({"Origin": "{own}"}, 422),
    ],
)
def test_a_write_with_a_cookie_must_come_from_our_own_pages(
    api: Api, tenant: TestTenant, headers: dict[str, str], status: int
) -> None:
    signed_in = person(tenant, "marketer")
    client = api.client()
    client.cookies.set(COOKIE, session_of(signed_in), domain="127.0.0.1", path="/")
    given = {name: value.format(own=api.url) for name, value in headers.items()}
    assert client.post("/v1/stores", json={}, headers=given).status_code == status
    assert client.get("/v1/stores", headers=given).status_code == 200, "reading needs none"


def test_a_page_of_another_origin_signs_nobody_in(api: Api, email: str) -> None:
    problem(attempt(api, email, Origin="https://evil.example"), 403, "forbidden")
    assert attempt(api, email, Origin=api.url).status_code == 201


def test_a_key_counts_before_a_cookie(tenant: TestTenant) -> None:
    client = person(tenant, "analyst")
    client.headers["Authorization"] = tenant.secret.headers["Authorization"]
    del client.headers["Origin"]
    assert client.post("/v1/keys", json={"kind": "publishable"}).status_code == 201
    client.headers["Authorization"] = "Bearer lbs_sk_" + "A" * 43
    problem(client.get("/v1/stores"), 401, "unauthorized")


def test_guessing_at_one_address_is_stopped_whether_it_exists_or_not(fresh_database_url: str, redis_url: str) -> None:
    with running_api(settings_for(fresh_database_url, redis_url, sign_ins_per_email=3)) as few:
        made = accept(few, invited(few.tenant().secret, "analyst")["invitation_url"])
        for email in (made, "nobody@example.org"):
            answers = [attempt(few, email, f"a wrong password {n}") for n in range(3)]
            assert [answer.status_code for answer in answers] == [401, 401, 401]
            stopped = attempt(few, email.upper())
            problem(stopped, 429, "too-many-requests")
            assert 0 < int(stopped.headers["Retry-After"]) <= WINDOW_S
        assert few.services.redis.keys("*nobody*") == []


def test_a_good_sign_in_begins_the_count_anew(fresh_database_url: str, redis_url: str) -> None:
    with running_api(settings_for(fresh_database_url, redis_url, sign_ins_per_email=2)) as few:
        email = accept(few, invited(few.tenant().secret, "analyst")["invitation_url"])
        for _ in range(3):
            assert attempt(few, email, "a wrong password").status_code == 401
            assert attempt(few, email).status_code == 201


def test_guessing_from_one_network_is_stopped(fresh_database_url: str, redis_url: str) -> None:
    with running_api(settings_for(fresh_database_url, redis_url, sign_ins_per_address=3)) as few:
        for n in range(3):
            assert attempt(few, f"{n}@example.org").status_code == 401
        problem(attempt(few, "another@example.org"), 429, "too-many-requests")
        problem(
            few.client().post("/v1/invitations/accept", json={"token": "x", "password": PASSWORD}),
            429,
            "too-many-requests",
        )


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"role": "marketer"}])
def test_a_change_of_what_a_session_rests_on_ends_it_here_at_once(
    api: Api, tenant: TestTenant, change: dict[str, Any]
) -> None:
    made = invited(tenant.secret, "analyst")
    client = sign_in(api, accept(api, made["invitation_url"]))
    assert client.get("/v1/stores").status_code == 200
    assert tenant.secret.patch(f"/v1/users/{made['user_id']}", json=change).status_code == 200
    problem(client.get("/v1/stores"), 401, "unauthorized")


def test_another_name_leaves_sessions_alone(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "analyst")
    client = sign_in(api, accept(api, made["invitation_url"]))
    tenant.secret.patch(f"/v1/users/{made['user_id']}", json={"name": "Berta"})
    assert client.get("/v1/sessions").json()["name"] == "Berta"


def test_a_new_password_ends_sessions_at_once(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "analyst")
    client = sign_in(api, accept(api, made["invitation_url"]))
    assert client.get("/v1/stores").status_code == 200
    again = tenant.secret.post(f"/v1/users/{made['user_id']}/invite").json()
    assert client.get("/v1/stores").status_code == 200, "a link alone changes nothing"
    accept(api, again["invitation_url"], "another long password")
    problem(client.get("/v1/stores"), 401, "unauthorized")
    problem(attempt(api, made["email"]), 401, "unauthorized")
    assert attempt(api, made["email"], "another long password").status_code == 201


def test_a_deleted_person_is_out_at_once(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "analyst")
    client = sign_in(api, accept(api, made["invitation_url"]))
    assert client.get("/v1/stores").status_code == 200
    assert tenant.secret.delete(f"/v1/users/{made['user_id']}").status_code == 204
    problem(client.get("/v1/stores"), 401, "unauthorized")
    problem(attempt(api, made["email"]), 401, "unauthorized")


def test_another_process_believes_an_ended_session_for_seconds_only(api: Api, tenant: TestTenant) -> None:
    made = invited(tenant.secret, "analyst")
    here = sign_in(api, accept(api, made["invitation_url"]))
    with running_api(api.settings.model_copy(update={"redis_prefix": "test-other"})) as other:
        there = browser(other, session_of(here))
        assert there.get("/v1/stores").status_code == 200
        tenant.secret.patch(f"/v1/users/{made['user_id']}", json={"status": "disabled"})
        problem(here.get("/v1/stores"), 401, "unauthorized")
        wait_for(lambda: there.get("/v1/stores").status_code == 401, give_up_s=6)


def test_the_log_names_nobody_and_no_secret(api: Api, tenant: TestTenant) -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    configure_logging("debug", stream=stream)
    try:
        made = invited(tenant.secret, "operator")
        token = token_of(made["invitation_url"])
        client = sign_in(api, accept(api, made["invitation_url"]))
        attempt(api, made["email"], "not the right password")
        client.post(f"/v1/users/{made['user_id']}/invite")
        browser(api, "B" * 43).get("/v1/sessions")
        wait_for(lambda: stream.getvalue().count("\n") >= 6)
    finally:
        structlog.configure(**before)
    text = stream.getvalue()
    assert "session.refused" in text
    for secret in (token, session_of(client), PASSWORD, "not the right", made["email"], "B" * 43, "argon2"):
        assert secret not in text
