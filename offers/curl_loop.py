"""libcurl's multi interface in a thread of its own: many requests at once, over few connections.

The thread waits for libcurl's sockets and timers, and for exchanges to begin, which come in through a queue.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import pycurl
import structlog

from offers.errors import ForbiddenAddressError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from offers.ssrf import AddressGuard

log = structlog.get_logger(__name__)

MAX_BODY_BYTES: Final = 4096
CONNECTION_AGE_S: Final = 60
"""A connection that was idle for longer is not used again: middle boxes forget such connections without a word."""
IDLE_CONNECTIONS: Final = 256
IDLE_HANDLES: Final = 512
AT_ONCE: Final = 16
CONNECTIONS: Final = 256
"""At once, to all hosts: select(2) knows no file above 1,024."""
_LONGEST_WAIT_S: Final = 1.0
_RESOLVER_POLL_S: Final = 0.01


class Failure(StrEnum):
    """Why there is no answer."""

    NOT_CONNECTED = "not_connected"
    CONNECT_TIMEOUT = "connect_timeout"
    FORBIDDEN = "forbidden"
    TIMEOUT = "timeout"
    TOO_LATE = "too_late"
    LOST = "lost"
    BROKEN = "broken"
    CLOSED = "closed"


_NOT_CONNECTED: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: "no_address",
    pycurl.E_COULDNT_CONNECT: "refused",
    pycurl.E_SSL_CONNECT_ERROR: "tls",
    pycurl.E_PEER_FAILED_VERIFICATION: "certificate",
}


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One POST, and what came of it; `then`, which raises nothing, is called once, in the loop's thread."""

    url: str = field(repr=False)
    plain: bool
    headers: Sequence[str] = field(repr=False)
    sent: bytes = field(repr=False)
    then: Callable[[Exchange], None] = field(repr=False)
    may_send: Callable[[], bool] = field(repr=False)
    """Asked in the loop's thread when there is a connection and nothing has left yet: it may have waited for one."""
    status: int = 0
    head: bytes = field(default=b"", repr=False)
    body: bytes = field(default=b"", repr=False)
    failure: Failure | None = None
    detail: str = ""


class CurlLoop:
    """Starts with the first exchange; `close` ends it. Both are for any thread."""

    def __init__(
        self,
        *,
        guard: AddressGuard,
        connect_timeout_s: float,
        total_timeout_s: float,
        connections_per_host: int,
        ca_file: str,
        resolve: Mapping[str, Sequence[str]],
    ) -> None:
        self.guard = guard
        self._connections_per_host = connections_per_host
        self._static: list[tuple[int, Any]] = [
            (pycurl.POST, 1),
            (pycurl.USERAGENT, "lbs"),
            (pycurl.NOSIGNAL, 1),
            (pycurl.CONNECTTIMEOUT_MS, round(connect_timeout_s * 1000)),
            (pycurl.TIMEOUT_MS, round(total_timeout_s * 1000)),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROXY, ""),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PIPEWAIT, 1),
            (pycurl.HTTP09_ALLOWED, 0),
            (pycurl.CAINFO, ca_file),
            (pycurl.MAXAGE_CONN, CONNECTION_AGE_S),
            (pycurl.DNS_CACHE_TIMEOUT, 0),
            (pycurl.RESOLVE, [f"{where}:{','.join(addresses)}" for where, addresses in resolve.items()]),
        ]
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asleep = False
        self._opened: list[socket.socket] = []
        self._soon: deque[Exchange] = deque()
        self._multi: pycurl.CurlMulti | None = None
        self._wake_in: socket.socket | None = None
        self._idle: list[_Handle] = []
        self._busy: dict[pycurl.Curl, _Handle] = {}

    def begin(self, exchange: Exchange) -> None:
        """Begin an exchange soon; one that comes after the end is CLOSED at once."""
        with self._lock:
            self._soon.append(exchange)
            if self._thread is None and not self._closed:
                self._start()
            asleep, self._asleep = self._asleep, False
            nobody = self._thread is None
        if asleep:
            self._wake()
        if nobody:
            self._begin_soon()

    def close(self) -> None:
        """End the thread; what is under way is LOST, what comes later CLOSED."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._wake()
            thread.join()

    def _start(self) -> None:
        wake_out, self._wake_in = socket.socketpair()
        for end in (wake_out, self._wake_in):
            end.setblocking(False)
        self._thread = threading.Thread(target=self._run, args=(wake_out,), name="push-http", daemon=True)
        self._thread.start()

    def _wake(self) -> None:
        assert self._wake_in is not None  # it comes with the thread
        with contextlib.suppress(OSError):  # a full pipe wakes as well; a closed one has nobody to wake
            self._wake_in.send(b"\0")

    def _run(self, wake_out: socket.socket) -> None:
        multi = pycurl.CurlMulti()
        multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, self._connections_per_host)
        multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, CONNECTIONS)
        multi.setopt(pycurl.M_MAXCONNECTS, IDLE_CONNECTIONS)
        self._multi = multi
        try:
            while not self._closed:
                self._begin_soon(at_most=AT_ONCE)
                multi.perform()
                while self._opened:
                    self._opened.pop().close()  # libcurl works with copies of its own
                self._end_done(multi)
                self._wait(multi, wake_out)
        except Exception as error:
            # its exchanges end, and the next work begins a new thread
            log.exception("push.loop_broken", error=type(error).__name__)
        finally:
            self._end_all(multi, wake_out)

    def _end_all(self, multi: pycurl.CurlMulti, wake_out: socket.socket) -> None:
        self._multi = None
        for handle in [*self._busy.values()]:
            with contextlib.suppress(pycurl.error):
                multi.remove_handle(handle.curl)
            self._end(handle, Failure.LOST, "stopping", keep=False)
        while self._idle:
            self._idle.pop().curl.close()
        multi.close()
        assert self._wake_in is not None
        with self._lock:
            self._thread = None
            self._asleep = False
            self._wake_in.close()
            wake_out.close()
            if self._soon and not self._closed:
                self._start()
        if self._closed:
            self._begin_soon()

    def _begin_soon(self, at_most: int = 2**31) -> None:
        """What was brought: a few at a time, so that sockets do not wait for long."""
        while at_most > 0:
            try:
                exchange = self._soon.popleft()
            except IndexError:
                return
            self._begin(exchange)
            at_most -= 1

    def _begin(self, exchange: Exchange) -> None:
        if self._multi is None:
            exchange.failure = Failure.CLOSED
            exchange.then(exchange)
            return
        handle = self._idle.pop() if self._idle else _Handle(self.guard, self._static, self._opened)
        try:
            handle.prepare(exchange)
            self._multi.add_handle(handle.curl)
        except Exception as error:  # noqa: BLE001 - whatever libcurl does not take, its exchange must end
            exchange.failure, exchange.detail = Failure.BROKEN, type(error).__name__
            exchange.then(exchange)
            return
        self._busy[handle.curl] = handle

    def _wait(self, multi: pycurl.CurlMulti, wake_out: socket.socket) -> None:
        """Until a socket or a timer of libcurl's is due, or somebody brings an exchange."""
        with self._lock:
            if self._soon or self._closed:
                return
            self._asleep = True
        reads, writes, _ = multi.fdset()
        timer_ms = multi.timeout()
        wait_s = _LONGEST_WAIT_S if timer_ms < 0 else min(_LONGEST_WAIT_S, timer_ms / 1000)
        if self._busy and not reads and not writes:
            wait_s = min(wait_s, _RESOLVER_POLL_S)  # names are looked up in threads of libcurl's own
        ready, _, _ = select.select([wake_out, *reads], writes, [], wait_s)
        self._asleep = False
        if wake_out in ready:
            with contextlib.suppress(BlockingIOError):
                wake_out.recv(65536)

    def _end_done(self, multi: pycurl.CurlMulti) -> None:
        more = 1
        while more:
            more, good, bad = multi.info_read(128)
            for curl in good:
                multi.remove_handle(curl)
                self._end(self._busy[curl], None, "")
            for curl, code, _ in bad:
                multi.remove_handle(curl)
                handle = self._busy[curl]
                self._end(handle, *handle.failure(code))

    def _end(self, handle: _Handle, failure: Failure | None, detail: str, *, keep: bool = True) -> None:
        del self._busy[handle.curl]
        exchange = handle.take(failure, detail)
        if keep and len(self._idle) < IDLE_HANDLES:
            self._idle.append(handle)
        else:
            handle.curl.close()
        exchange.then(exchange)


class _Handle:
    """One easy handle, used again and again: only what differs between requests is set anew."""

    def __init__(self, guard: AddressGuard, static: Sequence[tuple[int, Any]], opened: list[socket.socket]) -> None:
        self.curl = pycurl.Curl()
        self._guard = guard
        self._exchange: Exchange | None = None
        self._forbidden = ""
        self._opened = opened
        self._left = False
        self._url = ""
        self._head: list[bytes] = []
        for option, value in static:
            self.curl.setopt(option, value)
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._about_to_send)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._write)
        self.curl.setopt(pycurl.HEADERFUNCTION, self._head.append)

    def prepare(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._forbidden = ""
        self._left = False
        self._head.clear()
        if exchange.url != self._url:
            self.curl.setopt(pycurl.URL, exchange.url)
            self._url = exchange.url
        self.curl.setopt(pycurl.HTTPHEADER, exchange.headers)
        self.curl.setopt(pycurl.POSTFIELDS, exchange.sent)

    def take(self, failure: Failure | None, detail: str) -> Exchange:
        exchange = self._exchange
        assert exchange is not None  # a busy handle has one
        self._exchange = None
        exchange.failure, exchange.detail = failure, detail
        if failure is None:
            exchange.status = self.curl.getinfo(pycurl.RESPONSE_CODE)
            exchange.head = b"".join(self._head)
        return exchange

    def failure(self, code: int) -> tuple[Failure | None, str]:
        """What an error of libcurl means: whether anything can have arrived."""
        whole_head = bool(self._head) and self._head[-1] == b"\r\n"
        if whole_head and self.curl.getinfo(pycurl.RESPONSE_CODE) >= _FIRST_FINAL_STATUS:
            return None, ""  # the status has arrived, and it alone decides; a long or broken body costs the connection
        if code in _NOT_CONNECTED:
            if self._forbidden:
                return Failure.FORBIDDEN, self._forbidden
            return Failure.NOT_CONNECTED, _NOT_CONNECTED[code]
        if code == pycurl.E_ABORTED_BY_CALLBACK:
            return Failure.TOO_LATE, ""
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return (Failure.TIMEOUT if self._left else Failure.CONNECT_TIMEOUT), "timeout"
        return Failure.LOST, f"curl {code}"

    def _write(self, chunk: bytes) -> int | None:
        exchange = self._exchange
        if exchange is None or len(exchange.body) + len(chunk) > MAX_BODY_BYTES:
            return 0  # ends the transfer: an answer need not be long
        exchange.body += chunk
        return None

    def _about_to_send(self, *_connection: object) -> int:
        assert self._exchange is not None  # only a busy handle sends
        if not self._exchange.may_send():
            return int(pycurl.PREREQFUNC_ABORT)
        self._left = True
        return int(pycurl.PREREQFUNC_OK)

    def _open(self, _purpose: int, address: tuple[int, int, int, tuple[Any, ...]]) -> socket.socket | int:
        """Asked by libcurl for a socket to an address: the last moment to say no, and nobody can change it any more."""
        family, kind, protocol, where = address
        try:
            assert self._exchange is not None  # only a busy handle connects
            self._guard.check_address(_text(where[0]), plain=self._exchange.plain)
        except ForbiddenAddressError as error:
            self._forbidden = str(error)
            return int(pycurl.SOCKET_BAD)
        made = socket.socket(family, kind, protocol)
        self._opened.append(made)
        return made


_FIRST_FINAL_STATUS: Final = 200


def _text(host: str | bytes) -> str:
    return host.decode("ascii") if isinstance(host, bytes) else host
