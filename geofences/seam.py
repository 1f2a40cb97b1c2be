"""Rings across 180 degrees and round the poles, laid out flat so that a plane geometry library can handle them.

Arrays of shape (n, 2), lng then lat, closed. The reading of RFC 7946 that people send: an edge longer than 180 degrees
of longitude means the short way across 180, and longitudes beyond 180 are the same places written on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from geofences.geodesy import HALF_TURN_DEG, POLE_DEG, TURN_DEG

if TYPE_CHECKING:
    from geofences.model import Floats

Pole = Literal["north", "south"]
WHOLE_PARALLEL_DEG = 1e-9
"""An edge this near to 360 degrees runs along a whole parallel, as the edges of a latitude band do."""
_COPIES = range(-2, 3)


def crosses_180(lng_lat: Floats) -> bool:
    """Whether a ring lies across 180 degrees: beyond it, or with an edge of more than 180 but not 360 degrees."""
    lng = lng_lat[:, 0]
    step = np.abs(np.diff(lng))
    long_way = (step > HALF_TURN_DEG) & (np.abs(step - TURN_DEG) > WHOLE_PARALLEL_DEG)
    return bool(np.any(np.abs(lng) > HALF_TURN_DEG) or np.any(long_way))


def unrolled(lng_lat: Floats) -> tuple[Floats, int]:
    """The ring with every edge going the short way, and how often it goes round the earth: > 0 is eastward.

    >>> ring, turns = unrolled(np.array([[170.0, 0.0], [-170.0, 0.0], [-170.0, 5.0], [170.0, 0.0]]))
    >>> ring[:, 0].tolist(), turns
    ([170.0, 190.0, 190.0, 170.0], 0)
    """
    rounds = -np.concatenate([[0.0], np.cumsum(np.round(np.diff(lng_lat[:, 0]) / TURN_DEG))])
    flat = lng_lat.copy()
    flat[:, 0] += rounds * TURN_DEG
    turns = round(float(flat[-1, 0] - flat[0, 0]) / TURN_DEG)
    flat[:, 0] -= TURN_DEG * np.floor((flat[:, 0].min() + HALF_TURN_DEG) / TURN_DEG)
    return flat, turns


def pole_cap(lng_lat: Floats, pole: Pole) -> Floats:
    """What lies between a pole and a ring that goes once round the earth, as a ring five times as wide as the earth.

    The ring is repeated beyond both sides of [-180, 180] and closed over the pole out there, from its vertex nearest to
    that pole, where the closing edges can cross nothing. Cut to [-180, 180] it is the cap, with no joint inside.
    """
    flat, turns = unrolled(lng_lat)
    eastward = flat[:-1] if turns > 0 else flat[:0:-1]
    pole_lat_deg = POLE_DEG if pole == "north" else -POLE_DEG
    nearest = int(np.argmin(np.abs(eastward[:, 1] - pole_lat_deg)))
    once = np.roll(eastward, -nearest, axis=0)
    once, _ = unrolled(np.concatenate([once, once[:1]]))
    once = once[:-1] - [TURN_DEG * np.round(once[0, 0] / TURN_DEG), 0.0]
    chain = np.concatenate([np.add(once, [TURN_DEG * k, 0.0]) for k in _COPIES])
    last = [chain[0, 0] + TURN_DEG * len(_COPIES), chain[0, 1]]
    closing = [last, [last[0], pole_lat_deg], [chain[0, 0], pole_lat_deg], chain[0].tolist()]
    return np.concatenate([chain, np.array(closing)])
