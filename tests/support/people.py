"""People of a test's tenant: invited, with a password, signed in over HTTP as their browsers would."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from lbs.auth import INSTALLATION
from lbs.people import add_person, get_person
from lbs.sessions import COOKIE
from lbs.signing_in import invite
from lbs.tables import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    import httpx

    from tests.support.api import Api, TestTenant

    class Site(Protocol):
        """Where somebody signs in: an API of whatever kind."""

        @property
        def url(self) -> str: ...
        def client(self, key: str | None = None) -> httpx.Client: ...


PASSWORD = "correct horse battery staple"


def new_email() -> str:
    return f"{secrets.token_hex(6)}@example.org"


def invited(inviter: httpx.Client, role: str, *, store_ids: Iterable[str] = (), **given: Any) -> dict[str, Any]:
    """The answer to an invitation, link included."""
    body = {"email": new_email(), "name": "Anna", "role": role, "store_ids": list(store_ids), **given}
    answer = inviter.post("/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def token_of(link: str) -> str:
    return link.partition("#token=")[2]


def accept(api: Site, link: str, password: str = PASSWORD) -> str:
    """Chooses the password; answers the e-mail address."""
    answer = api.client().post("/v1/invitations/accept", json={"token": token_of(link), "password": password})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["email"])


def browser(api: Site, session: str | None = None) -> httpx.Client:
    """Sends the Origin of our own pages, and keeps cookies."""
    client = api.client()
    client.headers["Origin"] = api.url
    if session is not None:
        client.cookies.set(COOKIE, session, domain="127.0.0.1", path="/")
    return client


def sign_in(api: Site, email: str, password: str = PASSWORD) -> httpx.Client:
    client = browser(api)
    answer = client.post("/v1/sessions", json={"email": email, "password": password})
    assert answer.status_code == 201, answer.text
    return client


def person(tenant: TestTenant, role: str, *, store_ids: Iterable[str] = ()) -> httpx.Client:
    """Somebody of this role, signed in."""
    made = invited(tenant.secret, role, store_ids=store_ids)
    return sign_in(tenant.api, accept(tenant.api, made["invitation_url"]))


def installer(api: Api) -> httpx.Client:
    """An operator of the installation, signed in."""
    now = datetime.now(UTC)
    with api.system.begin() as connection:
        user_id = add_person(
            connection,
            tenant_id=INSTALLATION,
            email=new_email(),
            name="Root",
            role=Role.OPERATOR,
            store_ids=(),
            created_by="test",
            now=now,
        )
        link = invite(connection, get_person(connection, INSTALLATION, user_id), public_url=api.url, now=now).link
    return sign_in(api, accept(api, link))
