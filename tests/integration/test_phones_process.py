"""A phone paired on the command line with a real `lbs api`, whose logs then hold neither its token nor its place."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.api import wait_for

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytestmark = pytest.mark.servers

LAT, LON = "60.1699123", "24.9384123"
DEVICE = {"device_id": "phone-4711", "consents": [{"purpose": "location", "version": "1"}]}


def listens_at(cli: Cli) -> str | None:
    found = re.search(r"http://127\.0\.0\.1:\d+", (cli.home / "api.out").read_text())
    return found and found[0]


def send_everything(url: str, paired: dict[str, Any]) -> str:
    """All that a phone's apps do, well and badly; the token."""
    (settings_url,) = parse_qs(urlsplit(paired["owntracks"]).query)["url"]
    fetched = httpx.get(settings_url.replace("https://offers.example", url)).json()
    token = str(fetched["password"])
    assert paired["traccar"] == f"https://offers.example/v1/positions/osmand?id={token}"
    owntracks, osmand = f"{url}/v1/positions/owntracks", f"{url}/v1/positions/osmand"
    message = {"_type": "location", "lat": float(LAT), "lon": float(LON), "tst": int(time.time())}
    fix = {"timestamp": time.time(), "coords": {"latitude": float(LAT), "longitude": float(LON)}}
    place = {"id": token, "lat": LAT, "lon": LON}
    body = {"device_id": DEVICE["device_id"], "positions": [{"lat": float(LAT), "lng": float(LON), "recorded_at": 1}]}
    answers = [
        httpx.post(owntracks, json=message, auth=("phone-4711", token)),
        httpx.post(owntracks, content=f"[{LAT}", auth=("phone-4711", token)),
        httpx.post(owntracks, json=message, auth=("phone-4711", f"{token}x")),
        httpx.post(osmand, json={"device_id": token, "location": fix}),
        httpx.get(osmand, params=place),
        httpx.post(osmand, params=place),
        httpx.post(osmand, params={**place, "id": f"{token}x"}),
        httpx.get(osmand, params={**place, "lat": "north"}),
        httpx.put(osmand, params=place),
        httpx.post(f"{url}/v1/positions?include={token}", json=body, headers={"Authorization": f"Bearer {token}"}),
        httpx.get(settings_url.replace("https://offers.example", url)),
    ]
    assert [answer.status_code for answer in answers] == [200, 422, 401, 200, 200, 200, 401, 200, 405, 422, 404]
    assert not [answer.text for answer in answers if token in answer.text or LAT in answer.text]
    return token


def test_logs_hold_no_token_and_no_place(cli: Cli) -> None:
    tenant = cli.json("tenant", "create", "shop")
    with cli.running("api"):
        url = wait_for(lambda: listens_at(cli), give_up_s=60)
        headers = {"Authorization": f"Bearer {tenant['keys']['secret']}"}
        assert httpx.post(f"{url}/v1/devices", json=DEVICE, headers=headers).status_code == 201
        pair = ("device", "pair", "phone-4711", "--tenant", "shop")
        assert "LBS_PUBLIC_URL" in cli.fails(*pair)
        assert "no device 'nobody'" in cli.fails("device", "pair", "nobody", *pair[3:], "--url", url)
        paired = cli.json(*pair, "--url", "https://offers.example/")
        assert list(paired) == ["device_id", "expires_at", "owntracks", "traccar"]
        token = send_everything(url, paired)
        drawn = cli.ok(*pair, "--app", "traccar", LBS_PUBLIC_URL="https://offers.example")
        assert "█" in drawn
        assert f"?id={token}" in drawn
        metrics = httpx.get(f"{url}/metrics").text
    log = (cli.home / "api.out").read_text()
    assert log.count('"route": "/v1/positions/osmand"') == 2, "what was refused, and nothing that was taken"
    for told in (log, metrics):
        assert "/v1/positions/osmand" in told
        for secret in (token, token.partition(".")[2], LAT, LON, "phone-4711", "pairing:"):
            assert secret not in told
