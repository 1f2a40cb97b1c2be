"""From events to decisions: shards that have little together, one transaction with their cursors.

What a transaction costs is shared by all that waits: a decider that falls behind catches up. It keeps the order of a
device's events, so a cap per device never races; only people with several devices, stock and budgets are locked, in the
order that `ledger` states. kill -9 repeats a batch whose transaction did not end, and makes the same rows: ids follow
from what they name.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from geofences.model import Shard
from geofences.sql import queries
from offers import ledger
from offers.claiming import claim
from offers.codes import shown
from offers.decisions import NO_CODES, Answer, answer, budgets_of, given_now, reservation_of, write
from offers.errors import RefusedError
from offers.model import Outcome
from offers.questions import Question, about_events, about_occasions, by_priority, not_decided
from offers.shoppers import counts_since, given_before, load_recipients
from offers.templates import Placeholder
from offers.wording import asks_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import sqlalchemy as sa

    from offers.catalogue import Catalogue, NamedPlace
    from offers.codes import CodeBook
    from offers.model import CampaignId, DecisionId

EVENTS_A_BATCH: Final = 1_000


class Decider:
    """Turns what happened into decisions. One at a time a shard, held by the cursor's row lock."""

    def __init__(self, *, database: sa.Engine, catalogue: Catalogue, book: CodeBook | None = None) -> None:
        """`book` makes the codes of messages that show one; without it they say what they say without a code."""
        self._database = database
        # a single question needs no BEGIN and no ROLLBACK
        self._asking = database.execution_options(isolation_level="AUTOCOMMIT")
        self._catalogue = catalogue
        self._book = book
        self._kept_places: set[int] = set()
        """Places that `offers.places` surely has."""
        self._coded: dict[tuple[int, int], bool] = {}
        """Whether a version of a campaign shows a code in its messages."""

    def work(self, on_decided: Callable[[Sequence[Answer]], None] = lambda _: None) -> int:
        """Decides everything that waits; answers how many events and occasions that were."""
        with self._asking.connect() as connection:
            waiting = connection.execute(queries("offers")["waiting_shards"]).all()
        handled = 0
        for shards in _batches((Shard(row.shard), row.waiting) for row in waiting):
            while True:
                with self._database.begin() as connection:
                    answers, n, more = self._decide_batch(connection, shards)
                self._kept_places.update(answer.question.place.place_id for answer in answers)
                on_decided(answers)
                handled += n
                if not more:
                    break
        return handled

    def _decide_batch(self, connection: sa.Connection, shards: Sequence[Shard]) -> tuple[list[Answer], int, bool]:
        """Answers what was decided, of how many events and occasions, and whether these shards surely have more."""
        cursors = connection.execute(queries("offers")["lock_cursors"], {"shards": shards}).all()
        if not cursors:
            return [], 0, False
        # in each batch, for what stopped or went live while others were decided
        self._catalogue.refresh(connection)
        held: dict[str, Any] = {"shards": [row.shard for row in cursors], "limit": EVENTS_A_BATCH}
        seqs = [row.seq for row in cursors]
        found = connection.execute(queries("offers")["events_after"], {**held, "seqs": seqs}).all()
        events = _whole_moments(found)
        occasions = connection.execute(queries("offers")["undecided_occasions"], held).all()
        questions = about_events(connection, events, self._catalogue)
        questions += about_occasions(connection, occasions, self._catalogue)
        questions = by_priority(not_decided(connection, questions))
        self._keep_places(connection, questions)
        coded = [question for question in questions if self._shows_code(question)]
        # as whoever claims over HTTP: devices before people before campaigns
        for lock, locked in (("lock_devices", coded), ("keep_devices", questions)):
            if locked:
                device_ids = sorted({question.moment.device_id for question in locked})
                connection.execute(queries("offers")[lock], {"device_ids": device_ids})
        answers = _answer(connection, questions, also={question.campaign.campaign_id for question in coded})
        write(connection, answers, self._codes(connection, answers) if coded else NO_CODES)
        if events:
            last = {row.shard: row.seq for row in events}
            moved = {"shards": list(last), "seqs": list(last.values())}
            connection.execute(queries("offers")["advance_cursors"], moved)
        if occasions:
            decided = {"shards": held["shards"], "seqs": [row.seq for row in occasions]}
            connection.execute(queries("offers")["end_occasions"], decided)
        more = any(_fills_a_batch(rows) for rows in (found, occasions))
        return answers, max(len(found), len(occasions)), more

    def _shows_code(self, question: Question) -> bool:
        if self._book is None:
            return False
        key = question.campaign.campaign_id, question.campaign.version
        if key not in self._coded:
            self._coded[key] = Placeholder.CODE in asks_for(question.campaign.definition)
        return self._coded[key]

    def _codes(self, connection: sa.Connection, answers: Sequence[Answer]) -> dict[DecisionId, str]:
        """Claims, for their people, the offers whose messages show a code."""
        codes = {}
        for made in answers:
            question = made.question
            if self._book is not None and made.decision.outcome is Outcome.OFFERED and self._shows_code(question):
                try:
                    claimed = claim(
                        connection,
                        tenant_id=question.campaign.tenant_id,
                        device_id=question.moment.device_id,
                        campaign_id=question.campaign.campaign_id,
                        store_id=None,
                        book=self._book,
                        now=question.moment.clock,
                    )
                except RefusedError:
                    continue  # e.g. the person has used it already: the message says what it says without a code
                if claimed.code_sealed is not None:
                    codes[question.decision_id] = shown(self._book.unsealed(claimed.code_sealed))
        return codes

    def _keep_places(self, connection: sa.Connection, questions: Sequence[Question]) -> None:
        """Before any lock is taken: two deciders may write the same place."""
        new: dict[int, tuple[int, NamedPlace]] = {
            question.place.place_id: (question.campaign.tenant_id, question.place)
            for question in questions
            if question.place.place_id not in self._kept_places
        }
        if not new:
            return
        rows = [(place_id, *new[place_id]) for place_id in sorted(new)]
        connection.execute(
            queries("offers")["put_places"],
            {
                "place_ids": [place_id for place_id, _, _ in rows],
                "tenant_ids": [tenant_id for _, tenant_id, _ in rows],
                "timezones": [place.place.zone.key for _, _, place in rows],
                "opening_hours": [place.opening_hours for _, _, place in rows],
                "lats": [place.location.lat for _, _, place in rows],
                "lngs": [place.location.lng for _, _, place in rows],
            },
        )


def _batches(waiting: Iterable[tuple[Shard, int]]) -> Iterator[list[Shard]]:
    """Shards that together have a batch at most, as far as was known; one that has more is a batch of its own."""
    batch: list[Shard] = []
    size = 0
    for shard, n in waiting:
        if batch and size + n > EVENTS_A_BATCH:
            yield batch
            batch, size = [], 0
        batch.append(shard)
        size += n
    if batch:
        yield batch


def _of_each_shard(rows: Iterable[Any]) -> Iterator[list[Any]]:
    return (list(of_shard) for _, of_shard in groupby(rows, key=attrgetter("shard")))


def _fills_a_batch(rows: Iterable[Any]) -> bool:
    return any(len(of_shard) >= EVENTS_A_BATCH for of_shard in _of_each_shard(rows))


def _whole_moments(events: Iterable[Any]) -> list[Any]:
    """Without a shard's last moment that the batch may have cut: what is known of it together is weighed together."""
    return [event for of_shard in _of_each_shard(events) for event in _whole_moments_of(of_shard)]


def _whole_moments_of(events: Sequence[Any]) -> Sequence[Any]:
    if len(events) < EVENTS_A_BATCH:
        return events
    last = events[-1]
    kept = len(events)
    while kept and _known_together(events[kept - 1]) == _known_together(last):
        kept -= 1
    return events[:kept] or events


def _known_together(event: Any) -> tuple[int, object, object]:
    return event.device_id, event.at, event.clock


def _answer(connection: sa.Connection, questions: Sequence[Question], *, also: set[CampaignId]) -> list[Answer]:
    """Decides in order; what one decision takes, the next one no longer finds.

    The campaigns in `also` are locked even if nothing of them can run out.
    """
    campaigns = {question.campaign.campaign_id: question.campaign for question in questions}
    device_ids = sorted({question.moment.device_id for question in questions})
    recipients = load_recipients(connection, device_ids, campaigns.values())
    questions = [question for question in questions if question.moment.device_id in recipients]
    if not questions:
        return []
    ledger.lock_users(connection, {one.person: one.tenant_id for one in recipients.values() if one.shared})
    since = counts_since(campaigns.values(), min(question.moment.clock for question in questions))
    given = given_before(connection, recipients.values(), since=since)
    supply = ledger.lock_supply(connection, campaigns, budgets_of(questions), also=also)
    answers = []
    reservations = []
    for question in questions:
        recipient = recipients[question.moment.device_id]
        made = answer(question, recipient, given[recipient.person], supply)
        answers.append(made)
        if made.decision.outcome is not Outcome.SUPPRESSED:
            reservation = reservation_of(made)
            reservations.append(reservation)
            given[recipient.person].append(given_now(reservation))
            if reservation.holds:
                supply.take(reservation)
    ledger.reserve(connection, reservations)
    return answers
