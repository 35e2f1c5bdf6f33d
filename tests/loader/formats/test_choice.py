from __future__ import annotations

from typing import TYPE_CHECKING

import openpyxl
import pytest
from openpyxl.chart import BarChart

from batch_updater.errors import InputError
from batch_updater.loader.formats.choice import Sheet, choose_sheet
from batch_updater.loader.formats.opening import open_source
from tests.loader.described import settings, workbook

if TYPE_CHECKING:
    from pathlib import Path

FILLED: list[list[object]] = [["itemId"], [1], [2]]


def choose(path: Path, **given: object) -> Sheet:
    return choose_sheet(open_source(path, settings(**given), name="a.xlsx"), settings(**given), lambda _: None, "")


def hide(path: Path, *names: str) -> None:
    book = openpyxl.load_workbook(path)
    for name in names:
        book[name].sheet_state = "hidden"
    book.save(path)


def test_the_only_sheet_that_holds_anything_is_chosen(tmp_path: Path) -> None:
    """Empty sheets and charts beside the one with rows do not matter."""
    path = workbook(tmp_path / "a.xlsx", {"Empty": [], "Changes": FILLED, "Blank": [[" "]]})
    book = openpyxl.load_workbook(path)
    book.create_chartsheet("Chart").add_chart(BarChart())
    book.save(path)
    assert choose(path).name == "Changes"


def test_of_several_sheets_none_is_guessed(tmp_path: Path) -> None:
    """The message lists the sheets with their rows; the setting chooses."""
    path = workbook(tmp_path / "a.xlsx", {"One": FILLED, "Two": FILLED[:2]})
    with pytest.raises(InputError, match=r"several sheets with rows: 'One' \(2 rows\), 'Two' \(1 row\)") as raised:
        choose(path)
    assert '--sheet "One"' in raised.value.remedy
    assert choose(path, sheet="Two").name == "Two"


def test_a_hidden_sheet_is_never_chosen_silently(tmp_path: Path) -> None:
    """A hidden sheet is read only if it is named."""
    path = workbook(tmp_path / "a.xlsx", {"DateKind": FILLED, "Secret": FILLED})
    hide(path, "Secret")
    assert choose(path).name == "DateKind"
    assert choose(path, sheet="Secret").name == "Secret"
    other = workbook(tmp_path / "b.xlsx", {"DateKind": [], "Also": [], "Secret": FILLED})
    hide(other, "Secret")
    with pytest.raises(InputError, match="hidden are: 'Secret'"):
        choose(other)


def test_a_sheet_that_does_not_exist_is_named_with_the_nearest(tmp_path: Path) -> None:
    """A mistyped name of a sheet is corrected in the message, not in silence."""
    path = workbook(tmp_path / "a.xlsx", {"Changes": FILLED})
    with pytest.raises(InputError, match="no sheet 'chnges'") as raised:
        choose(path, sheet="chnges")
    assert raised.value.remedy == "Did you mean 'Changes'? It has: 'Changes'."


@pytest.mark.parametrize(("mark", "name"), [("results", "To fix"), ("template", "Data")])
def test_a_workbook_of_ours_knows_its_sheet(tmp_path: Path, mark: str, name: str) -> None:
    """Results and templates are read from the sheet that is meant for it, whichever is configured for other files."""
    path = workbook(tmp_path / "a.xlsx", {"Summary": FILLED, name: FILLED}, batch_updater=mark)
    assert (choose(path).name, choose(path).ours, choose(path).marked) == (name, True, True)
    assert choose(path, sheet="Changes").name == name
    assert (choose(path, sheet="Summary").name, choose(path, sheet="Summary").ours) == ("Summary", False)


def test_only_the_mark_makes_a_workbook_ours(tmp_path: Path) -> None:
    """A sheet of another origin that happens to be called To fix is a sheet like any other."""
    path = workbook(tmp_path / "a.xlsx", {"To fix": FILLED}, other="results")
    assert (choose(path).ours, choose(path).marked) == (False, False)


def test_a_text_file_has_no_sheets(tmp_path: Path) -> None:
    """A sheet that is configured for workbooks does not keep a CSV file from being read."""
    path = tmp_path / "a.csv"
    path.write_text("itemId\n1\n")
    assert choose(path, sheet="Changes").name is None
