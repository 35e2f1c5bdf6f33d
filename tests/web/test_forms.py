"""The fields of forms: what a person has typed, and what goes with it."""

from __future__ import annotations

import re
from pathlib import Path

import batch_updater.web
from batch_updater.web.forms import parted

TEMPLATES = Path(batch_updater.web.__file__).parent / "templates"
FIELDS = [
    tag
    for path in TEMPLATES.glob("*.j2")
    for tag in re.findall(r"<(?:input|textarea|select)\b[^>]*>", path.read_text())
]


def names(*, hidden: bool) -> set[str]:
    """Return the names of the fields of all templates, with numbers for what is filled in."""
    found = {
        re.search(r'name="([^"]*)"', tag)[1]  # type: ignore[index]
        for tag in FIELDS
        if "name=" in tag and ('type="hidden"' in tag) is hidden and not re.search(r'type="(?:radio|checkbox)"', tag)
    }
    return {re.sub(r"{{[^}]*}}", "7", name) for name in found if not name.startswith("{{")}


def test_no_hidden_field_of_a_form_counts_as_typed() -> None:
    """And every other field does."""
    assert "digest" in names(hidden=True)
    assert "cell-7" in names(hidden=False)
    typed, carried = parted(dict.fromkeys(names(hidden=True) | names(hidden=False), "x"))
    assert carried.keys() - {"cell-7"} == names(hidden=True)
    assert typed.keys() == names(hidden=False) - {"cell-7"}


def test_a_cell_is_typed_if_it_holds_something_else_than_it_showed() -> None:
    """Emptied counts, too."""
    fields = {"cell-1": "a", "seen-1": "a", "cell-2": "", "seen-2": "b", "cell-3": "c"}
    assert parted(fields) == ({"cell-2": "", "cell-3": "c"}, {"cell-1": "a", "seen-1": "a", "seen-2": "b"})
