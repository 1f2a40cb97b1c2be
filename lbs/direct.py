"""A short way for the one route that is asked thousands of times a second: from the outermost layer to its handler.

The framework's routing, dependencies and context stacks cost four times what taking a position costs. The route stays
declared to the framework, which documents it and answers every other method; errors become the same problems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Receive, Scope, Send

    Handler = Callable[[Request], Awaitable[Response]]


class _Request(Request):
    """Its body lies ready: no need to go through the framework's asynchronous iterator for it."""

    async def body(self) -> bytes:
        parts: list[bytes] = []
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)


class DirectApp(FastAPI):
    """The application; requests of `direct` routes go past it."""

    direct: dict[tuple[str, str], ASGIApp]

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.direct = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self.root_path:
            app = self.direct.get((scope["method"], scope["path"]))
            if app is not None:
                await app(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


class Endpoint:
    """A handler as an ASGI application; what it raises is answered by the application's own handlers."""

    def __init__(self, app: FastAPI, route: BaseRoute) -> None:
        assert isinstance(route, APIRoute)
        self._app: Final = app
        self._route: Final = route
        self._handle: Final[Handler] = route.endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._app
        scope["route"] = self._route
        request = _Request(scope, receive)
        try:
            response = await self._handle(request)
        except Exception as error:
            handler = self._handler_of(error)
            if handler is None:
                raise
            response = await handler(request, error)
        await response(scope, receive, send)

    def _handler_of(self, error: Exception) -> Any:
        handlers = self._app.exception_handlers
        return next((handlers[cls] for cls in type(error).__mro__ if cls in handlers), None)
