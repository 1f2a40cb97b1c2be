"""Which offers can be used near a place, now or at another time. Asked without a device, the same for everybody."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from lbs.deps import Permitted, ServicesDep
from lbs.offers_near import NearOffersView, offers_page
from lbs.paging import Page
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from lbs.searching import NearbyQuery, answered

router = APIRouter(prefix="/v1/offers", tags=["search"], route_class=Route)


@router.get(
    "/nearby",
    operation_id="offers_nearby",
    response_model=Page[NearOffersView],
    responses={**OF_EVERY_READ, **declared(404)},
)
def offers_nearby(
    caller: Permitted,
    services: ServicesDep,
    query: Annotated[NearbyQuery, Query()],
    accept_language: Annotated[str | None, Header()] = None,
) -> Response:
    """Find stores with offers that can be used, nearest first or by their offers."""
    return answered(offers_page(query, caller, services, accept_language=accept_language))
