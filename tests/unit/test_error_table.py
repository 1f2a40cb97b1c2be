"""Every domain error has a row in the one table, and every row makes a problem."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lbs.errors import ANSWERS, BASES, Fault, MalformedError, TooManyRequestsError, answer_to
from lbs.problems import declared, domain_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

SCOPE = {"type": "http", "path": "/v1/x", "state": {"request_id": "r"}}


def subclasses(base: type[Exception]) -> Iterator[type[Exception]]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


ALL = sorted({child for base in BASES for child in subclasses(base)}, key=lambda error: error.__name__)


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_an_error_has_a_row(error: type[Exception]) -> None:
    assert error in ANSWERS, f"{error.__name__} needs a row in lbs/errors.py"


def test_rows_name_only_errors_of_our_rooms() -> None:
    assert set(ANSWERS) == set(ALL)


def test_rows_of_one_slug_agree() -> None:
    by_slug: dict[str, set[int]] = {}
    for answer in ANSWERS.values():
        by_slug.setdefault(answer.slug, set()).add(answer.status)
    assert all(len(statuses) == 1 for statuses in by_slug.values())


def test_every_status_of_the_table_can_be_declared() -> None:
    for answer in ANSWERS.values():
        assert declared(answer.status)[answer.status]["description"]


def test_a_problem_carries_faults_and_when_to_come_back() -> None:
    response = domain_problem(MalformedError("no", Fault("body.a", "wrong")), scope=SCOPE)
    body = json.loads(bytes(response.body))
    assert body == {
        "type": "/problems/malformed",
        "title": "The request cannot be read",
        "status": 422,
        "detail": "no",
        "instance": "/v1/x",
        "request_id": "r",
        "errors": [{"where": "body.a", "message": "wrong"}],
    }
    assert domain_problem(TooManyRequestsError("no", retry_after_s=7), scope=SCOPE).headers["Retry-After"] == "7"


def test_an_error_that_nobody_knows_is_internal() -> None:
    assert answer_to(KeyError("x")).status == 500
