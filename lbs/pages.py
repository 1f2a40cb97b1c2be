"""The built pages of the console and of the shoppers' app, as files: compressed once, cached by name, one policy.

A path without a file is a page of the application that lies there, which finds out itself what to show.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import Scope

BUILT: Final = Path(__file__).parent / "console" / "dist"
APPLICATIONS: Final = ("console", "app")
ASSETS: Final = "assets/"
"""Below it, files are named by their content, and never change."""
FOREVER: Final = "public, max-age=31536000, immutable"
ASK_EACH_TIME: Final = "no-cache"
ENCODINGS: Final = {"br": ".br", "gzip": ".gz"}
"""What the build wrote beside each text, the best first."""
PERMISSIONS: Final = "geolocation=(self), camera=(self), microphone=(), payment=(), usb=()"
NOT_BUILT: Final = "the pages were not built: run scripts/setup"

MEDIA_TYPES: Final = {".webmanifest": "application/manifest+json", ".mjs": "text/javascript", ".js": "text/javascript"}
"""Where the system's own table may say otherwise, or nothing."""


def page_routes(*, map_style_url: str | None = None, built: Path = BUILT) -> list[BaseRoute]:
    """`/console/` and `/app/` with all below them; `/` leads to the console."""
    policy = content_policy(map_style_url)
    routes: list[BaseRoute] = [Route("/", _to("/console/"), include_in_schema=False)]
    for name in APPLICATIONS:
        routes += [
            Route(f"/{name}", _to(f"/{name}/"), include_in_schema=False),
            Mount(f"/{name}", _Pages(built / name, policy), name=name),
        ]
    return routes


def content_policy(map_style_url: str | None) -> str:
    """What the pages may load: our own, and pictures of offers over https; maps of others only if one is set.

    A style names the hosts of its tiles itself, so that with one every https address may be asked.
    """
    maps = " https:" if map_style_url else ""
    return "; ".join(
        (
            "default-src 'self'",
            "script-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # the components set styles of their own on elements
            f"connect-src 'self'{maps}",
            "img-src 'self' data: blob: https:",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class _Pages(StaticFiles):
    def __init__(self, folder: Path, policy: str) -> None:
        super().__init__(directory=folder, check_dir=False)
        self._headers = {
            "Content-Security-Policy": policy,
            "Permissions-Policy": PERMISSIONS,
            "Vary": "Accept-Encoding",
        }

    async def get_response(self, path: str, scope: Scope) -> Response:
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405)
        name = path if self._is_file(path) else "index.html"
        if name != path and Path(path).suffix:
            raise HTTPException(404)  # a file that is not there, and no page has a dot in its name
        if not self._is_file(name):
            raise HTTPException(503, NOT_BUILT)
        accepted = _accepted(scope)
        suffixes = (suffix for encoding, suffix in ENCODINGS.items() if encoding in accepted)
        suffix = next((suffix for suffix in suffixes if self._is_file(name + suffix)), "")
        full, stat = self.lookup_path(name + suffix)
        assert stat is not None, "it was there a moment ago"
        response = self.file_response(full, stat, scope)  # or 304
        response.headers.update(self._headers)
        response.headers["Cache-Control"] = FOREVER if name.startswith(ASSETS) else ASK_EACH_TIME
        media_type = MEDIA_TYPES.get(Path(name).suffix)
        if media_type is not None:
            response.headers["Content-Type"] = media_type
        if suffix:
            response.headers["Content-Encoding"] = next(one for one, known in ENCODINGS.items() if known == suffix)
        return response

    def _is_file(self, path: str) -> bool:
        full, stat = self.lookup_path(path)
        return stat is not None and Path(full).is_file()


def _accepted(scope: Scope) -> frozenset[str]:
    given = dict(scope["headers"]).get(b"accept-encoding", b"").decode("latin-1")
    parts = (part.replace(" ", "").partition(";") for part in given.split(","))
    return frozenset(name for name, _, weight in parts if weight not in {"q=0", "q=0.0"})


def _to(path: str) -> Callable[[Request], Awaitable[Response]]:
    async def redirect(_: Request) -> Response:
        return RedirectResponse(path)

    return redirect
