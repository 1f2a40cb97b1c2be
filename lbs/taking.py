"""The one way of positions into the log, whatever format they came in: whose they are, whether they are good, append.

If the log is away or full nothing is taken and the caller hears so. A device that is remembered needs no Postgres.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool

from geofences.errors import NotFoundError
from geofences.log import LIVE, Entry, EntryKind, shard_of
from geofences.store import create_devices, device_id_for, use_tenant
from geofences.tables import ConsentSource, Purpose
from geofences.visits import to_us
from lbs.auth import CallerKind
from lbs.deps import own_device
from lbs.errors import ForbiddenError
from lbs.ingest import judge
from lbs.tombstones import check_not_erased

if TYPE_CHECKING:
    from geofences.model import DeviceId, Positions
    from lbs.auth import Caller
    from lbs.directory import DeviceFacts
    from lbs.ingest import PositionBody, Rejected
    from lbs.services import Services

VOUCHED: Final = (Purpose.LOCATION, Purpose.PUSH)
"""What a tenant vouches for when its server sends positions of a device that nobody registered."""


async def device_of(services: Services, caller: Caller, external_id: str) -> DeviceFacts:
    """The device if the caller may speak for it; made, for a secret key, if there is none."""
    device_id = own_device(caller, external_id)
    device = services.directory.remembered(device_id) or await _loaded(services, device_id)
    if device is None and caller.kind is CallerKind.SECRET:
        device = await _created(services, caller, external_id)
    if device is None or device.tenant_id != caller.tenant_id:
        raise NotFoundError(f"no device {external_id!r}: register it first")
    if caller.kind is CallerKind.PUBLISHABLE:
        # everybody has the publishable key: with it alone anybody could move anybody
        raise ForbiddenError("sending positions needs the device's token or a secret key")
    return device


async def device_of_token(services: Services, device_id: DeviceId) -> DeviceFacts:
    """The device that a good token belongs to."""
    device = services.directory.remembered(device_id) or await _loaded(services, device_id)
    if device is None:
        raise NotFoundError("the device was erased a moment ago")
    return device


async def take(services: Services, device: DeviceFacts, said: list[PositionBody]) -> tuple[Positions, list[Rejected]]:
    """The positions that the log has now, and those that are none. The device must have consented."""
    positions, rejected = judge(
        said,
        tenant_id=device.tenant_id,
        device_id=device.device_id,
        received_us=to_us(services.now()),
        horizon_s=services.settings.horizon_s,
        future_s=services.settings.future_s,
    )
    if len(positions):
        scope = device.tenant_id if device.sandbox else LIVE
        entry = Entry(kind=EntryKind.POSITIONS, clock_us=0, scope=scope, positions=positions)
        await services.appender.append(shard_of(device.device_id), entry)
        services.metrics.positions_accepted.inc(len(positions))
        services.rates.add(device.tenant_id, len(positions))
    return positions, rejected


async def _loaded(services: Services, device_id: DeviceId) -> DeviceFacts | None:
    return await run_in_threadpool(services.directory.load, device_id)


async def _created(services: Services, caller: Caller, external_id: str) -> DeviceFacts | None:
    device_id = device_id_for(caller.tenant_id, external_id)

    def create() -> DeviceFacts | None:
        with services.api.begin() as connection:
            use_tenant(connection, caller.tenant_id)
            create_devices(
                connection,
                tenant_id=caller.tenant_id,
                external_ids=[external_id],
                purposes=VOUCHED,
                source=ConsentSource.SERVER,
                at=services.now(),
            )
            check_not_erased(
                connection, settings=services.settings, tenant_id=caller.tenant_id, external_id=external_id
            )
        return services.directory.load(device_id)

    device = await run_in_threadpool(create)
    if device is not None:
        await _tell_engine(services, caller, device_id)
    return device


async def _tell_engine(services: Services, caller: Caller, device_id: DeviceId) -> None:
    """The engine may remember an erased device of the same id, without consent."""
    scope = caller.tenant_id if caller.sandbox else LIVE
    entry = Entry(kind=EntryKind.CONSENT, clock_us=0, scope=scope, device_id=device_id, granted=True)
    await services.appender.append(shard_of(device_id), entry)
