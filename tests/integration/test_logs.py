"""What a whole installation writes while it works and while things go wrong: JSON lines, without secrets and places."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import h3  # type: ignore[import-untyped]
import httpx
import pytest
import redis
import sqlalchemy as sa
from standardwebhooks import Webhook

from geofences.log import stream_key
from lbs.local_process import choose_port
from tests.integration.test_daemon_metrics import shown
from tests.support.api import wait_for
from tests.support.receivers import Respond, WebhookReceiver, WebPushReceiver

if TYPE_CHECKING:
    from tests.support.cli import Cli

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(240)]

LAT, LNG = 48.137154, 11.576124
SECRET = "a secret that only the tests know, and nobody else"
CONSENTS = [{"purpose": purpose, "version": "1"} for purpose in ("location", "push")]
PROCESSES = ("api", "engine", "worker", "scheduler")


def renderings(value: float) -> set[str]:
    """How a coordinate might be written: degrees with a point or a comma, micro- and ten-millionths of degrees."""
    degrees = f"{value:.3f}"
    return {degrees, degrees.replace(".", ","), str(int(value * 1e6))[:6]}


def client(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20)


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def shop_with_offer(server: httpx.Client) -> str:
    store = {"external_id": "s1", "name": "Shop", "lat": LAT, "lng": LNG, "timezone": "Europe/Berlin"}
    store_id = server.post("/v1/stores", json=store).json()["store_id"]
    fence = {"external_id": "f1", "store_id": store_id, "profile": "plain", "radius_m": 100}
    server.post("/v1/fences", json={**fence, "center": {"lat": LAT, "lng": LNG}})
    offer = {"name": "Coffee", "offer": {"kind": "percentage", "value": 20}, "creatives": [{"title": "Coffee"}]}
    campaign_id = str(server.post("/v1/campaigns", json={**offer, "stores": [store_id]}).json()["campaign_id"])
    for move in ("submit", "approve"):
        assert server.post(f"/v1/campaigns/{campaign_id}/{move}").status_code == 200
    time.sleep(2.5)  # the fence takes effect
    return campaign_id


def test_four_processes_at_debug_level_write_no_secret_and_no_place(cli: Cli) -> None:
    port, metrics_port = choose_port(None), choose_port(None)
    cli.environment.update({
        "LBS_PORT": str(port), "LBS_METRICS_PORT": str(metrics_port), "LBS_LOG_LEVEL": "debug",
        "LBS_SECRET_KEY": SECRET, "LBS_ALLOW_PRIVATE_ADDRESSES": "1", "LBS_SIGN_INS_PER_ADDRESS": "1",
    })  # fmt: skip
    keys = cli.json("tenant", "create", "shop")["keys"]
    url = f"http://127.0.0.1:{port}"
    with (
        WebhookReceiver() as hook,
        WebPushReceiver() as push,
        cli.running(*PROCESSES),
        client(url, keys["secret"]) as server,
    ):
        wait_for(lambda: ready(url))
        campaign_id = shop_with_offer(server)
        webhook = server.post("/v1/webhooks", json={"url": hook.address()["url"]}).json()
        hook._verifier = Webhook(webhook["secret"])
        for receiver in (hook, push):
            receiver.misbehave(Respond(status=500))
        subscription = push.subscription()
        channels = [
            {"type": "webpush", "address": subscription},
            {"type": "webhook", "address": {"url": hook.address()["url"]}},
        ]
        made = server.post("/v1/devices", json={"device_id": "anna's", "consents": CONSENTS, "channels": channels})
        token = made.json()["device_token"]
        at = datetime.now(UTC).isoformat()  # a fence judges what was recorded since it took effect
        point = {"lat": LAT, "lng": LNG, "recorded_at": at, "accuracy_m": 5}
        with client(url, token) as phone:
            assert phone.post("/v1/positions", json={"device_id": "anna's", "positions": [point]}).status_code == 202
        go_wrong(cli, url, server, point)
        wait_for(lambda: hook.received and push.received)
        code = server.post("/v1/claims", json={"campaign_id": campaign_id, "device_id": "anna's"}).json()["code"]
        wait_for(lambda: shown(metrics_port)["lbs_engine_buried_entries_total"], give_up_s=30)
        worker, scheduler = shown(metrics_port + 1), shown(metrics_port + 2)

    failed = [name for name in worker if name.startswith("lbs_worker_messages_total") and 'state="queued"' in name]
    assert len(failed) == 2, "one reason a channel"
    assert all(re.search(r'reason="\w+"', name) for name in failed)
    assert worker['lbs_worker_queue_messages{channel="webhook",state="later"}'] == 1
    assert worker["lbs_worker_dead_letters"] == 1
    assert worker["lbs_worker_postgres_up"] == 1
    assert worker["lbs_worker_events_oldest_seconds"] >= 0
    assert scheduler["lbs_scheduler_leads"] == 1
    assert scheduler['lbs_scheduler_jobs_total{outcome="done",task="keep_partitions"}'] == 1

    text = "".join((cli.home / f"{name}.out").read_text() for name in PROCESSES)
    lines: list[Any] = [json.loads(line) for line in text.splitlines()]
    events = {line["event"] for line in lines}
    assert {"process.starts", "http.request", "engine.started", "engine.entry_buried", "scheduler.leads"} <= events
    for line in lines:
        del line["timestamp"]
    bare = json.dumps(lines)
    secrets = {
        "secret key": SECRET, "secret": keys["secret"], "publishable": keys["publishable"], "device token": token,
        "end of the token": token[-16:], "webhook": webhook["secret"], "bare webhook": webhook["secret"][-20:],
        "endpoint": "secret-capability", "p256dh": subscription["keys"]["p256dh"], "auth": subscription["keys"]["auth"],
        "hook": "secret-path", "database": sa.make_url(cli.environment["LBS_DATABASE_URL"]).password or "no password",
        "password": "correct horse", "person": "anna", "address": "203.0.113", "cell": h3.latlng_to_cell(LAT, LNG, 9),
        "code": code, "code without dashes": code.replace("-", ""),
    }  # fmt: skip
    secrets |= {f"coordinate {text}": text for value in (LAT, LNG) for text in renderings(value)}
    assert [name for name, secret in secrets.items() if secret in bare] == []


def go_wrong(cli: Cli, url: str, server: httpx.Client, point: dict[str, Any]) -> None:
    """Requests that are refused, and an entry of the log that nobody can read, with a place and a name in each."""
    assert httpx.get(f"{url}/v1/stores/nearby", params={"lat": LAT, "lng": LNG}).status_code == 401
    assert server.get("/v1/stores/nearby", params={"lat": LAT, "lng": LNG}).status_code == 200
    refused = {"device_id": "anna's", "positions": [{**point, "lat": str(LAT)}]}
    assert server.post("/v1/positions", json=refused).status_code == 422
    assert server.post("/v1/positions", content=f'{{"lat": {LAT}').status_code in {415, 422}
    person = {"email": "anna@example.org", "password": "correct horse"}
    # behind a proxy of this machine people are told apart by the address that it forwards
    for address, status in (("203.0.113.1", 401), ("203.0.113.2", 401), ("203.0.113.1", 429)):
        forwarded = {"X-Forwarded-For": address}
        assert httpx.post(f"{url}/v1/sessions", json=person, headers=forwarded).status_code == status
    with redis.Redis.from_url(cli.environment["LBS_REDIS_URL"]) as client:
        poison = {"k": "p", "c": "1", "s": "0", "d": f"anna at {LAT} {LNG}"}
        client.xadd(stream_key(cli.environment["LBS_REDIS_PREFIX"], 3), poison)
