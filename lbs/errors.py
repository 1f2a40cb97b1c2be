"""Errors of this room, and the one table that says how every domain error is answered over HTTP.

Domain errors know no HTTP; this table is the only place that does. A test walks all subclasses: none may lack a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from geofences import errors as geofences
from geofences.import_columns import MapError
from geofences.import_rows import UnreadableFileError
from offers import errors as offers


class LbsError(Exception):
    """Base of all errors of this room; `str(error)` is safe to show to the caller."""


class UnauthorizedError(LbsError):
    """No key and no session, or one that nobody gave out, that was revoked or that has ended."""


class ForbiddenError(LbsError):
    """A good key, or somebody signed in, that may not do this."""


class PasswordError(LbsError):
    """A password that nobody should have; the text says the rule."""


class ProviderUnavailableError(LbsError):
    """The sign-in provider does not answer, or not as OpenID Connect says."""


class NoConsentError(LbsError):
    """The device has not consented to what was asked: nothing was stored."""


class ErasedError(LbsError):
    """The device was erased, and nobody has registered it since: nothing was stored."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request, and where: `body.positions[3].lat`."""

    where: str
    message: str


class MalformedError(LbsError):
    """A request that cannot be read; `faults` says what is wrong in it."""

    def __init__(self, message: str, *faults: Fault) -> None:
        super().__init__(message)
        self.faults = faults


class UnsupportedMediaTypeError(LbsError):
    """A body in a format that this route does not read."""


class BodyTooLargeError(LbsError):
    """More bytes than the installation accepts in one request."""


class TooManyRequestsError(LbsError):
    """Come back after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class KeyReusedError(LbsError):
    """An Idempotency-Key that came before with another request."""


class WriteInProgressError(LbsError):
    """A write with the same Idempotency-Key is being done at this moment."""


class NotReadyError(LbsError):
    """The process is still loading what it answers from."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How one kind of error is answered; `retry_after_s` where trying again helps."""

    status: int
    slug: str
    title: str
    retry_after_s: int | None = None


ANSWERS: Final[dict[type[Exception], Answer]] = {
    geofences.InvalidGeometryError: Answer(422, "invalid-geometry", "The geometry cannot be a fence"),
    geofences.InvalidPositionError: Answer(422, "invalid-position", "The position is not on earth"),
    geofences.UnknownTimezoneError: Answer(422, "unknown-timezone", "No such time zone"),
    geofences.NotFoundError: Answer(404, "not-found", "Not found"),
    geofences.ConflictError: Answer(409, "conflict", "It exists already, or its state does not allow this"),
    geofences.LogUnavailableError: Answer(503, "log-unavailable", "Nothing was accepted", retry_after_s=1),
    geofences.LogFullError: Answer(429, "log-full", "The position log is full", retry_after_s=5),
    geofences.LostShardError: Answer(500, "internal", "Internal error"),
    offers.ForbiddenAddressError: Answer(422, "forbidden-address", "An address that may not be called"),
    offers.InvalidSubscriptionError: Answer(422, "invalid-channel", "The channel's address is malformed"),
    offers.InvalidCredentialsError: Answer(422, "invalid-credentials", "The credentials cannot be used"),
    offers.InvalidHoursError: Answer(422, "invalid-opening-hours", "The opening hours cannot be read"),
    offers.InvalidScheduleError: Answer(422, "invalid-schedule", "The campaign windows cannot be read"),
    offers.InvalidCampaignError: Answer(422, "invalid-campaign", "The campaign contradicts itself or what exists"),
    offers.TooManyStoresError: Answer(422, "too-many-stores", "Too many stores to sort"),
    offers.ApprovalError: Answer(403, "approval-refused", "Somebody else has to approve this"),
    offers.MalformedCodeError: Answer(422, "malformed-code", "No code is written like that"),
    offers.UnknownCodeError: Answer(404, "unknown-code", "Nobody was given this code"),
    offers.RefusedError: Answer(409, "refused", "The offer cannot be claimed, or the code not be used"),
    MapError: Answer(422, "invalid-map", "The column map cannot be applied"),
    UnreadableFileError: Answer(422, "unreadable-file", "The file cannot be read"),
    UnauthorizedError: Answer(401, "unauthorized", "A valid key or session is needed"),
    ForbiddenError: Answer(403, "forbidden", "The caller may not do that"),
    PasswordError: Answer(422, "password", "The password will not do"),
    ProviderUnavailableError: Answer(
        503, "provider-unavailable", "The sign-in provider does not answer", retry_after_s=5
    ),
    NoConsentError: Answer(403, "no_consent", "The device has not consented"),
    ErasedError: Answer(410, "erased", "The device was erased"),
    MalformedError: Answer(422, "malformed", "The request cannot be read"),
    UnsupportedMediaTypeError: Answer(415, "unsupported-media-type", "Unsupported media type"),
    BodyTooLargeError: Answer(413, "body-too-large", "The body is too large"),
    TooManyRequestsError: Answer(429, "too-many-requests", "Too many requests"),
    KeyReusedError: Answer(422, "idempotency-key-reused", "The Idempotency-Key belongs to another request"),
    WriteInProgressError: Answer(409, "write-in-progress", "The same write is being done", retry_after_s=1),
    NotReadyError: Answer(503, "not-ready", "Still loading", retry_after_s=1),
}

BASES: Final = (geofences.GeofencesError, offers.OffersError, LbsError)
"""Whatever a route raises on purpose is one of these."""

INTERNAL: Final = Answer(500, "internal", "Internal error")
UNAVAILABLE: Final = Answer(503, "unavailable", "A server behind this one does not answer", retry_after_s=1)
HTTP: Final = {
    404: Answer(404, "no-such-route", "No such route"),
    405: Answer(405, "method-not-allowed", "The route does not take this method"),
}
"""What the framework itself refuses."""


def answer_to(error: Exception) -> Answer:
    """The row of an error's class; an error without one is an internal one."""
    return ANSWERS.get(type(error), INTERNAL)
