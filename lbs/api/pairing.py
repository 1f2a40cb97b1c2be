"""Pairing existing phone apps with a device, by links and their QR codes."""

from datetime import datetime
from typing import Any, Self

import segno
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from lbs.deps import AfterCommit, Permitted, ServicesDep, Tx, own_device, public_url_of
from lbs.pairing import owntracks_settings, pair
from lbs.problems import declared
from lbs.routes import OF_EVERY_WRITE, Route

router = APIRouter(prefix="/v1", tags=["devices"], route_class=Route)


class PhoneLink(BaseModel):
    """A link to open on the phone, or to scan."""

    url: str
    qr_svg: str = Field(description="The link as a QR code.")

    @classmethod
    def of(cls, url: str) -> Self:
        return cls(url=url, qr_svg=segno.make(url, error="m", micro=False).svg_inline())


class PairingView(BaseModel):
    """Links that make a phone speak for the device: show them to its owner only."""

    device_id: str
    expires_at: datetime = Field(description="When the link for OwnTracks ends, if it was not used.")
    owntracks: PhoneLink = Field(description="For OwnTracks; works once.")
    traccar: PhoneLink = Field(description="For Traccar Client; holds the device's token, and works until that ends.")


@router.post(
    "/devices/{device_id}/pairing",
    operation_id="pair_device",
    responses={**OF_EVERY_WRITE, **declared(404)},
)
def pair_device(
    device_id: str, caller: Permitted, connection: Tx, services: ServicesDep, after: AfterCommit, request: Request
) -> PairingView:
    """Make links, with QR codes, that set a phone app up to send this device's positions."""
    internal_id = own_device(caller, device_id)
    made = pair(
        connection,
        caller=caller,
        external_id=device_id,
        services=services,
        public_url=public_url_of(request, services),
    )
    after.append(lambda: services.directory.forget([internal_id]))
    return PairingView(
        device_id=device_id,
        expires_at=made.expires_at,
        owntracks=PhoneLink.of(made.owntracks),
        traccar=PhoneLink.of(made.traccar),
    )


@router.get("/pairings/{code}.otrc", operation_id="take_pairing", responses=declared(404, 422))
def take_pairing(code: str, services: ServicesDep, request: Request) -> dict[str, Any]:
    """Get the settings that OwnTracks imports, with the device's token in them. Once: the second time it is 404."""
    return owntracks_settings(services, code, public_url=public_url_of(request, services))
