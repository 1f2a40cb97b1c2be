"""Opening hours as people write them, made ready for a parser that reads them as the specification says. Pure.

`clarified` says in the specification's own words what the parser would read as nobody means it; `corrected` is for a
text that cannot be read at all: it puts right what has one meaning only, and leaves the rest.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from offers.hours_words import MONTHS, PHRASES, WEEKDAYS, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = r"(?:Mo|Tu|We|Th|Fr|Sa|Su|PH|SH)"
_WEEKDAY = r"(?:Mo|Tu|We|Th|Fr|Sa|Su)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_TIME = r"(?:[01]?\d|2\d):[0-5]\d"
_RANGES = rf"{_TIME}-{_TIME}(?:,{_TIME}-{_TIME})*"
_FIRST_MARK: Final = 0xE000
"""Comments are replaced by one character each of Unicode's private use area while the rest is worked on."""

_FALLBACK: Final = "||"
_COMMENT = re.compile(r'"[^"]*"')
_MARK = re.compile("[\ue000-\uf8ff]")
_SEPARATOR = re.compile(r"(\s*;\s*|\s*\|\|\s*|,\s+)")
_LONE_COMMENT = re.compile(
    "(?P<rule>.*?)(?P<said>\\b(?:open|closed|off|unknown)\\s*)?(?P<mark>[\ue000-\uf8ff])", re.IGNORECASE
)
_SPACED_LISTS: Final = tuple(
    re.compile(rf"\b({item}),\s+(?={item}\b)", re.IGNORECASE)
    for item in (rf"{_DAY}(?:\[[-\d,]+\])?", rf"{_MONTH}(?: \d\d?(?!:))?")
)
_STRAY_COMMA = re.compile(rf"\b({_DAY}),\s+(?=\d|(?:open|closed|off|unknown)\b)", re.IGNORECASE)
_LIST_OF_DAYS = re.compile(
    rf"\b{_DAY}(?:-{_WEEKDAY})?(?:\[[-\d,]+\])?(?:,{_DAY}(?:-{_WEEKDAY})?(?:\[[-\d,]+\])?)+", re.IGNORECASE
)
_BETWEEN_DAYS = re.compile(r",(?![^\[]*\])")
_OF_WEEKDAYS = re.compile(rf"(?P<days>{_WEEKDAY}(?:[-,]{_WEEKDAY})*) (?P<ranges>{_RANGES})(?P<rest> open)?")
_WEEK: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_EARLY_H, _NOON_H, _LATE_H, _MIDNIGHT_H, _LATEST_H = 6, 12, 15, 24, 26
_MIDNIGHT_MIN: Final = _MIDNIGHT_H * 60


def clarified(text: str) -> str:
    """The text with its meaning said more plainly.

    White space is one space; days listed with spaces are one list; a rule with nothing but a comment to say whether it
    is open is unknown; a rule past midnight that follows others keeps its hours on the day after.

    >>> clarified('Mo, We 10:00-12:00; Sa "by appointment"')
    'Mo,We 10:00-12:00; Sa unknown "by appointment"'
    >>> clarified("Su-Fr 11:00-22:00; Sa 11:00-02:00")
    'Su-Fr 11:00-22:00; Sa 11:00-02:00, Su 00:00-02:00'
    """
    return _around_comments(text, _clarify)


def fallbacks(text: str) -> list[str]:
    """The parts of which each counts at the instants that all before it leave closed.

    >>> fallbacks('Mo 10:00-12:00 || unknown "call || ring"')
    ['Mo 10:00-12:00', 'unknown "call || ring"']
    """
    marked, comments = _marked(text)
    parts = [part.strip() for part in marked.split(_FALLBACK)]
    # what follows a fallback after a semicolon is no fallback, but overrides all that was said
    later = [part.partition(";")[2].strip() for part in parts[1:]]
    override = "; ".join(rules for rules in later if rules)
    if override and _FALLBACK in marked:
        parts = [f"{part}; {override}" for part in parts[:-1]] + parts[-1:]
    return [_restored(part, comments) for part in parts]


def corrected(text: str) -> str:
    """The text with what has one meaning only put into the specification's words.

    >>> corrected("Lundi - Vendredi: 9h-12h30")
    'Mo-Fr 09:00-12:30'
    """
    return _around_comments(unicodedata.normalize("NFKC", text), _correct)


def _around_comments(text: str, change: Callable[[str], str]) -> str:
    marked, comments = _marked(text)
    return _restored(change(marked), comments)


def _marked(text: str) -> tuple[str, list[str]]:
    comments: list[str] = []

    def kept(found: re.Match[str]) -> str:
        comments.append(found[0])
        return chr(_FIRST_MARK + len(comments) - 1)

    return _COMMENT.sub(kept, _MARK.sub("?", text)), comments


def _restored(marked: str, comments: list[str]) -> str:
    return _MARK.sub(lambda found: comments[ord(found[0]) - _FIRST_MARK], marked)


def _clarify(text: str) -> str:
    text = " ".join(text.split())
    for spaced in _SPACED_LISTS:
        text = spaced.sub(r"\1,", text)
    text = _STRAY_COMMA.sub(r"\1 ", text)
    text = _LIST_OF_DAYS.sub(_holidays_last, text)
    parts = _SEPARATOR.split(text)
    rules = [_unknown_if_only_commented(rule) for rule in parts[::2]]
    after_others = False
    for i, separator in enumerate([*parts[1::2], ""]):
        if after_others:
            rules[i] += _past_midnight(rules[i])
        after_others = separator.strip() != _FALLBACK
    return "".join(part for pair in zip(rules, [*parts[1::2], ""], strict=True) for part in pair)


def _unknown_if_only_commented(rule: str) -> str:
    found = _LONE_COMMENT.fullmatch(rule)
    if not found or found["said"]:
        return rule
    return f"{found['rule'].rstrip()} unknown {found['mark']}".lstrip()


def _holidays_last(found: re.Match[str]) -> str:
    """A list of days in the one order that the parser knows."""
    return ",".join(sorted(_BETWEEN_DAYS.split(found[0]), key=lambda day: day.upper() in {"PH", "SH"}))


def _past_midnight(rule: str) -> str:
    """What a rule of weekdays says of the days after: the parser forgets it where an earlier rule has that day."""
    found = _OF_WEEKDAYS.fullmatch(rule)
    if not found:
        return ""
    ends = [end for end in map(_end_of_night, found["ranges"].split(",")) if end]
    return f", {_a_day_later(found['days'])} 00:00-{max(ends)}{found['rest'] or ''}" if ends else ""


def _end_of_night(times: str) -> str | None:
    """Until when a range goes on the day after; None if it does not."""
    start, end = (int(time[:-3]) * 60 + int(time[-2:]) for time in times.split("-"))
    night = end - _MIDNIGHT_MIN if end > _MIDNIGHT_MIN else end if end <= start else 0
    return f"{night // 60:02}:{night % 60:02}" if 0 < night <= start else None


def _a_day_later(days: str) -> str:
    return re.sub(_WEEKDAY, lambda day: _WEEK[(_WEEK.index(day[0]) + 1) % 7], days)


def _half_day(found: re.Match[str]) -> str:
    """A time of twelve hours as one of twenty-four; what is none stays as it is."""
    hour, minute = int(found[1]), found[2] or "00"
    if not 1 <= hour <= _NOON_H:
        return found[0]
    return f"{hour % _NOON_H + (_NOON_H if found[3] in 'pP' else 0):02}:{minute}"


def _bare_hours(found: re.Match[str]) -> str:
    """A range without some minutes; `10-6` and `5-7` may well mean the evening, and stay as they are."""
    start, end = (int(found[hour].partition(":")[0]) for hour in ("start", "end"))
    by_day = start < end <= _LATEST_H and (start == 0 or start >= _EARLY_H)
    if not by_day and not (end < start <= _MIDNIGHT_H and start >= _LATE_H):
        return found[0]
    times = (found[hour] if ":" in found[hour] else f"{found[hour]:0>2}:00" for hour in ("start", "end"))
    return f"{found['before']}{'-'.join(times)}"


def _word(found: re.Match[str]) -> str:
    word = found[0].rstrip(".").casefold()
    return WEEKDAYS.get(word) or MONTHS.get(word) or WORDS.get(word) or found[0]


_WORD = re.compile(r"[^\W\d_]+(?:-feira)?\.?")
_PHRASE = re.compile("|".join(sorted(map(re.escape, PHRASES), key=len, reverse=True)), re.IGNORECASE)
_TO = r"(?:-|(?<=\d)\ (?:to|till?|until|through|bis|ate|até|a|à|á|as|às|ás|до)\ )"
_TO_DAY = r"(?:-|to|till?|until|through|thru|bis|a|à)"
_AND = r"(?:,|&|/|\+|und|and|et|y|e)"
_BEFORE_TIMES = rf"(?P<before>^|;\ ?|,\ ?|\b{_DAY}\ )"

_Rewrite = tuple[re.Pattern[str], "str | Callable[[re.Match[str]], str]"]


def _table(*rewrites: tuple[str, str | Callable[[re.Match[str]], str]]) -> tuple[_Rewrite, ...]:
    return tuple((re.compile(pattern, re.IGNORECASE), change) for pattern, change in rewrites)


_SIGNS_AND_TIMES: Final = _table(
    (r"\s+", " "),
    (r"^ ?(?:opening[_ ]hours|öffnungszeit(?:en)?) ?[:=]? ?", ""),
    (r" ?[\u2010-\u2015\u2212\u2192\u301c\u30fc~] ?", "-"),
    (r"(?<=:\d\d)=(?=\d\d:)", "-"),
    (r"\bsonn(?:tags?)?-? ?(?:und|u\.|/) ?(?:an )?feiertag(?:e|en|s)?\b", "Su,PH"),
    (r"\b(\d{1,2})(?:[:.](\d\d))? ?([ap])\.? ?m\b\.?", _half_day),
    (r"\b([01]?\d|2[0-4])[.h]([0-5]\d)\b", r"\1:\2"),
    (r"\b([01]?\d|2[0-4]) ?(?:uhr|h)\b", r"\1:00"),
    (r"(:[0-5]\d) ?(?:uhr|h|hrs)\b\.?", r"\1"),
)
_RULES: Final = _table(
    (rf"({_TIME}|\b\d\d?) ?{_TO} ?(?={_TIME}|\d\d?\b(?!:))", r"\1-"),
    (rf"\b({_DAY}) ?{_TO_DAY} ?(?={_WEEKDAY}\b)", r"\1-"),
    (rf"\b({_DAY}) ?{_AND} ?(?={_DAY}\b)", r"\1,"),
    (rf"\b({_DAY}) ?: ?(?=\d|{_DAY}|off|closed|open)", r"\1 "),
    (rf"\b({_MONTH}) ?: ?(?={_TIME}|{_DAY}|off|closed|open)", r"\1 "),
    (r"^(24/7|off|closed|open) ?: ?(?=[\ue000-\uf8ffa-z])|(?<=open|.off|osed): ?(?=[\ue000-\uf8ff])", r"\1 "),
    (rf"\b({_DAY}(?:\[[-\d,]+\])?)(?=\d)", r"\1 "),
    (r"(\bopen|\boff|\bclosed|\bunknown)(?=[\ue000-\uf8ff])", r"\1 "),
    (rf"({_TIME}) ?(?:-|till?|until|bis) ?(?:late|open ?end)\b", r"\1+"),
    # hours without minutes where only times can be: after days, commas, and at the beginning
    (rf"{_BEFORE_TIMES}(?P<start>\d\d?)-(?P<end>\d\d?)(?=$|[,;+ ](?! ?{_MONTH}))", _bare_hours),
    (rf"(?P<before>)\b(?P<start>{_TIME})-(?P<end>\d\d?)(?![\d:])", _bare_hours),
    (rf"{_BEFORE_TIMES}(?P<start>\d\d?)-(?P<end>{_TIME})", _bare_hours),
    (r"(?<![\d:])(\d)(?=:\d\d)", r"0\1"),
    (rf"(?<=:\d\d),(?={_DAY}\b)", ", "),
    (r"^[,; ]+|[,; ]+$", ""),
    (r" ?; ?(?:; ?)+", "; "),
)


def _correct(text: str) -> str:
    for pattern, change in _SIGNS_AND_TIMES:
        text = pattern.sub(change, text)
    text = _PHRASE.sub(lambda found: PHRASES[found[0].casefold()], text)
    text = _WORD.sub(_word, text)
    for pattern, change in _RULES:
        text = pattern.sub(change, text)
    return text
