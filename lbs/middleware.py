"""The outermost layer: a request id, a bounded body, safe headers, one log line and one measurement a request.

The body is read here, at most `max_body_bytes` of it, before any route sees it: so a chunked body without a length is
bounded like any other, and a route never waits for a slow client in the middle of its work. Routes that are `streamed`
bound what they read themselves.
"""

from __future__ import annotations

import re
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import structlog

from lbs.errors import ANSWERS, BodyTooLargeError
from lbs.problems import internal_problem, problem

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lbs.observe import Metrics

log = structlog.get_logger("lbs.http")

REQUEST_ID_HEADER: Final = "X-Request-Id"
DRAINED_BODIES: Final = 8
"""A body is read to this multiple of the limit, and thrown away, so that its sender gets to read the refusal."""
SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Unless a route says otherwise."""
_SAFE_RAW: Final = tuple((name.lower().encode(), value.encode()) for name, value in SAFE_HEADERS.items())
_REQUEST_ID_RAW: Final = REQUEST_ID_HEADER.lower().encode()
QUIET_ROUTES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
QUIET_STATUS: Final = 202
"""Positions that were taken: thousands a second, which the metrics count. Whatever else happens is told."""
PHONE_ROUTES: Final = frozenset({"/v1/positions/owntracks", "/v1/positions/osmand"})
"""Their apps hear 200 in place of it."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{8,64}", re.ASCII)


class Outermost:
    """Wraps the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        metrics: Metrics,
        streamed: Collection[str] = (),
        monotonic_s: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._metrics = metrics
        self._streamed = streamed
        self._monotonic_s = monotonic_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s = self._monotonic_s()
        headers = dict(reversed(scope["headers"]))  # of two of one name the first counts
        given = headers.get(_REQUEST_ID_RAW, b"").decode("latin-1")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                sent = message["headers"]
                named = {name for name, _ in sent}
                safe = [header for header in _SAFE_RAW if header[0] not in named]
                message["headers"] = [*sent, *safe, (_REQUEST_ID_RAW, request_id.encode())]
            await send(message)

        try:
            streamed = scope["path"] in self._streamed
            body = [] if streamed else await self._read_body(headers, receive)
            if body is None:
                detail = f"at most {self._max_body_bytes} bytes are accepted"
                refusal = problem(ANSWERS[BodyTooLargeError], detail, scope=scope)
                refusal.headers["Connection"] = "close"
                await refusal(scope, receive, send_with_headers)
            else:
                await self._app(scope, _replayed(body, receive), send_with_headers)
        except Exception as error:  # the last resort: whatever it is, the client gets an answer and the log a line
            if status:
                log.error("http.broken_off", request_id=request_id, error=type(error).__name__)  # noqa: TRY400
                raise
            await internal_problem(error, scope=scope)(scope, receive, send_with_headers)
        finally:
            self._tell(scope, status, self._monotonic_s() - begun_s, request_id)

    async def _read_body(self, headers: dict[bytes, bytes], receive: Receive) -> list[Message] | None:
        """The messages of the body; None if it is too large, in which case it was read for nothing."""
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return []
        expected = int(length) if length is not None and length.isdigit() else 0
        if expected > self._max_body_bytes * DRAINED_BODIES:
            return None
        kept: list[Message] | None = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return [message] if kept is None else [*kept, message]
            size += len(message.get("body", b""))
            if size > self._max_body_bytes:
                kept = None
            if kept is not None:
                kept.append(message)
            if not message.get("more_body", False) or size > self._max_body_bytes * DRAINED_BODIES:
                return kept

    def _tell(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", None) or "unmatched"
        self._metrics.request_seconds.labels(scope["method"], route, str(status)).observe(seconds)
        taken = status == QUIET_STATUS or (status == HTTPStatus.OK and route in PHONE_ROUTES)
        if route not in QUIET_ROUTES and not taken:
            caller = scope["state"].get("caller")
            log.info(
                "http.request",
                method=scope["method"],
                route=route,
                status=status,
                ms=round(seconds * 1000, 2),
                request_id=request_id,
                tenant_id=caller and caller.tenant_id,
                caller=caller and str(caller.kind),
            )


def _replayed(messages: list[Message], receive: Receive) -> Receive:
    """A `receive` that first gives what was read already."""
    waiting = iter(messages)

    async def replay() -> Message:
        message = next(waiting, None)
        return await receive() if message is None else message

    return replay
