"""Problem responses (RFC 9457): one shape for every error, made here, and declared to OpenAPI from here.

An internal error answers a fixed text and the request's id; what really happened stands in the log under that id.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any, Final

import msgspec
import redis
import sqlalchemy as sa
import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from geofences.errors import ConflictError
from lbs.errors import (
    ANSWERS,
    BASES,
    HTTP,
    INTERNAL,
    UNAVAILABLE,
    Answer,
    Fault,
    MalformedError,
    TooManyRequestsError,
    answer_to,
)
from offers.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.types import Scope

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
MAX_FRAMES: Final = 10
UNIQUE_VIOLATION: Final = "23505"
INTERNAL_DETAIL: Final = "Something went wrong here; the operator finds it in the log by the request id."
UNAVAILABLE_DETAIL: Final = "PostgreSQL or Redis does not answer; nothing was done."


class FaultView(BaseModel):
    """One thing that is wrong with the request."""

    where: str = Field(description="Path to it, beginning with body, query, path or header.", examples=["body.lat"])
    message: str


class Problem(BaseModel):
    """How every error is answered (RFC 9457)."""

    type: str = Field(description="Names the kind of problem; stable.", examples=["/problems/not-found"])
    title: str
    status: int
    detail: str = Field(description="What is wrong this time, for people.")
    instance: str | None = Field(default=None, description="The path that was asked for.")
    request_id: str = Field(description="Names this request in the operator's log.")
    errors: list[FaultView] = Field(default=[], description="Where a malformed request is wrong.")
    reason: str | None = Field(default=None, description="Of `refused`: why, as a word for programs.")


def request_id_of(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def problem(
    answer: Answer,
    detail: str,
    *,
    scope: Scope,
    faults: Sequence[Fault] = (),
    retry_after_s: int | None = None,
    reason: str | None = None,
) -> Response:
    """The response for one problem."""
    body: dict[str, Any] = {
        "type": f"/problems/{answer.slug}",
        "title": answer.title,
        "status": answer.status,
        "detail": detail,
        "instance": scope.get("path"),
        "request_id": request_id_of(scope),
        "errors": [{"where": fault.where, "message": fault.message} for fault in faults],
    }
    if reason is not None:
        body["reason"] = reason
    headers = {}
    wait_s = answer.retry_after_s if retry_after_s is None else retry_after_s
    if wait_s is not None:
        headers["Retry-After"] = str(wait_s)
    if answer.status == 401:  # noqa: PLR2004 - RFC 9110, section 11.6.1: it must say how to authenticate
        headers["WWW-Authenticate"] = 'Bearer realm="lbs"'
    return Response(msgspec.json.encode(body), answer.status, headers, media_type=MEDIA_TYPE)


def internal_problem(error: BaseException, *, scope: Scope) -> Response:
    """Logs where it happened, never what was in the data: a driver's message quotes rows."""
    log.error(
        "http.failed",
        request_id=request_id_of(scope),
        error=type(error).__name__,
        sqlstate=getattr(getattr(error, "orig", None), "pgcode", None),
        frames=_own_frames(error),
    )
    return problem(INTERNAL, INTERNAL_DETAIL, scope=scope)


def _own_frames(error: BaseException) -> list[str]:
    """Where in our code it happened, and the very place where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    shown = [frame for frame in frames if "site-packages" not in frame.filename]
    return [f"{frame.filename}:{frame.lineno}" for frame in [*shown[-MAX_FRAMES:], *frames[-1:]]]


def domain_problem(error: Exception, *, scope: Scope) -> Response:
    """The answer to an error of one of our rooms."""
    answer = answer_to(error)
    if answer.slug == INTERNAL.slug:
        return internal_problem(error, scope=scope)
    return problem(
        answer,
        str(error) or answer.title,
        scope=scope,
        faults=error.faults if isinstance(error, MalformedError) else (),
        retry_after_s=error.retry_after_s if isinstance(error, TooManyRequestsError) else None,
        reason=error.reason if isinstance(error, RefusedError) else None,
    )


def install_handlers(app: FastAPI) -> None:
    """Every expected error becomes a problem; the outermost middleware answers the unexpected ones."""

    async def of_domain(request: Request, error: Exception) -> Response:
        return domain_problem(error, scope=request.scope)

    async def of_validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        faults = [_fault(entry) for entry in error.errors()]
        detail = "; ".join(f"{fault.where}: {fault.message}" for fault in faults[:3])
        return problem(ANSWERS[MalformedError], detail, scope=request.scope, faults=faults[:100])

    async def of_framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = HTTP.get(error.status_code, Answer(error.status_code, "refused", str(error.detail)))
        response = problem(known, str(error.detail), scope=request.scope)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return response

    async def of_server(request: Request, error: Exception) -> Response:
        log.warning("http.unavailable", request_id=request_id_of(request.scope), error=type(error).__name__)
        return problem(UNAVAILABLE, UNAVAILABLE_DETAIL, scope=request.scope)

    async def of_constraint(request: Request, error: Exception) -> Response:
        # two callers created the same thing at the same moment, and this one came second
        if getattr(getattr(error, "orig", None), "pgcode", None) == UNIQUE_VIOLATION:
            return problem(ANSWERS[ConflictError], "somebody else has just created it", scope=request.scope)
        return internal_problem(error, scope=request.scope)

    for base in BASES:
        app.add_exception_handler(base, of_domain)
    app.add_exception_handler(RequestValidationError, of_validation)
    app.add_exception_handler(HTTPException, of_framework)
    app.add_exception_handler(sa.exc.IntegrityError, of_constraint)
    for unavailable in (sa.exc.OperationalError, sa.exc.TimeoutError, redis.RedisError):
        app.add_exception_handler(unavailable, of_server)


def _where(loc: Sequence[str | int]) -> str:
    """`("body", "positions", 3, "lat")` as people write it.

    >>> _where(("body", "positions", 3, "lat"))
    'body.positions[3].lat'
    """
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _fault(entry: dict[str, Any]) -> Fault:
    """Pydantic's words; for malformed JSON the parser's own, which name the byte."""
    if entry["type"] == "json_invalid":
        return Fault("body", f"malformed JSON: {entry['ctx']['error']}")
    return Fault(_where(entry["loc"]), str(entry["msg"]).removeprefix("Value error, "))


def declared(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of a route: the problems it may answer, besides those that every route may."""
    texts = _texts_by_status()
    return {
        status: {
            "description": texts[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({*statuses, 500, 503})
    }


def _texts_by_status() -> dict[int, str]:
    found: dict[int, list[str]] = {}
    rows: Iterable[Answer] = (*ANSWERS.values(), INTERNAL, UNAVAILABLE, *HTTP.values())
    for answer in rows:
        titles = found.setdefault(answer.status, [])
        if answer.title not in titles:
            titles.append(answer.title)
    return {status: "; ".join(titles) for status, titles in found.items()}


def add_schema(openapi: dict[str, Any]) -> None:
    """Puts `Problem` among the components: `declared` refers to it."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    parts = openapi.setdefault("components", {}).setdefault("schemas", {})
    parts.update(schema.pop("$defs", {}))
    parts["Problem"] = schema
