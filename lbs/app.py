"""The HTTP application: routers, problems, middleware, OpenAPI, and the life of what they work with.

To add a resource, write `lbs/api/<name>.py` with a `router` and name it in ROUTERS, before any whose paths would hide
its own.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.responses import Response

from lbs import clock
from lbs.access import ACCESS, ANYBODY, INSTALLER
from lbs.api import (
    audit,
    campaign_life,
    campaigns,
    claims,
    demo,
    devices,
    explain,
    fence_tools,
    fences,
    health,
    imports,
    inbox,
    keys,
    maps,
    nearby,
    offers_nearby,
    operations,
    pairing,
    phones,
    positions,
    push,
    redemptions,
    reports,
    sessions,
    stores,
    traffic,
    triggers,
    users,
    webhooks,
)
from lbs.auth import CallerKind
from lbs.deps import permitted
from lbs.direct import DirectApp, Endpoint
from lbs.middleware import Outermost
from lbs.pages import page_routes
from lbs.problems import add_schema, install_handlers
from lbs.remembered import RememberedAnswer
from lbs.routes import IDEMPOTENCY_PARAMETER, JSON_TYPE
from lbs.services import Services, build_services
from lbs.sessions import COOKIE
from lbs.tables import Role
from lbs.versions import program_version

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from datetime import datetime

    from fastapi import APIRouter, FastAPI
    from fastapi.dependencies.models import Dependant
    from starlette.requests import Request

    from lbs.settings import Settings

ROUTERS: Final[tuple[APIRouter, ...]] = (
    health.router,
    positions.router,
    phones.router,
    inbox.router,
    pairing.router,
    devices.router,
    nearby.router,
    offers_nearby.router,
    stores.router,
    fence_tools.router,
    fences.router,
    maps.router,
    imports.router,
    explain.router,
    campaigns.router,
    reports.router,
    triggers.router,
    campaign_life.router,
    claims.router,
    redemptions.router,
    traffic.router,
    webhooks.router,
    keys.router,
    push.router,
    sessions.router,
    users.router,
    audit.router,
    operations.router,
    demo.router,
)
DESCRIPTION: Final = """\
Location-based offers: positions in, visits out, offers in the right place at the right time.

Send `Authorization: Bearer KEY`. A secret key may do all that a publishable key or a device token may. People sign in
and send a cookie instead; what each role may do is in the guide "People and roles".
Errors are `application/problem+json` (RFC 9457). Lists are `{items, next_cursor}`. Writes take an `Idempotency-Key`.
"""
SECURITY: Final = {
    "key": {
        "type": "http",
        "description": "A publishable key, a device token, a secret key or a store's key.",
        "scheme": "bearer",
        "bearerFormat": "lbs_{pk|sk|st|dt}_...",
    },
    "session": {
        "type": "apiKey",
        "description": "Of somebody who signed in. Writes need an Origin.",
        "in": "cookie",
        "name": COOKIE,
    },
    "basic": {"type": "http", "description": "A phone app: the device's id and its token.", "scheme": "basic"},
    "token_as_id": {"type": "apiKey", "description": "A phone app: the device's token.", "in": "query", "name": "id"},
}
"""Written here rather than declared by dependencies, which every request would run."""
NAMED_BY: Final = ("tags", "summary", "description", "operationId")
REMEMBERING: Final = frozenset({"post", "put", "patch", "delete"})
NOT_REMEMBERED: Final = frozenset(
    {
        "send_positions",
        "send_owntracks",
        "send_osmand",
        "match_fences",
        "preview_fence",
        "import_stores",
        "import_fences",
        "sign_in",
        "sign_out",
        "accept_invitation",
    }
)
"""Writes by method only, and those whose repeat must not find what the first one got."""

STREAMED: Final = frozenset({"/v1/imports/stores", "/v1/imports/fences"})
"""Routes that read their large bodies themselves, once they know who sends them."""

DIRECT: Final = (positions.ROUTE, *phones.ROUTES)
"""Routes past the framework; they ask for themselves who calls."""


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
        version=program_version(),
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
    _check_guarded()
    app.router.routes += page_routes(map_style_url=settings.map_style_url)
    install_handlers(app)
    app.add_exception_handler(RememberedAnswer, _answer_again)
    app.add_middleware(Outermost, max_body_bytes=settings.max_body_bytes, metrics=made.metrics, streamed=STREAMED)
    for route in DIRECT:
        assert isinstance(route, APIRoute)
        endpoint = Outermost(Endpoint(app, route), max_body_bytes=settings.max_body_bytes, metrics=made.metrics)
        for method in route.methods or ():
            # people who type an address into their phone end it with a slash as they like
            app.direct[method, route.path] = app.direct[method, f"{route.path}/"] = endpoint
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
        document["components"]["securitySchemes"] = SECURITY
        for operations in document["paths"].values():
            for method, operation in operations.items():
                if method in REMEMBERING and operation["operationId"] not in NOT_REMEMBERED:
                    operation.setdefault("parameters", []).append(IDEMPOTENCY_PARAMETER)
                # beside the name, where the framework puts it
                named = {key: operation[key] for key in NAMED_BY}
                operations[method] = {**named, **_security(operation["operationId"]), **operation}
        app.openapi_schema = document
    return app.openapi_schema


def _security(operation_id: str) -> dict[str, list[dict[str, list[str]]]]:
    """With what an operation may be asked for, by the access table."""
    allowed = frozenset().union(*(who for name, who in ACCESS.items() if name.partition(":")[0] == operation_id))
    ways = {"key": allowed & set(CallerKind), "session": allowed & {*Role, INSTALLER}}
    named: list[dict[str, list[str]]] = [{way: []} for way, who in ways.items() if who]
    return {"security": named} if named else {}


def _check_guarded() -> None:
    """Every operation has its row, and asks for it: one that does not would be open to anybody."""
    for route in (route for router in ROUTERS for route in router.routes):
        assert isinstance(route, APIRoute)
        rows = [who for name, who in ACCESS.items() if name.partition(":")[0] == route.operation_id]
        assert rows, f"{route.operation_id} has no row in lbs.access"
        asks = route in DIRECT or permitted in _dependencies(route.dependant)
        assert asks != all(who == ANYBODY for who in rows), f"{route.operation_id} does not ask who calls"


def _dependencies(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _dependencies(inner)
