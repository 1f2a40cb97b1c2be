"""Campaigns, moments and people for tests of the rules: give what differs from the plainest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from geofences.model import DeviceId, StoreId, TenantId
from geofences.zones import zone
from offers.definition import CampaignDefinition
from offers.facts import Shopper, Standing
from offers.model import Campaign, CampaignId, CampaignStatus, Decision, Gate, GateResult, Moment, TriggerType
from offers.rules import Place, decide

NOON = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
"""A Monday, 12:00 in Helsinki."""
HELSINKI_PLACE = Place(zone=zone("Europe/Helsinki"), hours=None)
WILLING = Shopper(push_consent=True, channels=1)


def campaign(*, number: int = 1, salt: bytes = b"salt", **definition: Any) -> Campaign:
    made = CampaignDefinition.model_validate(
        {
            "name": "Coffee",
            "offer": {"kind": "percentage", "value": 20},
            "creatives": [{"title": "Coffee"}],
            "caps": [],
            **definition,
        }
    )
    return Campaign(
        campaign_id=CampaignId(number),
        tenant_id=TenantId(1),
        status=CampaignStatus.LIVE,
        version=1,
        definition=made,
        schedule=made.windows.schedule(),
        fence_ids=frozenset(),
        store_ids=frozenset(),
        stock=made.stock,
        holdout_salt=salt,
    )


def moment(**given: Any) -> Moment:
    made: dict[str, Any] = {
        "trigger": TriggerType.ENTER,
        "at": NOON,
        "clock": NOON,
        "device_id": DeviceId(7),
        "store_id": StoreId(3),
        "confidence": 1.0,
        "already_inside": False,
        **given,
    }
    return Moment(**made)


def decided(
    asked: Campaign | None = None,
    at: Moment | None = None,
    *,
    place: Place = HELSINKI_PLACE,
    shopper: Shopper = WILLING,
    standing: Standing | None = None,
) -> Decision:
    """What the rules say; by default of everything at its plainest."""
    about = asked or campaign()
    return decide(
        about,
        at or moment(),
        place=place,
        shopper=shopper,
        standing=standing or Standing(used=(0,) * len(about.definition.caps)),
    )


def gate_of(decision: Decision, gate: Gate) -> GateResult | None:
    return next((one for one in decision.gates if one.gate is gate), None)
