"""What .xlsx and .xlsb workbooks have in common: a package with relationships (ECMA-376 part 2)."""

from __future__ import annotations

from collections.abc import Iterator

from batch_updater.loader.formats.book import SAVE_AGAIN, Book, SheetEntry, UnreadableError
from batch_updater.loader.formats.package import Package
from batch_updater.records import MARK_PROPERTY

NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
"""Of a workbook's parts: transitional and strict (ECMA-376 part 1, annex A)."""


class OfficeBook(Book):
    """A workbook in a package, of which `workbook` is the main part."""

    def __init__(self, package: Package, workbook: str) -> None:
        self.sheets: list[SheetEntry] = []
        self._package = package
        self._related = package.relationships(workbook)
        self._sheet_parts: list[str] = []
        """Of each of `sheets`."""
        self._epoch_1904 = False
        self._is_manual = False
        """Whether formulas are calculated neither by themselves nor when the workbook is saved."""
        self._results_are_stale = False
        """Whether the program that saved it left the calculating to the next one."""
        self.read_workbook(workbook)
        types = {relation.type for relation in self._related}
        self.note(
            has_macros=bool(types & {"vbaProject", "xlMacrosheet", "xlIntlMacrosheet"}),
            links_to="workbooks" if "externalLink" in types else "",
            is_manual=self._is_manual and not self._results_are_stale,
        )
        for relation in package.relationships(""):
            if relation.type in {"custom-properties", "customProperties"}:
                for element in package.elements(relation.part, "property"):
                    if element.get("name") == MARK_PROPERTY:
                        self.marks = next((value.text for value in element), None)

    def close(self) -> None:
        """Let go of the file."""
        self._package.close()

    def read_workbook(self, workbook: str) -> None:
        """Read the main part: which sheets there are, and how they are calculated."""
        raise NotImplementedError

    def _add_sheet(self, name: str, relation_id: str, *, hidden: bool) -> None:
        """Add a sheet, unless it is a chart or a sheet of macros."""
        for relation in self._related:
            if relation.id == relation_id and relation.type == "worksheet":
                if relation.part in self._sheet_parts:
                    raise UnreadableError("has two sheets that are the same part of the file", SAVE_AGAIN)
                self.sheets.append(SheetEntry(name, hidden))
                self._sheet_parts.append(relation.part)

    def _parts_of_type(self, kind: str) -> Iterator[str]:
        """Yield the parts of a type that are there: a workbook without texts may name one for them all the same."""
        return (relation.part for relation in self._related if relation.type == kind and relation.part in self._package)
