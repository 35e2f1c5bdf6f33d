"""A draft's figures after any edits are those of a file that is staged with them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch_updater.runs.draft import CellEdit, Draft
from tests.runs.drafted import HEADERS, configuration, content, drafted, uploaded

if TYPE_CHECKING:
    from collections.abc import Sequence

CELLS = (
    st.sampled_from(["1", "2", "3", "", "x", "1.5", "1.234"]),
    st.sampled_from(["Pre", "Post", "Prx", "", " Pre"]),
    st.sampled_from(["a", "", "#CLEAR", "4711.0", "4711.5", "clear", "Total"]),
    st.sampled_from(["1", "1.5", "1.234", "1,5", "1.234,50", "x", "", "12.50", "1500", "#CLEAR"]),
    st.sampled_from(["2026-01-02", "03/04/2026", "25/12/2026", "12/25/2026", "", "x", "#CLEAR"]),
)
ROW = st.tuples(*CELLS).map(list)
CHANGE = st.one_of(
    st.integers(0, 4).flatmap(lambda at: st.tuples(st.integers(0, 5), st.just(at), CELLS[at])),
    st.integers(1, 8),
)
"""An edit, or the number of one to undo."""


def change(draft: Draft, changes: Sequence[tuple[int, int, str] | int], rows: Sequence[int]) -> None:
    undoable = {edit.number for edit in draft.edits()}
    for one in changes:
        if isinstance(one, int):
            if one in undoable:
                draft.undo_edit(one, "bob")
        else:
            draft.edit([CellEdit(rows[one[0] % len(rows)], one[1], one[2])], "ann")
        undoable = {edit.number for edit in draft.edits() if not edit.is_undone}


@pytest.mark.parametrize("duplicates", ["reject", "in_order"])
@settings(max_examples=60)
@given(rows=st.lists(ROW, min_size=1, max_size=6), changes=st.lists(CHANGE, min_size=1, max_size=8))
def test_edits_come_to_what_staging_them_comes_to(
    duplicates: str, rows: list[list[str]], changes: list[tuple[int, int, str] | int]
) -> None:
    """Rows, figures, causes, lists and digests, whatever the file shows and whichever rows have the same target."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        upload = uploaded(folder / "upload", rows)
        config = configuration(folder, input={"duplicates": duplicates})
        draft = drafted(upload, config)
        if numbers := [number for (number,) in draft.store.connection.execute("SELECT number FROM rows")]:
            change(draft, changes, numbers)
        edited = content(draft)
        draft.close()
        reopened = Draft.open(upload.path.parent, config)
        assert reopened is not None
        assert content(reopened) == edited
        reopened.close()
        again = drafted(upload, config)
        assert content(again) == edited
        again.close()


PLAIN = (
    st.sampled_from(["1", "2", "3", "", "x"]),
    st.sampled_from(["Pre", "Post", "Prx", ""]),
    st.sampled_from(["a", "", "#CLEAR", "b"]),
    st.sampled_from(["1", "x", "", "#CLEAR"]),
    st.sampled_from(["2026-01-02", "", "x"]),
)


@pytest.mark.parametrize("duplicates", ["reject", "in_order"])
@settings(max_examples=40)
@given(rows=st.lists(st.tuples(*PLAIN).map(list), min_size=2, max_size=6), data=st.data())
def test_edits_come_to_what_a_file_with_these_texts_comes_to(
    duplicates: str, rows: list[list[str]], data: st.DataObject
) -> None:
    """Where the cells of a file are no evidence for one another, it makes no difference who has typed them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = configuration(folder, input={"duplicates": duplicates})
        draft = drafted(uploaded(folder / "upload", [["9", "Pre", "a", "1", ""], *rows]), config)
        typed = [row.copy() for row in rows]
        for _ in range(data.draw(st.integers(1, 5))):
            at, position = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, len(HEADERS) - 1))
            text = data.draw(PLAIN[position])
            if draft.row(at + 3) is not None and any([*typed[at][:position], text, *typed[at][position + 1 :]]):
                draft.edit([CellEdit(at + 3, position, text)], "ann")
                typed[at][position] = text
        plain = drafted(uploaded(folder / "other", [["9", "Pre", "a", "1", ""], *typed]), config)
        mine, theirs = content(draft), content(plain)
        draft.close()
        plain.close()
        for key in ("rows", "summary"):
            assert mine[key] == theirs[key]
        assert listed(mine) == listed(theirs)


def listed(found: dict[str, object]) -> list[int]:
    """Return the rows that need someone."""
    return [row.number for row in found["grid"].rows]  # type: ignore[attr-defined]
