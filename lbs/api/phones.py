"""Where existing phone apps send positions, each in its own format; the same log and the same rules.

What can be taken later is answered 503, which every app repeats; some drop what is answered 4xx. What can never be
taken is answered 200 and counted: an app would repeat it for ever, and send nothing else.
"""

import base64
import binascii
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from geofences.errors import LogFullError, LogUnavailableError
from lbs.access import check_access
from lbs.auth import TOKEN_PREFIX, Caller
from lbs.deps import authenticate, authenticate_key, services_of
from lbs.directory import DeviceFacts
from lbs.errors import (
    Fault,
    MalformedError,
    TooManyRequestsError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from lbs.ingest import DeviceName, IngestAnswer, PositionBody, Rejected
from lbs.phones import Heard, read_owntracks, read_parameters, read_traccar_json
from lbs.problems import declared
from lbs.routes import JSON_TYPE, Route, media_type
from lbs.services import Services
from lbs.sessions import COOKIE
from lbs.taking import device_of, device_of_token, take

PREFIX: Final = "/v1/positions"
router = APIRouter(prefix=PREFIX, tags=["positions"], route_class=Route)

FORM_TYPE: Final = "application/x-www-form-urlencoded"
NO_CONSENT: Final = "no_consent"
PROBLEMS: Final = declared(401, 403, 404, 410, 413, 415, 422)
OWNTRACKS_EXAMPLE: Final = {"_type": "location", "lat": 60.1699, "lon": 24.9384, "tst": 1780315200, "acc": 8, "vel": 4}
TRACCAR_EXAMPLE: Final = {
    "device_id": "lbs_dt_...",
    "location": {
        "timestamp": "2026-06-01T12:00:00.000Z",
        "coords": {"latitude": 60.1699, "longitude": 24.9384, "accuracy": 8, "speed": 1.1},
    },
}
TAKEN: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Received; the log has what was accepted.",
        "content": {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/IngestAnswer"}}},
    }
}


def _parameter(name: str, kind: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": {"type": kind}}


PARAMETERS: Final = [
    _parameter("id", "string", "The device's token; with an Authorization header the device's id. Or `deviceid`."),
    _parameter("lat", "number", "Degrees. Or `location=LAT,LON` in place of both."),
    _parameter("lon", "number", "Degrees."),
    _parameter("timestamp", "string", "Seconds or milliseconds since 1970, or ISO 8601, UTC if not said; none: now."),
    _parameter("accuracy", "number", "Metres, 68 % radius; 0: not known. `hdop` is no length, and is ignored."),
    _parameter("speed", "number", "Knots."),
    _parameter("valid", "string", "`false` or `0`: no fix."),
    _parameter("mock", "string", "`true`: made up on the phone."),
]


@router.post(
    "/owntracks",
    operation_id="send_owntracks",
    response_class=Response,
    responses={
        200: {
            "description": "Received; nothing for the app to do.",
            "content": {JSON_TYPE: {"schema": {"type": "array", "items": {"type": "object"}, "maxItems": 0}}},
        },
        **PROBLEMS,
    },
    openapi_extra={
        "security": [{"key": []}, {"basic": []}],
        "requestBody": {"content": {JSON_TYPE: {"schema": {}, "example": OWNTRACKS_EXAMPLE}}},
    },
)
async def send_owntracks(request: Request) -> Response:
    """Take what the OwnTracks app sends in HTTP mode: user name the device's id, password its token."""
    services = services_of(request)
    caller, name = await _who(request, services)
    check_access(caller, "send_owntracks")
    if media_type(request) not in {"", JSON_TYPE}:
        raise UnsupportedMediaTypeError(f"send messages as {JSON_TYPE}")
    await _keep(services, caller, name, read_owntracks(await request.body()))
    return Response(b"[]", media_type=JSON_TYPE)


@router.get(
    "/osmand",
    operation_id="send_osmand_query",
    response_class=Response,
    responses={**TAKEN, **declared(401, 403, 404, 410, 422)},
    openapi_extra={"security": [{"key": []}, {"token_as_id": []}], "parameters": PARAMETERS},
)
async def send_osmand_query(request: Request) -> Response:
    """Take one position as OsmAnd sends it, all in the query string."""
    return await _osmand(request, "send_osmand_query")


@router.post(
    "/osmand",
    operation_id="send_osmand",
    response_class=Response,
    responses={**TAKEN, **PROBLEMS},
    openapi_extra={
        "security": [{"key": []}, {"token_as_id": []}],
        "parameters": PARAMETERS,
        "requestBody": {
            "content": {
                JSON_TYPE: {"schema": {}, "example": TRACCAR_EXAMPLE},
                FORM_TYPE: {"schema": {"type": "object"}},
            }
        },
    },
)
async def send_osmand(request: Request) -> Response:
    """Take what Traccar Client sends: JSON since 9.0, before that a query string or a form."""
    return await _osmand(request, "send_osmand")


ROUTES: Final = tuple(router.routes)
"""`lbs.direct` hands requests to them without the framework between."""


async def _osmand(request: Request, operation: str) -> Response:
    services = services_of(request)
    heard = await _heard(request, services)
    name = heard.name
    if name is not None and name.startswith(TOKEN_PREFIX):
        caller, name = await authenticate_key(request, services, name), None
    elif "authorization" in request.headers or COOKIE in request.cookies:
        caller = await authenticate(request, services)
    else:
        raise UnauthorizedError("send the device's token as `id`")
    check_access(caller, operation)
    answer = await _keep(services, caller, name, heard)
    return Response(msgspec.json.encode(answer), media_type=JSON_TYPE)


async def _heard(request: Request, services: Services) -> Heard:
    """As Traccar's server reads it: JSON by its type, else the query string, else the body as a form."""
    kind, text = media_type(request), request.scope["query_string"]
    if request.method == "POST" and kind == JSON_TYPE:
        return read_traccar_json(await request.body())
    if request.method == "POST" and not text:
        if kind not in {"", FORM_TYPE}:
            raise UnsupportedMediaTypeError(f"send {JSON_TYPE}, a query string, or {FORM_TYPE}")
        text = await request.body()
    return read_parameters(text.decode("latin-1"), now_s=services.now().timestamp())


async def _who(request: Request, services: Services) -> tuple[Caller, str | None]:
    """Who sends, and the name that it gives the device, by Basic authentication or as everywhere else."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return await authenticate(request, services), None
    try:
        # keys hold no colon; ids of devices may
        name, _, key = base64.b64decode(text.strip(), validate=True).rpartition(b":")
    except (binascii.Error, ValueError) as error:
        raise UnauthorizedError("malformed Basic authentication") from error
    # Android writes names in Latin-1: for people, who have a token too, any will do
    caller = await authenticate_key(request, services, key.decode("latin-1"))
    return caller, name.decode(errors="replace") or None


async def _keep(services: Services, caller: Caller, name: str | None, heard: Heard) -> IngestAnswer:
    """Appends what are positions. What is none, or comes without consent, is counted and gone."""
    device = await _device(services, caller, name)
    places = [i for i, one in enumerate(heard.said) if isinstance(one, PositionBody)]
    bodies = [one for one in heard.said if isinstance(one, PositionBody)]
    rejected = [Rejected(i, one) for i, one in enumerate(heard.said) if isinstance(one, str)]
    accepted = 0
    if not device.located:
        rejected += [Rejected(i, NO_CONSENT) for i in places]
    elif bodies:
        try:
            positions, refused = await take(services, device, bodies)
        except (LogFullError, TooManyRequestsError) as error:
            raise LogUnavailableError(str(error)) from error
        accepted = len(positions)
        rejected += [Rejected(places[one.index], one.reason) for one in refused]
    for one in rejected:
        services.metrics.positions_rejected.labels(one.reason).inc()
    return IngestAnswer(accepted=accepted, rejected=sorted(rejected, key=lambda one: one.index))


async def _device(services: Services, caller: Caller, name: str | None) -> DeviceFacts:
    """A token names its device; a secret key says which."""
    if caller.device_id is not None:
        return await device_of_token(services, caller.device_id)
    try:
        external_id = msgspec.convert(name, DeviceName)
    except msgspec.ValidationError as error:
        fault = Fault("device", "a secret key has to name the device: as `id`, or as the user name")
        raise MalformedError(fault.message, fault) from error
    return await device_of(services, caller, external_id)
