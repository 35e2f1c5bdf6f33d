"""SummaryView -> report.html: the summary and the rows for review, for those who get a link and no workbook.

The page is complete in itself: it has no script and loads nothing. It is well-formed XML, too.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from batch_updater.endpoint.description import Endpoint
from batch_updater.files.writing import write_whole
from batch_updater.messages import what_is_wrong, what_to_do
from batch_updater.records import Columns, OutcomeKind, ReportRow
from batch_updater.reporter.cell_values import readable, shown
from batch_updater.reporter.style import COLOURS
from batch_updater.reporter.summary import NEEDS_PERSON
from batch_updater.reporter.summary_view import SummaryView
from batch_updater.text.printable import printable_lines

PAGE = "report.html"
"""The page's name in a run's folder."""
_ROWS_SHOWN = 1_000
_CELLS_SHOWN = 8
"""Of one row."""
_TEXT_CHARACTERS = 800
_VALUE_CHARACTERS = 120
_LONGEST_NOTE = 30
"""Characters of the note that a text is shortened."""
_NARROWEST_SHARE = 0.008
"""How much of the bar even one row of a million gets, so that it can be seen."""


class _NamedCell(NamedTuple):
    header: str
    address: str
    value: str


class _ReviewedRow(NamedTuple):
    """A row that needs a person, its texts no longer than they are shown."""

    number: int
    kind: OutcomeKind
    selecting: Sequence[_NamedCell]
    """The cells that say which record it is."""
    wrong: str
    faulty: Sequence[_NamedCell]
    more_faulty: int
    todo: str


class RowsForReview:
    """The rows that need a person, as the page shows them: the first thousand, so that memory stays flat."""

    def __init__(self, columns: Columns, endpoint: Endpoint) -> None:
        self._columns = columns
        selecting = (field.name for field in endpoint.fields if field.selects_record)
        self._selecting = tuple(columns.of_field[name] for name in selecting if name in columns.of_field)
        self.rows: list[_ReviewedRow] = []
        """In file order."""

    def noting(self, rows: Iterable[ReportRow]) -> Iterator[ReportRow]:
        """Pass on every row, and keep what the page shows of those that need a person."""
        for row in rows:
            if row.outcome.kind in NEEDS_PERSON and len(self.rows) < _ROWS_SHOWN:
                outcome, columns = row.outcome, self._columns
                fields = dict.fromkeys(problem.field for problem in outcome.problems if problem.field)
                faulty = [at for field in fields if (at := columns.of_field.get(field)) is not None]
                self.rows.append(
                    _ReviewedRow(
                        number=row.row.number,
                        kind=outcome.kind,
                        selecting=self._cells(row, self._selecting),
                        wrong=_shortened(what_is_wrong(outcome, columns)),
                        faulty=self._cells(row, faulty[:_CELLS_SHOWN]),
                        more_faulty=max(len(faulty) - _CELLS_SHOWN, 0),
                        todo=_shortened(what_to_do(outcome, columns)),
                    )
                )
            yield row

    def _cells(self, row: ReportRow, positions: Sequence[int]) -> list[_NamedCell]:
        columns, number = self._columns, row.row.number
        return [
            _NamedCell(
                _shortened(columns.headers[at], _VALUE_CHARACTERS),
                columns.address(number, at),
                _shortened(shown(row.row.cells[at]), _VALUE_CHARACTERS),
            )
            for at in positions
        ]


def write_page(path: Path, view: SummaryView, reviewed: RowsForReview, workbook: Path | None) -> None:
    """Write the page, whole or not at all, for its owner alone. `workbook`: None if it was not written.

    Raises OSError.
    """
    text = "\n".join(_page(view, reviewed.rows, workbook, path.parent))
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))


# Each of the functions below yields lines of the page.


def _page(view: SummaryView, reviewed: Sequence[_ReviewedRow], workbook: Path | None, folder: Path) -> Iterator[str]:
    style = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    link = _workbook_link(workbook, folder) if workbook else Markup()
    yield "<!DOCTYPE html>"
    yield '<html lang="en"><head><meta charset="utf-8"/>'
    yield (
        """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; """
        f"style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'\"/>"
    )
    yield '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
    yield '<meta name="referrer" content="no-referrer"/><meta name="robots" content="noindex"/>'
    yield _filled("<title>{}</title>", _plain(f"{view.verdict} {view.file}"))
    yield f"<style>{style}</style></head>"
    yield "<body>"
    yield "<header>"
    at = view.started_at
    yield _filled('<p class="about">{}, {} {} UTC</p>', view.file, at.day, at.strftime("%B %Y, %H:%M"))
    yield _filled("<h1>{}</h1>", view.verdict)
    yield "</header>"
    yield "<main>"
    yield from _what_next(view, workbook, link)
    yield from _columns(view)
    if view.rows:
        yield from _counts(view)
    if view.causes:
        yield from _causes(view)
    if view.for_review:
        yield from _review(view, reviewed, link)
    yield '<div class="pair">'
    if view.timeline:
        yield from _progress(view.timeline)
    yield from _section("facts", "Facts")
    yield '<dl class="facts">'
    for name, value in view.facts:
        yield _filled("<dt>{}</dt><dd>{}</dd>", name, value)
    yield "</dl>"
    yield "</section>"
    yield "</div>"
    yield "</main>"
    yield "<footer>Written by batch-updater. It holds what the file holds: pass it on with care.</footer>"
    yield "</body></html>"


def _style() -> str:
    """Return the style sheet. In the dark the two colours of an outcome change places, which keeps their contrast."""
    light = "\n".join(f".{kind} {{ --fill: {fill}; --ink: {ink}; }}" for kind, (fill, ink) in COLOURS.items())
    dark = "\n".join(f"  .{kind} {{ --fill: {ink}; --ink: {fill}; }}" for kind, (fill, ink) in COLOURS.items())
    rules = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    return f"{rules}\n{light}\n@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}"


def _what_next(view: SummaryView, workbook: Path | None, link: Markup) -> Iterator[str]:
    yield _filled('<section class="next {}" aria-labelledby="next">', view.gravest)
    yield '<h2 id="next">What next</h2>'
    if view.stop:
        yield _filled('<p class="stop">{}</p>', view.stop)
    if workbook is None:
        yield "<p>The results workbook could not be written.</p>"
    step = view.next_step.with_workbook(workbook.name) if workbook else view.next_step
    yield _filled("<p>{}</p>", step.in_full)
    if workbook:
        yield f"<p>Results workbook: {link}</p>"
    yield "</section>"


def _columns(view: SummaryView) -> Iterator[str]:
    yield from _section("columns", f"Columns, by the headers in row {view.header_row:,}")
    yield '<table class="mapping">'
    yield _head("Header", "First value", "Field")
    for column in view.columns:
        quiet = "" if column.field else ' class="quiet"'
        header, value = (_shortened(text, _VALUE_CHARACTERS) for text in (column.header, column.first_value))
        line = f'<tr{quiet}><th scope="row">{{}}</th>\n<td>{{}}</td><td>{{}}</td></tr>'
        yield _filled(line, header, value, column.meaning)
    yield "</tbody>"
    yield "</table>"
    if view.more_columns:
        yield _filled('<p class="quiet">{}</p>', view.more_columns)
    yield "</section>"


def _counts(view: SummaryView) -> Iterator[str]:
    yield from _section("counts", "Rows by outcome")
    yield (
        '<figure><svg class="bar" role="img" aria-labelledby="bar" viewBox="0 0 1000 10" preserveAspectRatio="none">'
    )
    shares = ", ".join(f"{count.rows:,} {count.kind}" for count in view.counts)
    yield _filled('<title id="bar">Rows by outcome: {}</title>', shares)
    for kind, left, width in _bar(view):
        yield f'<rect class="{kind}" x="{left:.2f}" y="0" width="{width:.2f}" height="10"/>'
    yield "</svg></figure>"
    yield '<table class="counts">'
    yield _head("Outcome", "Rows", "What it means", classes={"Rows": "number"})
    for count in view.counts:
        line = '<tr><th scope="row">{}</th><td class="number">{:,}</td><td>{}</td></tr>'
        yield _filled(line, _badge(count.kind), count.rows, count.meaning)
    yield "</tbody>"
    total = f'<td class="number">{view.rows:,}</td>'
    yield f'<tfoot><tr><th scope="row">rows in all</th>{total}<td></td></tr></tfoot>'
    yield "</table>"
    yield "</section>"


def _causes(view: SummaryView) -> Iterator[str]:
    yield from _section("causes", "Most common causes")
    yield '<table class="cards">'
    classes = {"Rows": "number", "What is wrong there": "wide"}
    yield _head("Rows", "Cause", "Example", "What is wrong there", classes=classes)
    for cause in view.causes:
        yield _filled(
            '<tr><td class="number beside">{:,}</td><th scope="row">{}</th>'
            '<td class="nowrap" data-label="First:">{}</td><td>{}</td></tr>',
            cause.count, cause.text, cause.example_place, _lines(cause.example),
        )  # fmt: skip
    yield "</tbody>"
    yield "</table>"
    if view.more_causes:
        yield f'<p class="quiet">and {view.more_causes:,} more kinds: see the sheet To fix of the workbook</p>'
    yield "</section>"


def _review(view: SummaryView, reviewed: Sequence[_ReviewedRow], link: Markup) -> Iterator[str]:
    yield from _section("rows", "Rows that need a person")
    if more := view.to_run_again:
        need, are = ("needs", "is") if more == 1 else ("need", "are")
        yield f'<p class="quiet">{more:,} more {need} no repair, only another run, and {are} not listed here.</p>'
    yield '<table class="cards">'
    yield _head("Row", "Outcome", "Record", "What is wrong", "Faulty cells", "What to do")
    for row in reviewed:
        cells = (_filled("<span>{} <b>{}</b></span>", cell.header, cell.value) for cell in row.selecting)
        yield _filled(
            '<tr><th scope="row" class="nowrap" data-label="Row">{}</th><td class="beside">{}</td>\n'
            '<td class="record">{}</td><td>{}</td>\n'
            '<td class="faulty">{}</td><td data-label="Do:">{}</td></tr>',
            row.number, _badge(row.kind), Markup("<br/>").join(cells), _lines(row.wrong), _faulty_cells(row),
            _lines(row.todo),
        )  # fmt: skip
    yield "</tbody>"
    yield "</table>"
    if view.for_review > len(reviewed):
        rest = f"all of them are in {link}" if link else "the workbook will hold them"
        yield f"<p>These are the first {len(reviewed):,} of {view.for_review:,} rows; {rest}.</p>"
    yield "</section>"


def _progress(timeline: Sequence[tuple[float, int]]) -> Iterator[str]:
    lasted_s, finished = timeline[-1]
    points = "".join(f"{1000 * at_s / lasted_s:.1f},{100 - 96 * rows / finished:.2f} " for at_s, rows in timeline)
    yield from _section("progress", "Rows finished over time")
    yield (
        '<figure><svg class="curve" role="img" aria-labelledby="curve" viewBox="0 0 1000 100" '
        'preserveAspectRatio="none">'
    )
    yield f'<title id="curve">{finished:,} rows were finished within {lasted_s:,g} seconds</title>'
    yield f'<polygon points="{points}1000,100 0,100"/><polyline points="{points}"/></svg>'
    caption = f"<span>0 s</span><span>{finished:,} rows after {lasted_s:,g} s</span>"
    yield f"<figcaption>{caption}</figcaption></figure>"
    yield "</section>"


def _section(name: str, heading: str) -> Iterator[str]:
    yield f'<section aria-labelledby="{name}">'
    yield f'<h2 id="{name}">{heading}</h2>'


def _head(*headers: str, classes: Mapping[str, str] | None = None) -> str:
    """Return the head of a table, and where its body begins; `classes` by header."""
    named = {header: f' class="{name}"' for header, name in (classes or {}).items()}
    cells = "".join(f'<th scope="col"{named.get(header, "")}>{header}</th>' for header in headers)
    return f"<thead><tr>{cells}</tr></thead>\n<tbody>"


def _workbook_link(workbook: Path, folder: Path) -> Markup:
    if workbook.parent == folder:  # relative, so that it works wherever the folder is moved
        return _filled('<a href="{}">{}</a>', f"./{quote(os.fsencode(workbook.name))}", workbook.name)
    return _filled("<code>{}</code>", str(workbook))


def _badge(kind: OutcomeKind) -> Markup:
    return _filled('<span class="outcome {}">{}</span>', kind, kind)


def _lines(text: str) -> Markup:
    return _filled('<span class="lines">{}</span>', text) if text else Markup()


def _faulty_cells(row: _ReviewedRow) -> Markup:
    if not row.faulty:
        return Markup()
    line = '<dt>{} ({})</dt><dd><span class="value">{}</span></dd>'
    cells = Markup().join(_filled(line, cell.header, cell.address, cell.value) for cell in row.faulty)
    more = f"<dt>and {row.more_faulty:,} more</dt><dd>see the workbook</dd>" if row.more_faulty else ""
    return _filled('<dl class="cells">{}{}</dl>', cells, Markup(more))  # noqa: S704  (a number)


def _filled(markup: str, *values: object) -> Markup:
    """Return markup with values in place of its `{}`. No text of theirs is markup, or turns the text around it."""
    return Markup(markup).format(*map(_in_body, values))  # noqa: S704  (only what this module holds)


def _in_body(value: object) -> object:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return _plain(value) if value.isascii() else Markup("<bdi>{}</bdi>").format(_plain(value))


def _plain(text: str) -> Markup:
    """Return a text without markup; except line breaks, its invisible characters are made visible."""
    return Markup.escape(readable(printable_lines(_shortened(text))))


def _bar(view: SummaryView) -> Iterator[tuple[OutcomeKind, float, float]]:
    """Yield outcome, left edge and width of each part of a bar that is 1,000 wide."""
    shares = [max(count.rows / view.rows, _NARROWEST_SHARE) for count in view.counts]
    left = 0.0
    for count, share in zip(view.counts, shares, strict=True):
        width = 1_000 * share / sum(shares)
        yield count.kind, left, width
        left += width


def _shortened(text: str, at_most: int = _TEXT_CHARACTERS) -> str:
    if len(text) <= at_most + _LONGEST_NOTE:  # so that a shortened text is not shortened again
        return text
    return f"{text[:at_most]} … ({len(text):,} characters)"
