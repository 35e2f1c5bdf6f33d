"""Reads a worksheet's rows fast where they are written in the one form that nearly all programs write.

An XML parser reads the worksheet, but for rows in that form: those are taken apart by a regular expression, which
is three times as fast. It has to match a row as a whole, so that nothing can be overlooked; whatever it does not match,
and all that stands before and after the rows, goes to the parser. Rows that are written as many rows before them are
taken apart by an expression made of one of those, which is six times as fast again. A test holds all ways against each
other.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from typing import IO, TYPE_CHECKING, NamedTuple

from batch_updater.loader.formats.package import OTHER_ENCODING, PLAIN_CONTENT, Feeder

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from batch_updater.loader.formats.book import SheetRow
    from batch_updater.loader.formats.worksheet import RowPlan, RowReader, RowShape

_CHUNK_BYTES = 1 << 16
_MOST_KEPT = 1 << 20
"""Characters of one row, or of what stands before the rows, that are looked at as a whole."""
_START_OF_ROWS = re.compile(r"<(?:([A-Za-z_][A-Za-z0-9_.-]*):)?sheetData>")
_NOT_ROWS = ("<!", "<?", "sheetData")
"""Behind these what looks like a row may be a comment, or stand outside the rows."""
_ATTRIBUTES = r'(?: s="([0-9]+)")?(?: t="([a-zA-Z]+)")?'
_ROW_NUMBER = "[0-9]{1,7}"
_ROWS_OF_A_TEMPLATE = 20
"""So many rows of one kind are read before a template is made of the next one."""
_MOST_TEMPLATES = 8
"""Each of them is tried with every row that none before it matches."""
_MOST_CELLS_OF_A_TEMPLATE = 500
_MOST_KINDS = 4096


class _Forms:
    """How rows are written in that form by programs that write a prefix before the names of elements, or none.

    A prefix means the same in all rows: what declares another meaning does not have the form.
    """

    def __init__(self, prefix: str) -> None:
        """`prefix` has its colon, and is '' where there is none."""
        self._formula_pattern = rf"(?:<{prefix}f(?: [^<>]*)?(?:/>|>[^<]*</{prefix}f>)(?=<{prefix}v>[^<]))"
        """A formula beside the value that was saved for it, which is all that counts."""
        formula = f"{self._formula_pattern}?"
        text = rf'<{prefix}is><{prefix}t(?: xml:space="preserve")?>'
        end_of_text = f"</{prefix}t></{prefix}is>"
        start_of_row = rf"""\s*<{prefix}row r="({_ROW_NUMBER})"((?: [^<>'/]*)?)>"""
        value = f"{formula}<{prefix}v>{PLAIN_CONTENT}</{prefix}v>|{text}{PLAIN_CONTENT}{end_of_text}"
        cell = rf'<{prefix}c r="[A-Za-z]{{1,3}}\1"{_ATTRIBUTES}(?:/>|>(?:{value})?</{prefix}c>)'
        self.end_of_row = f"</{prefix}row>"
        self.formula = f"<{prefix}f"
        self.start_of_row = re.compile(start_of_row)
        self.row = re.compile(rf"{start_of_row}((?:{_without_groups(cell)})*)")
        self.cells = re.compile(
            rf'<{prefix}c r="([A-Za-z]{{1,3}})[0-9]+"{_ATTRIBUTES}'
            rf"(?:/>|>(?:(?:{formula}<{prefix}v>|{text}){PLAIN_CONTENT}(?:</{prefix}v>|{end_of_text}))?</{prefix}c>)"
        )
        """The parts of each cell of a row that `row` has matched: letters, style, type, content."""

    def template(self, row: re.Match[str]) -> re.Pattern[str]:
        """Return a pattern of the rows that differ from one that `row` has matched in number and contents alone.

        Its groups are the row's number and the content of each cell.
        """
        text, end = row[0], row.start(3)
        made = [re.escape(text[: row.start(1)]), f"({_ROW_NUMBER})", re.escape(text[row.end(1) : end])]
        for cell in self.cells.finditer(row[3]):
            start, stop = (row.start(3) + at for at in cell.span(4)) if cell[4] is not None else (end, end)
            stop_of_cell = row.start(3) + cell.end()
            reference = row.start(3) + cell.end(1)
            made += [re.escape(text[end:reference]), r"\1"]
            reference += len(row[1])
            if cell[4] is None:
                made += ["()", re.escape(text[reference:stop_of_cell])]
            else:
                made += [self._before_content(text[reference:start]), PLAIN_CONTENT, re.escape(text[stop:stop_of_cell])]
            end = stop_of_cell
        return re.compile("".join(made))

    def _before_content(self, text: str) -> str:
        at = text.find(self.formula)
        if at < 0:
            return re.escape(text)
        return re.escape(text[:at]) + self._formula_pattern + re.escape(text[text.rindex("<") :])


class _Template(NamedTuple):
    """How many rows of a sheet are written, and what is done with them."""

    pattern: re.Pattern[str]
    plan: RowPlan
    hidden: bool


def _without_groups(pattern: str) -> str:
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)


def read_rows(
    stream: IO[bytes], reader: RowReader, only: Container[int] | None = None, *, formulas_fast: bool = True
) -> Iterator[SheetRow]:
    """Yield the rows of a worksheet's XML as they are read; what it says about its own size is not believed.

    Where `only` is given, rows whose numbers it does not contain may be left out. `formulas_fast`: of a formula the
    value beside it is all that counts.
    """
    scanner = _Scanner(reader, only, formulas_fast=formulas_fast)
    while chunk := stream.read(_CHUNK_BYTES):
        scanner.feed(chunk)
        yield from reader.take()
    scanner.close()
    yield from reader.take()
    yield from reader.rest()


class _Scanner:
    """Decides for each piece of a worksheet which way it is read."""

    def __init__(self, reader: RowReader, only: Container[int] | None, *, formulas_fast: bool) -> None:
        self._reader = reader
        self._formulas_fast = formulas_fast
        self._only = only
        self._feeder = Feeder(reader.parser)
        self._decoder: codecs.IncrementalDecoder | None = None
        """None where the parser is given the bytes as they are, which know their encoding themselves."""
        self._started = False
        self._forms = _Forms("")
        self._scanning = True
        self._templates: list[_Template] = []
        """The one that matched last is the first."""
        self._matched: list[Sequence[str]] = []
        """Number and contents of the rows that the first template has matched and that are not handed over yet."""
        self._kinds: Counter[tuple[str, RowShape]] = Counter()
        """Attributes and shape of rows -> how many of them have been read without a template."""
        self._kept = ""
        """The beginning of a piece whose end is not yet there."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if not self._started:
            self._started = True
            if not OTHER_ENCODING.match(chunk):
                self._decoder = codecs.getincrementaldecoder("utf-8")()
        if self._decoder is None:
            self._feeder.feed(chunk)
        elif self._scanning:
            self._scan(self._kept + self._decoder.decode(chunk))
        else:
            self._feeder.feed(self._decoder.decode(chunk))

    def close(self) -> None:
        """Take the end."""
        if self._decoder is not None:
            self._feeder.feed(self._kept + self._decoder.decode(b"", final=True))
        self._reader.parser.Parse(b"", True)

    def _scan(self, text: str) -> None:
        if not self._reader.in_data:
            text = self._before_rows(text)
        end_of_row = self._forms.end_of_row
        *rows, self._kept = text.split(end_of_row) if self._scanning and self._reader.in_data else (text,)
        for number, row in enumerate(rows, 1):
            if self._only is not None and self._can_be_left_out(row):
                continue
            if self._templates and (found := self._templates[0].pattern.fullmatch(row)):
                self._matched.append(found.groups())
                continue
            self._hand_over()
            if not self._by_template(row) and not self._in_usual_form(row):
                self._feeder.feed(row + end_of_row)
                self._scanning = not any(mark in row for mark in _NOT_ROWS)
                if not self._scanning:
                    self._kept = end_of_row.join((*rows[number:], self._kept))
                    break
        self._hand_over()
        if len(self._kept) > _MOST_KEPT or (self._reader.in_data and any(mark in self._kept for mark in _NOT_ROWS)):
            self._scanning = False
        if not self._scanning:
            self._feeder.feed(self._kept)
            self._kept = ""

    def _before_rows(self, text: str) -> str:
        """Give what stands before the rows to the parser, if the rows are in sight. Returns what is left."""
        found = _START_OF_ROWS.search(text)
        if not found:
            return text
        self._feeder.feed(text[: found.end()])
        # It may have stood in a comment, or in another namespace.
        self._scanning = self._reader.in_data
        if found[1]:
            self._forms = _Forms(f"{found[1]}:")
        return text[found.end() :]

    def _can_be_left_out(self, row: str) -> bool:
        """Whether a row was not asked for. Its cells are not looked at, which makes a second reading cheap."""
        start = self._forms.start_of_row.match(row)
        return (
            start is not None
            and self._only is not None
            and int(start[1]) not in self._only
            and not any(mark in row for mark in _NOT_ROWS)
        )

    def _by_template(self, row: str) -> bool:
        """Take a row that is written as others than the last ones, whose template is the first one from then on."""
        for at, template in enumerate(self._templates[1:], 1):
            if found := template.pattern.fullmatch(row):
                self._templates.insert(0, self._templates.pop(at))
                self._matched.append(found.groups())
                return True
        return False

    def _hand_over(self) -> None:
        """Hand the rows over that the first template has matched."""
        if self._matched:
            template = self._templates[0]
            self._reader.add_planned_rows(self._matched, template.plan, hidden=template.hidden)
            self._matched.clear()

    def _in_usual_form(self, row: str) -> bool:
        """Hand a row over, if it is in the form that can be taken apart; `row` lacks its end tag."""
        usual = self._forms.row.fullmatch(row)
        if usual is None or (not self._formulas_fast and self._forms.formula in row):
            return False
        number, attributes, cells = usual.groups()
        hidden = ' hidden="1"' in attributes or ' hidden="true"' in attributes
        columns, styles, kinds, contents = (
            zip(*self._forms.cells.findall(cells), strict=True) if cells else ((), (), (), ())
        )
        shape = (columns, styles, kinds)
        plan = self._reader.plan(shape, int(number))
        self._reader.add_planned_row(int(number), plan, contents, hidden=hidden)
        if len(self._templates) < _MOST_TEMPLATES:
            kind = (attributes, shape)
            if self._has_many(kind):
                self._templates.append(_Template(self._forms.template(usual), plan, hidden))
        return True

    def _has_many(self, kind: tuple[str, RowShape]) -> bool:
        """Count a row that no template matched. Whether a template is worth its while now."""
        _, (columns, _, _) = kind
        if len(columns) > _MOST_CELLS_OF_A_TEMPLATE or (len(self._kinds) >= _MOST_KINDS and kind not in self._kinds):
            return False
        self._kinds[kind] += 1
        return self._kinds[kind] == _ROWS_OF_A_TEMPLATE
