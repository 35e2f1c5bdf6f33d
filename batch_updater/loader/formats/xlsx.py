"""Workbooks in Office Open XML: .xlsx and .xlsm, transitional and strict (ECMA-376)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from batch_updater.loader.formats.book import SAVE_AS, Layout, SheetRow, UnreadableError
from batch_updater.loader.formats.cell_contents import CellContents
from batch_updater.loader.formats.number_formats import Format, shown_by
from batch_updater.loader.formats.office_book import OfficeBook
from batch_updater.loader.formats.shared_strings import SharedStrings
from batch_updater.loader.formats.worksheet import RowReader
from batch_updater.loader.formats.worksheet_layout import layout_of


class XlsxBook(OfficeBook):
    """A workbook. Raises `UnreadableError` if it is none."""

    def _read_workbook(self, workbook: str) -> None:
        root = next(self._package.elements(workbook, "workbook"), None)
        if root is None:
            raise UnreadableError("is an Office file, but no workbook", SAVE_AS)
        self._epoch_1904 = any(_is_true(element.get("date1904")) for element in root.iter("workbookPr"))
        calculation = next(root.iter("calcPr"), None)
        if calculation is not None:  # ECMA-376 part 1, 18.2.2
            get = calculation.get
            self._results_are_stale = _is_true(get("fullCalcOnLoad")) or _is_false(get("calcCompleted"))
            self._is_manual = get("calcMode") == "manual" and _is_false(get("calcOnSave"))
        for sheet in root.iterfind(".//sheets/sheet"):
            hidden = sheet.get("state", "visible") != "visible"
            self._add_sheet(sheet.get("name", ""), sheet.get("id", ""), hidden=hidden)

    def read_layout(self, sheet: int) -> Layout:
        """Return its merged areas and hidden columns."""
        with self._package.open(self._sheet_parts[sheet]) as stream:
            return layout_of(stream)

    def read_rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of a worksheet."""
        contents = CellContents(self._strings, self._shown_by_style, epoch_1904=self._epoch_1904)
        allowance = self._package.allowance(self.sheets[sheet].name)
        reader = RowReader(contents, allowance, results_are_stale=self._results_are_stale)
        with self._package.open(self._sheet_parts[sheet]) as stream:
            yield from reader.rows(stream)

    @cached_property
    def _strings(self) -> SharedStrings:
        strings = SharedStrings()
        for part in self._parts_of_type("sharedStrings"):
            with self._package.open(part) as stream:
                strings.read(stream)
        return strings

    @cached_property
    def _shown_by_style(self) -> Mapping[str, Format]:
        """Style index as a cell holds it -> as what it shows a number; only styles that show more than one."""
        codes: dict[str, str] = {}
        ids: list[str] = []
        for part in self._parts_of_type("styles"):
            for group in self._package.elements(part, "numFmts", "cellXfs"):
                for element in group:
                    id_ = element.get("numFmtId", "0")
                    if element.tag == "numFmt":
                        codes[id_] = element.get("formatCode", "")
                    elif element.tag == "xf":
                        ids.append(id_)
        styles = ((str(index), shown_by(int(id_), codes.get(id_))) for index, id_ in enumerate(ids))
        return {index: shown for index, shown in styles if shown is not None}


def _is_true(attribute: str | None) -> bool:
    return attribute in {"1", "true", "on"}


def _is_false(attribute: str | None) -> bool:
    return attribute in {"0", "false", "off"}
