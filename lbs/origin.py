"""Where a browser's request comes from: a write with a cookie must come from our own pages.

The cookie is SameSite=Strict already; this holds also where another port or name of the same site serves somebody
else's page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from lbs.errors import ForbiddenError

if TYPE_CHECKING:
    from collections.abc import Mapping

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def check_origin(headers: Mapping[str, str], *, public_url: str | None) -> None:
    """ForbiddenError unless a page of the public URL sent the request; without one, a page of the host that was asked.

    A browser that sends no Origin must vouch for it with Sec-Fetch-Site.
    """
    origin = headers.get("origin")
    if origin is None:
        if headers.get("sec-fetch-site") == "same-origin":
            return
        raise ForbiddenError("a write by somebody signed in needs an Origin header")
    if not _is_own(origin, headers, public_url):
        raise ForbiddenError("a page of another origin may not write in your name")


def check_origin_if_any(headers: Mapping[str, str], *, public_url: str | None) -> None:
    """For routes without a cookie: programs send no Origin, and pages of others may not sign anybody in."""
    if headers.get("origin") is not None:
        check_origin(headers, public_url=public_url)


def _is_own(origin: str, headers: Mapping[str, str], public_url: str | None) -> bool:
    found = _parts(origin)
    if found is None:
        return False
    if public_url:
        return found == _parts(public_url)
    # which scheme the browser used is unknown behind a proxy that ends TLS
    return found == _parts(f"{found[0]}://{headers.get('host', '')}")


def _parts(url: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port; None for what is no origin: `null`, or nonsense."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]
