"""Signing in at an OpenID Connect provider: a real one over HTTP, and all that it may do wrong."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import sqlalchemy as sa

from lbs.sessions import COOKIE
from lbs.settings import Settings
from lbs.tables import users
from tests.support.api import Api, problem, running_api, settings_for
from tests.support.oidc_provider import CLIENT_ID, CLIENT_SECRET, Provider, new_key, running_provider
from tests.support.people import PASSWORD, accept, browser, invited, new_email

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

CALLBACK = "/v1/sessions/provider/callback"


@pytest.fixture(scope="module")
def module_provider() -> Iterator[Provider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def site(module_provider: Provider, new_database_url: Callable[[], str], redis_url: str) -> Iterator[Api]:
    """An installation that has the provider."""
    given = {"oidc_issuer": module_provider.url, "oidc_client_id": CLIENT_ID, "oidc_client_secret": CLIENT_SECRET}
    settings = settings_for(new_database_url(), redis_url, sign_ins_per_address=100_000, **given)
    with running_api(settings) as running:
        yield running


@pytest.fixture
def provider(module_provider: Provider, site: Api) -> Provider:
    """Well-behaved again, with somebody new to sign in."""
    module_provider.__init__(url=module_provider.url, email=new_email(), subject=new_email())  # type: ignore[misc]
    assert site.services.provider is not None
    site.services.provider._provider = None
    site.services.provider._keys = None
    return module_provider


def leave(client: httpx.Client) -> dict[str, str]:
    """Goes to the provider; answers what it is asked."""
    answer = client.get("/v1/sessions/provider")
    assert answer.status_code == 303, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def come_back(client: httpx.Client, provider: Provider, asked: dict[str, str], **given: str) -> httpx.Response:
    return client.get(CALLBACK, params={"state": asked["state"], "code": provider.authorize(asked), **given})


def signed_in(site: Api, provider: Provider) -> tuple[httpx.Client, httpx.Response]:
    client = browser(site)
    return client, come_back(client, provider, leave(client))


def test_who_was_invited_signs_in_with_a_verified_address(site: Api, provider: Provider) -> None:
    made = invited(site.tenant().secret, "approver", email=provider.email.upper())
    client, answer = signed_in(site, provider)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{site.url}/console/"
    assert COOKIE in client.cookies
    assert "lbs_away" not in client.cookies
    found = client.get("/v1/sessions").json()
    assert (found["user_id"], found["role"]) == (made["user_id"], "approver")


def test_the_browser_is_sent_where_discovery_says(site: Api, provider: Provider) -> None:
    answer = browser(site).get("/v1/sessions/provider")
    assert answer.headers["location"].startswith(f"{provider.url}/authorize?tenant=1&")
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    assert asked["redirect_uri"] == f"{site.url}{CALLBACK}"
    morsel = SimpleCookie(answer.headers["set-cookie"])["lbs_away"]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "lax", "/v1/sessions/provider")


def test_nobody_gets_an_account_by_signing_in(site: Api, provider: Provider) -> None:
    client, answer = signed_in(site, provider)
    problem(answer, 403, "forbidden")
    assert COOKIE not in client.cookies
    with site.system.connect() as connection:
        found = connection.execute(sa.select(users.c.user_id).where(users.c.email == provider.email)).all()
    assert found == []


@pytest.mark.parametrize("verified", [False, None, "true"])
def test_an_address_that_the_provider_has_not_verified_opens_nothing(
    site: Api, provider: Provider, verified: object
) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    provider.claims = {"email_verified": verified}
    problem(signed_in(site, provider)[1], 403, "forbidden")


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "of another sign-in"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": [CLIENT_ID, "another client"]},
        {"aud": [CLIENT_ID, "another client"], "azp": "another client"},
        {"azp": "another client"},
        {"aud": None},
        {"iss": "https://another.example"},
        {"exp": 1_600_000_000},
        {"exp": None},
        {"iat": 4_000_000_000},
        {"sub": None},
    ],
    ids=str,
)
def test_a_token_that_says_the_wrong_thing_opens_nothing(site: Api, provider: Provider, claims: dict[str, Any]) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    provider.claims = claims
    client, answer = signed_in(site, provider)
    problem(answer, 401, "unauthorized")
    assert COOKIE not in client.cookies


def test_several_audiences_are_fine_if_it_was_made_for_us(site: Api, provider: Provider) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    provider.claims = {"aud": [CLIENT_ID, "another client"], "azp": CLIENT_ID}
    assert signed_in(site, provider)[1].status_code == 303


def test_a_token_signed_by_another_key_opens_nothing(site: Api, provider: Provider) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    provider.published = {provider.kid: new_key()}
    problem(signed_in(site, provider)[1], 401, "unauthorized")


@pytest.mark.parametrize(("algorithm", "key"), [("none", ""), ("HS256", "a secret as long as the algorithm wants it")])
def test_a_token_without_a_signature_of_the_providers_opens_nothing(
    site: Api, provider: Provider, algorithm: str, key: str
) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    provider.published = {provider.kid: provider.key}
    provider.algorithm, provider.key = algorithm, key
    problem(signed_in(site, provider)[1], 401, "unauthorized")


def test_a_new_key_of_the_provider_is_fetched(site: Api, provider: Provider) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    assert signed_in(site, provider)[1].status_code == 303
    provider.key, provider.kid = new_key(), "key-2"
    problem(signed_in(site, provider)[1], 401, "unauthorized")  # not asked again within a minute
    assert site.services.provider is not None
    site.services.provider._keys_at_s -= 61
    assert signed_in(site, provider)[1].status_code == 303


def test_an_unknown_state_opens_nothing(site: Api, provider: Provider) -> None:
    client = browser(site)
    asked = leave(client)
    problem(come_back(client, provider, {**asked, "state": "made-up"}), 401, "unauthorized")
    stranger = browser(site)
    problem(come_back(stranger, provider, asked), 401, "unauthorized")
    invited(site.tenant().secret, "operator", email=provider.email)
    assert come_back(client, provider, asked).status_code == 303, "in its own browser it is good"


def test_an_answer_counts_once(site: Api, provider: Provider) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    client = browser(site)
    asked = leave(client)
    kept = client.cookies["lbs_away"]
    code = provider.authorize(asked)
    assert client.get(CALLBACK, params={"state": asked["state"], "code": code}).status_code == 303
    again = browser(site)
    again.cookies.set("lbs_away", kept, domain="127.0.0.1", path="/")
    problem(again.get(CALLBACK, params={"state": asked["state"], "code": code}), 401, "unauthorized")


def test_a_spent_code_opens_nothing_in_a_new_sign_in(site: Api, provider: Provider) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    client = browser(site)
    asked = leave(client)
    code = provider.authorize(asked)
    assert client.get(CALLBACK, params={"state": asked["state"], "code": code}).status_code == 303
    second = leave(client)
    problem(client.get(CALLBACK, params={"state": second["state"], "code": code}), 401, "unauthorized")
    assert provider.refused == ["code"]


def test_a_code_of_another_browser_fails_at_the_provider(site: Api, provider: Provider) -> None:
    invited(site.tenant().secret, "operator", email=provider.email)
    stolen = provider.authorize(leave(browser(site)))
    thief = browser(site)
    asked = leave(thief)
    problem(thief.get(CALLBACK, params={"state": asked["state"], "code": stolen}), 401, "unauthorized")
    assert provider.refused == ["verifier"]


def test_an_answer_of_another_provider_is_refused(site: Api, provider: Provider) -> None:
    client = browser(site)
    problem(come_back(client, provider, leave(client), iss="https://another.example"), 403, "forbidden")


def test_somebody_who_refused_there_is_not_signed_in_here(site: Api, provider: Provider) -> None:
    client = browser(site)
    asked = leave(client)
    assert provider.codes == {}
    answer = client.get(CALLBACK, params={"state": asked["state"], "error": "access_denied"})
    problem(answer, 401, "unauthorized")


def test_the_subject_is_bound_at_the_first_sign_in(site: Api, provider: Provider) -> None:
    made = invited(site.tenant().secret, "operator", email=provider.email)
    assert signed_in(site, provider)[1].status_code == 303
    bound, provider.subject = provider.subject, "somebody else with the same address"
    problem(signed_in(site, provider)[1], 403, "forbidden")
    provider.subject, provider.email = bound, new_email()
    client, answer = signed_in(site, provider)
    assert answer.status_code == 303, "a changed address is the same person still"
    assert client.get("/v1/sessions").json()["user_id"] == made["user_id"]


def test_a_disabled_person_does_not_get_in_there_either(site: Api, provider: Provider) -> None:
    tenant = site.tenant()
    made = invited(tenant.secret, "operator", email=provider.email)
    assert signed_in(site, provider)[1].status_code == 303
    tenant.secret.patch(f"/v1/users/{made['user_id']}", json={"status": "disabled"})
    problem(signed_in(site, provider)[1], 403, "forbidden")


def test_password_and_provider_lead_to_the_same_person(site: Api, provider: Provider) -> None:
    made = invited(site.tenant().secret, "analyst", email=provider.email)
    accept(site, made["invitation_url"])
    client, _ = signed_in(site, provider)
    assert client.get("/v1/sessions").json()["user_id"] == made["user_id"]
    body = {"email": provider.email, "password": PASSWORD}
    assert site.client().post("/v1/sessions", json=body).status_code == 201


def test_a_provider_that_is_away_is_said_to_be_away(site: Api, provider: Provider) -> None:
    provider.down = True
    problem(browser(site).get("/v1/sessions/provider"), 503, "provider-unavailable")


@pytest.mark.parametrize(
    "said", [{"issuer": "https://another.example"}, {"token_endpoint": 7}, {"jwks_uri": "nonsense"}]
)
def test_a_provider_that_describes_itself_wrongly_is_not_believed(
    site: Api, provider: Provider, said: dict[str, Any]
) -> None:
    provider.discovery = said
    client = browser(site)
    begun = client.get("/v1/sessions/provider")
    if begun.status_code == 303:
        begun = come_back(client, provider, dict(parse_qsl(urlsplit(begun.headers["location"]).query)))
    problem(begun, 503, "provider-unavailable")


def test_without_a_provider_there_is_none(api: Api) -> None:
    problem(api.client().get("/v1/sessions/provider"), 404, "not-found")
    problem(api.client().get(CALLBACK, params={"state": "x", "code": "y"}), 404, "not-found")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"oidc_issuer": "https://id.example"}, "belong together"),
        ({"oidc_client_id": "lbs"}, "belong together"),
        ({"oidc_issuer": "http://id.example", "oidc_client_id": "lbs"}, "must be an https URL"),
    ],
)
def test_half_a_provider_ends_the_command(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings.model_validate(given)
