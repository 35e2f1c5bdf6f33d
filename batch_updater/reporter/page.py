"""Outcomes -> report.html: the summary and the rows that need a person, for those who get a link and no workbook.

The page is whole in itself: no script, and nothing is loaded from elsewhere. It is well-formed XML, too.
"""

from __future__ import annotations

import base64
import hashlib
import os
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import PurePath
from typing import TYPE_CHECKING
from urllib.parse import quote

from batch_updater.files.writing import write_whole
from batch_updater.messages import mapping_shown, what_is_wrong, what_to_do
from batch_updater.records import OutcomeKind
from batch_updater.reporter.cell_values import readable
from batch_updater.reporter.row_sheets import shown
from batch_updater.reporter.style import COLOURS, EXPLAINED
from batch_updater.reporter.summary import NEEDS_PERSON, RUN_AGAIN
from batch_updater.reporter.summary_view import CAUSES_LISTED, ended_early, example_place, told_facts, what_next
from batch_updater.text.printable import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint
    from batch_updater.records import Cause, Cell, Columns, ReportRow, RunFacts
    from batch_updater.reporter.summary import Summary
    from batch_updater.reporter.summary_view import Progress
    from batch_updater.reporter.workbook import Written

PAGE = "report.html"
"""The page's name in a run's folder."""
_ROWS_SHOWN = 1_000
_CELLS_SHOWN = 8
"""Of one row."""
_TEXT_CHARACTERS = 800
_VALUE_CHARACTERS = 120
_NARROWEST_SHARE = 0.008
"""How much of the bar even one row of a million gets, so that it can be seen."""


class RowsForReview:
    """The rows that need a person, as the page shows them: the first thousand, so that memory stays flat."""

    def __init__(self, columns: Columns, endpoint: Endpoint) -> None:
        self.columns = columns
        selecting = (field.name for field in endpoint.fields if field.selects_record)
        self._selecting = tuple(columns.of_field[name] for name in selecting if name in columns.of_field)
        self.rows: list[str] = []
        """Rows of the table, in file order."""

    def noting(self, rows: Iterable[ReportRow]) -> Iterator[ReportRow]:
        """Pass on every row, and keep what the page shows of those that need a person."""
        for row in rows:
            if row.outcome.kind in NEEDS_PERSON and len(self.rows) < _ROWS_SHOWN:
                self.rows.append(self._line(row))
            yield row

    def _line(self, row: ReportRow) -> str:
        outcome = row.outcome
        cells = (
            f'<th scope="row" class="nowrap" data-label="Row">{row.row.number}</th>',
            f'<td class="beside">{_badge(outcome.kind)}</td>',
            f'<td class="record">{self._record(row)}</td>',
            f"<td>{_lines(what_is_wrong(outcome, self.columns))}</td>",
            f'<td class="faulty">{self._faulty(row)}</td>',
            f'<td data-label="Do:">{_lines(what_to_do(outcome, self.columns))}</td>',
        )
        return f"<tr>{''.join(cells)}</tr>"

    def _record(self, row: ReportRow) -> str:
        parts = (f"<span>{self._header(at)} <b>{_value(row.row.cells[at])}</b></span>" for at in self._selecting)
        return "<br/>".join(parts)

    def _faulty(self, row: ReportRow) -> str:
        fields = dict.fromkeys(problem.field for problem in row.outcome.problems if problem.field)
        faulty = [at for field in fields if (at := self.columns.of_field.get(field)) is not None]
        if not faulty:
            return ""
        entries = (
            f"<dt>{self._header(at)} ({self.columns.address(row.row.number, at)})</dt>"
            f'<dd><span class="value">{_value(row.row.cells[at])}</span></dd>'
            for at in faulty[:_CELLS_SHOWN]
        )
        more = len(faulty) - _CELLS_SHOWN
        rest = f"<dt>and {more:,} more</dt><dd>see the workbook</dd>" if more > 0 else ""
        return f'<dl class="cells">{"".join(entries)}{rest}</dl>'

    def _header(self, position: int) -> str:
        return _text(self.columns.headers[position], _VALUE_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page says."""

    facts: RunFacts
    endpoint: Endpoint
    summary: Summary
    attention: RowsForReview
    written: Written | None
    """The results workbook; None if it was not written."""

    @property
    def workbook(self) -> PurePath | None:
        """Where the workbook is."""
        return self.written.path if self.written else None


def write_page(path: Path, page: Page) -> None:
    """Write the page, whole or not at all, for its owner alone. Raises OSError."""
    text = "\n".join(_document(page, path))

    def write(draft: Path) -> None:
        draft.write_text(text, encoding="utf-8")

    write_whole(path, write)


def _document(page: Page, path: PurePath) -> Iterator[str]:
    facts, summary = page.facts, page.summary
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    name = printable(PurePath(facts.input_path).name)
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8"/>'
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}"/>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
    yield '<meta name="referrer" content="no-referrer"/><meta name="robots" content="noindex"/>'
    yield f"<title>{_plain(f'{summary.verdict} {name}')}</title><style>{style}</style></head><body>"
    yield f'<header><p class="about">{_text(name)}, {_day(facts.started_at)} UTC</p>'
    yield f"<h1>{_text(summary.verdict)}</h1></header><main>"
    yield from _next(page, path)
    yield from _mapping(page.attention.columns)
    if summary.rows:
        yield from _counts(page)
    yield from _causes(summary)
    yield from _rows(page, path)
    yield from _progress_and_facts(page)
    yield f"</main><footer>{_text('Written by batch-updater. It holds what the file holds: pass it on with care.')}"
    yield "</footer></body></html>\n"


def _style() -> str:
    """Return the style sheet. In the dark each outcome's two colours change places, which keeps their contrast."""
    light = "".join(f".{kind.value}{{--fill:{fill};--ink:{ink}}}" for kind, (fill, ink) in COLOURS.items())
    dark = "".join(f".{kind.value}{{--fill:{ink};--ink:{fill}}}" for kind, (fill, ink) in COLOURS.items())
    rules = _resource_text("report.css")
    return f"{rules}{light}@media screen and (prefers-color-scheme: dark){{{dark}}}"


def _resource_text(name: str) -> str:
    """Return the text of a file that lies beside this module."""
    return (files("batch_updater.reporter") / name).read_text(encoding="utf-8")


def _next(page: Page, path: PurePath) -> Iterator[str]:
    facts, summary, workbook = page.facts, page.summary, page.workbook
    yield f'<section class="next {_worst(summary).value}" aria-labelledby="next"><h2 id="next">What next</h2>'
    if facts.stop and summary.total(RUN_AGAIN):
        yield f'<p class="stop">{_text(ended_early(facts.stop))}</p>'
    if workbook is None:
        yield "<p>The results workbook could not be written. Run the same again: it goes on from here.</p>"
    else:
        yield f"<p>{_text(what_next(facts, summary, workbook.name))}</p>"
        yield f"<p>Results workbook: {_link(workbook, path)}</p>"
    yield "</section>"


def _worst(summary: Summary) -> OutcomeKind:
    """Return the outcome whose colour stands for the whole run."""
    if summary.total(NEEDS_PERSON):
        return OutcomeKind.REJECTED
    return OutcomeKind.FAILED if summary.total(RUN_AGAIN) else OutcomeKind.UPDATED


def _link(workbook: PurePath, path: PurePath) -> str:
    """Lead to the workbook where it lies beside the page, wherever the folder is moved; else say where it is."""
    if workbook.parent == path.parent:
        return f'<a href="./{quote(os.fsencode(workbook.name))}">{_text(workbook.name)}</a>'
    return f"<code>{_text(str(workbook))}</code>"


def _mapping(columns: Columns) -> Iterator[str]:
    heading = f"Columns, by the headers in row {columns.header_row:,}"
    yield f'<section aria-labelledby="columns"><h2 id="columns">{heading}</h2><table class="mapping"><thead><tr>'
    yield '<th scope="col">Header</th><th scope="col">First value</th><th scope="col">Field</th></tr></thead><tbody>'
    shown_columns, more = mapping_shown(columns.mapping)
    for column in shown_columns:
        quiet = "" if column.field else ' class="quiet"'
        yield f'<tr{quiet}><th scope="row">{_text(column.header, _VALUE_CHARACTERS)}</th>'
        yield f"<td>{_text(column.first_value, _VALUE_CHARACTERS)}</td><td>{_text(column.meaning)}</td></tr>"
    yield "</tbody></table>"
    if more:
        yield f'<p class="quiet">{more}</p>'
    yield "</section>"


def _counts(page: Page) -> Iterator[str]:
    summary = page.summary
    kinds = [kind for kind in OutcomeKind if summary[kind]]
    yield '<section aria-labelledby="counts"><h2 id="counts">What became of the rows</h2>'
    yield from _bar(kinds, summary)
    yield '<table class="counts"><thead><tr><th scope="col">Outcome</th><th scope="col" class="number">Rows</th>'
    yield '<th scope="col">What it means</th></tr></thead><tbody>'
    for kind in kinds:
        explained = EXPLAINED[kind].format(api=page.endpoint.api_name)
        yield f'<tr><th scope="row">{_badge(kind)}</th><td class="number">{summary[kind]:,}</td>'
        yield f"<td>{_text(explained)}</td></tr>"
    yield '</tbody><tfoot><tr><th scope="row">rows in all</th>'
    yield f'<td class="number">{summary.rows:,}</td><td></td></tr></tfoot></table></section>'


def _bar(kinds: list[OutcomeKind], summary: Summary) -> Iterator[str]:
    told = ", ".join(f"{summary[kind]:,} {kind.value}" for kind in kinds)
    shares = [max(summary[kind] / summary.rows, _NARROWEST_SHARE) for kind in kinds]
    scale, left = 1_000 / sum(shares), 0.0
    yield '<figure><svg class="bar" role="img" aria-labelledby="bar" viewBox="0 0 1000 10" preserveAspectRatio="none">'
    yield f'<title id="bar">Rows by outcome: {told}</title>'
    for kind, share in zip(kinds, shares, strict=True):
        width = share * scale
        yield f'<rect class="{kind.value}" x="{left:.2f}" y="0" width="{width:.2f}" height="10"/>'
        left += width
    yield "</svg></figure>"


def _causes(summary: Summary) -> Iterator[str]:
    if not summary.causes:
        return
    yield '<section aria-labelledby="causes"><h2 id="causes">Commonest causes</h2><table class="cards"><thead><tr>'
    yield '<th scope="col" class="number">Rows</th><th scope="col">Cause</th><th scope="col">Example</th>'
    yield '<th scope="col" class="wide">What is wrong there</th></tr></thead><tbody>'
    yield from map(_cause, summary.causes[:CAUSES_LISTED])
    yield "</tbody></table>"
    if (rest := len(summary.causes) - CAUSES_LISTED) > 0:
        yield f'<p class="quiet">and {rest:,} more kinds: see the sheet To fix of the workbook</p>'
    yield "</section>"


def _cause(cause: Cause) -> str:
    return (
        f'<tr><td class="number beside">{cause.count:,}</td><th scope="row">{_text(cause.text)}</th>'
        f'<td class="nowrap" data-label="First:">{_text(example_place(cause))}</td>'
        f"<td>{_lines(cause.example)}</td></tr>"
    )


def _rows(page: Page, path: PurePath) -> Iterator[str]:
    needing, again = page.summary.total(NEEDS_PERSON), page.summary.total(RUN_AGAIN)
    if not needing:
        return
    there = len(page.attention.rows)
    yield '<section aria-labelledby="rows"><h2 id="rows">Rows that need a person</h2>'
    if again:
        yield f'<p class="quiet">{again:,} more need no repair, only another run; they are not listed here.</p>'
    yield '<table class="cards"><thead><tr><th scope="col">Row</th><th scope="col">Outcome</th>'
    yield '<th scope="col">Record</th><th scope="col">What is wrong</th><th scope="col">Faulty cells</th>'
    yield '<th scope="col">What to do</th></tr></thead><tbody>'
    yield from page.attention.rows
    yield "</tbody></table>"
    if needing > there:
        where = f"all of them are in {_link(page.workbook, path)}" if page.workbook else "the workbook will hold them"
        yield f"<p>These are the first {there:,} of {needing:,} rows; {where}.</p>"
    yield "</section>"


def _progress_and_facts(page: Page) -> Iterator[str]:
    yield '<div class="pair">'
    if page.written and page.written.progress.any:
        yield from _curve(page.written.progress)
    yield '<section aria-labelledby="facts"><h2 id="facts">Facts</h2><dl class="facts">'
    for name, value in told_facts(page.facts, page.endpoint):
        yield f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>"
    yield "</dl></section></div>"


def _curve(progress: Progress) -> Iterator[str]:
    totals = list(progress.totals())
    (lasted_s, finished) = totals[-1]
    points = " ".join(f"{1_000 * at_s / lasted_s:.1f},{100 - 96 * total / finished:.2f}" for at_s, total in totals)
    yield '<section aria-labelledby="progress"><h2 id="progress">Rows finished over time</h2><figure>'
    yield '<svg class="curve" role="img" aria-labelledby="curve" viewBox="0 0 1000 100" preserveAspectRatio="none">'
    yield f'<title id="curve">{finished:,} rows were finished within {lasted_s:,g} seconds</title>'
    yield f'<polygon points="{points} 1000,100 0,100"/><polyline points="{points}"/></svg>'
    yield f"<figcaption><span>0 s</span><span>{finished:,} rows after {lasted_s:,g} s</span></figcaption>"
    yield "</figure></section>"


def _badge(kind: OutcomeKind) -> str:
    return f'<span class="outcome {kind.value}">{kind.value}</span>'


def _lines(text: str) -> str:
    return f'<span class="lines">{_text(text)}</span>' if text else ""


def _value(cell: Cell) -> str:
    text = str(cell).upper() if isinstance(cell, bool) else shown(cell)
    return _text(text, _VALUE_CHARACTERS) if text.strip() else '<span class="blank">blank</span>'


def _text(text: str, at_most: int = _TEXT_CHARACTERS) -> str:
    """Return a text as it stands in the page: shortened, escaped, and unable to turn the text around it about."""
    if len(text) > at_most:
        text = f"{text[:at_most]} … ({len(text):,} characters)"
    return _plain(text) if text.isascii() else f"<bdi>{_plain(text)}</bdi>"


def _plain(text: str) -> str:
    """Return a text whose invisible characters are seen, but for its line breaks."""
    return escape(readable(printable_lines(text)))


def _day(at: datetime) -> str:
    return f"{at.day} {at:%B %Y, %H:%M}"
