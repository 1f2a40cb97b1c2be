"""Where devices were seen around a store, by H3 cell and UTC day. No figure of fewer than k devices."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from geofences.cover import cell_text, cells_within, parents
from geofences.model import LatLng
from geofences.periods import day_after, period_around
from geofences.sql import queries
from geofences.withholding import rounded

if TYPE_CHECKING:
    from datetime import date

    import sqlalchemy as sa

    from geofences.model import Cell
    from geofences.periods import Grain, Period
    from geofences.traffic import Place

RADIUS_M: Final = 1_500.0
RESOLUTIONS: Final = (8, 9, 10)


def heat(
    connection: sa.Connection, place: Place, grain: Grain, day: date, resolution: int, *, k: int
) -> tuple[Period, list[tuple[str, int]]]:
    """The period around a day, and how many devices were seen in each cell of it, as they may be told."""
    period = period_around(grain, day, place.zone)
    center = connection.execute(queries("geofences")["place_of_store"], {"store_id": place.store_id}).one()
    cells, ancestors = _around(center.lat, center.lng, resolution)
    rows = connection.execute(
        queries("geofences")["seen_around"],
        {
            "tenant_id": place.tenant_id,
            "cells": cells,
            "parents": ancestors,
            "first_day": period.first_day,
            "last_day": day_after(grain, day),
        },
    )
    found = ((cell_text(row.cell), rounded(row.devices, k)) for row in rows)
    return period, [(cell, devices) for cell, devices in found if devices is not None]


@lru_cache(maxsize=1024)
def _around(lat: float, lng: float, resolution: int) -> tuple[list[Cell], list[Cell]]:
    """The finest cells around a place, and what each is told in; finding them takes longer than asking."""
    cells = sorted(cells_within(LatLng(lat=lat, lng=lng), RADIUS_M, RESOLUTIONS[-1]))
    return cells, parents(cells, resolution)
