"""The far end of push: real HTTP servers on a free loopback port that verify with other people's code, and misbehave.

They share nothing with the senders: messages are decrypted by http_ece, tokens checked by PyJWT, webhooks by
standardwebhooks. What is wrong with a request is recorded in `problems`; leaving the context raises if there was any.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import struct
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import http_ece
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence


EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""The one of the public examples of Standard Webhooks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """Read the request, answer well, but only after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drip:
    """Answer with a header that never ends, a byte every `every_s`."""

    every_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetBeforeReading:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetAfterReading:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Answer with something that is not HTTP."""

    sent: bytes = b"SSH-2.0-OpenSSH_9.2\r\n"


Fault: TypeAlias = Respond | Slow | Drip | ResetBeforeReading | ResetAfterReading | Garbage


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request that verified, whatever was answered to it."""

    message_id: str
    title: str
    body: str
    data: Any
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    """What was verified: the decrypted payload, or the signed body."""


class Receiver:
    """Base of both: the server, the script of faults, and what was seen."""

    ok_status = 200

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.received: list[Received] = []
        self.problems: list[str] = []
        self.requests = 0
        self.connections = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._script: deque[Fault] = deque()
        self._server = _Server(self, ssl_context, port)
        self._scheme = "https" if ssl_context else "http"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.end_connections()
        self._server.server_close()
        if error == (None, None, None) and self.problems:
            raise AssertionError(self.problems)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def url(self, path: str, *, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def misbehave(self, *faults: Fault) -> None:
        """Play these faults, one a request, then be good again."""
        with self._lock:
            self._script.extend(faults)

    def behave(self) -> None:
        """Forget the faults that were not played."""
        with self._lock:
            self._script.clear()

    def next_fault(self) -> Fault | None:
        with self._lock:
            self.requests += 1
            return self._script.popleft() if self._script else None

    def accept(self, headers: Mapping[str, str], body: bytes) -> int:
        """Verify and record one request; return the status for it."""
        try:
            received = self.verify(headers, body)
        except Exception as error:  # noqa: BLE001 - whatever a verifier dislikes is a problem of the sender
            with self._lock:
                self.problems.append(f"{type(error).__name__}: {error}")
            return 400
        with self._lock:
            self.received.append(received)
        return self.ok_status

    def verify(self, headers: Mapping[str, str], body: bytes) -> Received:
        raise NotImplementedError


class WebPushReceiver(Receiver):
    """A browser and its push service in one; `server_key` is the applicationServerKey it insists on, if any."""

    ok_status = 201

    def __init__(self, *, server_key: str | None = None, ssl_context: ssl.SSLContext | None = None) -> None:
        super().__init__(ssl_context=ssl_context)
        self._server_key = server_key
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._auth = os.urandom(16)

    def subscription(self, *, host: str = "127.0.0.1") -> dict[str, Any]:
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return {
            "endpoint": self.url("/push/v2/secret-capability", host=host),
            "expirationTime": None,
            "keys": {"p256dh": _base64url(point), "auth": _base64url(self._auth)},
        }

    def verify(self, headers: Mapping[str, str], body: bytes) -> Received:
        if headers["content-encoding"] != "aes128gcm":
            raise ValueError("content-encoding")
        if int(headers["ttl"]) < 0 or headers["urgency"] not in {"very-low", "low", "normal", "high"}:
            raise ValueError("ttl or urgency")
        self._verify_vapid(headers["authorization"], audience=f"{self._scheme}://{headers['host']}")
        plain = http_ece.decrypt(body, private_key=self._key, auth_secret=self._auth)  # type: ignore[no-untyped-call]
        payload = json.loads(plain)
        if set(payload) != {"id", "title", "body", "data"} or payload["id"] != headers["topic"]:
            raise ValueError("payload")
        return Received(
            message_id=payload["id"],
            title=payload["title"],
            body=payload["body"],
            data=payload["data"],
            headers=headers,
            raw=plain,
        )

    def _verify_vapid(self, authorization: str, *, audience: str) -> None:
        scheme, _, rest = authorization.partition(" ")
        fields = dict(part.strip().split("=", 1) for part in rest.split(","))
        if scheme != "vapid" or set(fields) != {"t", "k"}:
            raise ValueError("authorization")
        if self._server_key is not None and fields["k"] != self._server_key:
            raise ValueError("another application server's key")
        point = base64.urlsafe_b64decode(fields["k"] + "==")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        required = {"require": ["aud", "exp", "sub"]}
        jwt.decode(fields["t"], key, algorithms=["ES256"], audience=audience, options=required)  # type: ignore[arg-type]


class WebhookReceiver(Receiver):
    """A partner's server that knows one secret, and is spoken to with `secrets`."""

    def __init__(
        self,
        *,
        secret: str = EXAMPLE_SECRET,
        others: Sequence[str] = (),
        ssl_context: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(ssl_context=ssl_context, port=port)
        self._verifier = Webhook(secret)
        self._secrets = [*others, secret]

    def address(self, *, host: str = "127.0.0.1") -> dict[str, Any]:
        return {"url": self.url("/hooks/secret-path", host=host), "secrets": self._secrets}

    def verify(self, headers: Mapping[str, str], body: bytes) -> Received:
        event = self._verifier.verify(body, dict(headers))
        if event["type"] != "offer.notification" or event["data"]["id"] != headers["webhook-id"]:
            raise ValueError("event")
        data = event["data"]
        return Received(
            message_id=data["id"], title=data["title"], body=data["body"], data=data["data"], headers=headers, raw=body
        )


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # who finds the usual five places taken tries again after a second
    daemon_threads = False  # joined on close, so that no test leaves a thread or a socket behind

    def __init__(self, receiver: Receiver, ssl_context: ssl.SSLContext | None, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.receiver = receiver
        self._open: set[socket.socket] = set()
        if ssl_context is not None:
            self.socket = ssl_context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        self.receiver.connections += 1
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: a client that gives up, and a failed handshake, are what many tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_one_request(self) -> None:
        if not self.rfile.peek(1):  # type: ignore[attr-defined]  # wait for a request before taking its fault
            self.close_connection = True
            return
        self._fault = self.server.receiver.next_fault()
        if isinstance(self._fault, ResetBeforeReading):
            self._reset()
            return
        super().handle_one_request()

    def do_POST(self) -> None:
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = receiver.accept({name.lower(): value for name, value in self.headers.items()}, body)
        match self._fault:
            case None:
                self._answer(status, {"Location": "/message/no-1"}, b"")
            case Respond(status=status, headers=headers, body=text):
                self._answer(status, headers, text)
            case Slow(seconds=seconds):
                receiver.closing.wait(seconds)
                self._answer(status, {}, b"")
            case Drip(every_s=every_s):
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not receiver.closing.wait(every_s):
                    self.wfile.write(b"z")
            case Garbage(sent=sent):
                self.wfile.write(sent)
                self.close_connection = True
            case ResetAfterReading():
                self._reset()

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())  # close() would wait for the files made from the socket
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Keep the test output clean."""


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
