"""Receipts over HTTP: four events with their first times, one by one or as many as an app kept while offline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.store import device_id_for
from offers.messages import message_id
from offers.tables import notifications
from tests.support.api import problem
from tests.support.tills import Shop

if TYPE_CHECKING:
    import httpx

    from tests.support.api import Api, TestTenant

pytestmark = pytest.mark.servers

SENT_AT = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
"""A while ago, whenever that is."""
EVENTS = ("delivered", "displayed", "opened", "dismissed")


class Phone:
    """Of anna, with messages in its inbox."""

    def __init__(self, api: Api, tenant: TestTenant, messages: int = 1) -> None:
        self.shop = Shop.open(api, tenant)
        self.client: httpx.Client = tenant.device("anna")
        self.campaign_id = self.shop.campaign()
        device_id = device_id_for(tenant.tenant_id, "anna")
        self.numbers = [tenant.tenant_id * 1_000 + i for i in range(messages)]
        with api.system.begin() as connection:
            for number in self.numbers:
                connection.execute(
                    sa.insert(notifications).values(
                        notification_id=number, tenant_id=tenant.tenant_id, decision_id=number, device_id=device_id,
                        campaign_id=int(self.campaign_id), channel="inbox", state="sent", payload={}, sent_at=SENT_AT,
                        created_at=SENT_AT, not_before=SENT_AT, expires_at=SENT_AT + timedelta(days=1),
                    )
                )  # fmt: skip
        self.ids = [message_id(number) for number in self.numbers]

    def post(self, **body: Any) -> Any:
        answer = self.client.post("/v1/receipts", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def times(self, which: int = 0) -> list[float | None]:
        """Of the four events, in seconds after it was sent."""
        query = sa.select(*(notifications.c[f"{event}_at"] for event in EVENTS))
        with self.shop.api.system.connect() as connection:
            row = connection.execute(query.where(notifications.c.notification_id == self.numbers[which])).one()
        return [None if at is None else (at - SENT_AT).total_seconds() for at in row]


@pytest.fixture
def phone(api: Api, tenant: TestTenant) -> Phone:
    return Phone(api, tenant, messages=3)


def _at(seconds: float) -> str:
    return (SENT_AT + timedelta(seconds=seconds)).isoformat()


def test_all_four_events_are_kept_with_their_first_times(phone: Phone) -> None:
    for seconds, event in enumerate(EVENTS, 1):
        receipt = {"message_id": phone.ids[0], "event": event, "at": _at(seconds)}
        assert phone.post(**receipt) == {"recorded": True}
        assert phone.post(**receipt) == {"recorded": False}, "as often as it likes"
    assert phone.times() == [1, 2, 3, 4]
    report = phone.shop.tenant.secret.get(f"/v1/campaigns/{phone.campaign_id}/report").json()
    assert report["notifications"] == {"inbox": {"opened": 1, "sent": 2}}


def test_an_app_brings_what_it_kept_in_one_request_and_in_any_order(phone: Phone) -> None:
    kept = [
        {"message_id": phone.ids[0], "event": "opened", "at": _at(30)},
        {"message_id": "AAAAAAAAAAA", "event": "opened", "at": _at(1)},
        {"message_id": phone.ids[1], "event": "dismissed", "at": _at(5)},
        {"message_id": "not a message", "event": "opened"},
        {"message_id": phone.ids[0], "event": "displayed", "at": _at(20)},
        {"message_id": phone.ids[0], "event": "delivered", "at": _at(25)},
    ]
    answers = [True, False, True, False, True, False]
    assert phone.post(receipts=kept) == {"receipts": [{"recorded": one} for one in answers]}
    assert phone.post(receipts=kept) == {"receipts": [{"recorded": False}] * len(kept)}
    assert [phone.times(i) for i in range(3)] == [[20, 20, 30, None], [5, 5, None, 5], [None] * 4]


def test_the_phones_clock_is_believed_between_sending_and_now(phone: Phone) -> None:
    phone.post(message_id=phone.ids[0], event="delivered", at="2001-01-01T00:00:00Z")
    assert phone.times() == [0, None, None, None]
    before = (datetime.now(UTC) - SENT_AT).total_seconds()
    phone.post(message_id=phone.ids[1], event="opened", at="2150-01-01T00:00:00Z")
    phone.post(message_id=phone.ids[2], event="opened")
    after = (datetime.now(UTC) - SENT_AT).total_seconds()
    for which in (1, 2):
        [delivered, displayed, opened, dismissed] = phone.times(which)
        assert delivered == displayed == opened
        assert dismissed is None
        assert opened is not None
        assert before - 1 <= opened <= after + 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message_id": "AAAAAAAAAAA"},
        {"event": "opened"},
        {"receipts": []},
        {"receipts": [{"message_id": "AAAAAAAAAAA", "event": "opened"}] * 101},
        {"receipts": [{"message_id": "AAAAAAAAAAA", "event": "opened"}], "event": "opened"},
        {"receipts": [{"message_id": "AAAAAAAAAAA", "event": "eaten"}]},
        {"message_id": "AAAAAAAAAAA", "event": "opened", "at": "2026-06-01T12:00:00"},
    ],
)
def test_a_malformed_receipt_is_refused(phone: Phone, body: dict[str, Any]) -> None:
    problem(phone.client.post("/v1/receipts", json=body), 422, "malformed")


def test_nobody_tells_of_anothers_messages_by_the_hundred(phone: Phone) -> None:
    bert = phone.shop.tenant.device("bert")
    receipts = [{"message_id": one, "event": "opened"} for one in phone.ids]
    answer = bert.post("/v1/receipts", json={"receipts": receipts})
    assert answer.json() == {"receipts": [{"recorded": False}] * 3}
    problem(bert.post("/v1/receipts", json={"receipts": receipts, "device_id": "anna"}), 403, "forbidden")
    secret = phone.shop.tenant.secret
    problem(secret.post("/v1/receipts", json={"receipts": receipts}), 403, "forbidden")
    answer = secret.post("/v1/receipts", json={"receipts": receipts, "device_id": "anna"})
    assert answer.json() == {"receipts": [{"recorded": True}] * 3}
