"""Devices: registering, changing, erasing, and handing out all that is stored of one."""

import secrets
from datetime import datetime
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from geofences.store import Device, find_device
from lbs.auth import CallerKind
from lbs.channels import channels_of
from lbs.deps import AfterCommit, Permitted, ServicesDep, Tx, own_device
from lbs.devices import (
    ConsentBody,
    DeviceChange,
    QuietTimesBody,
    change_device,
    create_device,
    device_token,
    limit_registrations,
    revoke_tokens,
)
from lbs.erasure import begin_erasure, go_on
from lbs.fields import ExternalId
from lbs.holdings import export_of
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from offers.attributes import attributes_of_user

router = APIRouter(prefix="/v1/devices", tags=["devices"], route_class=Route)

GENERATED_ID_BYTES = 16


class DeviceBody(DeviceChange):
    """A device as its app or its server registers it."""

    device_id: Annotated[ExternalId | None, Field(description="The client's own id; none: one is made up.")] = None


class Registered(BaseModel):
    """What the app keeps of its registration."""

    device_id: str
    device_token: str = Field(description="Speaks for this device: send it as Bearer.", examples=["lbs_dt_..."])


class ChannelView(BaseModel):
    """A channel, without its address."""

    channel_id: str
    type: str
    status: str = Field(description="`active`, or `dead` once the provider said that nobody is there.")
    created_at: datetime


class ConsentView(ConsentBody):
    """A consent and who vouches for it."""

    source: str
    at: datetime | None


class DeviceView(BaseModel):
    """A device."""

    device_id: str
    external_user_id: str | None
    user_vouched: bool = Field(description="Whether a server said so: only then devices of one person count as one.")
    attributes: dict[str, Any] = Field(description="What the app says, and over it what servers say.")
    user_attributes: dict[str, Any] = Field(description="What was imported of the person; it counts before both.")
    quiet_times: QuietTimesBody | None
    timezone: str | None
    locale: str | None
    channels: list[ChannelView]
    consents: list[ConsentView]


class DeviceExport(BaseModel):
    """All that is stored of a device: rows as they are, with text for ids."""

    device: DeviceView
    registration: list[dict[str, Any]] = Field(description="The device as it is stored.")
    consents: list[dict[str, Any]]
    user_attributes: list[dict[str, Any]] = Field(description="What was imported of the person.")
    channels: list[dict[str, Any]] = Field(description="With their addresses.")
    last_seen: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    visits: list[dict[str, Any]]
    events: list[dict[str, Any]]
    occasions: list[dict[str, Any]] = Field(description="Scheduled offers that it was near to.")
    decisions: list[dict[str, Any]]
    reservations: list[dict[str, Any]]
    notifications: list[dict[str, Any]]
    claims: list[dict[str, Any]] = Field(description="With the redemption that came of each.")
    remembered_answers: list[dict[str, Any]] = Field(description="Of writes with an Idempotency-Key, for a day.")


class Erased(BaseModel):
    """What was erased."""

    erased: dict[str, int] = Field(
        description="Rows by table. Rows of decisions, reservations and claims stay, without the device.",
        examples=[{"devices": 1, "positions": 1440}],
    )
    finished: bool = Field(description="Whether also nothing is left of what was on its way.")


@router.post(
    "",
    operation_id="register_device",
    status_code=201,
    responses={
        200: {"model": Registered, "description": "The device existed and was changed."},
        **OF_EVERY_WRITE,
        **declared(429),
    },
)
def register_device(
    body: DeviceBody,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    after: AfterCommit,
    response: Response,
) -> Registered:
    """Register a device, or change it if it exists (200), and get a token for it.

    A publishable key registers new devices only: a device that exists answers 409.
    """
    external_id = body.device_id or secrets.token_urlsafe(GENERATED_ID_BYTES)
    device_id = own_device(caller, external_id)
    if caller.kind is CallerKind.PUBLISHABLE:
        limit_registrations(services, caller)
    created = create_device(connection, caller=caller, external_id=external_id, services=services)
    token = device_token(connection, caller=caller, device_id=device_id, services=services)
    change_device(
        connection, body, caller=caller, external_id=external_id, services=services, after=after, created=created
    )
    after.append(lambda: services.directory.forget([device_id]))
    if not created:
        response.status_code = 200
    return Registered(device_id=external_id, device_token=token)


@router.get("/{device_id}", operation_id="get_device", responses={**OF_EVERY_READ, **declared(404)})
def read_device(device_id: str, caller: Permitted, connection: Tx) -> DeviceView:
    """Get a device."""
    own_device(caller, device_id)
    return _view(connection, find_device(connection, tenant_id=caller.tenant_id, external_id=device_id))


@router.patch("/{device_id}", operation_id="change_device", responses={**OF_EVERY_WRITE, **declared(404)})
def patch_device(
    device_id: str,
    body: DeviceChange,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    after: AfterCommit,
) -> DeviceView:
    """Change what is given. Taking back the consent to location ends open visits within a second."""
    internal_id = own_device(caller, device_id)
    change_device(connection, body, caller=caller, external_id=device_id, services=services, after=after)
    after.append(lambda: services.directory.forget([internal_id]))
    return _view(connection, find_device(connection, tenant_id=caller.tenant_id, external_id=device_id))


@router.delete("/{device_id}", operation_id="erase_device", responses={**OF_EVERY_WRITE, **declared(404)})
def delete_device(
    device_id: str, caller: Permitted, _connection: Tx, services: ServicesDep, after: AfterCommit
) -> Erased:
    """Erase all that is stored of a device.

    Its rows are gone with the answer; what is on its way goes within some seconds, and `finished` says whether that was
    already so. Asking again goes on with it, and answers 404 once nothing is left to do.
    """
    internal_id = own_device(caller, device_id)
    begun = begin_erasure(
        services.eraser,
        settings=services.settings,
        tenant_id=caller.tenant_id,
        external_id=device_id,
        # its number would outlive it
        actor="device" if caller.kind is CallerKind.DEVICE else caller.actor,
        now=services.now(),
    )
    erasure = go_on(services.eraser, services.position_log, begun.erasure_id, now=services.now())
    after.append(lambda: services.directory.forget([internal_id]))
    return Erased(erased=erasure.counts, finished=erasure.finished)


@router.post(
    "/{device_id}/revoke-tokens",
    operation_id="revoke_device_tokens",
    status_code=204,
    responses={**OF_EVERY_WRITE, **declared(404)},
)
def revoke_device_tokens(
    device_id: str, caller: Permitted, connection: Tx, services: ServicesDep, after: AfterCommit
) -> Response:
    """Make all tokens of a device useless; registering it again with a secret key gives a new one."""
    device = find_device(connection, tenant_id=caller.tenant_id, external_id=device_id)
    revoke_tokens(connection, caller=caller, device=device, services=services)
    after.append(lambda: services.directory.forget([device.device_id]))
    return Response(status_code=204)


@router.get("/{device_id}/export", operation_id="export_device", responses={**OF_EVERY_READ, **declared(404)})
def export_device(device_id: str, caller: Permitted, connection: Tx) -> DeviceExport:
    """Get all that is stored of a device."""
    internal_id = own_device(caller, device_id)
    device = find_device(connection, tenant_id=caller.tenant_id, external_id=device_id)
    found = export_of(connection, tenant_id=caller.tenant_id, device_id=internal_id)
    return DeviceExport(device=_view(connection, device), **found)


def _view(connection: sa.Connection, device: Device) -> DeviceView:
    return DeviceView(
        device_id=device.external_id,
        external_user_id=device.external_user_id,
        user_vouched=device.user_vouched,
        attributes=dict(device.attributes),
        user_attributes=attributes_of_user(connection, device),
        quiet_times=None if device.quiet_times is None else QuietTimesBody(**device.quiet_times),
        timezone=device.timezone,
        locale=device.locale,
        channels=[
            ChannelView(
                channel_id=str(channel.channel_id),
                type=channel.type,
                status=channel.status,
                created_at=channel.created_at,
            )
            for channel in channels_of(connection, device.device_id)
        ],
        consents=[
            ConsentView(
                purpose=consent.purpose,
                granted=consent.granted,
                version=consent.version,
                source=consent.source,
                at=consent.at,
            )
            for consent in device.consents
        ],
    )
