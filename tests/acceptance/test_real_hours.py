"""45,597 odd texts of all OpenStreetMap: none crashes, none is slow, and what is refused is refused with its place."""

from __future__ import annotations

import gzip
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from geofences.model import LatLng
from geofences.zones import zone
from offers import hours as hours_module
from offers.errors import InvalidHoursError
from offers.hours import OpeningHours
from tests.support.data import data_dir

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1500),
    pytest.mark.xdist_group("real_hours"),
]  # half a minute of work, on a busy machine far more

AT = datetime(2026, 6, 5, 9, tzinfo=UTC)
BERLIN, PLACE = zone("Europe/Berlin"), LatLng(lat=52.5, lng=13.4)
LIMIT_S = 0.05
REFUSAL = re.compile(r"cannot read opening hours at column \d+: '.*|cannot read opening hours at column \d+: \".*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    text: str
    hours: OpeningHours | None
    refusal: str
    cpu_s: float


def _texts(name: str) -> list[str]:
    path = data_dir("opening_hours_strings") / f"{name}.tsv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
        return [line.rstrip("\n").partition("\t")[2] for line in file]


def _read(text: str) -> Read:
    """Read a text, and ask it for its state and its next change."""
    begin = time.process_time()
    hours, refusal = None, ""
    try:
        hours = OpeningHours.parse(text, zone=BERLIN, country="DE", location=PLACE)
        hours.state(AT)
        change = hours.next_change(AT)
        assert change is None or change > AT
    except InvalidHoursError as error:
        refusal = str(error)
    return Read(text=text, hours=hours, refusal=refusal, cpu_s=time.process_time() - begin)


def _anew(text: str) -> float:
    hours_module._read_parts.cache_clear()
    hours_module._reading_of.cache_clear()
    return _read(text).cpu_s


@pytest.fixture(scope="module", params=["invalid_but_unambiguous", "invalid"])
def reads(request: pytest.FixtureRequest) -> tuple[str, list[Read]]:
    return request.param, [_read(text) for text in _texts(request.param)]


def test_no_text_takes_more_than_50_ms(reads: tuple[str, list[Read]]) -> None:
    slow = [read.text for read in reads[1] if read.cpu_s > LIMIT_S]
    assert len(slow) < 50  # more is no noise of the machine
    assert [text for text in slow if min(_anew(text) for _ in range(3)) > LIMIT_S] == []


def test_a_refusal_says_what_and_where(reads: tuple[str, list[Read]]) -> None:
    refusals = [read.refusal for read in reads[1] if read.hours is None]
    assert [refusal for refusal in refusals if not REFUSAL.fullmatch(refusal)] == []


def test_what_is_not_read_as_it_is_written_is_said(reads: tuple[str, list[Read]]) -> None:
    corrected = [read.hours for read in reads[1] if read.hours and read.hours.corrected_to is not None]
    assert len(corrected) > 500
    for hours in corrected:
        assert f"read as {hours.corrected_to!r}" in hours.warnings
        # what was put right is read again as it then is
        assert OpeningHours.parse(hours.corrected_to or "", zone=BERLIN).corrected_to is None


def test_nine_of_ten_texts_that_have_one_meaning_are_read_and_invalid_ones_are_refused_or_flagged(
    reads: tuple[str, list[Read]],
) -> None:
    name, found = reads
    as_written = sum(1 for read in found if read.hours and read.hours.corrected_to is None)
    corrected = sum(1 for read in found if read.hours and read.hours.corrected_to is not None)
    if name == "invalid":
        assert len(found) == 15_059
        assert as_written / len(found) < 0.01
        assert corrected / len(found) < 0.06
    else:
        assert len(found) == 30_538
        assert as_written / len(found) > 0.66
        assert (as_written + corrected) / len(found) > 0.9
