"""Pairing a phone app with a device: links that work as the apps open them, and no longer than they should."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import redis

from tests.support.api import HELSINKI, Api, TestTenant, position, problem

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.servers

PLACE = {"latitude": HELSINKI["lat"], "longitude": HELSINKI["lng"]}


def pair(client: httpx.Client, device_id: str = "phone") -> dict[str, Any]:
    answer = client.post(f"/v1/devices/{device_id}/pairing")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def settings_url(paired: dict[str, Any]) -> str:
    """What the app fetches (LoadViewModel.kt; OwnTracksAppDelegate.m, which looks at the address's extension)."""
    link = urlsplit(paired["owntracks"]["url"])
    assert (link.scheme, link.netloc, link.path) == ("owntracks", "", "/config")
    url = str(parse_qs(link.query)["url"][0])
    assert urlsplit(url).path.endswith(".otrc")
    return url


def owntracks(api: Api, settings: dict[str, Any]) -> httpx.Response:
    """A position, sent with the settings and nothing else."""
    message = {"_type": "location", "lat": HELSINKI["lat"], "lon": HELSINKI["lng"], "tst": int(time.time())}
    with api.client() as phone:
        return phone.post(settings["url"], json=message, auth=(settings["username"], settings["password"]))


@pytest.mark.parametrize("name", ["phone", "a-B:c 7", "Пекка"])
def test_the_settings_that_owntracks_imports_make_it_send(api: Api, tenant: TestTenant, name: str) -> None:
    token = tenant.device(name).headers["Authorization"].removeprefix("Bearer ")
    answer = api.client().get(settings_url(pair(tenant.secret, name)))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    settings = answer.json()
    assert settings["username"].isascii(), "both apps send it in headers"
    assert settings == {
        "_type": "configuration",
        "mode": 3,
        "url": f"{api.url}/v1/positions/owntracks",
        "auth": True,
        "username": name if name.isascii() else "device",
        "password": token,
        "deviceId": settings["username"],
        "tid": {"phone": "ne", "a-B:c 7": "c7"}.get(name, "ce"),
    }
    assert owntracks(api, settings).json() == []
    assert any(entry.positions is not None for entry in tenant.log(name))


def test_settings_are_told_once_whoever_is_first(api: Api, tenant: TestTenant) -> None:
    tenant.device("phone")
    url = settings_url(pair(tenant.secret))
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(api.client().get, [url] * 16))
    assert statuses == [200] + [404] * 15
    problem(api.client().get(url), 404, "not-found")
    problem(api.client().get("/v1/pairings/AAAAAAAAAAAAAAAAAAAAAA.otrc"), 404, "not-found")


def test_a_link_that_nobody_opened_ends(api: Api, tenant: TestTenant) -> None:
    tenant.device("phone")
    paired = pair(tenant.secret)
    ends = datetime.fromisoformat(paired["expires_at"])
    assert abs(ends - datetime.now(UTC) - timedelta(minutes=10)) < timedelta(seconds=30)
    redis_url = api.settings.redis_url
    assert redis_url is not None
    with redis.Redis.from_url(redis_url.get_secret_value()) as client:
        keys: Any = list(client.scan_iter(match=f"{api.settings.redis_prefix}:pairing:*"))
        assert keys
        assert all(0 < int(client.ttl(key)) <= 600 for key in keys)
        kept = b"".join(client.get(key) or b"" for key in keys)
        assert b"lbs_dt_" not in kept, "no token is kept"
        client.delete(*keys)
    problem(api.client().get(settings_url(paired)), 404, "not-found")


def test_the_link_of_traccar_client_makes_it_send(api: Api, tenant: TestTenant) -> None:
    """It takes what comes before the `?` as the server's address, and `id` for its own (configuration_service.dart)."""
    tenant.device("phone")
    url, _, query = pair(tenant.secret)["traccar"]["url"].partition("?")
    assert url == f"{api.url}/v1/positions/osmand"
    (token,) = parse_qs(query)["id"]
    location = {"timestamp": datetime.now(UTC).isoformat(), "coords": PLACE}
    answer = api.client().post(url, json={"location": location, "device_id": token})
    assert answer.json() == {"accepted": 1, "rejected": []}


def test_links_come_as_pictures_too(tenant: TestTenant) -> None:
    tenant.device("phone")
    paired = pair(tenant.secret)
    assert {paired[app]["qr_svg"][:4] for app in ("owntracks", "traccar")} == {"<svg"}


def test_a_device_pairs_itself_and_no_other(tenant: TestTenant) -> None:
    phone = tenant.device("phone")
    tenant.device("other")
    assert pair(phone)["device_id"] == "phone"
    problem(phone.post("/v1/devices/other/pairing"), 403, "forbidden")
    problem(tenant.secret.post("/v1/devices/nobody/pairing"), 404, "not-found")


def test_revoking_undoes_a_pairing_before_and_after_it_is_used(api: Api, tenant: TestTenant) -> None:
    tenant.device("phone")
    used, waiting = (settings_url(pair(tenant.secret)) for _ in range(2))
    settings = api.client().get(used).json()
    assert tenant.secret.post("/v1/devices/phone/revoke-tokens").status_code == 204
    problem(owntracks(api, settings), 401, "unauthorized")
    problem(owntracks(api, api.client().get(waiting).json()), 401, "unauthorized")


def test_a_device_that_only_servers_spoke_for_can_be_paired(api: Api, tenant: TestTenant) -> None:
    """It has no generation of tokens yet."""
    body = {"device_id": "van-1", "positions": [position()]}
    assert tenant.secret.post("/v1/positions", json=body).status_code == 202
    settings = api.client().get(settings_url(pair(tenant.secret, "van-1"))).json()
    assert owntracks(api, settings).json() == []
