"""What operators and their machines ask: does the process live, can it work, how is it doing."""

from typing import Any

import redis
import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from lbs.deps import ServicesDep
from lbs.routes import Route
from lbs.services import Services

router = APIRouter(tags=["operation"], route_class=Route)

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SERVICE_UNAVAILABLE = 503


class Health(BaseModel):
    """The process lives."""

    status: str = "ok"


class Readiness(BaseModel):
    """Whether the process can work, and what is missing if not."""

    ready: bool
    checks: dict[str, bool] = Field(examples=[{"postgres": True, "redis": True, "memory": True}])


@router.get("/healthz", operation_id="healthz")
async def healthz() -> Health:
    """Say that the process lives."""
    return Health()


@router.get(
    "/readyz",
    operation_id="readyz",
    responses={SERVICE_UNAVAILABLE: {"model": Readiness, "description": "Something is missing."}},
)
def readyz(services: ServicesDep, response: Response) -> Readiness:
    """Say whether Postgres and Redis answer and the snapshots are in step."""
    checks = {
        "postgres": _postgres_answers(services),
        "redis": _redis_answers(services),
        "memory": services.memory.ready,
    }
    if not all(checks.values()):
        response.status_code = SERVICE_UNAVAILABLE
    return Readiness(ready=all(checks.values()), checks=checks)


@router.get(
    "/metrics",
    operation_id="metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(services: ServicesDep) -> Response:
    """Numbers of this process in Prometheus's format."""
    found = services.metrics
    found.server_up.labels("postgres").set(_postgres_answers(services))
    found.server_up.labels("redis").set(_redis_answers(services))
    found.memory_age_s.set(services.memory.age_s)
    found.log_bytes.set(services.room.bytes)
    found.log_entries.set(services.room.entries)
    for kind, size in services.memory.sizes().items():
        found.memory_size.labels(kind).set(size)
    return Response(found.text(), headers={"Content-Type": METRICS_TYPE})


def _postgres_answers(services: Services) -> bool:
    try:
        with services.api.connect() as connection:
            answer: Any = connection.execute(sa.text("SELECT 1")).scalar()
    except sa.exc.SQLAlchemyError:
        return False
    return bool(answer == 1)


def _redis_answers(services: Services) -> bool:
    try:
        return bool(services.redis.ping())
    except redis.RedisError:
        return False
