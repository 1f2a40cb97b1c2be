"""Vector tiles of stores, fences and the cells that the engine looks fences up by, drawn by PostGIS.

Stores come from memory, where they are counted; fences and cells from their tables. A tile without anything is empty.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from geofences.tiling import EXTENT, WORLD_M, outline_m, spans_of
from lbs.sql import block

if TYPE_CHECKING:
    import sqlalchemy as sa

    from geofences.model import Floats, TenantId
    from geofences.store_map import StoreMap
    from geofences.tiling import Tile

ALL_FENCES_FROM_ZOOM: Final = 12
"""Before, only fences so large that the engine looks them up by coarser cells."""
FINEST_RES: Final = 9
LARGE_RES: Final = 8
MOST: Final = 10_000
"""Fences, or cells, of one tile: the first of them are shown."""
_WKB_POLYGON: Final = struct.Struct("<BIII")


class Layer(StrEnum):
    STORES = "stores"
    FENCES = "fences"
    CELLS = "cells"


def draw(connection: sa.Connection, tenant_id: TenantId, layer: Layer, tile: Tile, stores: StoreMap) -> bytes:
    """A Mapbox Vector Tile with one layer, or nothing."""
    match layer:
        case Layer.STORES:
            return _stores(connection, tile, stores)
        case Layer.FENCES:
            return _fences(connection, tenant_id, tile)
        case Layer.CELLS:
            return _cells(connection, tenant_id, tile)


def _stores(connection: sa.Connection, tile: Tile, stores: StoreMap) -> bytes:
    marks = stores.marks(tile)
    if not marks:
        return b""
    singles = [mark.store for mark in marks]
    return _drawn(
        connection,
        "tile_stores",
        tile,
        xs_m=[mark.x_m for mark in marks],
        ys_m=[mark.y_m for mark in marks],
        store_ids=[None if store is None else str(store.store_id) for store in singles],
        external_ids=[None if store is None else store.external_id for store in singles],
        names=[None if store is None else store.name for store in singles],
        counts=[None if mark.store is not None else mark.stores for mark in marks],
    )


def _fences(connection: sa.Connection, tenant_id: TenantId, tile: Tile) -> bytes:
    # two resolutions finer than what is readable: a fence has many cells
    finest = FINEST_RES if tile.z >= ALL_FENCES_FROM_ZOOM else min(tile.readable_res + 2, LARGE_RES)
    spans = spans_of(tile, finest)
    return _drawn(
        connection,
        "tile_fences",
        tile,
        lows=spans.low,
        highs=spans.high,
        tenant_id=tenant_id,
        most=MOST,
        middle_deg=tile.middle_m[0] / WORLD_M * 360.0,
        unit_m=tile.size_m / EXTENT,
    )


def _cells(connection: sa.Connection, tenant_id: TenantId, tile: Tile) -> bytes:
    spans = spans_of(tile, tile.readable_res)
    asked = {"lows": spans.low, "highs": spans.high, "tenant_id": tenant_id, "most": MOST}
    outlines = [
        (_wkb(outline), row)
        for row in connection.execute(block("cells_in_spans"), asked)
        if (outline := outline_m(row.cell, tile.middle_m[0])) is not None
    ]
    if not outlines:
        return b""
    return _drawn(
        connection,
        "tile_cells",
        tile,
        wkbs=[wkb for wkb, _ in outlines],
        names=[f"{row.cell:x}" for _, row in outlines],
        counts=[row.fences for _, row in outlines],
    )


def _drawn(connection: sa.Connection, name: str, tile: Tile, **given: Any) -> bytes:
    return bytes(connection.execute(block(name), {"z": tile.z, "x": tile.x, "y": tile.y, **given}).scalar_one())


def _wkb(outline: Floats) -> bytes:
    """A polygon of one ring, which is closed here."""
    corners = [*outline.tolist(), outline[0].tolist()]
    return _WKB_POLYGON.pack(1, 3, 1, len(corners)) + b"".join(struct.pack("<2d", *corner) for corner in corners)
