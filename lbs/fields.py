"""Field types that several routes share: text that Postgres can store, free objects of bounded size, public ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import msgspec
from fastapi import Query
from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from geofences.errors import NotFoundError, UnknownTimezoneError
from geofences.zones import zone

MAX_OBJECT_BYTES: Final = 16_384
INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1
EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Times outside are surely mistakes, and far outside local time cannot be computed."""

# Postgres stores any character but this one
_NO_NUL: Final = r"^[^\x00]*$"


def _storable(value: dict[str, Any]) -> dict[str, Any]:
    encoded = msgspec.json.encode(value)
    if len(encoded) > MAX_OBJECT_BYTES:
        raise ValueError(f"larger than {MAX_OBJECT_BYTES} bytes")
    if rb"\u0000" in encoded:
        raise ValueError("must not contain the character U+0000")
    return value


def _known_zone(name: str) -> str:
    try:
        return zone(name).key
    except UnknownTimezoneError as error:
        raise ValueError(str(error)) from error


def _not_far(at: datetime) -> datetime:
    if not EARLIEST <= at < LATEST:
        raise ValueError("must lie between 1970 and 2200")
    return at


ExternalId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, pattern=_NO_NUL),
    Field(description="The client's own text for it, kept as given.", examples=["store-42"]),
]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_NO_NUL)]
LongText = Annotated[str, StringConstraints(max_length=2000, pattern=_NO_NUL)]
JsonObject = Annotated[dict[str, Any], AfterValidator(_storable)]
Timezone = Annotated[
    str,
    StringConstraints(max_length=64),
    AfterValidator(_known_zone),
    Field(description="IANA name.", examples=["Europe/Helsinki"]),
]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False, examples=[60.1699])]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False, examples=[24.9384])]
SeenVersion = Annotated[
    int | None,
    Query(ge=1, le=INT32_MAX, description="The version you looked at: if there is a newer one, 409 and no change."),
]
Instant = Annotated[AwareDatetime, AfterValidator(_not_far), Field(examples=["2026-06-01T12:00:00Z"])]


def id_of(text: str, what: str) -> int:
    """The number behind a public id; NotFoundError for text that is none, as for one that nobody has."""
    if text.isascii() and text.isdecimal() and len(text) <= len(str(INT64_MAX)) and int(text) <= INT64_MAX:
        return int(text)
    raise NotFoundError(f"no {what} of that id")


def language_of(accept_language: str | None) -> str | None:
    """The first language that an `Accept-Language` header names."""
    return (accept_language or "").partition(",")[0].partition(";")[0].strip() or None
