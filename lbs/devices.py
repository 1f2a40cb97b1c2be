"""Registering and changing devices: consents, channels, tokens, and telling the engine about location consent.

Every word on location consent goes into the position log once it is committed: an engine that heard of a device before
Postgres shows it would not know it. If the log is down then, the caller gets an error and repeats, which tells the
engine again; meanwhile the API refuses positions by what Postgres says.
"""

from __future__ import annotations

import secrets
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

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
from lbs.errors import TooManyRequestsError
from lbs.fields import ExternalId, Instant, JsonObject, ShortText, Timezone

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from geofences.model import DeviceId
    from geofences.store import Device
    from lbs.auth import Caller
    from lbs.services import Services

GENERATIONS: Final = 2**30
"""Half of what the column holds, so that it can be raised as often as anybody likes."""
MINUTE_S: Final = 60


class ConsentBody(BaseModel):
    """What a person agreed to, or took back."""

    model_config = ConfigDict(extra="forbid")

    purpose: Purpose
    granted: bool = True
    version: Annotated[ShortText, Field(description="Of the text that was agreed to.", examples=["2026-01"])]
    at: Annotated[Instant | None, Field(description="When; none: now.")] = None


class DeviceChange(BaseModel):
    """What is to change; a field that is missing or null stays as it is."""

    model_config = ConfigDict(extra="forbid")

    external_user_id: Annotated[
        ExternalId | None, Field(description="The client's own id of the person; several devices may share it.")
    ] = None
    attributes: JsonObject | None = None
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


def create_device(connection: sa.Connection, *, caller: Caller, external_id: str) -> bool:
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
    before = find_device(connection, tenant_id=caller.tenant_id, external_id=external_id)
    now = services.now()
    put_device(
        connection,
        tenant_id=caller.tenant_id,
        external_id=external_id,
        external_user_id=change.external_user_id,
        attributes=change.attributes,
        timezone=change.timezone,
        locale=change.locale,
    )
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
    now_s = int(services.now().timestamp())
    minute = now_s // MINUTE_S
    key = f"{services.settings.redis_prefix}:registered:{caller.key_id}:{minute}"
    pipeline = services.redis.pipeline(transaction=False)
    pipeline.incr(key)
    pipeline.expire(key, 2 * MINUTE_S)
    if int(pipeline.execute()[0]) > services.settings.register_per_minute:
        raise TooManyRequestsError(
            "this key has registered as many devices this minute as it may",
            retry_after_s=MINUTE_S - now_s % MINUTE_S,
        )
