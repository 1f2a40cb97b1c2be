"""Where decisions were triggered: cells of at least k devices, and no two resolutions that tell of fewer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import h3.api.basic_str as h3  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa

from geofences.tables import consents, devices
from offers.tables import decisions, places
from tests.support.api import problem

if TYPE_CHECKING:
    from tests.support.api import TestTenant

BUSY, QUIET, FAR = (60.1699, 24.9384), (60.1720, 24.9384), (60.45, 22.27)
"""The first two share a cell of resolution 7, and none of 10."""


class Books:
    """A campaign, and decisions written as the worker writes them."""

    def __init__(self, tenant: TestTenant) -> None:
        self.tenant = tenant
        body = {
            "name": "Coffee", "offer": {"kind": "percentage", "value": 20}, "trigger": {"type": "enter"},
            "creatives": [{"locale": "en", "title": "t", "body": "b"}],
        }  # fmt: skip
        answer = tenant.secret.post("/v1/campaigns", json=body)
        assert answer.status_code == 201, answer.text
        self.campaign_id = int(answer.json()["campaign_id"])
        self._last = tenant.tenant_id * 1_000_000

    def decide(self, at: tuple[float, float], device_ids: list[int], times: int = 1) -> None:
        place_id = hash((self.tenant.tenant_id, at)) % 2**62
        now = datetime.now(UTC)
        rows = []
        for device_id in device_ids * times:
            self._last += 1
            rows.append({
                "decision_id": self._last, "tenant_id": self.tenant.tenant_id, "shard": 0, "campaign_version": 1,
                "campaign_id": self.campaign_id, "device_id": device_id, "trigger_type": "enter",
                "outcome": "suppressed", "reason": "cap", "gates": [], "facts": {}, "place_id": place_id,
                "event_at": now, "decided_at": now,
            })  # fmt: skip
        place = {
            "place_id": place_id,
            "tenant_id": self.tenant.tenant_id,
            "timezone": "UTC",
            "lat": at[0],
            "lng": at[1],
        }
        with self.tenant.api.system.begin() as connection:
            known = connection.execute(sa.select(places).where(places.c.place_id == place_id)).first()
            if known is None:
                connection.execute(sa.insert(places), [place])
            connection.execute(sa.insert(decisions), rows)

    def triggers(self, resolution: int) -> dict[str, tuple[int, int]]:
        answer = self.tenant.secret.get(f"/v1/campaigns/{self.campaign_id}/triggers", params={"resolution": resolution})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        assert (found["k"], found["resolution"]) == (5, resolution)
        return {item["cell"]: (item["decisions"], item["devices"]) for item in found["items"]}


@pytest.fixture
def books(tenant: TestTenant) -> Books:
    return Books(tenant)


def test_decisions_are_counted_in_the_cells_of_their_places(books: Books) -> None:
    books.decide(BUSY, list(range(1, 11)), times=2)
    books.decide(FAR, list(range(1, 6)))
    for resolution in range(7, 11):
        assert books.triggers(resolution) == {
            h3.cell_to_parent(h3.latlng_to_cell(*BUSY, 10), resolution): (20, 10),
            h3.cell_to_parent(h3.latlng_to_cell(*FAR, 10), resolution): (5, 5),
        }


def test_a_cell_of_fewer_than_k_devices_is_told_in_no_resolution(books: Books) -> None:
    books.decide(BUSY, list(range(1, 11)))
    alone = {resolution: books.triggers(resolution) for resolution in range(7, 11)}
    books.decide(QUIET, [21, 22, 23, 24], times=10)
    assert {resolution: books.triggers(resolution) for resolution in range(7, 11)} == alone


def test_figures_move_by_k_at_a_time(books: Books) -> None:
    books.decide(BUSY, [1, 2, 3, 4, 5, 6])
    ((_, before),) = books.triggers(9).items()
    assert before == (5, 5)
    books.decide(BUSY, [7])
    assert list(books.triggers(9).values()) == [before]
    books.decide(BUSY, [8, 9, 10])
    assert list(books.triggers(9).values()) == [(10, 10)]


def test_the_overlap_of_two_cells_is_not_told(books: Books) -> None:
    """Ten devices here, ten there, nineteen in both together would tell of one that was in both."""
    close = (60.1735, 24.9384)
    books.decide(BUSY, list(range(1, 11)))
    books.decide(close, list(range(10, 20)))
    assert [devices for _, devices in books.triggers(10).values()] == [10, 10]
    assert [devices for _, devices in books.triggers(7).values()] == [15]


def test_who_was_erased_or_said_no_to_analytics_does_not_count(books: Books) -> None:
    books.decide(BUSY, [0, 0, 1, 2, 3, 4])
    assert books.triggers(9) == {}
    own = books.tenant.tenant_id * 1_000 + 5
    books.decide(BUSY, [own])
    assert list(books.triggers(9).values()) == [(5, 5)]
    row = {"device_id": own, "tenant_id": books.tenant.tenant_id}
    said = {"purpose": "analytics", "granted": False, "version": "1", "source": "app", "at": datetime.now(UTC)}
    with books.tenant.api.system.begin() as connection:
        connection.execute(sa.insert(devices).values(**row, external_id="phone"))
        connection.execute(sa.insert(consents).values(**row, **said))
    assert books.triggers(9) == {}


def test_what_is_asked_wrongly_is_refused(books: Books) -> None:
    path = f"/v1/campaigns/{books.campaign_id}/triggers"
    for resolution in (6, 11):
        problem(books.tenant.secret.get(path, params={"resolution": resolution}), 422, "malformed")
    problem(books.tenant.api.tenant().secret.get(path), 404, "not-found")
