"""The figures of `lbs bench engine` as tables, on the terminal and in documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from lbs.runtime import CommandError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TITLES: Final = {
    "lbs": "LBS, match",
    "lbs_with_state": "LBS, match + state + events",
    "duckdb_spatial": "DuckDB spatial join",
    "shapely_strtree": "shapely STRtree",
    "redis_geosearch": "Redis GEOSEARCH (circles)",
    "tile38": "Tile38 SET, SETCHAN fences",
    "postgis_join": "PostGIS join of 20,000",
    "postgis_prepared": "PostGIS prepared query",
}
"""In the order of rows; keys of `rates`."""
OURS: Final = ("lbs", "lbs_with_state")
IN_BRACKETS: Final = "In brackets: how many times faster LBS is in the same run, match only / with state and events."
BEGIN, END = "<!-- bench engine -->", "<!-- /bench engine -->"
Rows = list[list[str]]


def rate_rows(runs: Sequence[Mapping[str, Any]]) -> Rows:
    """Positions a second by engine and number of fences, with the ratio of ours to each peer; the head comes first."""
    rows = [["positions/s", *(f"{run['fences']:,} fences" for run in runs)]]
    for name, title in TITLES.items():
        if any(name in run["rates"] for run in runs):
            rows.append([title, *(_rate_and_ratio(run, name) for run in runs)])
    rows.append(["floor: bytes read, one cache miss", *(_short(run["floor"]) for run in runs)])
    return rows


def index_rows(runs: Sequence[Mapping[str, Any]]) -> Rows:
    """The index itself by number of fences; the head comes first."""
    first = runs[0]["rates"]["lbs"]
    return [
        ["the index", *(f"{run['fences']:,} fences" for run in runs)],
        [f"speed against {runs[0]['fences']:,} fences", *(f"{run['rates']['lbs'] / first:.0%}" for run in runs)],
        ["speed against the floor", *(f"{run['rates']['lbs'] / run['floor']:.0%}" for run in runs)],
        ["build: cells + index", *(f"{run['cover_s']:.2f} s + {run['index_s']:.2f} s" for run in runs)],
        ["memory a fence", *(f"{run['bytes_per_fence']:,.0f} B" for run in runs)],
        ["one edit, p50 / p99", *(f"{run['edit_p50_us']:,.0f} / {run['edit_p99_us']:,.0f} us" for run in runs)],
        ["speed after a tenth was edited", *(f"{run['after_churn']:.0%}" for run in runs)],
    ]


def markdown(rows: Rows) -> str:
    """A table.

    >>> print(markdown([["a", "b"], ["c", "1"]]))
    | a | b |
    |---|--:|
    | c | 1 |
    """
    head, *body = rows
    rule = "|".join(["---", *("--:" for _ in head[1:])])
    return "\n".join([_line(head), f"|{rule}|", *map(_line, body)])


def terminal_table(rows: Rows) -> Table:
    head, *body = rows
    table = Table(head[0], header_style="bold")
    for title in head[1:]:
        table.add_column(title, justify="right")
    for row in body:
        table.add_row(*row, style="bold" if row[0] in map(TITLES.get, OURS) else None)
    return table


def for_documents(result: Mapping[str, Any]) -> str:
    """Both tables, and what they were measured on."""
    runs = result["runs"]
    tables = f"{markdown(rate_rows(runs))}\n\n{markdown(index_rows(runs))}"
    return f"{tables}\n\n{IN_BRACKETS} Measured on {result['machine']}."


def write_between_marks(document: Path, text: str) -> None:
    """Replace what stands between the marks of this benchmark; CommandError if they are not there, once each."""
    old = document.read_text(encoding="utf-8")
    if old.count(BEGIN) != 1 or old.count(END) != 1 or old.index(BEGIN) > old.index(END):
        raise CommandError(f"{document}: the marks {BEGIN} and {END} are not there")
    head, _, rest = old.partition(BEGIN)
    tail = rest.partition(END)[2]
    document.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")


def _rate_and_ratio(run: Mapping[str, Any], name: str) -> str:
    if name not in run["rates"]:
        return "-"
    own = _short(run["rates"][name])
    if name in OURS:
        return own
    return f"{own} ({_times(run['ratios'][name])} / {_times(run['ratios_with_state'][name])})"


def _short(rate: float) -> str:
    """At most three digits before the unit.

    >>> _short(18_212_345.0), _short(402_100.0), _short(35_432.0), _short(812.0)
    ('18.2 M', '402 k', '35.4 k', '812')
    """
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if rate >= size:
            return f"{rate / size:.{1 if rate < 100 * size else 0}f} {unit}"
    return f"{rate:.0f}"


def _times(ratio: float) -> str:
    """A ratio in two digits or more.

    >>> _times(412.3), _times(0.84)
    ('412 x', '0.8 x')
    """
    return f"{ratio:,.0f} x" if ratio >= 10 else f"{ratio:.1f} x"  # noqa: PLR2004 - two digits either way


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
