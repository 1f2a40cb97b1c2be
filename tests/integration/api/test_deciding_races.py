"""What others do while the decider is at work: stop a campaign, erase a device, change a campaign's limits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.log import shard_of
from geofences.store import device_id_for
from offers import decider as deciding
from offers.catalogue import Catalogue
from offers.decider import Decider
from offers.decisions import write
from offers.model import CampaignId
from offers.store import lock_campaign
from offers.tables import occasion_devices, occasions
from tests.support.live import CONSENTS
from tests.support.tills import Shop

if TYPE_CHECKING:
    from geofences.model import DeviceId
    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers


@pytest.fixture
def shop(api: Api, tenant: TestTenant) -> Shop:
    return Shop.open(api, tenant)


def _due(shop: Shop, campaign_id: str, *device_ids: DeviceId) -> None:
    """These devices are at the store while the campaign is due there; nothing is decided yet."""
    clock = datetime.now(UTC)
    due: dict[str, Any] = {"campaign_id": int(campaign_id), "store_id": shop.store_id, "due_at": clock}
    due["tenant_id"] = shop.tenant.tenant_id
    with shop.api.system.begin() as connection:
        connection.execute(sa.insert(occasions).values(**due))
        for device_id in device_ids:
            waiting = {**due, "device_id": device_id, "shard": int(shard_of(device_id)), "clock": clock}
            connection.execute(sa.insert(occasion_devices).values(**waiting))


def _phone(shop: Shop, name: str) -> DeviceId:
    shop.tenant.device(name, consents=CONSENTS)
    return device_id_for(shop.tenant.tenant_id, name)


def _outcomes(shop: Shop, campaign_id: str) -> list[str]:
    with shop.api.system.connect() as connection:
        statement = sa.text("SELECT outcome FROM offers.decisions WHERE campaign_id = :id ORDER BY decided_at, shard")
        return list(connection.execute(statement, {"id": int(campaign_id)}).scalars())


def test_a_campaign_that_is_stopped_while_others_are_decided_is_offered_no_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "EVENTS_A_BATCH", 3)
    campaign_id = shop.campaign()
    phones = [_phone(shop, f"phone-{i}") for i in range(8)]
    assert len({shard_of(phone) for phone in phones}) > 1
    _due(shop, campaign_id, *phones)
    batches: list[int] = []

    def stop_it(answers: Any) -> None:
        mine = [one for one in answers if one.question.campaign.campaign_id == int(campaign_id)]
        if mine and not batches:
            assert shop.tenant.secret.post(f"/v1/campaigns/{campaign_id}/stop").status_code == 200
        batches.append(len(mine))

    Decider(database=shop.api.system, catalogue=Catalogue()).work(stop_it)
    assert _outcomes(shop, campaign_id) == ["offered"] * batches[0]
    assert sum(batches) < len(phones)


def test_shards_with_little_in_each_are_decided_together(shop: Shop) -> None:
    campaign_id = shop.campaign()
    phones = [_phone(shop, f"phone-{i}") for i in range(8)]
    assert len({shard_of(phone) for phone in phones}) > 1
    _due(shop, campaign_id, *phones)
    batches: list[int] = []

    def note(answers: Any) -> None:
        batches.append(sum(one.question.campaign.campaign_id == int(campaign_id) for one in answers))

    Decider(database=shop.api.system, catalogue=Catalogue()).work(note)
    assert [n for n in batches if n] == [len(phones)]


def test_a_shard_that_another_decider_holds_is_left_to_it(shop: Shop) -> None:
    campaign_id = shop.campaign()
    phone = _phone(shop, "phone")
    _due(shop, campaign_id, phone)
    decider = Decider(database=shop.api.system, catalogue=Catalogue())
    with shop.api.system.begin() as connection:
        holding = sa.text("SELECT FROM offers.cursors WHERE shard = :shard FOR UPDATE")
        connection.execute(holding, {"shard": int(shard_of(phone))})
        decider.work()
        assert _outcomes(shop, campaign_id) == []
    decider.work()
    assert _outcomes(shop, campaign_id) == ["offered"]


def test_who_is_being_decided_about_is_erased_after_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else rows of the erased would be written that nothing removes."""
    campaign_id = shop.campaign()
    phone = _phone(shop, "phone")
    _due(shop, campaign_id, phone)
    refused: list[str] = []

    def try_to_erase(*given: Any) -> None:
        statement = sa.text("SELECT FROM geofences.devices WHERE device_id = :id FOR UPDATE NOWAIT")
        with pytest.raises(sa.exc.OperationalError) as error, shop.api.system.begin() as connection:
            connection.execute(statement, {"id": phone})
        refused.append(str(error.value.orig))
        write(*given)

    monkeypatch.setattr(deciding, "write", try_to_erase)
    Decider(database=shop.api.system, catalogue=Catalogue()).work()
    assert len(refused) == 1
    assert "could not obtain lock" in refused[0]


def test_limits_count_what_is_being_reserved(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign without stock takes no lock of its row: whoever gives it one waits for the reservations in flight."""
    campaign_id = shop.campaign()
    _due(shop, campaign_id, _phone(shop, "phone"))
    refused: list[str] = []

    def try_to_edit(*given: Any) -> None:
        with shop.api.system.connect() as connection:
            connection.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
            with pytest.raises(sa.exc.OperationalError) as error:
                lock_campaign(connection, shop.tenant.tenant_id, CampaignId(int(campaign_id)))
        refused.append(str(error.value.orig))
        write(*given)

    monkeypatch.setattr(deciding, "write", try_to_edit)
    Decider(database=shop.api.system, catalogue=Catalogue()).work()
    assert len(refused) == 1
    assert "lock timeout" in refused[0]
