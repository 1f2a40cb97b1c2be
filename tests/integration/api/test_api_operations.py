"""What operators see of their installation, what a tenant's operator sees of it, and the demo's walkers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.store import device_id_for
from lbs.alive import FORGOTTEN_S, PositionRates, SignOfLife, signs
from lbs.demo_walkers import PublishedWalker, publish_walkers
from offers.tables import notifications
from tests.support.api import position, wait_for
from tests.support.people import installer, person

if TYPE_CHECKING:
    from tests.support.api import Api, TestTenant

AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


def operations(client: Any) -> dict[str, Any]:
    answer = client.get("/v1/operations")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def write(api: Api, tenant: TestTenant, *states: tuple[str, str | None], ago: timedelta = timedelta()) -> None:
    """Messages of these states and reasons."""
    tenant.device("phone")
    answer = tenant.secret.post("/v1/campaigns", json={
        "name": "Coffee", "offer": {"kind": "percentage", "value": 20}, "trigger": {"type": "enter"},
        "stores": [], "creatives": [{"locale": "en", "title": "t", "body": "b"}],
    })  # fmt: skip
    assert answer.status_code == 201, answer.text
    now = datetime.now(UTC)
    base = {
        "tenant_id": tenant.tenant_id, "campaign_id": int(answer.json()["campaign_id"]), "channel": "webpush",
        "device_id": device_id_for(tenant.tenant_id, "phone"), "payload": {}, "created_at": now - ago,
        "not_before": now - ago, "expires_at": now + timedelta(hours=1),
    }  # fmt: skip
    rows = [
        {
            **base,
            "notification_id": tenant.tenant_id * 1_000_000 + int(ago.total_seconds()) + n,
            "state": state,
            "reason": reason,
        }
        for n, (state, reason) in enumerate(states)
    ]
    with api.system.begin() as connection:
        connection.execute(sa.insert(notifications), rows)


def test_a_tenants_operator_sees_what_is_the_tenants(api: Api, tenant: TestTenant) -> None:
    other = api.tenant()
    write(api, tenant, ("sent", None), ("sent", None), ("failed", "gone"), ("queued", None))
    write(api, tenant, ("sent", None), ago=timedelta(hours=2))
    write(api, other, ("failed", "refused"))
    found = operations(person(tenant, "operator"))
    assert found["of"] == "tenant"
    assert found["last_hour"] == [
        {"channel": "webpush", "state": "failed", "reason": "gone", "messages": 1},
        {"channel": "webpush", "state": "queued", "reason": None, "messages": 1},
        {"channel": "webpush", "state": "sent", "reason": None, "messages": 2},
    ]
    assert [(row["channel"], row["state"], row["messages"]) for row in found["queue"]] == [("webpush", "due", 1)]
    assert [(row["reason"], row["messages"]) for row in found["failed"]] == [("gone", 1)]
    assert (found["log"]["entries"], found["decider"]["events"], found["dead_entries"]) == (None, None, None)
    assert set(found["versions"]) == {"lbs"}


def test_the_installations_operator_sees_everybodys(api: Api) -> None:
    first, second = api.tenant(), api.tenant()
    write(api, first, ("failed", "unlike-any-other"))
    write(api, second, ("failed", "unlike-any-other"))
    found = operations(installer(api))
    assert found["of"] == "installation"
    assert sum(row["messages"] for row in found["last_hour"] if row["reason"] == "unlike-any-other") == 2
    assert {"lbs", "postgresql", "postgis", "redis", "tzdata"} == set(found["versions"])
    assert found["dead_entries"] == 0
    assert found["log"]["entries"] >= 0


def test_processes_say_that_they_live(tenant: TestTenant) -> None:
    found = wait_for(lambda: operations(tenant.secret)["processes"])
    assert [process["process"] for process in found] == ["api"]
    assert found[0]["lag_s"] < 10


def test_positions_are_counted_by_tenant(api: Api, tenant: TestTenant) -> None:
    tenant.secret.post("/v1/positions", json={"device_id": "phone", "positions": [position()]})
    # whole buckets count, of which the first ends within five seconds
    assert api.services.rates._buckets
    assert operations(api.tenant().secret)["positions_per_s"] == 0.0


def test_the_log_tells_how_long_it_waits(tenant: TestTenant) -> None:
    """No engine runs here, so what is sent waits."""
    tenant.secret.post("/v1/positions", json={"device_id": "phone", "positions": [position()]})
    before = operations(tenant.secret)["log"]["lag_s"]
    assert wait_for(lambda: operations(tenant.secret)["log"]["lag_s"] > before)


def test_rates_are_of_the_last_whole_minute() -> None:
    at = [1_000.0]
    rates = PositionRates(monotonic_s=lambda: at[0])
    rates.add(1, 100)
    assert rates.last_minute() == {}
    at[0] += 5
    rates.add(1, 7)
    rates.add(2, 3)
    assert rates.last_minute() == {"1": 100}
    at[0] += 55
    assert rates.last_minute() == {"1": 107, "2": 3}
    at[0] += 5
    assert rates.last_minute() == {"1": 7, "2": 3}
    rates.add(2, 1)
    at[0] += 600
    rates.add(2, 1)
    assert rates.last_minute() == {}


@pytest.mark.servers
def test_who_is_silent_is_not_shown_and_is_forgotten_in_the_end(api: Api) -> None:
    at = [AT]
    prefix, client = f"{api.settings.redis_prefix}:silent", api.services.redis
    sign = SignOfLife(
        client, prefix=prefix, process="worker", beat_age_s=lambda: 0.5, now=lambda: at[0], positions=lambda: {"7": 3}
    )
    sign.say()
    (found,) = signs(client, prefix=prefix, now=AT)
    assert (found.process, found.beat_age_s, found.positions) == ("worker", 0.5, {"7": 3})
    assert signs(client, prefix=prefix, now=AT + timedelta(seconds=20)) == []
    assert signs(client, prefix=prefix, now=AT) != []
    signs(client, prefix=prefix, now=AT + timedelta(seconds=FORGOTTEN_S + 1))
    assert signs(client, prefix=prefix, now=AT) == []


def test_walkers_are_the_tenants_own_and_go_by_themselves(api: Api, tenant: TestTenant) -> None:
    marketer, prefix = person(tenant, "marketer"), api.settings.redis_prefix
    assert marketer.get("/v1/demo/walkers").json() == {"items": []}
    walker = PublishedWalker(id="walker-001", lat=60.1, lng=24.9)
    publish_walkers(api.services.redis, prefix, tenant.tenant_id, [walker])
    assert marketer.get("/v1/demo/walkers").json() == {"items": [{"id": "walker-001", "lat": 60.1, "lng": 24.9}]}
    assert api.tenant().secret.get("/v1/demo/walkers").json() == {"items": []}
    assert 0 < api.services.redis.ttl(f"{prefix}:demo:{tenant.tenant_id}:walkers") <= 10


def test_no_device_gets_among_the_walkers(tenant: TestTenant) -> None:
    device = tenant.device("walker-001")
    device.post("/v1/positions", json={"device_id": "walker-001", "positions": [position()]})
    assert tenant.secret.get("/v1/demo/walkers").json() == {"items": []}
