"""The HTTP under all push senders: guarded connections, hard time limits, no redirects, no proxies, nothing logged.

It speaks to httpcore directly: an httpx.Client would log every URL at INFO, and the path of a push endpoint is its
password. Every way a request can fail is one outcome of one table.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Any

import httpcore

from offers.errors import ForbiddenAddressError
from offers.push import Refused, Retry, Unknown
from offers.push_status import Answer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping

    import httpx

    from offers.ssrf import AddressGuard

MAX_BODY_BYTES = 4096
KEEPALIVE_S = 30.0

# First match wins. Retry: the request certainly did not arrive. Unknown: it left, and its answer did not come.
_FAILURES: tuple[tuple[type[Exception], type[Retry | Unknown | Refused], str], ...] = (
    (httpcore.ConnectTimeout, Retry, "connect_timeout"),
    (httpcore.ConnectError, Retry, "unreachable"),  # name, route, port or TLS
    (httpcore.PoolTimeout, Retry, "busy"),  # all our own connections are in use
    (httpcore.TimeoutException, Unknown, "timeout"),
    (httpcore.NetworkError, Unknown, "connection_lost"),
    # Garbage, or closed without a word: after a failed write a reset looks like this, too, so the two share a reason.
    (httpcore.RemoteProtocolError, Unknown, "connection_lost"),
    (httpcore.LocalProtocolError, Refused, "invalid_request"),
)
_ERRORS = tuple(kind for kind, *_ in _FAILURES)


class HttpTransport:
    """POSTs to addresses given by outsiders, over kept-alive connections. Safe to share between threads.

    If the other side is down, slow or hostile, a call ends after `total_timeout_s` (plus the system's DNS limits, which
    nothing here can shorten) with Retry or Unknown; it never raises for the network. `ssl_context` replaces the default
    trust in public authorities; `monotonic` is the clock of the limits, in seconds; `network` makes the connections, to
    addresses that were checked.
    """

    def __init__(
        self,
        *,
        guard: AddressGuard,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 10.0,
        total_timeout_s: float = 20.0,
        max_connections: int = 100,
        ssl_context: ssl.SSLContext | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        network: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._guard = guard
        self._total_timeout_s = total_timeout_s
        self._deadline = _Deadline(monotonic)
        self._extensions = {
            "timeout": {
                "connect": connect_timeout_s,
                "read": read_timeout_s,
                "write": read_timeout_s,
                "pool": connect_timeout_s,
            }
        }
        # A network backend is not told the scheme, and plain http has a stricter rule: hence a pool for each.
        self._pools = {
            scheme: httpcore.ConnectionPool(
                ssl_context=ssl_context,
                max_connections=max_connections,
                max_keepalive_connections=max_connections,
                keepalive_expiry=KEEPALIVE_S,
                network_backend=_GuardedBackend(
                    guard, self._deadline, plain=scheme == "http", inner=network or httpcore.SyncBackend()
                ),
            )
            for scheme in ("https", "http")
        }

    def origin(self, url: str) -> str:
        """Return scheme, host and port of a URL as it would be called; ForbiddenAddressError if it would not be."""
        return _origin(self._guard.parse_url(url))

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer | Retry | Unknown | Refused:
        """Make one request and return its answer, or what its failure means.

        Retry: it certainly did not arrive. Unknown: it may have. Refused: the guard forbids the address.
        """
        try:
            parsed = self._guard.parse_url(url)
            target = httpcore.URL(
                scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path
            )
            # httpcore would write an IPv6 host without its brackets.
            sent_headers = [(b"Host", parsed.netloc), *((k.encode(), v.encode()) for k, v in headers.items())]
            self._deadline.start(self._total_timeout_s)
            with self._pools[parsed.scheme].stream(
                "POST", target, headers=sent_headers, content=body, extensions=self._extensions
            ) as response:
                answer = _answer(response, origin=_origin(parsed))
                _drain(response)
        except ForbiddenAddressError as error:
            return Refused(reason="forbidden_address", detail=str(error))
        except _ERRORS as error:
            return _failure(error)
        return answer

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"  # ASCII form of the name, default port left out


def _answer(response: httpcore.Response, *, origin: str) -> Answer:
    headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
    return Answer(
        status=response.status,
        origin=origin,
        retry_after=headers.get(b"retry-after"),
        location=headers.get(b"location"),
    )


def _drain(response: httpcore.Response) -> None:
    """Read a short body so that the connection can be used again; a long or broken one costs only the connection."""
    seen = 0
    try:
        for chunk in response.iter_stream():
            seen += len(chunk)
            if seen > MAX_BODY_BYTES:
                return
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
        return  # the status has arrived, and it alone decides


def _failure(error: Exception) -> Retry | Unknown | Refused:
    outcome, reason = next((outcome, reason) for kind, outcome, reason in _FAILURES if isinstance(error, kind))
    # httpcore drops __cause__ but wraps what it caught. Only its kind is told: messages may repeat addresses.
    cause = next((arg for arg in error.args if isinstance(arg, Exception)), error)
    return outcome(reason=reason, detail=type(cause).__name__)


class _Deadline(threading.local):
    """When the request of this thread must be over; a server that sends a byte now and then cannot outlast it."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ends_s = math.inf

    def start(self, seconds: float) -> None:
        self._ends_s = self._monotonic() + seconds

    def limit(self, timeout: float | None) -> float:
        left_s = self._ends_s - self._monotonic()
        return left_s if timeout is None else min(timeout, left_s)


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to addresses the guard returned, never to a name; TLS and Host keep the name, they come from the URL."""

    def __init__(
        self, guard: AddressGuard, deadline: _Deadline, *, plain: bool, inner: httpcore.NetworkBackend
    ) -> None:
        self._guard = guard
        self._deadline = deadline
        self._plain = plain
        self._inner = inner

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._guard.resolve(host, port, plain=self._plain)
        except OSError as error:
            raise httpcore.ConnectError("the name does not resolve") from error
        failure: Exception = httpcore.ConnectTimeout("no time left")
        for address in addresses:
            left_s = self._deadline.limit(timeout)
            if left_s <= 0:
                break
            try:
                stream = self._inner.connect_tcp(
                    address, port, timeout=left_s, local_address=local_address, socket_options=socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream, self._deadline)
        raise failure


class _BoundedStream(httpcore.NetworkStream):
    """A stream whose reads and writes end with the request's deadline."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s = self._deadline.limit(timeout)
        if left_s <= 0:
            raise httpcore.ReadTimeout("the request's time is over")
        return self._inner.read(max_bytes, left_s)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left_s = self._deadline.limit(timeout)
        if left_s <= 0:
            raise httpcore.WriteTimeout("the request's time is over")
        self._inner.write(buffer, left_s)

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left_s = self._deadline.limit(timeout)
        if left_s <= 0:
            self._inner.close()
            raise httpcore.ConnectTimeout("the request's time is over")
        return _BoundedStream(self._inner.start_tls(ssl_context, server_hostname, left_s), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
