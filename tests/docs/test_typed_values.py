from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from batch_updater.endpoint.description import Kind
from batch_updater.loader.cells import converter
from batch_updater.loader.refusal import ValueProblem
from tests.docs.pages import DOCS, codes, section, tables
from tests.loader.described import AMOUNT, COUNT, DAY, TEXT, settings

PAGE = DOCS / "reference" / "columns-and-cells.md"
MOMENT = replace(TEXT, name="seenAt", kind=Kind.DATE_TIME)
TAGS = replace(TEXT, name="tags", kind=Kind.LIST)
FIELDS = {"amount": AMOUNT, "date": DAY, "whole number": COUNT, "point in time": MOMENT, "list": TAGS}


def table() -> list[tuple[str, str, str, str]]:
    """Return the rows of the table: typed, kind of field, setting, read as."""
    rows = tables(section(PAGE, "Numbers and dates as typed"))[0]
    return [(codes(typed)[0], kind, setting, read) for typed, kind, setting, read in rows]


def test_the_table_is_found() -> None:
    """The rows below are those of the page."""
    assert len(table()) > 40


@pytest.mark.parametrize(("typed", "kind", "setting", "read"), table())
def test_what_is_typed_is_read_as_the_page_says(typed: str, kind: str, setting: str, read: str) -> None:
    """Each row of the table holds: the value, or a refusal that names what it names."""
    name, value = re.match(r"(\w*) ?`?([^`]*)", setting).groups()  # type: ignore[union-attr]
    given = int(value) if value.isdecimal() else value
    convert = converter(FIELDS[kind], settings(**({name: given} if name else {})), [])
    if read.startswith("refused"):
        with pytest.raises(ValueProblem) as refused:
            convert(typed)
        for words in read.removeprefix("refused").strip(": ").split(" or "):
            assert words in refused.value.reason
    else:
        found = convert(typed)
        assert (format(found, "f") if kind == "amount" else str(found)) == read
