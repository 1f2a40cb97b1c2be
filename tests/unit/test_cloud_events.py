"""Events out: their ids, their groups, and bodies that stay small and name no coordinate."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from offers import cloud_events
from offers.cloud_events import CANCELLED, NAMES, PATTERNS, VERIFIED, kind_of, message_id

AT = datetime(2026, 6, 1, 9, tzinfo=UTC)
LARGEST_ID = 2**63 - 1
LONGEST = "\x01" * 200
"""Of what a client may name its things; each character takes six bytes in JSON."""
ROW = SimpleNamespace(
    **dict.fromkeys(("device_external_id", "external_user_id", "fence_external_id", "store_external_id"), LONGEST),
    **dict.fromkeys(("visit_id", "root_visit_id", "fence_id", "store_id", "campaign_id", "decision_id"), LARGEST_ID),
    **dict.fromkeys(("redemption_id", "claim_id", "event_id", "campaign_version"), LARGEST_ID),
    **dict.fromkeys(("at", "known_at", "event_at", "decided_at", "redeemed_at", "cancelled_at"), AT),
    **dict.fromkeys(("amount", "discount"), Decimal("12.5000")),
    **dict.fromkeys(("order_id", "cancel_reason"), LONGEST),
    confidence=0.1 + 0.2,
    already_inside=False,
    detail=None,
    outcome="offered",
    reason=None,
    trigger_type="enter",
    delivery="push",
    currency="EUR",
    attributed_to="push",
)


def data_of(name: str) -> dict[str, Any]:
    match kind_of(name):
        case "visit":
            return cloud_events.visit_data(ROW)
        case "decision":
            return cloud_events.decision_data(ROW)
        case _:
            return cloud_events.redemption_data(ROW, cancelled=name == CANCELLED)


@pytest.mark.parametrize("name", NAMES)
def test_the_largest_body_of_each_kind_is_far_below_what_receivers_take(name: str) -> None:
    source = "https://" + "x" * 200 + ".example/tenants/2147483647"
    id_, body = cloud_events.encode(name, LARGEST_ID, source=source, subject="x" * 40, at=AT, data=data_of(name))
    assert len(body) < 10_000
    assert json.loads(body)["id"] == id_ == message_id(name, LARGEST_ID)
    assert "." not in id_, "webhook-id is signed between full stops"


def test_events_of_one_row_that_are_told_both_have_ids_of_their_own() -> None:
    ids = {message_id(name, 7) for name in ("visit.entered", "decision.offered", VERIFIED, CANCELLED, "webhook.test")}
    assert len(ids) == 5


def test_every_event_is_in_a_group_that_can_be_named() -> None:
    assert {f"{kind_of(name)}.*" for name in NAMES} == set(PATTERNS) - set(NAMES)


def test_what_a_till_did_is_told_without_what_it_undid_later() -> None:
    verified = cloud_events.redemption_data(ROW, cancelled=False)
    assert (verified["amount"], "cancelled_at" in verified) == ("12.5", False)
    assert cloud_events.redemption_data(ROW, cancelled=True)["cancelled_at"] == AT


def test_a_correction_says_what_was_told_and_what_is_true_in_times_that_people_read() -> None:
    was = {"status": "open", "entered_us": 1_000_000, "exited_us": None, "ended_by": None}
    row = SimpleNamespace(
        **{**vars(ROW), "detail": {"because": "late_position", "recorded_us": 0, "was": was, "is": was}}
    )
    told = cloud_events.visit_data(row)["correction"]
    assert (told["because"], told["recorded_at"]) == ("late_position", "1970-01-01T00:00:00+00:00")
    assert told["was"] == {
        "status": "open", "entered_at": "1970-01-01T00:00:01+00:00", "exited_at": None, "ended_by": None,
    }  # fmt: skip
