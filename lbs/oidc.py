"""Signing in at somebody else's: OpenID Connect, authorization code with PKCE, against any provider by discovery.

Says who came back, and nothing of what they may do. Three plain requests over httpx; tokens are checked by PyJWT. If
the provider is away, or says what the standard does not allow, ProviderUnavailableError; a person whom it does not
vouch for, UnauthorizedError.
"""

from __future__ import annotations

import base64
import hmac
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import httpx
import jwt

from lbs.errors import ProviderUnavailableError, UnauthorizedError

if TYPE_CHECKING:
    from collections.abc import Callable

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key of the provider's own; never `none`, and never one with a secret that we know."""
REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")
LEEWAY_S: Final = 60.0
TIMEOUT_S: Final = 10.0
KNOWN_FOR_S: Final = 3600.0
KEYS_AGAIN_S: Final = 60.0
"""Not oftener are keys asked for because of a token that names an unknown one."""
WELL_KNOWN: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What has to be kept while somebody is away at the provider."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the provider says it is."""

    subject: str
    email: str | None
    """Only one that the provider has verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provider:
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    basic: bool
    """Whether the client's secret goes into a header, which is what a provider that says nothing takes."""
    known_until_s: float


class OidcClient:
    """One provider, remembered for an hour. Safe to share between threads."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._monotonic_s = monotonic_s
        self._http = httpx.Client(timeout=TIMEOUT_S, follow_redirects=False)
        self._lock = Lock()
        self._provider: _Provider | None = None
        self._keys: jwt.PyJWKSet | None = None
        self._keys_at_s = 0.0

    @property
    def issuer(self) -> str:
        return self._issuer

    def close(self) -> None:
        self._http.close()

    def depart(self, redirect_uri: str) -> tuple[Departure, str]:
        """What to keep, and the URL to send the browser to."""
        departure = Departure(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            redirect_uri=redirect_uri,
        )
        challenge = base64.urlsafe_b64encode(sha256(departure.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email profile",
            "state": departure.state,
            "nonce": departure.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self._found().authorization_endpoint
        return departure, f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    def arrive(self, departure: Departure, code: str) -> Identity:
        """Exchanges the code; UnauthorizedError for a code or a token that will not do."""
        claims = self._claims(self._redeem(departure, code))
        if not hmac.compare_digest(str(claims["nonce"]).encode(), departure.nonce.encode()):
            raise UnauthorizedError("the provider's answer belongs to another sign-in")
        email = claims.get("email") if claims.get("email_verified") is True else None
        return Identity(subject=str(claims["sub"]), email=email if isinstance(email, str) else None)

    def _redeem(self, departure: Departure, code: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": departure.redirect_uri,
            "code_verifier": departure.verifier,
            "client_id": self._client_id,
        }
        provider = self._found()
        auth: httpx.Auth | None = None
        if self._client_secret is not None and provider.basic:
            # RFC 6749, 2.3.1: both are form-encoded first
            auth = httpx.BasicAuth(quote(self._client_id, safe=""), quote(self._client_secret, safe=""))
        elif self._client_secret is not None:
            form["client_secret"] = self._client_secret
        answer = self._asked("POST", provider.token_endpoint, data=form, auth=auth)
        if answer.is_client_error:
            raise UnauthorizedError("the provider does not take this code")
        token = _object(answer).get("id_token")
        if not isinstance(token, str):
            raise ProviderUnavailableError("the provider's answer has no id_token")
        return token

    def _claims(self, token: str) -> dict[str, Any]:
        """OpenID Connect Core, 3.1.3.7."""
        try:
            key = self._key_of(jwt.get_unverified_header(token).get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=list(ALGORITHMS),
                audience=self._client_id,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": list(REQUIRED)},
            )
        except jwt.PyJWTError as error:
            raise UnauthorizedError(f"the provider's token will not do: {type(error).__name__}") from error
        others = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if others else self._client_id) != self._client_id:
            raise UnauthorizedError("the provider's token was made for another client")
        return claims

    def _key_of(self, kid: object) -> jwt.PyJWK:
        with self._lock:
            found = self._named(kid)
            if found is None and (self._keys is None or self._monotonic_s() - self._keys_at_s > KEYS_AGAIN_S):
                self._keys = self._load_keys()
                self._keys_at_s = self._monotonic_s()
                found = self._named(kid)
        if found is None:
            raise UnauthorizedError("the provider's token names a key that it does not have")
        return found

    def _named(self, kid: object) -> jwt.PyJWK | None:
        if self._keys is None:
            return None
        signing = [key for key in self._keys.keys if key.public_key_use in {None, "sig"}]
        if kid is None:
            return signing[0] if len(signing) == 1 else None
        return next((key for key in signing if key.key_id == kid), None)

    def _load_keys(self) -> jwt.PyJWKSet:
        try:
            return jwt.PyJWKSet.from_dict(_object(self._asked("GET", self._found().jwks_uri)))
        except jwt.PyJWTError as error:
            raise ProviderUnavailableError("the provider's keys cannot be read") from error

    def _found(self) -> _Provider:
        known = self._provider
        if known is not None and known.known_until_s > self._monotonic_s():
            return known
        said = _object(self._asked("GET", self._issuer.rstrip("/") + WELL_KNOWN))
        methods = said.get("token_endpoint_auth_methods_supported")
        try:
            found = _Provider(
                authorization_endpoint=str(said["authorization_endpoint"]),
                token_endpoint=str(said["token_endpoint"]),
                jwks_uri=str(said["jwks_uri"]),
                basic=not isinstance(methods, list) or "client_secret_basic" in methods,
                known_until_s=self._monotonic_s() + KNOWN_FOR_S,
            )
        except KeyError as error:
            raise ProviderUnavailableError(f"the provider does not say its {error.args[0]}") from error
        if said.get("issuer") != self._issuer:
            raise ProviderUnavailableError("the provider calls itself otherwise than LBS_OIDC_ISSUER does")
        self._provider = found
        return found

    def _asked(self, method: str, url: str, **given: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, url, headers={"Accept": "application/json"}, **given)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ProviderUnavailableError("the sign-in provider does not answer") from error
        if not (answer.is_success or (method == "POST" and answer.is_client_error)):
            raise ProviderUnavailableError(f"the sign-in provider answers {answer.status_code}")
        return answer


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError as error:
        raise ProviderUnavailableError("the sign-in provider does not answer in JSON") from error
    if not isinstance(said, dict):
        raise ProviderUnavailableError("the sign-in provider does not answer with an object")
    return said
