"""Claims: a shopper's code for an offer, as text and as a picture for the till to scan."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

import segno
import sqlalchemy as sa
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from geofences.errors import NotFoundError
from geofences.model import StoreId
from geofences.zones import zone
from lbs.auth import Caller, CallerKind
from lbs.deps import Permitted, ServicesDep, Tx, own_device
from lbs.fields import ExternalId, ShortText, id_of, language_of
from lbs.paging import DEFAULT_LIMIT, CursorText, Limit, Page, cursor_of, cut, id_after
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, OF_EVERY_WRITE, Route
from lbs.services import Services
from offers.claiming import claim
from offers.claims import Claim, claims_of, devices_of_person, load_claim, terms_of_several
from offers.codes import shown
from offers.definition import CampaignDefinition, Offer
from offers.model import CampaignId, ClaimId, ClaimSource, ClaimState
from offers.wording import MessageValues, say

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
    store_name: str | None = Field(description="Null also once the store is gone.")
    title: str = Field(description="Of the offer, in the first language of `Accept-Language`.")
    offer: Offer = Field(description="As it was when it was claimed.")
    source: ClaimSource = Field(description="`push`: it keeps what a message promised.")
    state: ClaimState
    code: str | None = Field(description="For the till; null once the claim is over.", examples=["2CDF-HJKM-N3P6"])
    qr_svg: str | None = Field(default=None, description="With `include=qr`: an `<svg>` of the code.")
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(
        cls,
        found: Claim,
        terms: CampaignDefinition,
        services: Services,
        *,
        locale: str | None,
        with_qr: bool = False,
    ) -> Self:
        store = None if found.store_id is None else services.memory.stores.get(found.tenant_id, found.store_id)
        values = MessageValues(
            store="" if store is None else store.name,
            zone=zone("UTC" if store is None else store.timezone),
            now=found.created_at,
        )
        state = found.state_at(services.now())
        live = state is ClaimState.CLAIMED and found.code_sealed is not None
        code = services.codes.unsealed(found.code_sealed) if live and found.code_sealed is not None else None
        return cls(
            claim_id=str(found.claim_id),
            campaign_id=str(found.campaign_id),
            store_id=None if found.store_id is None else str(found.store_id),
            store_name=None if store is None else store.name,
            title=say(terms, locale, values).title,
            offer=terms.offer,
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
    accept_language: Annotated[str | None, Header()] = None,
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
    return _views(connection, [made], services, accept_language, with_qr=include == "qr")[0]


@router.get("", operation_id="list_claims", responses=OF_EVERY_READ)
def list_claims(
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    device_id: Annotated[ExternalId, Query(description="Whose claims, on this device and the person's others.")],
    limit: Limit = DEFAULT_LIMIT,
    cursor: CursorText = None,
    accept_language: Annotated[str | None, Header()] = None,
) -> Page[ClaimView]:
    """List a person's claims, newest first."""
    device_ids = devices_of_person(connection, own_device(caller, device_id))
    before = None if cursor is None else ClaimId(id_after(cursor))
    page, more = cut(claims_of(connection, device_ids=device_ids, before=before, limit=limit + 1), limit)
    return Page(
        items=_views(connection, page, services, accept_language),
        next_cursor=cursor_of(page[-1].claim_id) if more else None,
    )


@router.get("/{claim_id}", operation_id="get_claim", responses={**OF_EVERY_READ, **declared(404)})
def read_claim(
    claim_id: str,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
    accept_language: Annotated[str | None, Header()] = None,
) -> ClaimView:
    """Get one claim, with its code while it can be used."""
    return _views(connection, [_own_claim(connection, caller, claim_id)], services, accept_language)[0]


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


def _views(
    connection: sa.Connection,
    found: Sequence[Claim],
    services: Services,
    accept_language: str | None,
    *,
    with_qr: bool = False,
) -> list[ClaimView]:
    terms, locale = terms_of_several(connection, found), language_of(accept_language)
    return [
        ClaimView.of(one, terms[one.campaign_id, one.campaign_version], services, locale=locale, with_qr=with_qr)
        for one in found
    ]


def _own_claim(connection: sa.Connection, caller: Caller, claim_id: str) -> Claim:
    """NotFoundError, also for a claim that is another person's."""
    found = load_claim(connection, ClaimId(id_of(claim_id, "claim")))
    if caller.kind is CallerKind.DEVICE:
        assert caller.device_id is not None
        if found.device_id not in devices_of_person(connection, caller.device_id):
            raise NotFoundError("no such claim")
    return found
