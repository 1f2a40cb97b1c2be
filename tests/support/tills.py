"""Shops, offers and tills: what tests of claims and redemptions have in common, over HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from geofences.log import shard_of
from geofences.model import StoreId
from geofences.store import device_id_for
from lbs.auth import create_key
from lbs.tables import KeyKind
from offers.catalogue import Catalogue
from offers.decider import Decider
from offers.tables import occasion_devices, occasions
from tests.support.api import problem, wait_for

if TYPE_CHECKING:
    import httpx

    from tests.support.api import Api, TestTenant

OFFER: dict[str, Any] = {
    "name": "Coffee",
    "trigger": {"type": "scheduled", "at": "12:00"},
    "offer": {"kind": "percentage", "value": 20, "max_cost": 5},
    "creatives": [{"title": "Coffee"}],
    "caps": [],
}
BUDGET = {"currency": "EUR", "total": 100}


@dataclass
class Shop:
    """A store of a tenant, with a campaign of its own and a till."""

    api: Api
    tenant: TestTenant
    store_id: StoreId
    till: httpx.Client
    """With the store's key."""

    @classmethod
    def open(cls, api: Api, tenant: TestTenant, external_id: str = "store-1", **body: Any) -> Shop:
        store_id = StoreId(int(tenant.store(external_id, **body)["store_id"]))
        # until the API's own memory has heard of it, claims cannot say its name
        wait_for(lambda: api.services.memory.stores.get(tenant.tenant_id, store_id))
        return cls(api, tenant, store_id, till_of(api, tenant, store_id))

    def campaign(self, **more: Any) -> str:
        """A live campaign of this store alone."""
        return campaign_of(self.tenant, **{"stores": [str(self.store_id)], **more})

    def push(self, campaign_id: str, device: str, *, at: datetime | None = None) -> None:
        """The decider makes the offer to a device, for a time at which the campaign was due here."""
        clock = at or datetime.now(UTC)
        device_id = device_id_for(self.tenant.tenant_id, device)
        due = {"campaign_id": int(campaign_id), "store_id": self.store_id, "due_at": clock}
        due["tenant_id"] = self.tenant.tenant_id
        with self.api.system.begin() as connection:
            connection.execute(sa.insert(occasions).values(**due))
            connection.execute(
                sa.insert(occasion_devices).values(
                    **due, device_id=device_id, shard=int(shard_of(device_id)), clock=clock
                )
            )
        Decider(database=self.api.system, catalogue=Catalogue()).work()

    def claim(self, campaign_id: str, device: str, **more: Any) -> dict[str, Any]:
        return claim(self.tenant.secret, campaign_id, device, **more)

    def prepare(self, code: str) -> dict[str, Any]:
        answer = self.till.post("/v1/redemptions/prepare", json={"code": code})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def verify(self, **body: Any) -> httpx.Response:
        return self.till.post("/v1/redemptions/verify", json=body)

    def redeem(self, code: str, **body: Any) -> dict[str, Any]:
        answer = self.verify(code=code, **body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def cancel(self, redemption_id: str, **body: Any) -> httpx.Response:
        return self.till.post("/v1/redemptions/cancel", json={"redemption_id": redemption_id, **body})

    def supply(self, campaign_id: str) -> tuple[int, str]:
        """Units of stock and money that the campaign's reservations hold, as its counters say."""
        with self.api.system.connect() as connection:
            row = connection.execute(
                sa.text(
                    "SELECT c.reserved AS units, coalesce((SELECT b.reserved FROM offers.budgets b"
                    " WHERE b.campaign_id = c.campaign_id AND b.scope = 'total'), 0) AS money"
                    " FROM offers.campaigns c WHERE c.campaign_id = :id"
                ),
                {"id": int(campaign_id)},
            ).one()
            return row.units, f"{row.money.normalize():f}"

    def change(self, statement: str, **values: Any) -> None:
        """Puts the database into a state that else only time brings."""
        with self.api.system.begin() as connection:
            assert connection.execute(sa.text(statement), values).rowcount

    def age_claim(self, claim_id: str, by: timedelta) -> None:
        self.change(
            "UPDATE offers.claims SET expires_at = expires_at - CAST(:by AS interval) WHERE claim_id = :id",
            by=by,
            id=int(claim_id),
        )
        self.change(
            "UPDATE offers.reservations SET expires_at = expires_at - CAST(:by AS interval)"
            " WHERE decision_id = (SELECT decision_id FROM offers.claims WHERE claim_id = :id)",
            by=by,
            id=int(claim_id),
        )


def till_of(api: Api, tenant: TestTenant, store_id: StoreId) -> httpx.Client:
    with api.system.begin() as connection:
        return api.client(create_key(connection, tenant.tenant_id, KeyKind.STORE, store_id))


def campaign_of(tenant: TestTenant, **more: Any) -> str:
    answer = tenant.secret.post("/v1/campaigns", json={**OFFER, **more})
    assert answer.status_code == 201, answer.text
    campaign_id = str(answer.json()["campaign_id"])
    for move in ("submit", "approve"):
        assert tenant.secret.post(f"/v1/campaigns/{campaign_id}/{move}").status_code == 200
    return campaign_id


def claim(client: httpx.Client, campaign_id: str, device: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/claims", json={"campaign_id": campaign_id, "device_id": device, **more})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def refused(answer: httpx.Response, reason: str) -> None:
    assert problem(answer, 409, "refused")["reason"] == reason
