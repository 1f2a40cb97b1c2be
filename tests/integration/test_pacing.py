"""The send rate of a campaign, with two workers that claim at the same time, and what stopping leaves behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from geofences.store import create_tenant
from geofences.tables import consents, devices
from lbs.connections import sqlalchemy_url
from offers import outbox
from offers.definition import CampaignDefinition
from offers.lanes import LaneLimit, Lanes
from offers.lifecycle import move_campaign
from offers.model import CampaignId, NotificationState
from offers.outbox import Claims, Finished
from offers.push import ChannelType
from offers.store import create_campaign
from offers.tables import channels, notifications

if TYPE_CHECKING:
    from collections.abc import Iterator

    from geofences.model import TenantId

pytestmark = pytest.mark.servers

NOON = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)
PER_MIN = 30
TICK = timedelta(milliseconds=250)


class Post:
    """A campaign with a rate, one phone, and messages that are queued by hand."""

    def __init__(self, database: sa.Engine, **definition: Any) -> None:
        self.database = database
        self.number = 0
        with database.begin() as connection:
            self.tenant_id: TenantId = create_tenant(connection, name="post", sandbox=False).tenant_id
            connection.execute(sa.insert(devices).values(device_id=1, tenant_id=self.tenant_id, external_id="phone"))
            connection.execute(
                sa.insert(consents).values(
                    device_id=1, purpose="push", tenant_id=self.tenant_id, granted=True, version="1", source="server",
                    at=NOON,
                )
            )  # fmt: skip
            self.channel_id = connection.execute(
                sa.insert(channels)
                .values(tenant_id=self.tenant_id, device_id=1, type="webpush", address={}, address_hash=b"1")
                .returning(channels.c.channel_id)
            ).scalar_one()
        self.campaign_id = self.campaign(send_rate_per_min=PER_MIN, **definition)

    def campaign(self, **definition: Any) -> CampaignId:
        made = {"name": "x", "offer": {"kind": "gift"}, "creatives": [{"title": "x"}], **definition}
        with self.database.begin() as connection:
            campaign_id = create_campaign(
                connection, tenant_id=self.tenant_id, definition=CampaignDefinition.model_validate(made),
                created_by="test", now=NOON,
            )  # fmt: skip
        for step in ("submit", "approve"):
            self.move(step, campaign_id)
        return campaign_id

    def move(self, step: str, campaign_id: CampaignId | None = None) -> None:
        with self.database.begin() as connection:
            move_campaign(
                connection, tenant_id=self.tenant_id, campaign_id=campaign_id or self.campaign_id, move=step,
                actor="test", now=NOON,
            )  # fmt: skip

    def queue(self, n: int, *, lasts: timedelta = timedelta(hours=1), channel: str = "webpush", **more: Any) -> None:
        rows = []
        for _ in range(n):
            self.number += 1
            rows.append(
                {
                    "notification_id": self.number, "tenant_id": self.tenant_id, "decision_id": self.number,
                    "campaign_id": self.campaign_id, "device_id": 1, "channel": channel, "state": "queued",
                    "channel_id": None if channel == "inbox" else self.channel_id,
                    "payload": {"title": "x", "body": "", "data": {}}, "created_at": NOON, "not_before": NOON,
                    "expires_at": NOON + lasts, **more,
                }
            )  # fmt: skip
        with self.database.begin() as connection:
            connection.execute(sa.insert(notifications), rows)

    def claim_twice(self, now: datetime, *, limit: int = 128) -> list[outbox.Claimed]:
        """Two workers in transactions that overlap."""
        with self.database.begin() as one, self.database.begin() as other:
            first, second = (
                Claims(unseal=bytes, lanes=Lanes({})).claim(connection, now=now, now_s=0.0, limit=limit)
                for connection in (one, other)
            )
        return first + second

    def states(self) -> list[tuple[str, str | None, int]]:
        with self.database.connect() as connection:
            rows = connection.execute(
                sa.text("SELECT state, reason, count(*) FROM offers.notifications GROUP BY state, reason ORDER BY 1, 2")
            )
            return [tuple(row) for row in rows]


@pytest.fixture
def post(fresh_database_url: str) -> Iterator[Post]:
    database = sa.create_engine(sqlalchemy_url(fresh_database_url))
    yield Post(database)
    database.dispose()


def _sendable(claimed: list[outbox.Claimed]) -> list[int]:
    return [one.notification_id for one in claimed if one.unsendable is None]


def test_a_claim_that_did_not_happen_takes_no_places(post: Post) -> None:
    post.queue(3, channel="webhook", decision_id=None)
    lanes = Lanes({ChannelType.WEBHOOK: LaneLimit(in_flight=2)})
    claims = Claims(unseal=bytes, lanes=lanes)
    for _ in range(3):
        with post.database.connect() as connection:
            assert len(_sendable(claims.claim(connection, now=NOON, now_s=0.0, limit=10))) == 2
            connection.rollback()
        claims.undo()
    with post.database.begin() as connection:
        assert len(claims.claim(connection, now=NOON, now_s=0.0, limit=10)) == 2


def test_in_no_minute_go_more_than_the_rate_says_and_none_goes_twice(post: Post) -> None:
    post.queue(100)
    sent: list[tuple[datetime, int]] = []
    now = NOON
    while now < NOON + timedelta(minutes=5):
        # some come later, and one of the workers stands still for a while
        if now == NOON + timedelta(seconds=30):
            post.queue(5, not_before=now)
        if not timedelta(seconds=60) < now - NOON < timedelta(seconds=75):
            sent += [(now, one) for one in _sendable(post.claim_twice(now))]
        now += TICK
    assert len({one for _, one in sent}) == len(sent)
    busiest = max(sum(1 for at, _ in sent if start <= at < start + timedelta(minutes=1)) for start, _ in sent)
    assert busiest <= PER_MIN
    assert len(sent) == 105


def test_inbox_messages_tests_and_other_campaigns_wait_for_no_slot(post: Post) -> None:
    post.queue(300)
    post.queue(3, channel="inbox")
    post.queue(2, decision_id=None)
    post.queue(4, campaign_id=post.campaign())
    claimed = post.claim_twice(NOON, limit=50)
    assert len(_sendable(claimed)) == 3 + 2 + 4 + 1


def test_what_cannot_go_before_its_end_expires_as_too_late(post: Post) -> None:
    post.queue(10, lasts=timedelta(seconds=5))
    claimed = post.claim_twice(NOON)
    # slots every 62 / 30 seconds: at 0, 2.1 and 4.1
    assert len(_sendable(claimed)) == 1
    late = [one.unsendable for one in claimed if one.unsendable is not None]
    assert late == [(NotificationState.EXPIRED, "too_late")] * 7
    assert post.states() == [("queued", None, 2), ("sending", None, 8)]


def test_a_message_that_waits_for_its_slot_has_used_up_no_attempt(post: Post) -> None:
    post.queue(2)
    post.claim_twice(NOON)
    with post.database.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT state, attempts, not_before > created_at FROM offers.notifications ORDER BY attempts")
        ).all()
    assert [tuple(row) for row in rows] == [("queued", 0, True), ("sending", 1, False)]


def test_nothing_goes_after_a_stop_but_what_was_under_way(post: Post) -> None:
    post.queue(10)
    (under_way,) = post.claim_twice(NOON)
    post.move("stop")
    assert post.states() == [("expired", "stopped", 9), ("sending", None, 1)]
    # its provider asks to try again later: it is too late for that now
    later = NOON + timedelta(seconds=10)
    with post.database.begin() as connection:
        retry = Finished(
            claimed=under_way, state=NotificationState.QUEUED, reason="busy", not_before=later, outcome_unknown=False
        )
        outbox.finish(connection, [retry], now=NOON)
    assert [one.unsendable for one in post.claim_twice(later)] == [(NotificationState.EXPIRED, "campaign_ended")]


def test_what_was_under_way_when_it_was_stopped_is_told_as_sent(post: Post) -> None:
    post.queue(1)
    (under_way,) = post.claim_twice(NOON)
    post.move("stop")
    with post.database.begin() as connection:
        outbox.finish(connection, [Finished(claimed=under_way, state=NotificationState.SENT, reason=None)], now=NOON)
    assert post.states() == [("sent", None, 1)]


@pytest.mark.parametrize(("step", "said"), [("pause", "campaign_paused"), ("stop", "campaign_ended")])
def test_a_decision_that_comes_after_the_step_is_not_sent(post: Post, step: str, said: str) -> None:
    post.move(step)
    post.queue(1)
    assert [one.unsendable for one in post.claim_twice(NOON) if one.unsendable] == [
        (NotificationState.EXPIRED if step == "stop" else NotificationState.SUPPRESSED, said)
    ]


def test_a_test_goes_whatever_became_of_the_campaign_but_not_without_consent(post: Post) -> None:
    post.move("stop")
    post.queue(2, decision_id=None)
    assert len(_sendable(post.claim_twice(NOON))) == 2
    post.queue(1, decision_id=None)
    with post.database.begin() as connection:
        connection.execute(sa.update(consents).values(granted=False))
    assert [one.unsendable for one in post.claim_twice(NOON)] == [(NotificationState.SUPPRESSED, "no_consent")]


QUIET_AT_NOON = {"start": "12:00", "end": "12:30"}


@pytest.fixture
def quiet_post(fresh_database_url: str) -> Iterator[Post]:
    """To a phone whose owner wants quiet from noon on, at noon."""
    database = sa.create_engine(sqlalchemy_url(fresh_database_url))
    made = Post(database, quiet_hours={"policy": "defer"})
    with database.begin() as connection:
        connection.execute(sa.update(devices).values(timezone="Europe/Helsinki", quiet_times=QUIET_AT_NOON))
    yield made
    database.dispose()


def test_a_push_that_waited_into_the_quiet_goes_after_it(quiet_post: Post) -> None:
    quiet_post.queue(1)
    quiet_post.queue(1, channel="inbox")
    assert [one.channel for one in quiet_post.claim_twice(NOON)] == ["inbox"]
    with quiet_post.database.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM offers.notifications WHERE state = 'queued'")).one()
    end = NOON + timedelta(minutes=30)
    assert (row.not_before, row.slot_at, row.attempts) == (end, None, 0)
    [claimed] = quiet_post.claim_twice(end)
    assert claimed.unsendable is None


@pytest.mark.parametrize(("policy", "lasts_min"), [("drop", 60), ("inbox_only", 60), ("defer", 30)])
def test_a_push_that_may_not_wait_for_the_end_of_the_quiet_is_not_sent(
    quiet_post: Post, policy: str, lasts_min: int
) -> None:
    quiet_post.campaign_id = quiet_post.campaign(quiet_hours={"policy": policy})
    quiet_post.queue(1, lasts=timedelta(minutes=lasts_min))
    [claimed] = quiet_post.claim_twice(NOON)
    assert claimed.unsendable == (NotificationState.SUPPRESSED, "quiet_hours")
