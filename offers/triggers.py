"""Where a campaign's decisions were triggered: H3 cells of the places they were about, never resting on fewer than k.

Everything is counted by the finest cell first; a fine cell of fewer than k devices is left out of the coarser ones too,
so that no two resolutions tell what one of them withholds. Figures are rounded down to multiples of k, so that neither
the overlap of two cells nor a look before and after tells of one device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from geofences.index import cells_of
from geofences.sql import queries
from geofences.tiling import ancestors

if TYPE_CHECKING:
    import sqlalchemy as sa

    from geofences.model import TenantId
    from offers.model import CampaignId

FINEST_RES: Final = 10
COARSEST_RES: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggeredCell:
    cell: int
    decisions: int
    devices: int


def triggers(
    connection: sa.Connection, tenant_id: TenantId, campaign_id: CampaignId, *, res: int, k: int
) -> list[TriggeredCell]:
    """In order of cells. Who said no to analytics is left out."""
    places = connection.execute(queries("offers")["places_of_tenant"], {"tenant_id": tenant_id}).all()
    lat, lng = (np.array([getattr(place, name) for place in places], dtype=np.float64) for name in ("lat", "lng"))
    fine = cells_of(lat, lng, FINEST_RES)
    asked = {
        "tenant_id": tenant_id,
        "campaign_id": campaign_id,
        "place_ids": [place.place_id for place in places],
        "fine": fine.tolist(),
        "cells": ancestors(fine, res).tolist(),
        "k": k,
    }
    return [
        TriggeredCell(cell=row.cell, decisions=_rounded(row.decisions, k), devices=_rounded(row.devices, k))
        for row in connection.execute(queries("offers")["triggers"], asked)
    ]


def _rounded(figure: int, k: int) -> int:
    return int(figure) // k * k
