"""Apple's and Google's far ends over real HTTP/2, with the faults of `receivers`: they check what senders claim to be.

The protocol is spoken by `h2`, tokens are checked by PyJWT with the public halves of keys made here.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.http2 import Http2Server
from tests.support.receivers import (
    Fault,
    Received,
    Receiver,
    Respond,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class ProviderReceiver(Receiver):
    """A receiver that speaks HTTP/2 and answers in its provider's words."""

    def __init__(self, *, ssl_context: ssl.SSLContext) -> None:
        self.received: list[Received] = []
        self.problems: list[str] = []
        self.requests = 0
        self.connections = 0
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._script: deque[Fault] = deque()
        self._scheme = "https"
        self._h2 = Http2Server(self, ssl_context)

    def __enter__(self) -> Self:
        self._h2.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self._h2.close()
        if error == (None, None, None) and self.problems:
            raise AssertionError(self.problems)

    @property
    def port(self) -> int:
        return self._h2.port

    @property
    def base_url(self) -> str:
        return self.url("")

    def side_door(self, path: str, headers: Mapping[str, str], body: bytes) -> Respond | None:
        """An answer to a request that is no message."""
        del path, headers, body
        return None

    def answer(self, status: int, headers: Mapping[str, str]) -> Respond:
        """What a message that was accepted, or refused with a bare status, is answered with."""
        del headers
        return Respond(status=status)


class ApnsReceiver(ProviderReceiver):
    """Apple's end for one app of one team."""

    team_id, key_id, topic = "TEAM123456", "KEY1234567", "com.example.shop"
    device_token = "ab" * 32

    def __init__(self, *, ssl_context: ssl.SSLContext) -> None:
        super().__init__(ssl_context=ssl_context)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.tokens: set[str] = set()

    def address(self) -> dict[str, Any]:
        return {
            "token": self.device_token,
            "credentials": {
                "team_id": self.team_id,
                "key_id": self.key_id,
                "topic": self.topic,
                "sandbox": False,
                "private_key": pem(self.key),
            },
        }

    def verify(self, headers: Mapping[str, str], body: bytes) -> Received:
        scheme, _, token = headers["authorization"].partition(" ")
        claims = jwt.decode(token, self.key.public_key(), algorithms=["ES256"], options={"require": ["iss", "iat"]})
        signed_with = jwt.get_unverified_header(token)["kid"]
        if scheme != "bearer" or claims["iss"] != self.team_id or signed_with != self.key_id:
            raise ValueError("authorization")
        self.tokens.add(token)
        if headers[":method"] != "POST" or headers[":path"] != f"/3/device/{self.device_token}":
            raise ValueError(headers[":path"])
        if headers["apns-topic"] != self.topic or headers["apns-push-type"] != "alert":
            raise ValueError("topic")
        if headers["apns-priority"] not in {"1", "5", "10"} or int(headers["apns-expiration"]) < time.time() - 60:
            raise ValueError("priority or expiration")
        uuid.UUID(headers["apns-id"])
        if not 1 <= len(headers["apns-collapse-id"].encode()) <= 64 or len(body) > 4096:
            raise ValueError("collapse id or size")
        payload = json.loads(body)
        alert, ours = payload["aps"]["alert"], payload["lbs"]
        if ours["id"] != headers["apns-collapse-id"]:
            raise ValueError("id")
        return Received(
            message_id=ours["id"],
            title=alert["title"],
            body=alert["body"],
            data=ours["data"],
            headers=headers,
            raw=body,
        )

    def answer(self, status: int, headers: Mapping[str, str]) -> Respond:
        return Respond(status=status, headers={"apns-id": headers["apns-id"]})


class FcmReceiver(ProviderReceiver):
    """Google's two ends for one project: the token server and the messages."""

    project_id, client_email = "shop-1", "push@shop-1.iam.gserviceaccount.com"
    registration = "registration:token-1"

    def __init__(self, *, ssl_context: ssl.SSLContext) -> None:
        super().__init__(ssl_context=ssl_context)
        self.key = _RSA
        self.sign_ins = 0
        self.at_the_door: deque[Respond] = deque()
        self._access: set[str] = set()

    def address(self) -> dict[str, Any]:
        return {
            "token": self.registration,
            "credentials": {
                "project_id": self.project_id,
                "client_email": self.client_email,
                "private_key": pem(self.key),
            },
        }

    def side_door(self, path: str, headers: Mapping[str, str], body: bytes) -> Respond | None:
        if path != "/token":
            return None
        self.sign_ins += 1
        if self.at_the_door:
            return self.at_the_door.popleft()
        try:
            self._check_sign_in(parse_qs(body.decode()), headers)
        except (KeyError, ValueError, jwt.InvalidTokenError) as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            return Respond(status=400, body=b'{"error":"invalid_grant"}')
        access = f"ya29.{self.sign_ins}"
        self._access.add(access)
        given = {"access_token": access, "expires_in": 3599, "token_type": "Bearer"}
        return Respond(status=200, body=json.dumps(given).encode())

    def _check_sign_in(self, form: dict[str, list[str]], headers: Mapping[str, str]) -> None:
        if form["grant_type"] != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
            raise ValueError("grant_type")
        claims = jwt.decode(
            form["assertion"][0],
            self.key.public_key(),
            algorithms=["RS256"],
            audience=self.url("/token"),
            options={"require": ["iss", "aud", "iat", "exp", "scope"]},
        )
        if claims["iss"] != self.client_email or not claims["scope"].endswith("/auth/firebase.messaging"):
            raise ValueError("claims")
        if claims["exp"] - claims["iat"] > 3600 or "content-type" not in headers:
            raise ValueError("life")

    def forget_tokens(self) -> None:
        self._access.clear()

    def verify(self, headers: Mapping[str, str], body: bytes) -> Received:
        if headers["authorization"].removeprefix("Bearer ") not in self._access:
            raise ValueError("authorization")
        if headers[":path"] != f"/v1/projects/{self.project_id}/messages:send":
            raise ValueError(headers[":path"])
        message = json.loads(body)["message"]
        if message["token"] != self.registration or not all(isinstance(v, str) for v in message["data"].values()):
            raise ValueError("token or data")
        if re.fullmatch(r"\d+s", message["android"]["ttl"]) is None:
            raise ValueError("ttl")
        if message["android"]["notification"]["tag"] != message["data"]["id"]:
            raise ValueError("tag")
        return Received(
            message_id=message["data"]["id"],
            title=message["notification"]["title"],
            body=message["notification"]["body"],
            data=json.loads(message["data"]["data"]),
            headers=headers,
            raw=body,
        )

    def answer(self, status: int, headers: Mapping[str, str]) -> Respond:
        del headers
        return Respond(status=status, body=b'{"name": "projects/shop-1/messages/0:1500415314455276%31bd1c9631bd1c96"}')


_RSA: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
"""One for all tests: making it takes longer than they do."""


def fcm_error(code: str, *, status: int, named: str = "ERROR") -> Respond:
    """The body of an error as FCM's v1 API writes it."""
    error = {
        "code": status,
        "message": "because",
        "status": named,
        "details": [{"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}],
    }
    return Respond(status=status, body=json.dumps({"error": error}).encode())
