"""Workbooks in Office Open XML: .xlsx and .xlsm, transitional and strict (ECMA-376)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import IO

from batch_updater.loader.formats.book import (
    LAST_COLUMN,
    LAST_ROW,
    MOST_AREAS,
    SAVE_AGAIN,
    SAVE_AS,
    Area,
    SheetProperties,
    SheetRow,
    UnreadableError,
    column_position,
    too_many_areas,
)
from batch_updater.loader.formats.cell_contents import CellContents
from batch_updater.loader.formats.long_part import LongPart
from batch_updater.loader.formats.number_formats import Format, shown_by
from batch_updater.loader.formats.office_book import NAMESPACES, OfficeBook
from batch_updater.loader.formats.safe_xml import safe_parser
from batch_updater.loader.formats.shared_strings import SharedStrings
from batch_updater.loader.formats.worksheet import RowReader

_TRUE, _FALSE = {"1", "true", "on"}, {"0", "false", "off"}
_DATA, _COLUMNS, _AREAS = (
    {f"{namespace} {name}" for namespace in NAMESPACES} for name in ("sheetData", "col", "mergeCell")
)
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})(?::([A-Z]{1,3})([0-9]{1,7}))?")


class XlsxBook(OfficeBook):
    """A workbook. Raises `UnreadableError` if it is none."""

    def read_workbook(self, workbook: str) -> None:
        """Read the main part: which sheets there are, and how they are calculated."""
        root = next(self._package.elements(workbook, "workbook"), None)
        if root is None:
            raise UnreadableError("is an Office file, but no workbook", SAVE_AS)
        self._epoch_1904 = any(element.get("date1904") in _TRUE for element in root.iter("workbookPr"))
        calculation = next(root.iter("calcPr"), None)
        if calculation is not None:  # ECMA-376 part 1, 18.2.2
            get = calculation.get
            self._results_are_stale = get("fullCalcOnLoad") in _TRUE or get("calcCompleted") in _FALSE
            self._is_manual = get("calcMode") == "manual" and get("calcOnSave") in _FALSE
        for sheet in root.iterfind(".//sheets/sheet"):
            hidden = sheet.get("state", "visible") != "visible"
            self._add_sheet(sheet.get("name", ""), sheet.get("id", ""), hidden=hidden)

    def read_properties(self, sheet: int) -> SheetProperties:
        """Return its merged areas and hidden columns."""
        with self._package.open(self._sheet_parts[sheet]) as stream:
            return properties_of(stream)

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


def properties_of(stream: IO[bytes]) -> SheetProperties:
    """Return the properties of a worksheet. Its rows, which are nearly all of it, are not parsed where that is safe."""
    merged: list[Area] = []
    hidden: list[range] = []
    in_data = False
    seen = 0

    def start(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal in_data, seen
        in_data = in_data or name in _DATA
        seen += name in _AREAS or name in _COLUMNS
        if seen > MOST_AREAS:
            raise too_many_areas()
        if name in _AREAS:
            merged.append(area_of(attributes.get("ref", "")))
        elif name in _COLUMNS and (attributes.get("hidden") in {"1", "true"} or attributes.get("width") == "0"):
            first, last = int(attributes.get("min", "0")), int(attributes.get("max", "0"))
            if 1 <= first <= last:
                hidden.append(range(first - 1, min(last, LAST_COLUMN)))

    for _ in LongPart(safe_parser(start), "sheetData", "row", is_open=lambda: in_data).elements(stream):
        pass
    return SheetProperties(tuple(merged), tuple(hidden))


def area_of(reference: str) -> Area:
    """Return the area of a reference such as `B2:C4` or `B2`. Raises UnreadableError if it is none."""
    found = _REFERENCE.fullmatch(reference)
    if found is not None:
        left, top, right, bottom = found[1], found[2], found[3] or found[1], found[4] or found[2]
        area = Area(int(top), int(bottom), column_position(left), column_position(right))
        if 1 <= area.first_row <= area.last_row <= LAST_ROW and area.first_column <= area.last_column < LAST_COLUMN:
            return area
    raise UnreadableError(f"has a merged area {reference[:20]!r}, which is none", SAVE_AGAIN)
