"""The floor under the ingest route: a FastAPI application of one route that checks the key, decodes, and forgets.

Nothing of ours stands around it: no middleware, no request log, no metrics, no other routes. What the real route adds
to it is judging, finding the device, packing, and waiting for the log.
"""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from lbs.auth import KeyRing
from lbs.connections import Role, database
from lbs.ingest import decode
from lbs.runtime import resolve
from lbs.settings import Settings

ANSWER = b'{"accepted":0,"rejected":[]}'


def create() -> FastAPI:
    """For `uvicorn --factory`."""
    keys = KeyRing(database(resolve(Settings()), Role.READER))
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/readyz")
    async def ready() -> bool:
        return True

    @app.post("/v1/decode-only", status_code=202)
    async def decode_only(request: Request) -> Response:
        _, _, key = request.headers.get("authorization", "").partition(" ")
        if keys.remembered(key) is None:
            await run_in_threadpool(keys.find, key)
        decode(await request.body(), packed=False)
        return Response(ANSWER, 202, media_type="application/json")

    return app
