"""The loop under the senders survives what breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog.testing

from offers.curl_loop import CurlLoop
from offers.push import Retry, Unknown
from offers.push_http import HttpTransport
from offers.ssrf import AddressGuard
from tests.support.receivers import Slow, WebhookReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADERS = {"Content-Type": "application/json"}


@pytest.fixture
def transport() -> Iterator[HttpTransport]:
    transport = HttpTransport(guard=AddressGuard(allow_private=True), total_timeout_s=10)
    yield transport
    transport.close()


def test_a_loop_that_breaks_ends_what_is_under_way_and_begins_anew(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = CurlLoop._wait

    def broken(*_: Any) -> None:
        monkeypatch.setattr(CurlLoop, "_wait", whole)
        raise ValueError("filedescriptor out of range in select()")

    with WebhookReceiver() as receiver, structlog.testing.capture_logs() as lines:
        receiver.misbehave(Slow(seconds=5))
        monkeypatch.setattr(CurlLoop, "_wait", broken)
        first = transport.post(receiver.url("/a"), headers=HEADERS, body=b"{}")
        assert isinstance(first, Unknown | Retry)
        assert transport.post(receiver.url("/b"), headers=HEADERS, body=b"{}") is not None
        receiver.problems.clear()  # what was sent here is signed by nobody
        receiver.closing.set()
    assert [line["event"] for line in lines] == ["push.loop_broken"]


def test_what_comes_after_the_end_is_told_so(transport: HttpTransport) -> None:
    transport.close()
    outcome = transport.post("http://127.0.0.1:1/", headers=HEADERS, body=b"{}")
    assert outcome == Retry(reason="stopping")
