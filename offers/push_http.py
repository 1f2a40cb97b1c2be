"""The HTTP under all push senders: one thread, libcurl, every connection guarded, kept and shared.

A sender does no input or output: it holds a conversation, a generator that yields requests, is sent what came of each
and returns the outcome. What a first request takes to compute is computed by who starts it, so that no socket waits for
a signature. The transport holds hundreds of conversations at once; over HTTP/2 they share connections.

Nothing is followed, nothing goes through a proxy, nothing is logged: the path of a push endpoint is its password. Every
way in which a request can fail is one outcome of one table.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import certifi

from offers.curl_loop import CurlLoop, Exchange, Failure
from offers.errors import ForbiddenAddressError
from offers.push import BROKEN, TOO_LATE, Answer, Failed, Refused, Request, Retry, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    import httpx

    from offers.push import Address, Conversation, Message, Outcome, PushSender
    from offers.ssrf import AddressGuard

# Retry: the request certainly did not arrive. Unknown: it left, and its answer did not come.
_FAILURES: Final[Mapping[Failure, Callable[[str], Failed]]] = {
    Failure.NOT_CONNECTED: lambda detail: Retry(reason="unreachable", detail=detail),
    Failure.CONNECT_TIMEOUT: lambda detail: Retry(reason="connect_timeout", detail=detail),
    Failure.CLOSED: lambda detail: Retry(reason="stopping", detail=detail),
    Failure.FORBIDDEN: lambda detail: Refused(reason="forbidden_address", detail=detail),
    Failure.TOO_LATE: lambda detail: Retry(reason=TOO_LATE, detail=detail),
    Failure.TIMEOUT: lambda detail: Unknown(reason="timeout", detail=detail),
    # Garbage, or closed without a word: after a failed write a reset looks like this, too, so the two share a reason.
    Failure.BROKEN: lambda detail: Retry(reason=BROKEN, detail=detail, may_have_arrived=True),
    Failure.LOST: lambda detail: Unknown(reason="connection_lost", detail=detail),
}


def _always() -> bool:
    return True


class HttpTransport:
    """POSTs to addresses given by outsiders. Safe to share between threads; its own thread starts with the first use.

    If the other side is down, slow or hostile, a request ends after `total_timeout_s` with Retry or Unknown, never with
    an exception. `ca_file` replaces the public authorities; `resolve` says for `host:port` which addresses it has,
    instead of the DNS: they are guarded like others. `connections_per_host` bounds what one host sees of us.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard,
        connect_timeout_s: float = 5.0,
        total_timeout_s: float = 20.0,
        connections_per_host: int = 64,
        ca_file: Path | None = None,
        resolve: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._guard = guard
        self._given: dict[str, Any] = {
            "guard": guard,
            "connect_timeout_s": connect_timeout_s,
            "total_timeout_s": total_timeout_s,
            "connections_per_host": connections_per_host,
            "ca_file": certifi.where() if ca_file is None else str(ca_file),
            "resolve": resolve or {},
        }
        self._loop = CurlLoop(**self._given)
        self._lock = threading.Lock()
        self._pools: dict[str, CurlLoop] = {}
        self._closed = False
        self._parsed: dict[str, _Target] = {}

    def origin(self, url: str) -> str:
        """Return scheme, host and port of a URL as it would be called; ForbiddenAddressError if it would not be."""
        return self._target(url).origin

    def start(
        self, conversation: Conversation, done: Callable[[Outcome], None], *, may_send: Callable[[], bool] = _always
    ) -> None:
        """Hold a conversation; `done` gets its outcome. Returns when its first request is on its way to the loop.

        It begins in the caller's thread and goes on in the loop's, which calls `done`; if there is nothing to send, the
        caller's does. `may_send` is asked in the loop's thread when a request is about to leave, however long it waited
        for a connection: a False ends it as a Retry of the reason TOO_LATE. What the conversation raises itself reaches
        `done` as a Retry of the reason `sender_broken`.
        """
        self._go_on(conversation, None, done, may_send)

    def hold(self, conversation: Conversation) -> Outcome:
        """Hold a conversation to its end and return the outcome."""
        held = threading.Event()
        outcomes: list[Outcome] = []

        def done(outcome: Outcome) -> None:
            outcomes.append(outcome)
            held.set()

        self.start(conversation, done)
        held.wait()
        return outcomes[0]

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer | Failed:
        """Make one request and return its answer, or what its failure means.

        Retry: it certainly did not arrive. Unknown: it may have. Refused: the guard forbids the address.
        """
        came = threading.Event()
        found: list[Answer | Failed] = []

        def then(answer: Answer | Failed) -> None:
            found.append(answer)
            came.set()

        request = Request(url=url, headers=dict(headers), body=body)
        self._post(request, then, _always)
        came.wait()
        return found[0]

    def close(self) -> None:
        """End the thread and close all connections; what is under way ends as a Retry or as Unknown."""
        with self._lock:
            self._closed = True
            pools = list(self._pools.values())
        for loop in (self._loop, *pools):
            loop.close()

    def _go_on(
        self,
        conversation: Conversation,
        answer: Answer | Failed | None,
        done: Callable[[Outcome], None],
        may_send: Callable[[], bool],
    ) -> None:
        try:
            request = next(conversation) if answer is None else conversation.send(answer)
        except StopIteration as end:
            done(end.value)
        except Exception as error:  # noqa: BLE001 - whatever it is, the message must be accounted for
            # its kind must do: the text could show an address
            done(Retry(reason=BROKEN, detail=type(error).__name__, may_have_arrived=True))
        else:
            self._post(request, lambda answered: self._go_on(conversation, answered, done, may_send), may_send)

    def _post(self, request: Request, then: Callable[[Answer | Failed], None], may_send: Callable[[], bool]) -> None:
        """Begin a request; whatever it is that cannot be begun, `then` hears of it."""
        try:
            target = self._target(request.url)
            headers = _lines(request.headers)
        except ForbiddenAddressError as error:
            then(Refused(reason="forbidden_address", detail=str(error)))
            return
        except ValueError as error:
            then(Refused(reason="invalid_request", detail=str(error)))
            return

        def finished(exchange: Exchange) -> None:
            if exchange.failure is None:
                then(
                    Answer(
                        status=exchange.status,
                        origin=target.origin,
                        head=exchange.head,
                        body=exchange.body,
                    )
                )
            else:
                then(_FAILURES[exchange.failure](exchange.detail))

        exchange = Exchange(
            url=target.url,
            plain=target.plain,
            headers=headers,
            sent=request.body,
            then=finished,
            may_send=may_send,
        )
        loop = self._pool(request.connections) if request.connections else self._loop
        loop.begin(exchange)

    def _pool(self, name: str) -> CurlLoop:
        """Connections that only requests of this name use."""
        with self._lock:
            if name not in self._pools:
                self._pools[name] = CurlLoop(**self._given)
                if self._closed:
                    self._pools[name].close()
            return self._pools[name]

    def _target(self, url: str) -> _Target:
        """The URL as it is called. Remembered, because the same few thousand addresses are called again and again."""
        found = self._parsed.get(url)
        if found is None:
            if len(self._parsed) >= _REMEMBERED_URLS:
                self._parsed.clear()
            found = self._parsed[url] = _target(self._guard.parse_url(url))
        return found


def _lines(headers: Mapping[str, str]) -> list[str]:
    """As libcurl takes them; ValueError for what could be read as another header."""
    said = "".join(headers.values())
    if not (said.isascii() and said.isprintable()):
        raise ValueError("a header that is not printable ASCII")
    # libcurl would ask before it sends more than a megabyte
    return [*(f"{name}: {value}" for name, value in headers.items()), "Expect:"]


_REMEMBERED_URLS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Target:
    url: str = field(repr=False)
    origin: str
    plain: bool


def _target(parsed: httpx.URL) -> _Target:
    origin = f"{parsed.scheme}://{parsed.netloc.decode('ascii')}"  # ASCII form of the name, default port left out
    return _Target(url=origin + parsed.raw_path.decode("ascii"), origin=origin, plain=parsed.scheme == "http")


def send(sender: PushSender, message: Message, address: Address, *, transport: HttpTransport, now: datetime) -> Outcome:
    """Make one attempt and wait for what comes of it."""
    return transport.hold(sender.attempt(message, address, now=now))
