"""What receipts tell of a message depends on neither their order, nor their number, nor how they are cut."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from offers.receipts import IMPLIED, ReceiptKind, Told

SENT_AT = datetime(2026, 6, 1, 9, tzinfo=UTC)
RECEIPTS = st.tuples(
    st.sampled_from(list(ReceiptKind)), st.integers(-5, 60).map(lambda s: SENT_AT + timedelta(seconds=s))
)
DELIVERED, DISPLAYED, OPENED, DISMISSED = ReceiptKind


def _told(receipts: list[tuple[ReceiptKind, datetime]]) -> Told:
    told = Told(earliest=SENT_AT, times={})
    for event, at in receipts:
        told.hear(event, at)
    return told


@given(receipts=st.lists(RECEIPTS, max_size=8), data=st.data())
def test_any_order_and_any_repeats_end_up_the_same(
    receipts: list[tuple[ReceiptKind, datetime]], data: st.DataObject
) -> None:
    shuffled = data.draw(
        st.permutations(receipts + data.draw(st.lists(st.sampled_from(receipts or [(DELIVERED, SENT_AT)]))))
    )
    assert _told(shuffled if receipts else []).times == _told(receipts).times


@given(receipts=st.lists(RECEIPTS, min_size=1, max_size=8))
def test_each_event_has_its_first_time_and_those_before_it_come_before(
    receipts: list[tuple[ReceiptKind, datetime]],
) -> None:
    times = _told(receipts).times
    for event in ReceiptKind:
        telling = [at for kind, at in receipts if event in (kind, *IMPLIED[kind])]
        assert times.get(event) == (max(SENT_AT, min(telling)) if telling else None)
    for event, at in times.items():
        assert all(times[before] <= at for before in IMPLIED[event])


def test_only_what_is_new_is_news() -> None:
    told = Told(earliest=SENT_AT, times={})
    late = SENT_AT + timedelta(seconds=9)
    assert [told.hear(event, late) for event in (OPENED, DELIVERED, DISPLAYED, OPENED, DISMISSED)] == [
        True,
        False,
        False,
        False,
        True,
    ]
    assert told.hear(DISPLAYED, SENT_AT), "the queue of an app may bring the first event last"
    assert not told.hear(DISPLAYED, SENT_AT - timedelta(days=1)), "nothing happened before it was sent"
