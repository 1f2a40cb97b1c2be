"""Where positions come in. Asynchronous, decoded without pydantic, answered when the log has them."""

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from geofences.errors import NotFoundError
from geofences.log import LIVE, Entry, EntryKind, shard_of
from geofences.model import DeviceId
from geofences.store import create_devices, device_id_for, use_tenant
from geofences.tables import ConsentSource, Purpose
from geofences.visits import to_us
from lbs.access import check_access
from lbs.auth import Caller, CallerKind
from lbs.deps import authenticate, own_device, services_of
from lbs.directory import DeviceFacts
from lbs.errors import ForbiddenError, NoConsentError, UnsupportedMediaTypeError
from lbs.ingest import MSGPACK_TYPES, IngestAnswer, PositionsBody, decode, judge
from lbs.problems import declared
from lbs.routes import JSON_TYPE, Route, media_type
from lbs.services import Services
from lbs.tombstones import check_not_erased

PATH: Final = "/v1/positions"
router = APIRouter(prefix=PATH, tags=["positions"], route_class=Route)

VOUCHED: Final = (Purpose.LOCATION, Purpose.PUSH)
"""What a tenant vouches for when its server sends positions of a device that nobody registered."""

SCHEMAS, COMPONENTS = msgspec.json.schema_components(
    [PositionsBody, IngestAnswer], ref_template="#/components/schemas/{name}"
)
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
        202: {"description": "The log has the accepted ones.", "content": {JSON_TYPE: {"schema": SCHEMAS[1]}}},
        **declared(401, 403, 404, 410, 413, 415, 422, 429),
    },
    openapi_extra={
        "security": [{"key": []}],
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
    kind = media_type(request)
    packed = kind in MSGPACK_TYPES
    if not packed and kind not in {"", JSON_TYPE}:
        raise UnsupportedMediaTypeError(f"send positions as {JSON_TYPE} or application/msgpack")
    body = decode(await request.body(), packed=packed)
    device = await _device(services, caller, body.device_id)
    if not device.located:
        raise NoConsentError("the device has not consented to being located: nothing was stored")
    positions, rejected = judge(
        body.positions,
        tenant_id=caller.tenant_id,
        device_id=device.device_id,
        received_us=to_us(services.now()),
        horizon_s=services.settings.horizon_s,
        future_s=services.settings.future_s,
    )
    if len(positions):
        scope = caller.tenant_id if device.sandbox else LIVE
        entry = Entry(kind=EntryKind.POSITIONS, clock_us=0, scope=scope, positions=positions)
        await services.appender.append(shard_of(device.device_id), entry)
        services.metrics.positions_accepted.inc(len(positions))
    for refused in rejected:
        services.metrics.positions_rejected.labels(refused.reason).inc()
    answer = IngestAnswer(accepted=len(positions), rejected=rejected)
    return Response(msgspec.json.encode(answer), 202, media_type=JSON_TYPE)


ROUTE: Final = router.routes[-1]
"""`lbs.direct` hands requests to it without the framework between."""


async def _device(services: Services, caller: Caller, external_id: str) -> DeviceFacts:
    """The device if the caller may speak for it; made, for a secret key, if there is none."""
    device_id = own_device(caller, external_id)
    device = services.directory.remembered(device_id)
    if device is None:
        device = await run_in_threadpool(services.directory.load, device_id)
    if device is None and caller.kind is CallerKind.SECRET:
        device = await _created(services, caller, external_id)
    if device is None or device.tenant_id != caller.tenant_id:
        raise NotFoundError(f"no device {external_id!r}: register it first")
    if caller.kind is CallerKind.PUBLISHABLE:
        # everybody has the publishable key: with it alone anybody could move anybody
        raise ForbiddenError("sending positions needs the device's token or a secret key")
    return device


async def _created(services: Services, caller: Caller, external_id: str) -> DeviceFacts | None:
    device_id = device_id_for(caller.tenant_id, external_id)

    def create() -> DeviceFacts | None:
        with services.api.begin() as connection:
            use_tenant(connection, caller.tenant_id)
            create_devices(
                connection,
                tenant_id=caller.tenant_id,
                external_ids=[external_id],
                purposes=VOUCHED,
                source=ConsentSource.SERVER,
                at=services.now(),
            )
            check_not_erased(
                connection, settings=services.settings, tenant_id=caller.tenant_id, external_id=external_id
            )
        return services.directory.load(device_id)

    device = await run_in_threadpool(create)
    if device is not None:
        await _tell_engine(services, caller, device_id)
    return device


async def _tell_engine(services: Services, caller: Caller, device_id: DeviceId) -> None:
    """The engine may remember an erased device of the same id, without consent."""
    scope = caller.tenant_id if caller.sandbox else LIVE
    entry = Entry(kind=EntryKind.CONSENT, clock_us=0, scope=scope, device_id=device_id, granted=True)
    await services.appender.append(shard_of(device_id), entry)


def components() -> dict[str, Any]:
    """Schemas of what this route decodes without pydantic; `lbs.app` adds them to the OpenAPI document."""
    return dict(COMPONENTS)
