"""Workbooks in Office Open XML: .xlsx and .xlsm, transitional and strict (ECMA-376)."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from batch_updater.loader.formats.book import CALCULATED_BY_HAND, Layout, SheetEntry, SheetRow, UnreadableError
from batch_updater.loader.formats.cell_contents import CellContents
from batch_updater.loader.formats.number_formats import Format, shown_by
from batch_updater.loader.formats.package import SAVE_AGAIN, Element, Package, mark_of, notes_of
from batch_updater.loader.formats.shared_strings import SharedStrings
from batch_updater.loader.formats.worksheet import RowReader
from batch_updater.loader.formats.worksheet_layout import read_layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SAVE_AS = "Open it in a spreadsheet program and save it as an Excel workbook (.xlsx)."


class _Part(NamedTuple):
    entry: SheetEntry
    part: str


class XlsxBook:
    """A workbook, of which `workbook` is the main part. Raises `UnreadableError` if it is none."""

    delimiter = None

    def __init__(self, package: Package, workbook: str) -> None:
        self._package = package
        self._related = package.relationships(workbook)
        elements = tuple(package.elements(workbook, {"workbook", "workbookPr", "sheet", "calcPr"}))
        self._epoch_1904 = any(_is_true(element.attributes.get("date1904")) for element in elements)
        calculation = next((element.attributes for element in elements if element.name == "calcPr"), {})
        self._results_are_stale = _is_true(calculation.get("fullCalcOnLoad")) or _is_false(
            calculation.get("calcCompleted")
        )
        """Whether the program that saved it left the calculating to the next one (ECMA-376 part 1, 18.2.2)."""
        self._is_manual = calculation.get("calcMode") == "manual" and _is_false(calculation.get("calcOnSave"))
        self._parts = tuple(self._sheet_parts(elements))
        self.sheets = tuple(part.entry for part in self._parts)

    @cached_property
    def mark(self) -> str | None:
        """What our own property says, if the workbook has it."""
        return mark_of(self._package)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is in the workbook and not used."""
        return (
            *notes_of(self._related),
            *((CALCULATED_BY_HAND,) if self._is_manual and not self._results_are_stale else ()),
        )

    def close(self) -> None:
        """Let go of the file."""
        self._package.close()

    def layout(self, sheet: int) -> Layout:
        """Return its merged areas and hidden columns."""
        with self._package.open(self._parts[sheet].part) as stream:
            return read_layout(stream)

    def rows(self, sheet: int) -> Iterator[SheetRow]:
        """Yield the rows of a worksheet."""
        contents = CellContents(self._strings, self._shown_by_style, epoch_1904=self._epoch_1904)
        allowance = self._package.allowance(self.sheets[sheet].name)
        reader = RowReader(contents, allowance, results_are_stale=self._results_are_stale)
        with self._package.open(self._parts[sheet].part) as stream:
            yield from reader.rows(stream)

    def _sheet_parts(self, elements: tuple[Element, ...]) -> Iterator[_Part]:
        by_id = {relation.id: relation for relation in self._related}
        if not any(element.name == "workbook" for element in elements):
            raise UnreadableError("is an Office file, but no workbook", _SAVE_AS)
        parts: set[str] = set()
        for element in elements:
            if element.name == "sheet" and element.parent == "sheets":
                relation = by_id.get(element.attributes.get("id", ""))
                if relation is not None and relation.type == "worksheet":
                    if relation.part in parts:
                        raise UnreadableError("has two sheets that are the same part of the file", SAVE_AGAIN)
                    parts.add(relation.part)
                    hidden = element.attributes.get("state", "visible") != "visible"
                    yield _Part(SheetEntry(element.attributes.get("name", ""), hidden), relation.part)

    def _parts_of_type(self, kind: str) -> Iterator[str]:
        return (relation.part for relation in self._related if relation.type == kind)

    @cached_property
    def _strings(self) -> SharedStrings:
        strings = SharedStrings()
        for part in self._parts_of_type("sharedStrings"):
            if part in self._package:  # a workbook without texts may name one that is not there
                with self._package.open(part) as stream:
                    strings.read(stream)
        return strings

    @cached_property
    def _shown_by_style(self) -> Mapping[str, Format]:
        """Style index as it stands in a cell -> as what it shows a number; only styles that show more than one."""
        elements = [
            element
            for part in self._parts_of_type("styles")
            for element in self._package.elements(part, {"numFmt", "xf"})
        ]
        codes = {
            element.attributes.get("numFmtId", ""): element.attributes.get("formatCode", "")
            for element in elements
            if element.name == "numFmt" and element.parent == "numFmts"
        }
        formats = (
            element.attributes.get("numFmtId", "0")
            for element in elements
            if element.name == "xf" and element.parent == "cellXfs"
        )
        styles = ((str(index), shown_by(int(id_), codes.get(id_))) for index, id_ in enumerate(formats))
        return {index: shown for index, shown in styles if shown is not None}


def _is_true(attribute: str | None) -> bool:
    return attribute in {"1", "true", "on"}


def _is_false(attribute: str | None) -> bool:
    return attribute in {"0", "false", "off"}
