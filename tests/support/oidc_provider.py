"""An OpenID Connect provider over real HTTP: discovery, keys, codes with PKCE, and tokens that it signs.

What it does wrong is up to the test: `claims` replace those of the next token, `key` signs it.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENT_ID = "lbs: the client"
CLIENT_SECRET = "p@ss/word of the client"


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


@dataclass
class Provider:
    """What the provider knows, and what it is told to do wrong."""

    url: str = ""
    key: Any = field(default_factory=new_key)
    kid: str = "key-1"
    algorithm: str = "RS256"
    published: dict[str, rsa.RSAPrivateKey] = field(default_factory=dict)
    email: str = "anna@example.org"
    subject: str = "subject-1"
    claims: dict[str, Any] = field(default_factory=dict)
    """In place of those of the next tokens; None: left out."""
    discovery: dict[str, Any] = field(default_factory=dict)
    """In place of what discovery says."""
    down: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def authorize(self, asked: dict[str, str]) -> str:
        """As somebody who signs in there and agrees: where the browser is sent back to."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return code

    def token(self, form: dict[str, str], authorization: str) -> dict[str, str] | None:
        """None for a code that is spent, or that somebody else asks for."""
        basic = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote(basic[0]), unquote(basic[2])) != (CLIENT_ID, CLIENT_SECRET):
            self.refused.append("client")
            return None
        asked = self.codes.pop(form["code"], None)
        if asked is None or form["grant_type"] != "authorization_code":
            self.refused.append("code")
            return None
        challenge = base64.urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if challenge != asked["code_challenge"] or form["redirect_uri"] != asked["redirect_uri"]:
            self.refused.append("verifier")
            return None
        return {"access_token": "unused", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}

    def id_token(self, nonce: str) -> str:
        now_s = int(time.time())
        said: dict[str, Any] = {
            "iss": self.url,
            "sub": self.subject,
            "aud": CLIENT_ID,
            "iat": now_s,
            "exp": now_s + 300,
            "nonce": nonce,
            "email": self.email,
            "email_verified": True,
            **self.claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, self.key, algorithm=self.algorithm, headers={"kid": self.kid})

    def documents(self) -> dict[str, dict[str, Any]]:
        keys = self.published or {self.kid: self.key}
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize?tenant=1",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                **self.discovery,
            },
            "/keys": {
                "keys": [
                    {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig"}
                    for kid, key in keys.items()
                ]
            },
        }


@contextmanager
def running_provider() -> Iterator[Provider]:
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = provider.documents().get(urlsplit(self.path).path)
            self._answer(404 if found is None else 200, found or {})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(text).items()}
            made = provider.token(form, self.headers.get("Authorization", ""))
            self._answer(400 if made is None else 200, made or {"error": "invalid_grant"})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(503 if provider.down else status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's own name
            """Tests print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, name="provider")
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
