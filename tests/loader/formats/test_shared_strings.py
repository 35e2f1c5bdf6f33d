from __future__ import annotations

import io
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch_updater.loader.formats.book import UnreadableError
from batch_updater.loader.formats.shared_strings import SharedStrings

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))
ITEM = st.one_of(
    TEXT.map(lambda text: f"<si><t>{escape(text)}</t></si>"),
    TEXT.map(lambda text: f'<si><t xml:space="preserve">{escape(text)}</t></si>\n'),
    TEXT.map(lambda text: f"<si><r><t>{escape(text)}</t></r><r><t>b</t></r></si>"),
    TEXT.map(lambda text: f"<x:si><x:t>{escape(text)}</x:t></x:si>"),
    st.sampled_from(
        ["<si/>", "<si><t/></si>", "<!-- <si><t>no</t></si> -->", "<si><t><![CDATA[</si>]]></t></si>",
         "<si><t>a\r\nb</t></si>", "<si><t>]]&gt;</t></si>", '<si xmlns="other"><t>no</t></si>', "<?a </si> ?>"]
    ),
)  # fmt: skip


def read(document: str, numbers: int) -> list[str | None]:
    strings = SharedStrings()
    strings.read(io.BytesIO(document.encode()))
    texts = [strings.cell(str(number)) for number in range(numbers)]
    with pytest.raises(UnreadableError, match="does not hold"):
        strings.cell(str(numbers))
    return texts


@given(st.lists(ITEM, max_size=30))
def test_items_are_what_an_xml_parser_says(items: list[str]) -> None:
    """Taken apart fast or by the parser, in any mixture, the texts are those of the document."""
    document = f'<?xml version="1.0"?><sst xmlns="{MAIN}" xmlns:x="{MAIN}">{"".join(items)}</sst>'
    expected = [
        "".join(text.text or "" for text in item.iter(f"{{{MAIN}}}t")) or None
        for item in ElementTree.fromstring(document).findall(f"{{{MAIN}}}si")  # noqa: S314  (our own)
    ]
    assert read(document, len(expected)) == expected


def test_escapes_stand_for_their_characters() -> None:
    """`_x000D_` is a carriage return, and an escaped escape is the text of one."""
    items = "<si><t>first</t></si><si><t>a_x000D_b</t></si><si><t>_x005F_x0041_</t></si><si><r><t>_x0041_</t></r></si>"
    assert read(f'<sst xmlns="{MAIN}">{items}</sst>', 4) == ["first", "a\rb", "_x0041_", "A"]


def test_more_texts_than_are_kept_loose_are_all_there() -> None:
    """A big workbook has more texts than are kept as they are; the others are the same."""
    strings = SharedStrings()
    for number in range(260_000):
        strings.add(f"text {number}")
    assert [strings.cell(str(number)) for number in (0, 249_999, 250_000, 259_999)] == [
        "text 0", "text 249999", "text 250000", "text 259999",
    ]  # fmt: skip


@pytest.mark.parametrize("content", ["x", "-1", "1.5", "\u0661"])
def test_what_is_no_number_of_a_text_is_refused(content: str) -> None:
    """A cell that refers to no text makes the file unreadable."""
    strings = SharedStrings()
    strings.add("a")
    with pytest.raises((UnreadableError, ValueError)):
        strings.cell(content + "9")
