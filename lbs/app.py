"""The HTTP application: routers, problems, middleware, OpenAPI, and the life of what they work with.

To add a resource, write `lbs/api/<name>.py` with a `router` and name it in ROUTERS, before any whose paths would hide
its own.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from lbs import clock
from lbs.api import (
    campaigns,
    claims,
    devices,
    fence_tools,
    fences,
    health,
    inbox,
    keys,
    nearby,
    offers_nearby,
    positions,
    push,
    redemptions,
    stores,
    traffic,
    webhooks,
)
from lbs.direct import DirectApp, Endpoint
from lbs.middleware import Outermost
from lbs.problems import add_schema, install_handlers
from lbs.remembered import RememberedAnswer
from lbs.routes import IDEMPOTENCY_PARAMETER, JSON_TYPE
from lbs.services import Services, build_services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from fastapi import APIRouter, FastAPI
    from starlette.requests import Request

    from lbs.settings import Settings

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    positions.router,
    inbox.router,
    devices.router,
    nearby.router,
    offers_nearby.router,
    stores.router,
    fence_tools.router,
    fences.router,
    campaigns.router,
    claims.router,
    redemptions.router,
    traffic.router,
    webhooks.router,
    keys.router,
    push.router,
)
DESCRIPTION: Final = """\
Location-based offers: positions in, visits out, offers in the right place at the right time.

Send `Authorization: Bearer KEY`. A secret key may do all that a publishable key or a device token may.
Errors are `application/problem+json` (RFC 9457). Lists are `{items, next_cursor}`. Writes take an `Idempotency-Key`.
"""
REMEMBERING: Final = frozenset({"post", "put", "patch", "delete"})
STATELESS: Final = frozenset({"send_positions", "match_fences", "preview_fence"})
"""Writes by method only: repeating them needs no memory."""


def create_app(
    settings: Settings, *, services: Services | None = None, now: Callable[[], datetime] = clock.now
) -> FastAPI:
    """The application for resolved settings. Nothing is connected to before it starts."""
    made = services or build_services(settings, now=now)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        made.start()
        yield
        await made.close()

    app = DirectApp(
        title="LBS",
        version=_version(),
        description=DESCRIPTION,
        lifespan=lifespan,
        # both pages would load their scripts from somebody else's server
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = made
    for router in ROUTERS:
        app.include_router(router)
    install_handlers(app)
    app.add_exception_handler(RememberedAnswer, _answer_again)
    app.add_middleware(Outermost, max_body_bytes=settings.max_body_bytes, metrics=made.metrics)
    app.direct["POST", positions.PATH] = Outermost(
        Endpoint(app, positions.ROUTE), max_body_bytes=settings.max_body_bytes, metrics=made.metrics
    )
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own way to extend it
    return app


async def _answer_again(_: Request, error: Exception) -> Response:
    assert isinstance(error, RememberedAnswer)
    return Response(
        error.body or None,
        error.status,
        {"Idempotency-Replayed": "true"},
        media_type=JSON_TYPE if error.body else None,
    )


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        add_schema(document)
        document["components"]["schemas"].update(positions.components())
        for operations in document["paths"].values():
            for method, operation in operations.items():
                if method in REMEMBERING and operation["operationId"] not in STATELESS:
                    operation.setdefault("parameters", []).append(IDEMPOTENCY_PARAMETER)
        app.openapi_schema = document
    return app.openapi_schema


def _version() -> str:
    try:
        return version("lbs")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0"
