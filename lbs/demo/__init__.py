"""The sample city of `lbs demo`: stores, campaigns, walkers and receivers."""
