"""Who an offer would go to: the devices, the people who own them, and what they were offered before.

Asks Postgres, decides nothing. A person is all devices of one external user id, else the device alone.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from geofences.ids import stable_id
from geofences.model import DeviceId, TenantId
from geofences.sql import queries
from offers.facts import Given, OwnQuietTimes, Shopper, is_new
from offers.model import CampaignId, Delivery, ReservationState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import sqlalchemy as sa

    from offers.model import Campaign

DAY_S = 86_400


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """A device as somebody to write to."""

    device_id: DeviceId
    tenant_id: TenantId
    person: int
    shared: bool
    """The person may have other devices, decided in other shards."""
    sandbox: bool
    push_consent: bool
    locale: str | None
    timezone: str | None
    quiet_times: OwnQuietTimes | None
    attributes: Mapping[str, Any]
    created_at: datetime
    vouched_at: datetime | None
    channels: tuple[tuple[int, str], ...]
    """(channel_id, type) of every channel that works; the inbox is always there."""

    def shopper(self, campaign: Campaign, at: datetime) -> Shopper:
        """What a decision on a campaign needs to know of them."""
        audience = campaign.definition.audience
        asked = audience.attributes if audience is not None else ()
        return Shopper(
            push_consent=self.push_consent,
            channels=1 + len(self.channels),
            timezone=self.timezone,
            quiet_times=self.quiet_times,
            attributes={name: self.attributes[name] for name in sorted(asked) if name in self.attributes},
            new=is_new(created_at=self.created_at, vouched_at=self.vouched_at, at=at),
        )


def load_recipients(
    connection: sa.Connection, device_ids: Sequence[DeviceId], campaigns: Iterable[Campaign]
) -> dict[DeviceId, Recipient]:
    """The devices that still exist, with the channels that work."""
    if not device_ids:
        return {}
    with_attributes = any(campaign.definition.audience is not None for campaign in campaigns)
    rows = connection.execute(
        queries("offers")["shoppers"], {"device_ids": list(device_ids), "with_attributes": with_attributes}
    )
    return {DeviceId(row.device_id): _recipient(row) for row in rows}


def _recipient(row: Any) -> Recipient:
    shared = row.external_user_id is not None
    quiet = row.quiet_times
    return Recipient(
        device_id=DeviceId(row.device_id),
        tenant_id=TenantId(row.tenant_id),
        person=user_key(row.tenant_id, row.external_user_id) if shared else row.device_id,
        shared=shared,
        sandbox=row.sandbox,
        push_consent=row.push_consent,
        locale=row.locale,
        timezone=row.timezone,
        quiet_times=None if quiet is None else OwnQuietTimes(start=quiet["start"], end=quiet["end"]),
        attributes=row.attributes,
        created_at=row.created_at,
        vouched_at=row.vouched_at,
        channels=tuple((channel["channel_id"], channel["type"]) for channel in row.channels),
    )


def user_key(tenant_id: TenantId, external_user_id: str) -> int:
    """The number of a person with devices of their own; the text itself is kept with the devices only."""
    return stable_id(b"user", tenant_id, text=external_user_id)


def given_before(
    connection: sa.Connection, recipients: Iterable[Recipient], *, since: datetime | None
) -> dict[int, list[Given]]:
    """What each person was offered after `since`, on any of their devices. Call it under the users' lock."""
    person_of: dict[int, int] = {}
    shared = []
    for recipient in recipients:
        person_of[recipient.device_id] = recipient.person
        if recipient.shared:
            shared.append(recipient)
    if shared:
        persons = {recipient.device_id: recipient.person for recipient in shared}
        for row in connection.execute(queries("offers")["siblings"], {"device_ids": sorted(persons)}):
            person_of[row.device_id] = persons[row.asked_for]
    given: dict[int, list[Given]] = defaultdict(list)
    if not person_of:
        return given
    rows = connection.execute(queries("offers")["given_before"], {"device_ids": sorted(person_of), "since": since})
    for row in rows:
        given[person_of[row.device_id]].append(_given(row))
    return given


def _given(row: Any) -> Given:
    return Given(
        at=row.created_at,
        event_at=row.event_at,
        device_id=row.device_id,
        campaign_id=CampaignId(row.campaign_id),
        brand=row.brand,
        store_id=row.store_id,
        delivery=Delivery(row.delivery),
        exclusive=row.exclusive,
        ghost=row.state == ReservationState.GHOST,
    )


def counts_since(campaigns: Iterable[Campaign], earliest: datetime) -> datetime | None:
    """Offers before it count for no cap, cool-down or moment of these campaigns; None: all may count."""
    reach_s = 0.0
    for campaign in campaigns:
        definition = campaign.definition
        reach_s = max(reach_s, definition.staleness_s, definition.cool_down_s)
        for cap in definition.caps:
            if cap.window_s is None and cap.days is None:
                return None
            # a calendar day of 25 hours, in a zone a day ahead of another
            reach_s = max(reach_s, cap.window_s or (cap.days or 0) * DAY_S + 2 * DAY_S)
    return earliest - timedelta(seconds=reach_s)
