"""The geofence engine: stores, fences, H3 cover, index, tracker, visits. Knows no offers, no HTTP, no settings."""
