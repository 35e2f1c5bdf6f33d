from __future__ import annotations

import io

import pytest

from batch_updater.loader.formats.book import Area, SheetProperties, UnreadableError
from batch_updater.loader.formats.xlsx import area_of, properties_of

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
BEFORE = "<cols><col min='2' max='3' hidden='1'/><col min='5' max='5' hidden='0'/></cols>"
AFTER = "<mergeCells><mergeCell ref='B2:C4'/><mergeCell ref='A9'/></mergeCells>"
EXPECTED = SheetProperties((Area(2, 4, 1, 2), Area(9, 9, 0, 0)), (range(1, 3),))


def properties(
    rows: str, *, head: str = "", before: str = BEFORE, after: str = AFTER, encoding: str = "utf-8"
) -> SheetProperties:
    data = f"{head}<worksheet xmlns='{MAIN}'>{before}<sheetData>{rows}</sheetData>{after}</worksheet>".encode(encoding)
    return properties_of(io.BytesIO(data))


@pytest.mark.parametrize(
    "rows",
    [
        "", "<row r='1'><c r='A1'><v>1</v></c></row>" * 20_000,
        "<row><!-- </sheetData> --></row>", "<row><c t='inlineStr'><is><t><![CDATA[</sheetData>]]></t></is></c></row>",
        "<row><?x </sheetData> ?></row>", "<row>" + "x" * 65_530 + "</row>",
    ],
)  # fmt: skip
def test_the_properties_are_the_same_whatever_the_rows_hold(rows: str) -> None:
    """Rows are skipped unparsed only where their end cannot be mistaken."""
    assert properties(rows) == EXPECTED


def test_other_encodings_are_parsed_whole() -> None:
    """The bytes of UTF-16 are no tags."""
    assert properties("<row r='1'/>", head="<?xml version='1.0' encoding='utf-16'?>", encoding="utf-16") == EXPECTED


def test_a_sheet_without_rows_has_properties() -> None:
    """It may have hidden columns all the same."""
    data = f"<worksheet xmlns='{MAIN}'>{BEFORE}<sheetData/>{AFTER}</worksheet>".encode()
    assert properties_of(io.BytesIO(data)) == EXPECTED


@pytest.mark.parametrize("reference", ["", "B", "2", "C4:B2", "A0:B2", "A1:XFE2", "A1:B1048577", "A1:B2:C3", "a1:b2"])
def test_an_area_that_is_none_is_refused(reference: str) -> None:
    """A merged area that cannot be read could hide which cells are blank on purpose."""
    with pytest.raises(UnreadableError, match="merged area"):
        area_of(reference)
