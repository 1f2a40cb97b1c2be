"""What a map of the tenant draws: vector tiles, and where to open it."""

import gzip
from hashlib import blake2b
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, Field

from geofences.errors import NotFoundError
from geofences.tiling import MAX_ZOOM, Tile
from lbs.deps import Permitted, ServicesDep, Tx
from lbs.problems import declared
from lbs.routes import OF_EVERY_READ, Route
from lbs.tiles import Layer, draw

router = APIRouter(prefix="/v1", tags=["map"], route_class=Route)

TILE_TYPE: Final = "application/vnd.mapbox-vector-tile"
KEPT_S: Final = 30
"""How long a browser may show a tile without asking again."""
WORTH_PACKING: Final = 1_000


class MapBounds(BaseModel):
    """Where the stores are."""

    bounds: tuple[float, float, float, float] | None = Field(
        description="West, south, east, north in degrees, as a GeoJSON bbox: west is greater than east where the box"
        " crosses 180 degrees. Null without stores.",
        examples=[[24.9, 60.1, 25.0, 60.2]],
    )


@router.get("/map/bounds", operation_id="map_bounds", responses=OF_EVERY_READ)
def map_bounds(caller: Permitted, services: ServicesDep) -> MapBounds:
    """Get the smallest box about the tenant's stores; for a store manager and a store key, about their own."""
    found = services.memory.stores.map_of(caller.tenant_id).bounds(caller.only_stores)
    return MapBounds(bounds=found)


@router.get(
    "/tiles/{layer}/{z}/{x}/{y}.mvt",
    operation_id="map_tile",
    response_class=Response,
    responses={
        **OF_EVERY_READ,
        **declared(404),
        200: {"content": {TILE_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
        204: {"description": "Nothing is there."},
        304: {"description": "As it was."},
    },
)
def map_tile(
    layer: Layer,
    z: Annotated[int, Path(ge=0, le=MAX_ZOOM)],
    x: Annotated[int, Path(ge=0, lt=2**MAX_ZOOM)],
    y: Annotated[int, Path(ge=0, lt=2**MAX_ZOOM)],
    request: Request,
    caller: Permitted,
    connection: Tx,
    services: ServicesDep,
) -> Response:
    """Get a Mapbox Vector Tile of Web Mercator with one layer, named as it was asked for.

    `stores`: points with `store_id`, `external_id` and `name`; below zoom 14 stores of one H3 cell are one point with
    `count`. `fences`: polygons with `fence_id`, `external_id`, `name`, `kind`, `store_id` and `radius_m`; below zoom 12
    only large ones. `cells`: the H3 cells by which the engine looks fences up, with `cell` and how many `fences`,
    where they are large enough to be seen.
    """
    if not max(x, y) < 2**z:
        raise NotFoundError(f"zoom {z} has {2**z} tiles each way")
    stores = services.memory.stores.map_of(caller.tenant_id)
    body = draw(connection, caller.tenant_id, layer, Tile(z, x, y), stores)
    tag = f'W/"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = {
        "ETag": tag,
        "Cache-Control": f"private, max-age={KEPT_S}",
        "Vary": "Authorization, Cookie, Accept-Encoding, LBS-Tenant",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if not body:
        return Response(status_code=204, headers=headers)
    if len(body) > WORTH_PACKING and "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=4, mtime=0), "gzip"
    return Response(body, headers=headers, media_type=TILE_TYPE)
