"""Messages every channel can carry, and statuses that always mean one action."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from offers.push import Address, Answer, ChannelPaused, ChannelType, Message, Retry, Sent, Unknown
from offers.push_status import StatusTable, outcome_of
from offers.push_webhook import STATUSES as WEBHOOK
from offers.push_webpush import STATUSES as WEBPUSH

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def message(message_id: str = "m-1", *, expires_at: datetime = NOON, created_at: datetime | None = None) -> Message:
    return Message(
        message_id=message_id,
        title="Half price",
        body="until noon",
        data={},
        expires_at=expires_at,
        created_at=created_at,
    )


@pytest.mark.parametrize("message_id", ["a", "A-z_09", "x" * 32])
def test_ids_fit_the_narrowest_header(message_id: str) -> None:
    assert message(message_id).message_id == message_id


@pytest.mark.parametrize("message_id", ["", "x" * 33, "a.b", "a b", "a\n", "ä", "a+b", "a/b", "a="])
def test_other_ids_are_refused(message_id: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        message(message_id)


def test_times_need_a_zone() -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="zone"):
        message(expires_at=naive)
    with pytest.raises(ValueError, match="zone"):
        message(created_at=naive)


def test_neither_text_nor_address_shows_when_printed() -> None:
    address = Address(channel=ChannelType.WEBHOOK, value={"url": "https://p.example/private", "secrets": ["whsec_x"]})
    assert "private" not in repr(address)
    assert "whsec" not in repr(address)
    assert "Half price" not in repr(message())


@pytest.mark.parametrize("table", [WEBPUSH, WEBHOOK])
def test_every_status_a_server_can_answer_has_an_action(table: StatusTable) -> None:
    for status in range(200, 600):
        outcome = outcome_of(Answer(status=status, origin="https://p.example"), table, now=NOON)
        assert not isinstance(outcome, Unknown), status
        assert outcome.reason.isidentifier()
        assert outcome.reason.islower()
        assert isinstance(outcome, Sent) == (status < 300)


@pytest.mark.parametrize("status", [101, 600, 999])
def test_a_status_of_no_class_says_nothing(status: int) -> None:
    assert isinstance(outcome_of(Answer(status=status, origin="https://p.example"), WEBPUSH, now=NOON), Unknown)


def test_a_date_to_retry_after_is_measured_from_now() -> None:
    answer = Answer(
        status=429,
        origin="https://p.example",
        head=b"HTTP/1.1 429 No\r\nRetry-After: Fri, 01 May 2026 12:00:09 GMT\r\n\r\n",
    )
    outcome = outcome_of(answer, WEBPUSH, now=NOON + timedelta(seconds=4))
    assert outcome == Retry(reason="rate_limited", after_s=5.0, detail="HTTP 429")


def test_refused_credentials_pause_the_origin_that_refused() -> None:
    outcome = outcome_of(Answer(status=403, origin="https://push.example"), WEBPUSH, now=NOON)
    assert outcome == ChannelPaused(reason="forbidden", scope="https://push.example", detail="HTTP 403")


@pytest.mark.parametrize(
    ("location", "provider_id"),
    [
        (None, None),
        ("", None),
        ("https://push.example/m/abc-1", "abc-1"),
        ("/m/abc-1/?x=1", "abc-1"),
        ("/m/" + "x" * 999, "x" * 128),
    ],
)
def test_the_providers_id_is_the_end_of_its_location(location: str | None, provider_id: str | None) -> None:
    head = b"" if location is None else f"HTTP/1.1 201 Created\r\nlocation:{location}\r\n\r\n".encode()
    outcome = outcome_of(Answer(status=201, origin="https://p.example", head=head), WEBPUSH, now=NOON)
    assert outcome == Sent(provider_id=provider_id, detail="HTTP 201")
