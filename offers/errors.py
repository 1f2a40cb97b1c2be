"""What can go wrong in the offers domain. These errors know no HTTP; `lbs/errors.py` maps every one to an answer."""


class OffersError(Exception):
    """Base of all errors of this room; `str(error)` is safe to show to the caller and to log."""


class ForbiddenAddressError(OffersError):
    """A URL or network address that this installation must not call; the message never repeats the address."""


class InvalidSubscriptionError(OffersError):
    """The address of a push channel is malformed: nothing could ever be sent to it."""


class InvalidHoursError(OffersError):
    """Opening hours that cannot be read: says where the text stops making sense."""


class InvalidCredentialsError(OffersError):
    """Credentials of a push provider that cannot be used; the message says what is wrong, and shows nothing of them."""


class InvalidScheduleError(OffersError):
    """Campaign windows that cannot be read; the message names the path, e.g. `windows.weekly[0].start: ...`."""


class InvalidCampaignError(OffersError):
    """A campaign that names what does not exist, or contradicts itself."""


class TooManyStoresError(OffersError):
    """A search that would have to sort more stores than it may; says what to ask instead."""


class ApprovalError(OffersError):
    """Somebody else has to approve this campaign."""


class MalformedCodeError(OffersError):
    """Text that no code can be: mistyped, or no code at all."""


class UnknownCodeError(OffersError):
    """A well-formed code, or a token, that nobody gave out."""


class RefusedError(OffersError):
    """An offer that cannot be claimed, or a code that cannot be used, for a reason that a program can read."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
