"""The far end of push, on loopback: a push service with its browsers, and a partner's server for webhooks.

Both are real HTTP servers that believe nothing: the push service checks who sends (VAPID) and decrypts with the keys of
the subscription, the partner checks the signature. Only what passed counts as an arrival, at the time of the first byte
of its request. A repeat of a message is one arrival.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from lbs.demo.decrypt import SubscriptionKeys, UndecryptableError, from_base64url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PUSH_PATH: Final = "/push/"
LOOK_EVERY_S: Final = 0.05
"""How soon a server notices that it is to stop."""
MAX_BODY_BYTES: Final = 64 * 1024
MAX_CLOCK_GAP_S: Final = 300
"""How old a signed webhook may be before it counts as a replay, as Standard Webhooks advises."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message that came through, checked and readable."""

    message_id: str
    at_s: float
    """Seconds since 1970: when the first byte of the request was there."""
    title: str
    data: Mapping[str, Any] = field(repr=False)
    phone: str | None
    """Whose subscription it was; a webhook does not say."""


class RefusedError(Exception):
    """A request that does not prove what it must."""


class Receiver:
    """Base of both: the server, and how often something was refused."""

    def __init__(self, on_arrival: Callable[[Arrival], None]) -> None:
        self._on_arrival = on_arrival
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(LOOK_EVERY_S,), name=type(self).__name__, daemon=True
        )
        self.refused: list[str] = []
        """Why, for each request that was."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def origin(self) -> str:
        return f"http://{self.address}"

    def take(self, path: str, headers: Mapping[str, str], body: bytes, at_s: float) -> int:
        """Check one request; the HTTP status for it."""
        try:
            arrival = self.check(path, headers, body, at_s)
        except (RefusedError, UndecryptableError, jwt.InvalidTokenError, KeyError, ValueError, TypeError) as error:
            with self._lock:
                self.refused.append(f"{type(error).__name__}: {error}")
            return 400
        with self._lock:
            fresh = arrival.message_id not in self._seen
            self._seen.add(arrival.message_id)
        if fresh:
            self._on_arrival(arrival)
        return 201

    def check(self, path: str, headers: Mapping[str, str], body: bytes, at_s: float) -> Arrival:
        raise NotImplementedError


class PushService(Receiver):
    """The push service of all browsers at once; each phone has a subscription with keys of its own."""

    def __init__(self, on_arrival: Callable[[Arrival], None]) -> None:
        super().__init__(on_arrival)
        self._phones: dict[str, SubscriptionKeys] = {}
        self.server_key: str | None = None
        """The applicationServerKey with which browsers subscribe here: nobody else may send."""

    def subscribe(self, phone: str) -> dict[str, Any]:
        """A new PushSubscription for a phone."""
        keys = self._phones[phone] = SubscriptionKeys.generate()
        return keys.subscription(f"{self.origin}{PUSH_PATH}{phone}")

    def check(self, path: str, headers: Mapping[str, str], body: bytes, at_s: float) -> Arrival:
        phone = path.removeprefix(PUSH_PATH)
        self._check_sender(headers["authorization"])
        payload = json.loads(self._phones[phone].decrypt(body))
        if payload["id"] != headers["topic"]:
            raise RefusedError("the topic is not the message's id")
        return Arrival(message_id=payload["id"], at_s=at_s, title=payload["title"], data=payload["data"], phone=phone)

    def _check_sender(self, authorization: str) -> None:
        """RFC 8292: a token for this origin, signed with the key that subscriptions are bound to."""
        scheme, _, rest = authorization.partition(" ")
        given = dict(part.strip().split("=", 1) for part in rest.split(","))
        if scheme != "vapid" or (self.server_key is not None and given["k"] != self.server_key):
            raise RefusedError("not the application server of the subscription")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_base64url(given["k"]))
        claims = {"require": ["aud", "exp", "sub"]}
        jwt.decode(given["t"], key, algorithms=["ES256"], audience=self.origin, options=claims)  # type: ignore[arg-type]


class Partner(Receiver):
    """A partner's server that is told its secret when its webhook has been registered."""

    def __init__(self, on_arrival: Callable[[Arrival], None]) -> None:
        super().__init__(on_arrival)
        self.secret: str | None = None

    @property
    def url(self) -> str:
        return f"{self.origin}/offers"

    def check(self, path: str, headers: Mapping[str, str], body: bytes, at_s: float) -> Arrival:
        del path
        assert self.secret is not None, "nothing comes before the webhook is registered"
        message_id, sent_at = headers["webhook-id"], headers["webhook-timestamp"]
        if abs(at_s - int(sent_at)) > MAX_CLOCK_GAP_S:
            raise RefusedError("too old: a replay")
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        digest = hmac.digest(key, b".".join((message_id.encode(), sent_at.encode(), body)), hashlib.sha256)
        expected = "v1," + base64.b64encode(digest).decode("ascii")
        if not any(hmac.compare_digest(expected, given) for given in headers["webhook-signature"].split()):
            raise RefusedError("the signature does not fit")
        message = json.loads(body)["data"]
        return Arrival(message_id=message_id, at_s=at_s, title=message["title"], data=message["data"], phone=None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True  # senders keep connections open: nobody waits for them at the end
    request_queue_size = 128  # a burst of offers opens many connections at once

    def __init__(self, receiver: Receiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that goes away in the middle is its own affair."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        # on a connection that is kept open this waits for the next request, so that its time is the first byte's
        if not self.rfile.peek(1):  # type: ignore[attr-defined]  # the base class makes it a BufferedReader
            self.close_connection = True
            return
        self.at_s = time.time()
        super().handle_one_request()

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        if length > MAX_BODY_BYTES:
            self.send_error(413)
            return
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(self.server.receiver.take(self.path, headers, body, self.at_s))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """The terminal belongs to the view."""
