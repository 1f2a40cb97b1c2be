"""What compiled code may ask of fences: the tables of FenceIndex, and functions that take them."""

from __future__ import annotations

from geofences.fence_tables import NONE, FenceTables
from geofences.nearness import confidence_of, signed_distance_m

__all__ = ["NONE", "FenceTables", "confidence_of", "signed_distance_m"]
