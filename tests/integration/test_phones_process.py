"""A phone paired on the command line with a real `lbs api`, whose logs then hold neither its token nor its place."""

from __future__ import annotations

import json
import re
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from typer.testing import CliRunner

from lbs.cli import build
from tests.support.api import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.cli import Cli

pytestmark = pytest.mark.servers

LAT, LON = "60.1699123", "24.9384123"
DEVICE = "phone-4711"


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
    body = {"device_id": DEVICE, "positions": [{"lat": float(LAT), "lng": float(LON), "recorded_at": 1}]}
    # the process remembers a device without a token until it hears of the pairing
    wait_for(lambda: httpx.post(owntracks, json=message, auth=(DEVICE, token)).status_code == 200)
    answers = [
        httpx.post(owntracks, json=message, auth=(DEVICE, token)),
        httpx.post(owntracks, content=f"[{LAT}", auth=(DEVICE, token)),
        httpx.post(owntracks, json=message, auth=(DEVICE, f"{token}x")),
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


@contextmanager
def running_api(cli: Cli) -> Iterator[Path]:
    """The process, and the file that all of its output goes to."""
    log = cli.home / "api.out"
    with log.open("wb") as output:
        process = subprocess.Popen(cli.command("api", "--port", 0), env=cli.environment, stdout=output, stderr=output)
        try:
            yield log
        finally:
            process.terminate()
            process.wait(timeout=30)


def told_by(cli: Cli, *arguments: str) -> dict[str, Any]:
    """The JSON of a command, run in this process, which starts faster than another one."""
    done = CliRunner().invoke(build(), [*arguments, "--json"], env=cli.environment, catch_exceptions=False)
    return dict(json.loads(done.stdout))


def test_logs_hold_no_token_and_no_place(cli: Cli) -> None:
    tenant = told_by(cli, "tenant", "create", "shop")
    with running_api(cli) as log:
        found = wait_for(lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()), give_up_s=60)
        headers = {"Authorization": f"Bearer {tenant['keys']['secret']}"}
        known = {"device_id": DEVICE, "positions": [{"lat": 1, "lng": 1, "recorded_at": time.time()}]}
        assert httpx.post(f"{found[0]}/v1/positions", json=known, headers=headers).status_code == 202
        paired = told_by(cli, "device", "pair", DEVICE, "--tenant", "shop", "--url", "https://offers.example/")
        assert list(paired) == ["device_id", "expires_at", "owntracks", "traccar"]
        token = send_everything(found[0], paired)
        metrics = httpx.get(f"{found[0]}/metrics").text
    text = log.read_text()
    assert text.count('"route": "/v1/positions/osmand"') == 2, "what was refused, and nothing that was taken"
    for told in (text, metrics):
        assert "/v1/positions/osmand" in told
        for secret in (token, token.partition(".")[2], LAT, LON, DEVICE, "pairing:"):
            assert secret not in told
