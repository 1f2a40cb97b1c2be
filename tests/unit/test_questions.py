"""In which order campaigns are asked does not depend on how many events are read at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from geofences.model import DeviceId, VisitId
from offers.questions import Question, by_priority
from tests.support.offers import HELSINKI_PLACE, NOON, campaign, moment

if TYPE_CHECKING:
    from offers.model import Moment

CAMPAIGNS = [campaign(number=number, priority=priority) for number, priority in ((1, 0), (2, 5), (3, 5))]


def _question(number: int, at: Moment) -> Question:
    return Question(campaign=CAMPAIGNS[number - 1], moment=at, place=HELSINKI_PLACE)  # type: ignore[arg-type]  # unnamed


def _order(questions: list[Question]) -> list[tuple[int, int]]:
    return [(question.moment.device_id, question.campaign.campaign_id) for question in questions]


def test_at_one_moment_the_highest_priority_is_first_and_then_the_lowest_number() -> None:
    here = [_question(number, moment()) for number in (1, 3, 2)]
    assert _order(by_priority(here)) == [(7, 2), (7, 3), (7, 1)]


def test_what_becomes_known_of_a_moment_later_waits_its_turn() -> None:
    """The exit of one fence is told at once, the entry to the next when it is sure: both happened at noon."""
    at_once = _question(1, moment(root_visit_id=VisitId(1)))
    later = _question(2, moment(root_visit_id=VisitId(2), clock=NOON + timedelta(minutes=1)))
    assert by_priority([at_once, later]) == [at_once, later]


EVENTS = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(0, 2), st.integers(1, 3)), min_size=1, max_size=30
)


@given(events=EVENTS, data=st.data())
def test_the_order_is_the_same_however_it_is_cut(events: list[tuple[int, int, int, int]], data: st.DataObject) -> None:
    """A commit tells all that became known at one clock; the reader may come after any commit."""
    told = sorted(events, key=lambda one: one[0])
    questions = [
        _question(
            number,
            moment(
                device_id=DeviceId(device), at=NOON + timedelta(minutes=at), clock=NOON + timedelta(minutes=10 + clock)
            ),
        )
        for clock, device, at, number in told
    ]
    clocks = sorted({question.moment.clock for question in questions})
    cut = data.draw(st.sampled_from(clocks))
    before = [question for question in questions if question.moment.clock < cut]
    after = [question for question in questions if question.moment.clock >= cut]
    assert by_priority(questions) == by_priority(before) + by_priority(after)
