"""Registering and changing devices: consents, channels, tokens, and telling the engine about location consent.

Every word on location consent goes into the position log once it is committed: an engine that heard of a device before
Postgres shows it would not know it. If the log is down then, the caller gets an error and repeats, which tells the
engine again; meanwhile the API refuses positions by what Postgres says.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator
from sqlalchemy.dialects.postgresql import insert

from geofences.errors import ConflictError, NotFoundError
from geofences.log import LIVE, Entry, EntryKind, shard_of
from geofences.store import Consent, announce, device_id_for, find_device, put_consents, put_device
from geofences.tables import ChangeKind, ConsentSource, Purpose, devices
from geofences.visits import to_us
from lbs.auth import CallerKind
from lbs.channels import ChannelBody, put_channels
from lbs.errors import ForbiddenError
from lbs.fields import ExternalId, Instant, JsonObject, ShortText, Timezone
from lbs.identity import is_vouched, user_hash_key
from lbs.limits import count
from lbs.sql import block
from lbs.tombstones import begin_anew

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from geofences.model import DeviceId
    from geofences.store import Device
    from lbs.auth import Caller
    from lbs.services import Services

GENERATIONS: Final = 2**30
"""Half of what the column holds, so that it can be raised as often as anybody likes."""


class ConsentBody(BaseModel):
    """What a person agreed to, or took back."""

    model_config = ConfigDict(extra="forbid")

    purpose: Purpose
    granted: bool = True
    version: Annotated[ShortText, Field(description="Of the text that was agreed to.", examples=["2026-01"])]
    at: Annotated[Instant | None, Field(description="When; none: now.")] = None


WallTime = Annotated[str, StringConstraints(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"), Field(examples=["21:00"])]


class QuietTimesBody(BaseModel):
    """When the person wants quiet, in the device's zone; an `end` at or before `start` lies on the next day."""

    model_config = ConfigDict(extra="forbid")

    start: WallTime
    end: WallTime


class DeviceChange(BaseModel):
    """What is to change; a field that is missing or null stays as it is, but `quiet_times: null` takes them away."""

    model_config = ConfigDict(extra="forbid")

    external_user_id: Annotated[
        ExternalId | None, Field(description="The client's own id of the person; several devices may share it.")
    ] = None
    external_user_hash: Annotated[
        str | None,
        StringConstraints(max_length=64),
        Field(
            description="HMAC-SHA256 of external_user_id under the tenant's user hash key, in hexadecimal, made by its "
            "server. Without it an app's word for the person is kept, but nothing is shared with their other devices."
        ),
    ] = None
    attributes: Annotated[
        JsonObject | None,
        Field(description="All of the app's from now on, or with a secret key all; a server's count before an app's."),
    ] = None
    quiet_times: QuietTimesBody | None = None
    timezone: Timezone | None = None
    locale: Annotated[
        str | None,
        StringConstraints(max_length=35, pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$"),
        Field(examples=["fi-FI"]),
    ] = None
    channels: Annotated[
        list[ChannelBody] | None, Field(max_length=20, description="All channels of the device from now on.")
    ] = None
    consents: Annotated[list[ConsentBody], Field(max_length=len(Purpose))] = []

    @field_validator("consents")
    @classmethod
    def _one_word_each(cls, consents: list[ConsentBody]) -> list[ConsentBody]:
        if len({consent.purpose for consent in consents}) < len(consents):
            raise ValueError("a purpose appears twice")
        return consents


def create_device(connection: sa.Connection, *, caller: Caller, external_id: str, services: Services) -> bool:
    """Makes the device if it is new, and says whether it was."""
    device_id = device_id_for(caller.tenant_id, external_id)
    statement = (
        insert(devices)
        .values(
            device_id=device_id,
            tenant_id=caller.tenant_id,
            external_id=external_id,
            generation=_first_generation(),
        )
        .on_conflict_do_nothing()
        .returning(devices.c.device_id)
    )
    created = connection.execute(statement).first() is not None
    if not created and caller.kind is CallerKind.PUBLISHABLE:
        # everybody has the publishable key: it must not be enough to become a device that exists
        raise ConflictError("this device exists already; changing it needs its token or a secret key")
    if created:
        begin_anew(connection, settings=services.settings, tenant_id=caller.tenant_id, external_id=external_id)
    return created


def _first_generation() -> int:
    """Random, so that an erased device that comes back takes no tokens of the one before; 0 is no generation."""
    return 1 + secrets.randbelow(GENERATIONS)


def change_device(
    connection: sa.Connection,
    change: DeviceChange,
    *,
    caller: Caller,
    external_id: str,
    services: Services,
    after: list[Callable[[], None]],
    created: bool = False,
) -> None:
    """Applies a change to a device that exists (NotFoundError), and tells all processes last.

    `after` is what happens once it is committed: the engine is told of every word on the consent to location, so that
    repeating a request whose last step failed repeats that step too.

    A device that was `created` in this transaction is remembered by nobody yet.
    """
    # or it could be erased in between, and what is written here would bring it back
    named = {"tenant_id": caller.tenant_id, "device_id": device_id_for(caller.tenant_id, external_id)}
    connection.execute(block("keep_device"), named)
    before = find_device(connection, tenant_id=caller.tenant_id, external_id=external_id)
    now = services.now()
    given_columns: dict[str, Any] = {
        name: value
        for name, value in {"timezone": change.timezone, "locale": change.locale}.items()
        if value is not None
    }
    if "quiet_times" in change.model_fields_set:
        given_columns["quiet_times"] = None if change.quiet_times is None else change.quiet_times.model_dump()
    given_columns |= _attributes(change, caller) | _person(change, before, caller, services)
    if caller.kind is CallerKind.SECRET:
        given_columns["vouched_at"] = now
    put_device(connection, tenant_id=caller.tenant_id, external_id=external_id, given=given_columns)
    if change.channels is not None:
        put_channels(connection, change.channels, caller=caller, device_id=before.device_id, services=services)
    source = ConsentSource.SERVER if caller.kind is CallerKind.SECRET else ConsentSource.APP
    given = [
        Consent(
            purpose=consent.purpose,
            granted=consent.granted,
            version=consent.version,
            source=source,
            at=consent.at or now,
        )
        for consent in change.consents
    ]
    put_consents(connection, tenant_id=caller.tenant_id, device_id=before.device_id, given=given)
    for consent in given:
        if consent.purpose is Purpose.LOCATION:
            tell = partial(tell_engine, services, caller=caller, device_id=before.device_id, granted=consent.granted)
            after.append(tell)
    if not created:
        announce_device(connection, caller=caller, device_id=before.device_id, now=now)


def _attributes(change: DeviceChange, caller: Caller) -> dict[str, Any]:
    """A server's word replaces all that was said; an app's only what an app said."""
    if change.attributes is None:
        return {}
    if caller.kind is CallerKind.SECRET:
        return {"vouched_attributes": change.attributes, "attributes": {}}
    return {"attributes": change.attributes}


def _person(change: DeviceChange, before: Device, caller: Caller, services: Services) -> dict[str, Any]:
    """Whose device it is, and whether a server says so. ForbiddenError for an app that cannot prove it."""
    user, given = change.external_user_id, change.external_user_hash
    if user is None:
        if given is not None:
            raise ForbiddenError("external_user_hash comes with the external_user_id that it proves")
        return {}
    if caller.kind is CallerKind.SECRET:
        return {"external_user_id": user, "user_vouched": True}
    if given is not None:
        if not is_vouched(user_hash_key(services.settings, caller.tenant_id), user, given):
            raise ForbiddenError("external_user_hash is not that of this external_user_id")
        return {"external_user_id": user, "user_vouched": True}
    if before.user_vouched and before.external_user_id != user:
        raise ForbiddenError("a server said whose device this is: another person needs external_user_hash")
    return {"external_user_id": user}


def announce_device(connection: sa.Connection, *, caller: Caller, device_id: DeviceId, now: datetime) -> None:
    """Makes every process forget what it remembers of the device. Call it last in the transaction."""
    announce(connection, tenant_id=caller.tenant_id, kind=ChangeKind.DEVICE, object_ids=[device_id], effective_at=now)


def tell_engine(services: Services, *, caller: Caller, device_id: DeviceId, granted: bool) -> None:
    """Appends a change of location consent to the device's shard; LogUnavailableError if the log is away."""
    entry = Entry(
        kind=EntryKind.CONSENT,
        clock_us=to_us(services.now()),
        scope=caller.tenant_id if caller.sandbox else LIVE,
        device_id=device_id,
        granted=granted,
    )
    services.position_log.append([(shard_of(device_id), entry)])


def device_token(connection: sa.Connection, *, caller: Caller, device_id: DeviceId, services: Services) -> str:
    """A token of the device's present generation; one that ingest created gets its first generation now."""
    mine = sa.and_(devices.c.device_id == device_id, devices.c.tenant_id == caller.tenant_id)
    first = sa.update(devices).where(mine, devices.c.generation == 0)
    connection.execute(first.values(generation=_first_generation()))
    generation = connection.execute(sa.select(devices.c.generation).where(mine)).scalar()
    if generation is None:
        raise NotFoundError("no such device")
    return services.tokens.issue(tenant_id=caller.tenant_id, device_id=device_id, generation=generation)


def revoke_tokens(connection: sa.Connection, *, caller: Caller, device: Device, services: Services) -> None:
    """Makes all tokens that were given out for the device useless."""
    mine = sa.and_(devices.c.device_id == device.device_id, devices.c.tenant_id == caller.tenant_id)
    connection.execute(sa.update(devices).where(mine).values(generation=devices.c.generation + 1))
    announce_device(connection, caller=caller, device_id=device.device_id, now=services.now())


def limit_registrations(services: Services, caller: Caller) -> None:
    """TooManyRequestsError once a publishable key has registered as many devices this minute as it may."""
    count(
        services,
        "registered",
        whose=caller.key_id,
        at_most=services.settings.register_per_minute,
        told="this key has registered as many devices this minute as it may",
    )
