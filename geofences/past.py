"""What Postgres remembers, as the tracker asks for it. Reads only, as the system role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geofences.batch import identities
from geofences.log import LIVE
from geofences.memory import DeviceFacts
from geofences.model import POSITION_DTYPE, DeviceId, EndedBy, FenceId, TenantId, VisitStatus
from geofences.refold import Story
from geofences.sql import queries
from geofences.states import ENDINGS, MOMENT_DTYPE, NONE_US, STATUSES, Status
from geofences.visits import NO_STORE, ShardPlace, to_datetime, to_us

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import sqlalchemy as sa

    from geofences.batch import Identity
    from geofences.model import Positions, Shard
    from geofences.states import Moments


class StoredPast:
    """The tracker's past in the database; each question is a transaction of its own."""

    def __init__(self, database: sa.Engine) -> None:
        self._database = database

    def devices(self, device_ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceFacts]:
        """Facts of the devices that exist; the others were erased, and their positions go nowhere."""
        with self._database.connect() as connection:
            rows = connection.execute(queries("geofences")["device_facts"], {"device_ids": list(device_ids)}).all()
        return {
            DeviceId(row.device_id): DeviceFacts(
                tenant_id=TenantId(row.tenant_id),
                scope=TenantId(row.tenant_id) if row.sandbox else LIVE,
                consented=row.consented,
                floor_us=_us(row.withdrawn_at),
                acted_us=_us(row.settled_at),
                newest_us=None if row.newest_at is None else to_us(row.newest_at),
                good=None if row.good_at is None else (to_us(row.good_at), row.good_lat, row.good_lng),
                suspects=_fixes(row.suspect_at, row.suspect_lat, row.suspect_lng),
            )
            for row in rows
        }

    def known(self, wanted: Sequence[tuple[DeviceId, int]]) -> set[Identity]:
        """Identities of stored positions of these (device, recorded_us), to tell a repeat from a late position."""
        parameters = {
            "device_ids": [device for device, _ in wanted],
            "recorded_at": [to_datetime(us) for _, us in wanted],
        }
        with self._database.connect() as connection:
            rows = connection.execute(queries("geofences")["positions_at"], parameters).all()
        return set(identities(_positions(rows)))

    def good_since(self, device_ids: Sequence[DeviceId], since_us: int) -> Positions:
        """Their good positions from a time on, in order of device and time."""
        parameters = _each(device_ids, dict.fromkeys(device_ids, since_us))
        with self._database.connect() as connection:
            return _positions(connection.execute(queries("geofences")["good_positions_since"], parameters).all())

    def visitors(self, fence_id: FenceId, device_ids: Sequence[DeviceId], since_us: int) -> set[DeviceId]:
        """Those of the devices with a visit of the fence that was not settled by then."""
        asked = {"fence_id": fence_id, "device_ids": list(device_ids), "since": to_datetime(since_us)}
        with self._database.connect() as connection:
            return set(map(DeviceId, connection.execute(queries("geofences")["fence_visitors"], asked).scalars()))

    def stories(self, since_us: Mapping[DeviceId, int]) -> dict[DeviceId, Story]:
        """Each device's past from the latest time on, at or before `since_us`, at which it was about no fence."""
        start_us = dict(since_us)
        visits = np.empty(0, dtype=MOMENT_DTYPE)
        asked = list(start_us)
        with self._database.connect() as connection:
            while asked:
                rows = connection.execute(queries("geofences")["visits_not_settled"], _each(asked, start_us)).all()
                visits = np.concatenate([visits[~np.isin(visits["device_id"], asked)], _moments(rows)])
                asked = _began_before(visits, start_us)
            wanted = _each(list(start_us), start_us)
            positions = _positions(connection.execute(queries("geofences")["positions_since"], wanted).all())
            before = {row.device_id: row for row in connection.execute(queries("geofences")["trust_before"], wanted)}
        return {
            device_id: Story(
                positions=positions[positions["device_id"] == device_id],
                visits=visits[visits["device_id"] == device_id],
                good=None if row is None else (to_us(row.recorded_at), row.lat, row.lng),
                suspects=() if row is None or row.at is None else _fixes(row.at, row.lats, row.lngs),
            )
            for device_id in start_us
            for row in [before.get(device_id)]
        }


def _each(device_ids: Sequence[DeviceId], since_us: Mapping[DeviceId, int]) -> dict[str, Any]:
    return {
        "device_ids": list(device_ids),
        "since_each": [to_datetime(since_us[device_id]) for device_id in device_ids],
    }


def _began_before(visits: Moments, start_us: dict[DeviceId, int]) -> list[DeviceId]:
    """Devices of which a visit began before the start of their story; moves the start there."""
    earlier = []
    about = visits[visits["status"] != Status.RETRACTED]
    for device_id in map(DeviceId, np.unique(about["device_id"]).tolist()):
        began_us = int(about["entered_us"][about["device_id"] == device_id].min())
        if began_us < start_us[device_id]:
            start_us[device_id] = began_us
            earlier.append(device_id)
    return earlier


def _fixes(
    at: Iterable[datetime], lats: Iterable[float], lngs: Iterable[float]
) -> tuple[tuple[int, float, float], ...]:
    return tuple((to_us(when), lat, lng) for when, lat, lng in zip(at, lats, lngs, strict=True))


def load_places(connection: sa.Connection) -> dict[Shard, ShardPlace]:
    rows = connection.execute(queries("geofences")["shard_places"])
    return {row.shard: ShardPlace(epoch=row.epoch, offset=row.offset, seq=row.seq) for row in rows}


def unfinished(connection: sa.Connection, shards: Sequence[Shard]) -> tuple[Moments, Positions]:
    """What `Tracker.restore` takes: live visits of some shards, and good positions since their rows were written."""
    rows = connection.execute(queries("geofences")["unfinished_visits"], {"shards": list(shards)}).all()
    visits = _moments(rows)
    since: dict[DeviceId, int] = {}
    for device_id, as_of_us in zip(
        map(DeviceId, visits["device_id"].tolist()), visits["as_of_us"].tolist(), strict=True
    ):
        since[device_id] = min(as_of_us, since.get(device_id, as_of_us))
    parameters = _each(list(since), since)
    positions = connection.execute(queries("geofences")["good_positions_since"], parameters).all()
    return visits, _positions(positions)


def _us(at: datetime | None) -> int:
    return NONE_US if at is None else to_us(at)


def _positions(rows: Sequence[Any]) -> Positions:
    """Rows of `positions` as the log packs them."""
    return np.array([tuple(row) for row in rows], dtype=POSITION_DTYPE)


def _moments(rows: Sequence[Any]) -> Moments:
    """Rows of `visits` as the tracker tells them."""
    moments = np.zeros(len(rows), dtype=MOMENT_DTYPE)
    for i, row in enumerate(rows):
        moment = moments[i]
        moment["device_id"], moment["tenant_id"] = row.device_id, row.tenant_id
        moment["fence_id"], moment["fence_version"] = row.fence_id, row.fence_version
        moment["store_id"] = NO_STORE if row.store_id is None else row.store_id
        moment["entered_us"], moment["last_in_us"] = to_us(row.entered_at), to_us(row.last_in_at)
        moment["out_since_us"], moment["exited_us"] = _us(row.out_since), _us(row.exited_at)
        moment["dwelled_us"], moment["as_of_us"] = _us(row.dwelled_at), to_us(row.as_of)
        moment["settled_us"], moment["dwell_waits"] = _us(row.settled_at), row.dwell_waits
        moment["root_id"] = 0 if row.root_visit_id == row.visit_id else row.root_visit_id
        moment["at_us"] = moment["clock_us"] = moment["received_us"] = NONE_US
        moment["confidence"], moment["positions"] = row.confidence, row.positions
        moment["already_inside"] = row.already_inside
        moment["status"] = STATUSES.index(VisitStatus(row.status))
        moment["ended_by"] = 0 if row.ended_by is None else ENDINGS.index(EndedBy(row.ended_by))
    return moments
