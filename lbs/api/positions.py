"""Where positions come in. Asynchronous, decoded without pydantic, answered when the log has them."""

from typing import Any, Final

import msgspec
import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from geofences.model import Positions
from lbs.access import check_access
from lbs.auth import Caller
from lbs.deps import authenticate, services_of
from lbs.errors import Fault, MalformedError, NoConsentError, NotReadyError, UnsupportedMediaTypeError
from lbs.ingest import MSGPACK_TYPES, IngestAnswer, PositionsBody, decode
from lbs.offers_near import offers_page
from lbs.problems import declared
from lbs.routes import JSON_TYPE, Route, media_type
from lbs.searching import NearbyQuery
from lbs.services import Services
from lbs.taking import device_of, take

PATH: Final = "/v1/positions"
router = APIRouter(prefix=PATH, tags=["positions"], route_class=Route)


class AnswerWithOffers(IngestAnswer):
    """With what can be used near the newest accepted position; null if none was, or nobody can say now."""

    offers: msgspec.Raw


SCHEMAS, COMPONENTS = msgspec.json.schema_components(
    [PositionsBody, IngestAnswer], ref_template="#/components/schemas/{name}"
)
OFFERS: Final = {
    "description": "Of `include=offers`: items as `GET /v1/offers/nearby` answers them around the newest accepted"
    " position; null if none was accepted, or if the search cannot answer at this moment.",
    "anyOf": [{"type": "array", "items": {"$ref": "#/components/schemas/NearOffersView"}}, {"type": "null"}],
}
ANSWER: Final = {"allOf": [SCHEMAS[1], {"type": "object", "properties": {"offers": OFFERS}}]}
INCLUDE: Final = {
    "name": "include",
    "in": "query",
    "required": False,
    "description": "`offers`: what can be used near the newest accepted position, in the same answer.",
    "schema": {"type": "string", "enum": ["offers"]},
}
EXAMPLE: Final = {
    "device_id": "phone-1",
    "positions": [{"lat": 60.1699, "lng": 24.9384, "recorded_at": "2026-06-01T12:00:00Z", "accuracy_m": 8}],
}


@router.post(
    "",
    operation_id="send_positions",
    status_code=202,
    response_class=Response,
    responses={
        202: {"description": "The log has the accepted ones.", "content": {JSON_TYPE: {"schema": ANSWER}}},
        **declared(401, 403, 404, 410, 413, 415, 422, 429),
    },
    openapi_extra={
        "security": [{"key": []}],
        "parameters": [INCLUDE],
        "requestBody": {
            "required": True,
            "content": {
                JSON_TYPE: {"schema": SCHEMAS[0], "example": EXAMPLE},
                "application/msgpack": {"schema": SCHEMAS[0]},
            },
        },
    },
)
async def send_positions(request: Request) -> Response:
    """Send up to 1000 positions of one device.

    They are a set: order and repeats do not matter, so repeating a request is always safe. With a secret key a device
    is created if absent; the tenant vouches for its consent.
    """
    # the framework's dependencies would cost more than all of the work below
    services = services_of(request)
    caller = await authenticate(request, services)
    check_access(caller, "send_positions")
    services.appender.check_room()
    with_offers = bool(request.scope["query_string"]) and _includes_offers(request)
    kind = media_type(request)
    packed = kind in MSGPACK_TYPES
    if not packed and kind not in {"", JSON_TYPE}:
        raise UnsupportedMediaTypeError(f"send positions as {JSON_TYPE} or application/msgpack")
    body = decode(await request.body(), packed=packed)
    device = await device_of(services, caller, body.device_id)
    if not device.located:
        raise NoConsentError("the device has not consented to being located: nothing was stored")
    positions, rejected = await take(services, device, body.positions)
    for refused in rejected:
        services.metrics.positions_rejected.labels(refused.reason).inc()
    answer = IngestAnswer(accepted=len(positions), rejected=rejected)
    if with_offers:
        language = request.headers.get("accept-language")
        offers = await run_in_threadpool(_offers_near, services, caller, positions, language)
        answer = AnswerWithOffers(accepted=len(positions), rejected=rejected, offers=offers)
    return Response(msgspec.json.encode(answer), 202, media_type=JSON_TYPE)


ROUTE: Final = router.routes[-1]
"""`lbs.direct` hands requests to it without the framework between."""


def _includes_offers(request: Request) -> bool:
    asked = set(request.query_params.getlist("include"))
    if asked - {"offers"}:
        fault = Fault("query.include", "only `offers` can be included")
        raise MalformedError(fault.message, fault)
    return bool(asked)


def _offers_near(services: Services, caller: Caller, positions: Positions, language: str | None) -> msgspec.Raw:
    """Never an error: the positions were taken, and the answer has to say so."""
    if not len(positions):
        return msgspec.Raw(b"null")
    newest = positions[positions["recorded_us"].argmax()]
    try:
        query = NearbyQuery(lat=float(newest["lat"]), lng=float(newest["lng"]))
        page = offers_page(query, caller, services, accept_language=language)
    except (NotReadyError, sa.exc.OperationalError, sa.exc.TimeoutError):
        return msgspec.Raw(b"null")
    return msgspec.Raw(b"[" + b",".join(item.model_dump_json().encode() for item in page.items) + b"]")


def components() -> dict[str, Any]:
    """Schemas of what this route decodes without pydantic; `lbs.app` adds them to the OpenAPI document."""
    return dict(COMPONENTS)
