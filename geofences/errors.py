"""What can go wrong in the geofence domain. These errors know no HTTP; `lbs/errors.py` maps every one to an answer."""


class GeofencesError(Exception):
    """Base of all errors of this room; `str(error)` is safe to show to the caller."""


class InvalidGeometryError(GeofencesError):
    """A geometry that cannot be a fence: says what is wrong and where."""


class InvalidPositionError(GeofencesError):
    """A position that is refused; the message is one of the reasons of SEMANTICS, e.g. `too_old`."""


class UnknownTimezoneError(GeofencesError):
    """A zone name that the pinned time-zone database does not have."""


class NotFoundError(GeofencesError):
    """The tenant has no such thing (or it is another tenant's, which must look the same)."""


class ConflictError(GeofencesError):
    """The thing exists already, or changed since it was read."""


class LogUnavailableError(GeofencesError):
    """The position log cannot be reached: nothing was accepted."""


class LogFullError(GeofencesError):
    """The position log has no room: nothing was accepted, and there will be room once some of it is handled."""


class LostShardError(GeofencesError):
    """Another engine owns the shard now: this one must stop writing to it."""
