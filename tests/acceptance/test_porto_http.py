"""Porto over HTTP and offline: what `stores/nearby`, `fences/match` and `lbs match` answer is what peers computed.

LBS_TEST_PORTO_EVERY=1 asks about every position and every polygon instead of a part.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.tables import fence_versions
from lbs.auth import create_key
from lbs.tables import KeyKind
from tests.support.api import running_api, settings_for, wait_for
from tests.support.cli import Cli, command_environment
from tests.support.data import data_dir
from tests.support.porto import EVERY, rows_of_taxis, some_polygons

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from geofences.model import TenantId
    from tests.support.api import Api

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("porto_http")]

NEARBY_M = 100.0
EITHER_WAY_M = 0.011
"""A centimetre of the limit, and what the expected distances were rounded by."""


@dataclass(frozen=True, slots=True)
class Porto:
    client: httpx.Client
    polygons: set[str]


@pytest.fixture(scope="module")
def porto(
    new_database_url: Callable[[], str], redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Porto]:
    """A tenant that imported the stores and polygons of Porto with the real command."""
    data = data_dir("osm_porto")
    settings = settings_for(new_database_url(), redis_url)
    home = tmp_path_factory.mktemp("porto")
    assert settings.database_url is not None
    environment = {
        **command_environment(home),
        "LBS_DATABASE_URL": settings.database_url.get_secret_value(),
        "LBS_REDIS_URL": redis_url,
        "LBS_REDIS_PREFIX": settings.redis_prefix,
    }
    cli = Cli(environment, home)
    tenant_id: TenantId = cli.json("tenant", "create", "porto")["tenant_id"]
    stores = cli.json("import", "stores", data / "stores.geojson", "--tenant", "porto")
    assert (stores["created"], stores["refused"]) == (2_297, [])
    file, polygons = some_polygons(home)
    assert cli.json("import", "fences", file, "--tenant", "porto", timeout_s=600)["created"] == len(polygons)
    with running_api(settings) as api:
        wait_for(lambda: api.services.memory.ready)
        wait_for(lambda: _all_in_force(api))
        with api.system.begin() as connection:
            key = create_key(connection, tenant_id, KeyKind.SECRET)
        yield Porto(api.client(key), polygons)


def _all_in_force(api: Api) -> bool:
    """A fence is matched from the moment on that its version takes effect, a little after it was stored."""
    with api.system.connect() as connection:
        waiting = sa.select(sa.func.count()).where(fence_versions.c.effective_at > sa.func.clock_timestamp())
        return connection.execute(waiting).scalar() == 0


def test_stores_nearby_are_exactly_those_expected(porto: Porto) -> None:
    compared = 0
    for _, lng, lat, _, listed in rows_of_taxis("expected_nearby_100m.csv.gz")[::EVERY]:
        expected = {pair.rpartition(":")[0]: float(pair.rpartition(":")[2]) for pair in listed.split()}
        answer = porto.client.get(
            "/v1/stores/nearby", params={"lat": lat, "lng": lng, "radius_m": NEARBY_M, "limit": 1000}
        )
        found = {item["external_id"]: item["distance_m"] for item in answer.json()["items"]}
        for store in expected.keys() ^ found.keys():
            assert abs(expected.get(store, found.get(store, 0.0)) - NEARBY_M) <= EITHER_WAY_M, store
        for store in expected.keys() & found.keys():
            assert found[store] == pytest.approx(expected[store], abs=0.0051)
            compared += 1
    assert compared > 75_000 / EVERY * 0.9


def test_fences_match_names_exactly_the_expected_polygons(porto: Porto) -> None:
    rows = rows_of_taxis("expected_polygons.csv.gz")
    pairs = 0
    for start in range(0, len(rows), 1000):
        part = rows[start : start + 1000]
        positions = [{"lat": float(lat), "lng": float(lng)} for _, lng, lat, _ in part]
        answer = porto.client.post("/v1/fences/match", json={"positions": positions})
        items: list[list[dict[str, Any]]] = answer.json()["items"]
        for row, matched in zip(part, items, strict=True):
            assert {fence["external_id"] for fence in matched} == porto.polygons & set(row[3].split()), row[0]
            pairs += len(matched)
    assert pairs > 2_000 / EVERY * 0.5


def test_match_offline_names_exactly_the_expected_polygons(tmp_path: Path) -> None:
    file, polygons = some_polygons(tmp_path)
    rows = rows_of_taxis("expected_polygons.csv.gz")
    expected = {(i, polygon) for i, row in enumerate(rows) for polygon in polygons & set(row[3].split())}
    assert len(expected) > 2_000 / EVERY * 0.5
    positions, output = tmp_path / "positions.csv", tmp_path / "pairs.csv"
    positions.write_text("lng,lat\n" + "".join(f"{lng},{lat}\n" for _, lng, lat, _ in rows))
    cli = Cli(command_environment(tmp_path / "home"), tmp_path / "home")
    given = ("match", "--fences", file, "--positions", positions, "--output", output)
    assert cli.json(*given, timeout_s=600)["pairs"] == len(expected)
    with output.open(newline="") as lines:
        found = {(int(row["position"]), row["fence_external_id"]) for row in csv.DictReader(lines)}
    assert found == expected
