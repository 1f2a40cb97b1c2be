"""Every key and every role at every route: refused exactly where this table says so.

The table is written by hand, by resource, and is not made from `lbs.access`. That each entry of that one counts is
shown by turning it over and seeing the answer change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from lbs.access import ACCESS, ANYBODY, DEVICE, INSTALLER, PUBLISHABLE, SECRET, STORE
from lbs.app import create_app
from tests.architecture.openapi_snapshot import document
from tests.support.api import Api, settings_for
from tests.support.people import installer, person

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

WHO: Final = (
    SECRET, PUBLISHABLE, DEVICE, STORE, "marketer", "approver", "store_manager", "analyst", "operator", INSTALLER,
)  # fmt: skip
EXPECTED: Final = """
                                                  keys                     people
                                                  secret app  device store marketer approver manager analyst operator installer
--- one's own session
GET    /v1/sessions                               .      .    .      .     yes      yes      yes     yes     yes      yes
DELETE /v1/sessions                               .      .    .      .     yes      yes      yes     yes     yes      yes
--- phones
POST   /v1/positions                              yes    yes  yes    .     .        .        .       .       .        .
POST   /v1/positions/owntracks                    yes    .    yes    .     .        .        .       .       .        .
POST   /v1/positions/osmand                       yes    .    yes    .     .        .        .       .       .        .
GET    /v1/positions/osmand                       yes    .    yes    .     .        .        .       .       .        .
POST   /v1/devices                                yes    yes  yes    .     .        .        .       .       .        .
GET    /v1/devices/{device_id}                    yes    .    yes    .     .        .        .       .       yes      .
PATCH  /v1/devices/{device_id}                    yes    .    yes    .     .        .        .       .       .        .
DELETE /v1/devices/{device_id}                    yes    .    yes    .     .        .        .       .       .        .
GET    /v1/devices/{device_id}/export             yes    .    yes    .     .        .        .       .       yes      .
POST   /v1/devices/{device_id}/pairing            yes    .    yes    .     .        .        .       .       .        .
POST   /v1/devices/{device_id}/revoke-tokens      yes    .    .      .     .        .        .       .       yes      .
GET    /v1/devices/{device_id}/inbox              yes    .    yes    .     .        .        .       .       .        .
GET    /v1/devices/{device_id}/stream             yes    .    yes    .     .        .        .       .       .        .
POST   /v1/receipts                               yes    .    yes    .     .        .        .       .       .        .
GET    /v1/push/key                               yes    yes  yes    .     .        .        .       .       .        .
--- search
GET    /v1/stores/nearby                          yes    yes  yes    .     yes      yes      .       yes     yes      .
GET    /v1/offers/nearby                          yes    yes  yes    .     yes      yes      yes     yes     yes      .
POST   /v1/fences/match                           yes    yes  yes    .     yes      yes      .       yes     yes      .
GET    /v1/stores/{store_id}/open                 yes    yes  yes    yes   yes      yes      yes     yes     yes      .
--- stores, fences, traffic
GET    /v1/stores                                 yes    .    .      yes   yes      yes      yes     yes     yes      .
GET    /v1/stores/{store_id}                      yes    yes  yes    yes   yes      yes      yes     yes     yes      .
GET    /v1/traffic/stores/{store_id}/hours        yes    .    .      yes   yes      yes      yes     yes     yes      .
GET    /v1/traffic/stores/{store_id}/series       yes    .    .      yes   yes      yes      yes     yes     yes      .
GET    /v1/traffic/stores/{store_id}/today        yes    .    .      yes   yes      yes      yes     yes     yes      .
GET    /v1/traffic/stores/{store_id}/dwell        yes    .    .      yes   yes      yes      yes     yes     yes      .
GET    /v1/traffic/stores/{store_id}/live         yes    .    .      yes   yes      yes      yes     yes     yes      .
GET    /v1/traffic/stores/{store_id}/heat         yes    .    .      yes   yes      yes      yes     yes     yes      .
GET    /v1/traffic/stores                         yes    .    .      yes   yes      yes      yes     yes     yes      .
POST   /v1/stores                                 yes    .    .      .     yes      .        .       .       .        .
PUT    /v1/stores/{store_id}                      yes    .    .      .     yes      .        .       .       .        .
DELETE /v1/stores/{store_id}                      yes    .    .      .     yes      .        .       .       .        .
GET    /v1/fences                                 yes    .    .      .     yes      yes      .       yes     yes      .
GET    /v1/fences/{fence_id}                      yes    .    .      .     yes      yes      .       yes     yes      .
POST   /v1/fences                                 yes    .    .      .     yes      .        .       .       .        .
PUT    /v1/fences/{fence_id}                      yes    .    .      .     yes      .        .       .       .        .
DELETE /v1/fences/{fence_id}                      yes    .    .      .     yes      .        .       .       .        .
POST   /v1/fences/preview                         yes    .    .      .     yes      .        .       .       .        .
GET    /v1/tiles/{layer}/{z}/{x}/{y}.mvt          yes    .    .      yes   yes      yes      yes     yes     yes      .
GET    /v1/map/bounds                             yes    .    .      yes   yes      yes      yes     yes     yes      .
POST   /v1/imports/stores                         yes    .    .      .     yes      .        .       .       .        .
POST   /v1/imports/fences                         yes    .    .      .     yes      .        .       .       .        .
GET    /v1/imports/{import_id}                    yes    .    .      .     yes      .        .       .       .        .
--- campaigns
GET    /v1/campaigns                              yes    .    .      .     yes      yes      .       yes     yes      .
GET    /v1/campaigns/{campaign_id}                yes    .    .      .     yes      yes      .       yes     yes      .
GET    /v1/campaigns/{campaign_id}/windows        yes    .    .      .     yes      yes      .       yes     yes      .
POST   /v1/campaigns/windows                      yes    .    .      .     yes      yes      .       yes     yes      .
GET    /v1/campaigns/{campaign_id}/lift           yes    .    .      .     yes      yes      .       yes     yes      .
GET    /v1/campaigns/{campaign_id}/report         yes    .    .      .     yes      yes      .       yes     yes      .
GET    /v1/campaigns/{campaign_id}/explain        yes    .    .      .     yes      yes      .       yes     yes      .
POST   /v1/campaigns/{campaign_id}/dry-run        yes    .    .      .     yes      yes      .       yes     yes      .
GET    /v1/campaigns/{campaign_id}/history        yes    .    .      .     yes      yes      .       yes     yes      .
GET    /v1/campaigns/{campaign_id}/triggers       yes    .    .      .     yes      yes      .       yes     yes      .
POST   /v1/campaigns                              yes    .    .      .     yes      .        .       .       .        .
PUT    /v1/campaigns/{campaign_id}                yes    .    .      .     yes      .        .       .       .        .
POST   /v1/campaigns/{campaign_id}/clone          yes    .    .      .     yes      .        .       .       .        .
POST   /v1/campaigns/{campaign_id}/submit         yes    .    .      .     yes      .        .       .       .        .
POST   /v1/campaigns/{campaign_id}/archive        yes    .    .      .     yes      .        .       .       .        .
POST   /v1/campaigns/{campaign_id}/withdraw       yes    .    .      .     yes      .        .       .       .        .
POST   /v1/campaigns/{campaign_id}/unarchive      yes    .    .      .     yes      .        .       .       .        .
POST   /v1/campaigns/{campaign_id}/test-send      yes    .    .      .     yes      yes      .       .       .        .
POST   /v1/campaigns/{campaign_id}/reject         yes    .    .      .     .        yes      .       .       .        .
POST   /v1/campaigns/{campaign_id}/approve        yes    .    .      .     .        yes      .       .       .        .
POST   /v1/campaigns/{campaign_id}/pause          yes    .    .      .     .        yes      .       .       .        .
POST   /v1/campaigns/{campaign_id}/resume         yes    .    .      .     .        yes      .       .       .        .
POST   /v1/campaigns/{campaign_id}/stop           yes    .    .      .     .        yes      .       .       .        .
--- claims and tills
POST   /v1/claims                                 yes    .    yes    .     .        .        .       .       .        .
GET    /v1/claims                                 yes    .    yes    .     .        .        .       .       .        .
GET    /v1/claims/{claim_id}                      yes    .    yes    .     .        .        .       .       .        .
GET    /v1/claims/{claim_id}/qr.{form}            yes    .    yes    .     .        .        .       .       .        .
POST   /v1/redemptions/prepare                    yes    .    .      yes   .        .        yes     .       .        .
POST   /v1/redemptions/verify                     yes    .    .      yes   .        .        yes     .       .        .
POST   /v1/redemptions/cancel                     yes    .    .      yes   .        .        yes     .       .        .
GET    /v1/redemptions/statement                  yes    .    .      yes   .        .        yes     yes     .        .
--- running it
POST   /v1/webhooks                               yes    .    .      .     .        .        .       .       yes      .
GET    /v1/webhooks                               yes    .    .      .     .        .        .       .       yes      .
GET    /v1/webhooks/{webhook_id}                  yes    .    .      .     .        .        .       .       yes      .
PUT    /v1/webhooks/{webhook_id}                  yes    .    .      .     .        .        .       .       yes      .
DELETE /v1/webhooks/{webhook_id}                  yes    .    .      .     .        .        .       .       yes      .
POST   /v1/webhooks/{webhook_id}/rotate-secret    yes    .    .      .     .        .        .       .       yes      .
POST   /v1/webhooks/{webhook_id}/replay           yes    .    .      .     .        .        .       .       yes      .
POST   /v1/webhooks/{webhook_id}/test             yes    .    .      .     .        .        .       .       yes      .
GET    /v1/webhooks/{webhook_id}/attempts         yes    .    .      .     .        .        .       .       yes      .
POST   /v1/keys                                   yes    .    .      .     .        .        .       .       yes      .
GET    /v1/keys                                   yes    .    .      .     .        .        .       .       yes      .
DELETE /v1/keys/{key_id}                          yes    .    .      .     .        .        .       .       yes      .
POST   /v1/users                                  yes    .    .      .     .        .        .       .       yes      yes
GET    /v1/users                                  yes    .    .      .     .        .        .       .       yes      yes
GET    /v1/users/{user_id}                        yes    .    .      .     .        .        .       .       yes      yes
PATCH  /v1/users/{user_id}                        yes    .    .      .     .        .        .       .       yes      yes
DELETE /v1/users/{user_id}                        yes    .    .      .     .        .        .       .       yes      yes
POST   /v1/users/{user_id}/invite                 yes    .    .      .     .        .        .       .       yes      yes
GET    /v1/audit                                  yes    .    .      .     .        .        .       .       yes      yes
GET    /v1/operations                             yes    .    .      .     .        .        .       .       yes      yes
GET    /v1/demo/walkers                           yes    .    .      .     yes      yes      yes     yes     yes      .
GET    /v1/tenants                                .      .    .      .     .        .        .       .       .        yes
"""  # noqa: E501 - a table
OPEN: Final = {
    "GET /healthz", "GET /readyz", "GET /metrics", "POST /v1/sessions", "POST /v1/invitations/accept",
    "GET /v1/sessions/provider", "GET /v1/sessions/provider/callback", "GET /v1/pairings/{code}.otrc",
}  # fmt: skip
MOVES: Final = ("submit", "withdraw", "approve", "pause", "resume", "stop", "archive", "unarchive")
UNUSABLE: Final = {"Idempotency-Key": "x" * 256}
"""Refused with 422 after the caller was judged and before anything is written."""


def expected() -> dict[str, dict[str, bool]]:
    """Route -> caller -> whether it may."""
    found = {}
    for line in EXPECTED.splitlines():
        if line.startswith(("GET", "POST", "PUT", "PATCH", "DELETE")):
            method, path, *answers = line.split()
            assert set(answers) <= {"yes", "."}
            found[f"{method} {path}"] = {who: answer == "yes" for who, answer in zip(WHO, answers, strict=True)}
    return found


def operations() -> Iterator[tuple[str, str]]:
    """Each route as the table writes it, and the name that the application knows it by."""
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            moves = MOVES if "{move}" in path else ("",)
            for move in moves:
                route = f"{method.upper()} {path.replace('{move}', move)}"
                yield route, operation["operationId"] + (f":{move}" if move else "")


NAMES: Final = dict(operations())
GUARDED: Final = sorted(set(NAMES) - OPEN)


class Crowd:
    """One of each, all of one tenant; whoever signed out comes back."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tenant = tenant = api.tenant()
        self._store_id = tenant.store()["store_id"]
        key = tenant.secret.post("/v1/keys", json={"kind": "store", "store_id": self._store_id}).json()["key"]
        self._clients: dict[str, httpx.Client] = {
            SECRET: tenant.secret,
            PUBLISHABLE: tenant.app,
            DEVICE: tenant.device("phone"),
            STORE: api.client(key),
        }

    def client(self, who: str) -> httpx.Client:
        if who not in self._clients:
            stores = [self._store_id] if who == "store_manager" else []
            self._clients[who] = (
                installer(self._api) if who == INSTALLER else person(self._tenant, who, store_ids=stores)
            )
        return self._clients[who]

    def may(self, who: str, route: str) -> bool:
        """Whether the answer is not 403; the caller is known in any case."""
        method, path = route.split()
        for name, value in (("device_id", "phone"), ("store_id", self._store_id)):
            path = path.replace(f"{{{name}}}", value)
        while "{" in path:
            path = path[: path.index("{")] + "1" + path[path.index("}") + 1 :]
        given: dict[str, Any] = {} if method in {"GET", "DELETE"} else {"json": {}}
        headers = {} if method == "GET" else UNUSABLE
        with self.client(who).stream(method, path, headers=headers, **given) as answer:
            status = answer.status_code
        assert status != 401, f"{who} is not known at {route}"
        if route == "DELETE /v1/sessions" and status == 204:
            del self._clients[who]
        return bool(status != 403)


@pytest.fixture(scope="module")
def crowd(api: Api) -> Crowd:
    return Crowd(api)


def test_the_table_has_every_route() -> None:
    assert sorted(expected()) == GUARDED
    assert set(NAMES) >= OPEN
    assert sorted(NAMES.values()) == sorted(ACCESS)


@pytest.mark.parametrize("who", WHO)
def test_each_caller_may_exactly_what_the_table_says(crowd: Crowd, who: str) -> None:
    table = expected()
    found = {route: crowd.may(who, route) for route in GUARDED}
    assert found == {route: table[route][who] for route in GUARDED}


@pytest.mark.parametrize("who", WHO)
def test_each_entry_of_the_application_counts(crowd: Crowd, who: str) -> None:
    """With any one of them turned over, the test above would fail."""
    table, app = expected(), cast("dict[str, frozenset[str]]", ACCESS)
    unnoticed = []
    for route in GUARDED:
        crowd.client(who)  # signs in by the table as it is
        name = NAMES[route]
        before = app[name]
        app[name] = before ^ {who}
        try:
            if crowd.may(who, route) == table[route][who]:
                unnoticed.append(route)
        finally:
            app[name] = before
    assert unnoticed == []


@pytest.mark.parametrize("route", sorted(NAMES))
def test_an_application_does_not_start_with_a_route_that_asks_otherwise_than_its_row(route: str) -> None:
    app = cast("dict[str, frozenset[str]]", ACCESS)
    name = NAMES[route]
    before = app[name]
    same = [other for other in app if other.partition(":")[0] == name.partition(":")[0]]
    rows = {other: app[other] for other in same}
    settings = settings_for("postgresql://nowhere/x", "redis://nowhere/0")
    try:
        for other in same:
            app[other] = frozenset({SECRET}) if before == ANYBODY else ANYBODY
        with pytest.raises(AssertionError, match=f"{same[0].partition(':')[0]} does not ask who calls"):
            create_app(settings)
        for other in same:
            del app[other]
        with pytest.raises(AssertionError, match="has no row"):
            create_app(settings)
    finally:
        app.update(rows)


@pytest.mark.parametrize("route", sorted(OPEN))
def test_an_open_route_asks_for_nothing(api: Api, route: str) -> None:
    method, path = route.split()
    given: dict[str, Any] = {"json": {}} if method == "POST" else {}
    assert api.client().request(method, path, **given).status_code not in {401, 403}


@pytest.mark.parametrize("route", GUARDED)
def test_nobody_gets_in_without_a_key_or_a_session(api: Api, route: str) -> None:
    method, path = route.split()
    given: dict[str, Any] = {} if method in {"GET", "DELETE"} else {"json": {}}
    assert api.client().request(method, path, **given).status_code == 401
