"""Layouts are renamed and deleted by their names alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batch_updater.errors import UsageError
from batch_updater.loader.layouts import Layout
from batch_updater.questions import NO_ANSWERS
from batch_updater.runs.layouts import delete_layout, read_layouts, rename_layout, write_layout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with two layouts."""
    for name in ("q1", "q2"):
        write_layout(tmp_path / "layouts", Layout(name, (name, "Id"), NO_ANSWERS))
    return tmp_path / "layouts"


def names(folder: Path) -> list[str]:
    return [one.name for one in read_layouts(folder).layouts]


def test_a_renamed_layout_is_the_same_under_another_name(folder: Path) -> None:
    """Its headers stay, blanks around the new name go."""
    assert rename_layout(folder, "q1", " Pipeline ") == "Pipeline"
    assert names(folder) == ["Pipeline", "q2"]
    assert read_layouts(folder).layouts[0].headers == ("q1", "Id")


def test_no_layout_is_renamed_over_another(folder: Path) -> None:
    """Both stay as they are."""
    with pytest.raises(UsageError, match="There is a layout 'q2' already"):
        rename_layout(folder, "q1", "q2")
    assert names(folder) == ["q1", "q2"]


@pytest.mark.parametrize("name", ["", "  ", "../q3", "a/b", "con", ".hidden", "x" * 81, "ends."])
def test_a_name_that_no_file_can_have_is_refused(folder: Path, name: str) -> None:
    """The rules are those of every layout."""
    with pytest.raises(UsageError, match="is no name of a layout"):
        rename_layout(folder, "q1", name)
    assert names(folder) == ["q1", "q2"]


@pytest.mark.parametrize("name", ["q3", "../layouts/q1", "q1.yaml", ""])
def test_only_a_layout_that_there_is_can_be_deleted(folder: Path, name: str) -> None:
    """A path is none of their names."""
    with pytest.raises(UsageError, match="There is no layout"):
        delete_layout(folder, name)
    assert names(folder) == ["q1", "q2"]


def test_a_damaged_layout_can_be_deleted(folder: Path) -> None:
    """Otherwise it would be in the way of every file."""
    (folder / "q1.yaml").write_text("headers: [", encoding="utf-8")
    delete_layout(folder, "q1")
    assert names(folder) == ["q2"]
    assert not read_layouts(folder).damaged
