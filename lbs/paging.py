"""Lists in pages: `{items, next_cursor}`. A cursor is opaque text that says after which item to go on."""

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from fastapi import Query
from pydantic import BaseModel, Field

from lbs.errors import Fault, MalformedError
from lbs.fields import INT64_MAX

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000

Item = TypeVar("Item")
Place = TypeVar("Place")

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Items of a page.")]
CursorText = Annotated[
    str | None, Query(max_length=200, description="`next_cursor` of the page before; none for the first page.")
]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None = Field(default=None, description="Where the next page begins; null on the last page.")


def cursor_of(place: object) -> str:
    """The cursor of the last item of a page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).rstrip(b"=").decode("ascii")


def place_of(cursor: str, kind: type[Place]) -> Place:
    """The inverse; MalformedError for text that is no cursor of this list."""
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        fault = Fault("query.cursor", "not a cursor of this list: take `next_cursor` of the page before")
        raise MalformedError(fault.message, fault) from error


def id_after(cursor: str | None) -> int:
    """Lists in order of ids: the id after which the page begins."""
    return 0 if cursor is None else min(max(place_of(cursor, int), 0), INT64_MAX)


def cut(rows: Sequence[Item], limit: int) -> tuple[Sequence[Item], bool]:
    """Of `limit + 1` rows asked for, those of the page, and whether there are more."""
    return rows[:limit], len(rows) > limit
