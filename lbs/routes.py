"""How a route differs from FastAPI's: its body is strict JSON, and a write is audited and can be remembered.

FastAPI would read `NaN` as a number, take a form for JSON's bytes, and has no place where an answer and the transaction
that made it meet; this is that place.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from lbs.errors import MalformedError, UnsupportedMediaTypeError
from lbs.problems import declared

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.responses import Response

    from lbs.remembered import Told

ESCAPED_NUL: Final = rb"\u0000"
JSON_TYPE: Final = "application/json"
OF_EVERY_WRITE: Final = declared(401, 403, 409, 413, 415, 422)
"""Problems that every write may answer."""
OF_EVERY_READ: Final = declared(401, 403, 422)

IDEMPOTENCY_PARAMETER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeating a write with the same key within a day gives its first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def media_type(request: Request) -> str:
    """The content type without its parameters; empty if none was sent."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _has_nul(value: Any) -> bool:
    """Whether any text in a JSON value holds the one character that Postgres cannot store."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str(text) if "\0" in text:
                return True
            case list(items):
                waiting += items
            case dict(members):
                waiting += [*members, *members.values()]
            case _:
                pass
    return False


class StrictRequest(Request):
    """A request whose JSON is what RFC 8259 says (no NaN, no lone surrogates) and that Postgres can store."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise json.JSONDecodeError(str(error) or "too deeply nested", "", 0) from error
        # the text of an escape is rare enough to look closer only where it stands
        if ESCAPED_NUL in body and _has_nul(value):
            raise json.JSONDecodeError("the character U+0000 cannot be stored", "", 0)
        return value


class Route(APIRoute):
    """The route class of all our routers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_json = self.body_field is not None
        needs_body = self.body_field is not None and self.body_field.field_info.is_required()

        async def strict(request: Request) -> Response:
            own = StrictRequest(request.scope, request.receive)
            if takes_json and media_type(own) != JSON_TYPE:
                if await own.body():
                    raise UnsupportedMediaTypeError(f"send the body as {JSON_TYPE}")
                if needs_body:
                    raise MalformedError("the route needs a JSON body")
            response = await handle(own)
            told: list[Told] = own.scope["state"].get("told", [])
            for tell in told:
                await run_in_threadpool(tell, response)
            return response

        return strict
