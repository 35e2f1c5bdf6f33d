"""A draft's figures after any edits are those of a file that is staged with them."""

from __future__ import annotations

import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    st.lists(st.tuples(st.integers(0, 5), st.just(0), CELLS[0]), min_size=2, max_size=4),
    st.tuples(st.integers(0, 5), *CELLS),
    st.integers(-8, -1),
)
"""An edit, the number of one to undo (negative: with those made together with it), edits of several rows at once, or
what goes into all cells like one of a row."""
_Change = int | tuple[int, int, str] | list[tuple[int, int, str]] | tuple[int, str, str, str, str, str]


def change(draft: Draft, changes: Sequence[_Change], rows: Sequence[int]) -> None:
    undoable = {edit.number for edit in draft.edits()}
    for one in changes:
        if isinstance(one, int):
            if one in undoable:
                draft.undo_edit(one, "bob")
            elif -one in undoable:
                draft.undo_batch(-one, "bob")
        elif isinstance(one, list):
            draft.edit([CellEdit(rows[at % len(rows)], position, text) for at, position, text in one], "cia")
        elif len(one) == 3:
            draft.edit([CellEdit(rows[one[0] % len(rows)], one[1], one[2])], "ann")
        elif row := draft.row(rows[one[0] % len(rows)]):
            groups = filter(None, map(draft.group, row.problems))
            if group := next(groups, None):
                draft.edit_group(group, one[1:][group.position], "dan")
        undoable = {edit.number for edit in draft.edits() if not edit.is_undone}


@pytest.mark.parametrize("duplicates", ["reject", "in_order"])
@settings(max_examples=30)
@given(rows=st.lists(ROW, min_size=1, max_size=6), changes=st.lists(CHANGE, min_size=1, max_size=6))
def test_edits_come_to_what_staging_them_comes_to(
    duplicates: str, rows: list[list[str]], changes: list[_Change]
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


@pytest.mark.parametrize("duplicates", ["reject", "in_order"])
def test_more_rows_than_are_judged_at_once_get_the_same_text(tmp_path: Path, duplicates: str) -> None:
    """The same id, so that all of them are about one record, and then another one."""
    rows = [["x", "Pre", f"a{number}", "1.5", ""] for number in range(1_200)]
    upload = uploaded(tmp_path / "upload", [["7", "Pre", "a", "x", ""], *rows])
    draft = drafted(upload, configuration(tmp_path, input={"duplicates": duplicates}))
    row = draft.row(3)
    assert row
    group = draft.group(row.problems[0])
    assert group
    assert draft.edit_group(group, "7", "ann") == 1_200
    assert draft.staged.good == 0
    assert draft.grid(edited=True).total == 1_200
    assert [edit.row for edit in draft.edits(most=2_000)] == list(range(3, 1_203))
    edited = content(draft)
    draft.close()
    again = drafted(upload, draft.config)
    assert content(again) == edited
    again.edit([CellEdit(number, 0, str(number)) for number in range(2, 1_203)] + [CellEdit(2, 3, "1")], "ann")
    assert again.staged.good == 1_201
    edited = content(again)
    again.close()
    last = drafted(upload, draft.config)
    assert content(last) == edited
    last.close()


def test_others_read_the_rows_before_a_change_until_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, lists and figures of one moment, without waiting for the end of the change."""
    rows = [[str(number), "Prx", "a", "1.5", ""] for number in range(1, 4_001)]
    draft = drafted(uploaded(tmp_path / "upload", rows), configuration(tmp_path))
    row = draft.row(2)
    assert row
    group = draft.group(row.problems[0])
    assert group
    is_read, sum_up = threading.Event(), draft._rows.sum_up

    def sum_up_once_read(*before: Any) -> Any:
        assert is_read.wait(60)
        return sum_up(*before)

    monkeypatch.setattr(draft._rows, "sum_up", sum_up_once_read)
    change_all = threading.Thread(target=draft.edit_group, args=(group, "Pre", "ann"))
    seen = Counter[tuple[int, int, int]]()
    change_all.start()
    while change_all.is_alive():
        page = draft.grid(most=1)
        seen[page.total, draft.staged.good, len(draft.edits(most=1))] += 1
        if seen[4_000, 0, 0] > 2:
            is_read.set()
    change_all.join()
    assert draft.staged.good == 4_000
    assert seen.keys() <= {(4_000, 0, 0), (4_000, 0, 1), (4_000, 4_000, 1), (0, 4_000, 1)}
    assert seen[4_000, 0, 0] > 2
    draft.close()


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
