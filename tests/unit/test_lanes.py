"""Lanes: nobody takes all places, and a provider that wants less gets less."""

from __future__ import annotations

from offers.lanes import FIRST_ROOM, LIMITS, MAX_PAUSE_S, LaneLimit, Lanes
from offers.push import ChannelType

HOOK = ChannelType.WEBHOOK


def lanes(in_flight: int = 4, per_s: float | None = None) -> Lanes:
    return Lanes({HOOK: LaneLimit(in_flight=in_flight, per_s=per_s)})


def test_a_lane_takes_so_many_at_once_and_others_are_not_concerned() -> None:
    busy = lanes()
    assert [busy.enter("a", HOOK, 0.0) for _ in range(5)] == [True, True, True, True, False]
    assert busy.enter("b", HOOK, 0.0)
    busy.leave("a")
    assert busy.enter("a", HOOK, 0.0)


def test_the_inbox_has_no_lane() -> None:
    busy = lanes()
    assert all(busy.enter("inbox", ChannelType.INBOX, 0.0) for _ in range(1000))
    assert busy.rooms(0.0) == {}


def test_rooms_are_told_in_quarters_and_what_is_empty_is_forgotten() -> None:
    busy = lanes(in_flight=8)
    for _ in range(8):
        busy.enter("a", HOOK, 0.0)
    assert busy.rooms(0.0) == {"a": 0}
    busy.leave("a")
    assert busy.rooms(0.0) == {"a": 0}, "one place is not worth a look"
    busy.leave("a")
    assert busy.rooms(0.0) == {"a": 2}
    for _ in range(6):
        busy.leave("a")
    assert busy.rooms(0.0) == {}


def test_a_closed_lane_opens_again_and_nobody_closes_it_for_ever() -> None:
    busy = lanes()
    busy.enter("a", HOOK, 0.0)
    busy.close("a", until_s=10.0, now_s=0.0)
    assert not busy.enter("a", HOOK, 9.9)
    assert busy.rooms(9.9) == {"a": 0}
    assert busy.enter("a", HOOK, 10.0)
    busy.close("a", until_s=1e9, now_s=10.0)
    assert not busy.enter("a", HOOK, 9.9 + MAX_PAUSE_S)
    assert busy.enter("a", HOOK, 10.0 + MAX_PAUSE_S)


def test_a_rate_fills_up_again_with_time() -> None:
    busy = lanes(in_flight=4, per_s=2.0)
    for _ in range(4):
        assert busy.enter("a", HOOK, 0.0)
        busy.leave("a")
    assert not busy.enter("a", HOOK, 0.4)
    assert busy.enter("a", HOOK, 0.5)
    busy.leave("a")
    assert not busy.enter("a", HOOK, 0.9)
    assert busy.enter("a", HOOK, 1.1)


def test_a_lane_nobody_knows_takes_no_more_than_any_channel_may() -> None:
    assert min(limit.in_flight for limit in LIMITS.values()) == FIRST_ROOM
