"""The floor under the ingest route: the same application and key check, the same decoder, and nothing after it."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response

from lbs.app import create_app
from lbs.deps import authenticate, services_of
from lbs.ingest import decode
from lbs.routes import Route
from lbs.runtime import resolve
from lbs.settings import Settings


def create() -> FastAPI:
    """For `uvicorn --factory`: the whole application with one more route."""
    app = create_app(resolve(Settings()))
    router = APIRouter(route_class=Route)

    @router.post("/v1/decode-only", status_code=202)
    async def decode_only(request: Request) -> Response:
        await authenticate(request, services_of(request))
        decode(await request.body(), packed=False)
        return Response(b'{"accepted":0,"rejected":[]}', 202, media_type="application/json")

    app.include_router(router)
    return app
