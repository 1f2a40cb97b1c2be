"""Senders that reach nobody take messages as the others do, and tell nothing of a phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog.testing

from lbs import wiring
from lbs.settings import Settings
from offers.push import Address, ChannelType, Message, Sent
from offers.push_development import LogSender, MemorySender
from offers.push_http import HttpTransport, send
from offers.ssrf import AddressGuard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MESSAGE = Message(
    message_id="m-1", title="Two for one", body="until noon", data={}, expires_at=NOW + timedelta(hours=1)
)
ADDRESS = Address(channel=ChannelType.APNS, value={"token": "secret-token"})


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    transport = HttpTransport(guard=AddressGuard(allow_private=False))
    yield transport
    transport.close()


def test_the_log_has_the_message_and_nothing_of_the_phone(transport: HttpTransport) -> None:
    with structlog.testing.capture_logs() as lines:
        outcome = send(LogSender(ChannelType.APNS), MESSAGE, ADDRESS, transport=transport, now=NOW)
    assert isinstance(outcome, Sent)
    assert [(line["event"], line["message_id"], line["title"]) for line in lines] == [
        ("push.not_sent", "m-1", "Two for one")
    ]
    assert "secret-token" not in str(lines)


def test_memory_keeps_messages_in_order(transport: HttpTransport) -> None:
    sender = MemorySender(ChannelType.APNS)
    for _ in range(2):
        assert isinstance(send(sender, MESSAGE, ADDRESS, transport=transport, now=NOW), Sent)
    assert sender.sent == [(MESSAGE, ADDRESS)] * 2


def test_an_installation_can_be_told_to_reach_nobody(transport: HttpTransport, tmp_path: Path) -> None:
    given: dict[str, Any] = {"home": tmp_path, "secret_key": "k" * 40, "push": "log"}
    found = wiring.senders(Settings.model_validate(given), transport)
    assert {type(sender) for sender in found.values()} == {LogSender}
    assert set(found) == set(ChannelType) - {ChannelType.INBOX}
