"""Claims: a shopper's code for an offer, as text and as a picture for the till to scan."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Annotated, Literal, Self

import segno
import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from geofences.errors import NotFoundError
from geofences.model import StoreId
from lbs.auth import Caller, CallerKind
from lbs.deps import Permitted, ServicesDep, Tx, own_device
from lbs.fields import ExternalId, ShortText, id_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.services import Services
from offers.claiming import claim
from offers.claims import Claim, claims_of, devices_of_person, load_claim
from offers.codes import shown
from offers.model import CampaignId, ClaimId, ClaimSource, ClaimState

router = APIRouter(prefix="/v1/claims", tags=["claims"], route_class=Route)

SVG = "image/svg+xml"
PNG = "image/png"
PIXELS = 8
"""A module of the PNG."""


class ClaimBody(BaseModel):
    """Who wants which offer."""

    model_config = ConfigDict(extra="forbid")

    campaign_id: ShortText
    device_id: ExternalId
    store_id: Annotated[ShortText | None, Field(description="Where it is to be used; none: said at the till.")] = None


class ClaimView(BaseModel):
    """A claim. All devices of one person share it."""

    claim_id: str
    campaign_id: str
    store_id: str | None
    source: ClaimSource = Field(description="`push`: it keeps what a message promised.")
    state: ClaimState
    code: str | None = Field(description="For the till; null once the claim is over.", examples=["2CDF-HJKM-N3P6"])
    qr_svg: str | None = Field(default=None, description="With `include=qr`: an `<svg>` of the code.")
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, found: Claim, services: Services, *, with_qr: bool = False) -> Self:
        state = found.state_at(services.now())
        live = state is ClaimState.CLAIMED and found.code_sealed is not None
        code = services.codes.unsealed(found.code_sealed) if live and found.code_sealed is not None else None
        return cls(
            claim_id=str(found.claim_id),
            campaign_id=str(found.campaign_id),
            store_id=None if found.store_id is None else str(found.store_id),
            source=found.source,
            state=state,
            code=None if code is None else shown(code),
            qr_svg=segno.make(code, error="m", micro=False).svg_inline() if with_qr and code is not None else None,
            created_at=found.created_at,
            expires_at=found.expires_at,
        )


@router.post("", operation_id="claim_offer", responses={**OF_EVERY_WRITE, **declared(404)})
def post_claim(
    body: ClaimBody,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    include: Annotated[Literal["qr"] | None, Query(description="`qr`: the code as a picture too.")] = None,
) -> ClaimView:
    """Claim an offer and get its code. A person has one live claim of a campaign: asking again gives the same code."""
    made = claim(
        connection,
        tenant_id=caller.tenant_id,
        device_id=own_device(caller, body.device_id),
        campaign_id=CampaignId(id_of(body.campaign_id, "campaign")),
        store_id=None if body.store_id is None else StoreId(id_of(body.store_id, "store")),
        book=services.codes,
        now=services.now(),
    )
    return ClaimView.of(made, services, with_qr=include == "qr")


@router.get("", operation_id="list_claims", responses=OF_EVERY_READ)
def list_claims(
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    device_id: Annotated[ExternalId, Query(description="Whose claims, on this device and the person's others.")],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
) -> Page[ClaimView]:
    """List a person's claims, newest first."""
    device_ids = devices_of_person(connection, own_device(caller, device_id))
    before = None if cursor is None else ClaimId(id_after(cursor))
    page, more = cut(claims_of(connection, device_ids=device_ids, before=before, limit=limit + 1), limit)
    return Page(
        items=[ClaimView.of(found, services) for found in page],
        next_cursor=cursor_of(page[-1].claim_id) if more else None,
    )


@router.get("/{claim_id}", operation_id="get_claim", responses={**OF_EVERY_READ, **declared(404)})
def read_claim(claim_id: str, caller: Permitted, connection: Tx, services: ServicesDep) -> ClaimView:
    """Get one claim, with its code while it can be used."""
    return ClaimView.of(_own_claim(connection, caller, claim_id), services)


@router.get(
    "/{claim_id}/qr.{form}",
    operation_id="get_claim_qr",
    response_class=Response,
    responses={
        **OF_EVERY_READ,
        **declared(404),
        200: {
            "content": {
                SVG: {"schema": {"type": "string"}},
                PNG: {"schema": {"type": "string", "format": "binary"}},
            },
            "description": "A QR code that holds the code's twelve characters.",
        },
    },
)
def read_qr(
    claim_id: str, form: Literal["svg", "png"], caller: Permitted, connection: Tx, services: ServicesDep
) -> Response:
    """Get the code as a picture for the till to scan. NotFound once the claim is over."""
    found = _own_claim(connection, caller, claim_id)
    if found.state_at(services.now()) is not ClaimState.CLAIMED or found.code_sealed is None:
        raise NotFoundError("the claim is over: it has no code any more")
    picture = io.BytesIO()
    segno.make(services.codes.unsealed(found.code_sealed), error="m", micro=False).save(
        picture, kind=form, scale=PIXELS
    )
    # whoever sees it can use it: no cache may keep it
    return Response(
        picture.getvalue(), media_type=SVG if form == "svg" else PNG, headers={"Cache-Control": "private, no-store"}
    )


def _own_claim(connection: sa.Connection, caller: Caller, claim_id: str) -> Claim:
    """NotFoundError, also for a claim that is another person's."""
    found = load_claim(connection, ClaimId(id_of(claim_id, "claim")))
    if caller.kind is CallerKind.DEVICE:
        assert caller.device_id is not None
        if found.device_id not in devices_of_person(connection, caller.device_id):
            raise NotFoundError("no such claim")
    return found
