"""What cannot be meant is refused, what is probably not meant is told before it is sent, what is ordinary is sent."""

from __future__ import annotations

import contextlib
import unicodedata
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from batch_updater.endpoint.description import Kind, ParameterLocation
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.loader.cells import ColumnFacts, converter
from batch_updater.loader.refusal import ValueProblem
from batch_updater.loader.table import Table, open_table
from tests.loader.described import (
    ACTIVE,
    AMOUNT,
    COUNT,
    DAY,
    ITEM,
    KIND,
    TEXT,
    csv_text,
    endpoint,
    judged,
    settings,
    table_of,
    workbook,
)
from tests.loader.staged import JudgedRow

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_updater.endpoint.description import Field
    from batch_updater.loader.findings import CellNote

NEXUS = load_endpoint("nexus-opportunity")
CODE = replace(TEXT, name="code", wire_name="code", title="code", is_identifier=True)
EVERY_KIND = (TEXT, CODE, ITEM, KIND, AMOUNT, COUNT, DAY, ACTIVE)


def read(field: Field, text: str, **given: object) -> tuple[object, list[str]]:
    """Return the value of a cell of text and the codes of its notes."""
    noted: list[CellNote] = []
    value = converter(field, settings(**given), noted)(text)
    return value, [note.code for note in noted]


def refusal(field: Field, text: str, **given: object) -> ValueProblem:
    with pytest.raises(ValueProblem) as refused:
        read(field, text, **given)
    assert refused.value.reason.endswith(".")
    assert refused.value.remedy.endswith((".", "?"))
    return refused.value


def opportunities(path: Path, rows: Sequence[Sequence[object]], **given: object) -> Table:
    file = path / "opportunities.csv"
    file.write_text(csv_text(rows), encoding="utf-8", newline="")
    return open_table(file, NEXUS, settings(**given), name=file.name)


def problems(rows: Sequence[JudgedRow]) -> dict[int, list[tuple[str | None, str]]]:
    return {row.row.number: [(problem.field, problem.code) for problem in row.problems] for row in rows}


# The clear marker.


@pytest.mark.parametrize("field", EVERY_KIND, ids=lambda field: field.name)
@pytest.mark.parametrize(
    "text",
    ["#clear", "#Clear", " # CLEAR ", "#CLEAR!", "#CLEAR#", "##CLEAR", "<clear>", "[CLEAR]", "CLEAR", "#CLAER", "#CLER",
     "#CLEARR", "#CLR", "#CLEARED", "# cleared", "#C LEAR", "#CLEAR#CLEAR", "#CLEAR it",
     "\uff03\uff23\uff2c\uff25\uff21\uff32", "#\u200bCLEAR", "#\u0421LEAR", "'#CLEAR"],
)  # fmt: skip
def test_what_is_nearly_the_clear_marker_is_refused(field: Field, text: str) -> None:
    """A field is neither emptied by a marker that is written wrongly nor filled with it."""
    refused = refusal(field, text)
    assert refused.code == "near-clear-marker"
    assert (refused.remedy == "Did you mean #CLEAR?") == field.nullable


def test_the_near_misses_are_those_of_the_marker_that_is_configured() -> None:
    """With another marker, its own near misses count and those of the default are plain text."""
    assert refusal(TEXT, "Null", clear_marker="NULL").remedy == "Did you mean NULL?"
    assert refusal(TEXT, "<Leer>", clear_marker="<leer>").code == "near-clear-marker"
    assert refusal(TEXT, "--", clear_marker="-").code == "near-clear-marker"
    for text in ("#CLEAR", "#clear", "# CLEAR", "#CLR", "'#CLEAR"):
        assert refusal(TEXT, text, clear_marker="<NONE>").remedy == "Did you mean <NONE>?"
    for text in ("Clear", "CLEAR", "<clear>", "#1 Clear", "#Cleveland"):
        assert read(TEXT, text, clear_marker="<NONE>") == (text, [])
    assert read(TEXT, "#leer", clear_marker="-") == ("#leer", [])


@pytest.mark.parametrize(
    "text",
    [
        "Clear Channel",
        "Clearview",
        "#1 priority",
        "#Cleveland",
        "CLEAR Inc",
        "Clara",
        "Nuclear",
        "#CLEARANCE",
        "#1 Clear",
        "#2 clear",
        "#car",
        "#Clara",
        "Cleared",
    ],
)
def test_names_that_resemble_the_clear_marker_are_names(text: str) -> None:
    """A longer name, or another word, is no near miss."""
    assert read(TEXT, text) == (text, [])


def test_the_bare_word_of_the_clear_marker_may_be_a_name() -> None:
    """`Clear` is sent, and people are told how a field is emptied."""
    assert read(TEXT, "Clear") == ("Clear", ["near-clear-marker"])


@given(st.integers(0, 6), st.sampled_from([" ", "\u200b", "\u00ad", "\u00a0", "."]))
def test_no_spelling_of_the_marker_is_sent_as_a_text(at: int, extra: str) -> None:
    """Case, blanks and characters that cannot be seen make no text of the marker."""
    text = "#CLEAR"[:at] + extra + "#CLEAR"[at:]
    for spelled in (text, text.lower(), text.title()):
        if spelled.strip() != "#CLEAR":
            assert refusal(TEXT, spelled).code == "near-clear-marker"


# An apostrophe that was put there for Excel.


@pytest.mark.parametrize(
    ("field", "text", "meant"),
    [
        (TEXT, "'=Acme renewal", "=Acme renewal"), (TEXT, "'00123", "00123"), (TEXT, "'+4711", "+4711"),
        (TEXT, "'-5", "-5"), (TEXT, "'@Home", "@Home"), (TEXT, "''00123", "00123"), (TEXT, "' 12", "12"),
        (TEXT, "\u2018123", "123"), (TEXT, "`123 ", "123"), (TEXT, "'\uff11\uff12", "\uff11\uff12"),
        (TEXT, "'\u0663", "\u0663"), (TEXT, "\u2019123", "123"), (TEXT, "\u201b7/8", "7/8"),
        (CODE, "'00123", "00123"), (CODE, "'OPP-1", "OPP-1"),
        (TEXT, "\u201900123", "00123"), (TEXT, "\u00b4=A1", "=A1"), (CODE, "`7", "7"), (TEXT, "'2026'", "2026"),
        (AMOUNT, "'-500", "-500"), (COUNT, "'12", "12"), (ITEM, "'12", "12"), (DAY, "'2026-03-25", "2026-03-25"),
        (KIND, "'Small", "Small"), (ACTIVE, "'TRUE", "TRUE"),
    ],
)  # fmt: skip
def test_an_apostrophe_in_front_is_named_in_every_kind_of_field(field: Field, text: str, meant: str) -> None:
    """Excel hides it, the API would not; the message says what is probably meant."""
    refused = refusal(field, text)
    assert refused.code == "apostrophe-in-front"
    assert "apostrophe" in refused.reason
    assert f"'{meant}' is probably meant" in refused.remedy


@pytest.mark.parametrize(
    "text",
    [
        "'t Hooft estate",
        "'n Sync",
        "'s-Hertogenbosch",
        "'90s revival",
        "'68 Corvette",
        "`68 Corvette",
        "\u201868s and later",
        "'68s",
        "'1984 reprint'",
        "'24 hours' campaign",
        "O'Brien",
        "'",
        "'1984' reprint",
        "\u201926 budget",
        "\u20182026\u2019",
    ],
)
def test_an_apostrophe_of_a_name_is_kept(text: str) -> None:
    """An apostrophe before letters, a decade or a quotation belongs to the name."""
    assert read(TEXT, text) == (text, [])


def test_an_apostrophe_before_a_number_and_a_word_is_told_where_it_is_of_no_year() -> None:
    """A year has two digits behind an apostrophe; with others, a program may have put it there."""
    for text in ("'2026 budget", "'00123 Acme", "\u20185 Acme"):
        assert read(TEXT, text) == (text, ["apostrophe-in-front"])


# Numbers that a program made of texts.


def test_an_identifier_that_ends_in_point_zero_is_refused(tmp_path: Path) -> None:
    """A program has made a number of 4711; the record's own number is read as the whole number that it is."""
    rows = judged(
        opportunities(
            tmp_path,
            [
                ("OpportunityId", "opportunityType", "OpportunityID", "AcctPotential"),
                ("906.0", "Pre", "4711.0", "5.0"),
                ("907.0", "Pre", None, "6.5"),
            ],
        )
    )
    assert problems(rows) == {2: [("OpportunityID", "number-made-of-text")], 3: []}
    assert "probably 4711:" in rows[0].problems[0].reason
    assert rows[1].job is not None
    assert rows[1].job.values["OpportunityId"] == 907


def test_point_zero_is_kept_where_the_column_holds_fractions(tmp_path: Path) -> None:
    """Beside 1.1 the code 2.0 is written as it is meant; a note tells that it looks like a number."""
    rows = [("OpportunityId", "opportunityType", "OpportunityID"), (1, "Pre", "2.0"), (2, "Pre", "1.1")]
    table = opportunities(tmp_path, rows)
    assert [row.job and row.job.values["OpportunityID"] for row in judged(table)] == ["2.0", "1.1"]
    (note,) = table.notes
    assert note.startswith("OpportunityID (C2): '2.0' is probably 2")


def test_point_zero_in_a_name_is_told_where_it_can_be_no_version() -> None:
    """A name may be 2.0; 4711.0 is told of and sent."""
    assert read(TEXT, "2.0") == ("2.0", [])
    assert read(TEXT, "Web 2.0") == ("Web 2.0", [])
    assert read(TEXT, "4711.0") == ("4711.0", ["number-made-of-text"])
    assert read(TEXT, "1.23E+11") == ("1.23E+11", ["may-be-damaged"])
    assert refusal(CODE, "1.23E+11").code == "may-be-damaged"
    assert refusal(CODE, "4711,00").code == "number-made-of-text"
    assert refusal(CODE, "1.2345678E7").code == "may-be-damaged"
    assert "probably 1234:" in refusal(CODE, "1,234.0").reason
    assert "probably 1 or 1000:" in refusal(CODE, "1.000").reason


CALCULATED = [
    "57.699999999999996",
    "57.700000000000003",
    "0.30000000000000004",
    "434.99999999999994",
    "0.1000000000000000055511151231257827021181583404541015625",
    "-7.999999999999999",
    "100000.00000000001",
]
EXACT = ["0.1234567890123456", "33.333333333333336", "0.300000000000000012", "9007199254740993",
         "1.23456789012345678", "123456789012.34567", "200000.0000000000000000"]  # fmt: skip


@pytest.mark.parametrize("text", CALCULATED)
def test_a_number_as_a_program_has_calculated_it_is_sent_as_workbooks_have_it(text: str) -> None:
    """The digits that arithmetic leaves over are no part of an amount, which is told; an identifier is refused."""
    meant = Decimal(format(float(text), ".15g"))
    assert read(AMOUNT, text) == (meant, ["calculated"])
    assert read(AMOUNT, text.replace(".", ","), decimal=",") == (meant, ["calculated"])
    assert read(TEXT, text) == (text, ["calculated"])
    refused = refusal(CODE, text)
    assert refused.code == "calculated"
    assert text[:40] in refused.reason
    assert format(meant, "f") in refused.reason
    if meant == meant.to_integral_value():
        assert read(COUNT, text) == (int(meant), ["calculated"])
    else:
        assert refusal(COUNT, text).code == "not-a-whole-number"


@pytest.mark.parametrize("text", EXACT)
def test_an_exact_decimal_of_many_digits_keeps_them(text: str) -> None:
    """Money that is typed as text has the digits that were typed."""
    assert read(AMOUNT, text) == (Decimal(text), [])


# Characters that cannot be seen.

UNSEEN = ["\u200b", "\u200e", "\u202a", "\u2066", "\u00ad", "\ufeff", "\u2060", "\u3164", "\u200d", "\ufe0f", "\u0092"]


@pytest.mark.parametrize("character", UNSEEN, ids=ascii)
def test_a_character_that_cannot_be_seen_is_refused_in_an_identifier_and_noted_in_a_name(character: str) -> None:
    """OPP-2 with something invisible in it is another record's number, or none."""
    for text in (f"OPP{character}-2", f"OPP-2{character}", f"{character}OPP-2"):
        refused = refusal(CODE, text)
        assert refused.code == "invisible-character"
        assert f"U+{ord(character):04X}" in refused.reason
        value, codes = read(TEXT, text)
        assert value == text
        assert codes == ["read-in-another-encoding" if character == "\u0092" else "invisible-character"]


@pytest.mark.parametrize("field", EVERY_KIND, ids=lambda field: field.name)
@pytest.mark.parametrize("text", ["\u200b", " \ufeff\u00a0", "\u202a\u202c", "\u3164", "\u2800"], ids=ascii)
def test_a_cell_that_only_looks_blank_is_refused(field: Field, text: str) -> None:
    """No field is overwritten with something invisible."""
    refused = refusal(field, text)
    assert refused.code == "invisible-character"
    assert "looks blank" in refused.reason


@pytest.mark.parametrize(
    ("field", "text"), [(AMOUNT, "\u202a1250.5\u202c"), (DAY, "2026-03-25\u200e"), (KIND, "Small\u200b")]
)
def test_an_invisible_character_is_named_where_a_value_cannot_be_read(field: Field, text: str) -> None:
    """It is the reason why what looks like a number, a date or a name of a list is none."""
    assert refusal(field, text).code == "invisible-character"


def test_blanks_around_a_text_and_odd_ones_in_an_identifier_are_told() -> None:
    """They are sent as they are, and people are told."""
    for text in (" Acme ", "\tAcme", "Acme\u00a0", "Acme\n"):
        assert read(TEXT, text) == (text, ["blanks-around"])
        assert read(CODE, text) == (text, ["blanks-around"])
    assert read(CODE, "OPP\u00a02") == ("OPP\u00a02", ["odd-blank"])
    assert read(TEXT, "Acme\u00a0Corp") == ("Acme\u00a0Corp", [])
    for code in ("OPP\u20131", "OPP\u20111", "OPP-\uff11"):
        assert read(CODE, code) == (code, ["odd-sign"])
        assert read(TEXT, code) == (code, [])


# Letters that a program has lost or read wrongly.


@pytest.mark.parametrize("field", EVERY_KIND, ids=lambda field: field.name)
def test_a_lost_letter_is_refused(field: Field) -> None:
    """U+FFFD is what a program writes for a letter that it cannot read."""
    refused = refusal(field, "Gr\ufffdnwald")
    assert refused.code == "replacement-character"
    assert "U+FFFD" in refused.reason


WORDS = [
    "Gr\u00fcnwald GmbH", "L\u2019Or\u00e9al", "Soci\u00e9t\u00e9 \u201cNord\u201d", "\u0141\u00f3d\u017a", "5 \u20ac",
    "na\u00efve", "\u041f\u0440\u0438\u0432\u0435\u0442", "\u0391\u03b8\u03ae\u03bd\u03b1", "\u6771\u4eac\u682a",
    "\U0001f600", "\u00c5ngstr\u00f6m",
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("times", [1, 2])
def test_letters_read_in_another_encoding_are_told_with_what_is_meant(word: str, times: int) -> None:
    """UTF-8 read as Latin-1, once or twice, is sent as it is; people are told what it was."""
    text = word
    for _ in range(times):
        text = text.encode().decode("latin-1")
    noted: list[CellNote] = []
    assert converter(TEXT, settings(), noted)(text) == text
    assert [note.code for note in noted] == ["read-in-another-encoding"]
    assert f"is probably '{word}'" in noted[0].sentence


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp850"])
def test_letters_read_as_windows_or_mac_text_are_told(encoding: str) -> None:
    """So is UTF-8 that was read as another encoding of Western Europe."""
    noted: list[CellNote] = []
    converter(TEXT, settings(), noted)("Gr\u00fcnwald".encode().decode(encoding))
    assert "'Gr\u00fcnwald'" in noted[0].sentence


@pytest.mark.parametrize(
    "text",
    [
        "CAF\u00c9\u2019S", "Gau\u00df\u2019 Theorem", "\u00ab\u00a0Libert\u00e9\u00a0\u00bb",
        "\u201cAMANH\u00c3\u201d",
        "IRM\u00c3\u00ae", "Wei\u00df\u2122", "3\u00d7\u00bd", "MALM\u00d6\u2013LUND", "\u00ceLE", "S\u00c3O PAULO",
        "\u00c4\u201c", "\u00c0\u00b0",
    ],
)  # fmt: skip
def test_accents_beside_signs_are_ordinary(text: str) -> None:
    """Capital letters with accents are met before quotation marks and dashes, too."""
    assert read(TEXT, text) == (text, [])


# Words of databases and of pages.


@pytest.mark.parametrize(
    "text", [r"\N", "NULL", "null", "(null)", "None", "nan", "NaN", "N/A", "undefined", "<NA>", "(blank)", "-"]
)
def test_a_word_for_nothing_is_told_in_a_text_and_explained_elsewhere(text: str) -> None:
    """A person may be called so, hence it is sent; where it is no value, the message says what it is."""
    assert read(TEXT, text) == (text, ["word-for-nothing"])
    for field in (AMOUNT, DAY, COUNT, ACTIVE):
        refused = refusal(field, text)
        assert refused.code == "word-for-nothing"
        assert "or type #CLEAR to empty it" in refused.remedy


@pytest.mark.parametrize(
    "text",
    [
        "Smith &amp; Co",
        "O&#39;Brien",
        "a<br>b",
        "<b>Acme",
        "<B>Acme</B>",
        '<A HREF="/x">Acme',
        "<p>Acme</p>",
        "Gr\\u00fcn",
        "Acme%20Corp",
        "&#x27;n",
        "Gr\\xfcn",
        "=?UTF-8?Q?M=C3=BCller?=",
    ],
)
def test_what_pages_write_is_told(text: str) -> None:
    """Entities, tags and escapes are sent as they are, and people are told."""
    assert read(TEXT, text) == (text, ["markup"])


@pytest.mark.parametrize("text", ["A<B>C", "a < b > c", "<Acme>", "Vector<T>", "x<I and I>y"])
def test_letters_in_angle_brackets_may_be_a_name(text: str) -> None:
    """A capital in brackets is a tag only where another tag closes it."""
    assert read(TEXT, text) == (text, [])


@pytest.mark.parametrize("literal", ["#NV", "#WERT!", "#VALEUR!", "#\u00a1VALOR!", "#N/D", "#NOM?"])
def test_the_errors_of_excel_in_other_languages_are_errors(literal: str) -> None:
    """A German or French Excel exports its own words."""
    assert refusal(TEXT, literal).code == "error-cell"


# What looks the same and is written otherwise.


@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn"), max_codepoint=0xF8FF), min_size=1, max_size=8)
)
def test_a_text_is_sent_in_its_composed_form(text: str) -> None:
    """Whether an accent is a character of its own cannot be seen, so it makes no difference."""
    try:
        value, _ = read(TEXT, unicodedata.normalize("NFD", text))
        composed, _ = read(TEXT, unicodedata.normalize("NFC", text))
    except ValueProblem:
        return
    assert value == composed


def test_a_decomposed_name_is_sent_composed_and_an_ideograph_stays_what_it_is(tmp_path: Path) -> None:
    """Normal form C, without those of its replacements that can be seen."""
    rows = [("OpportunityId", "opportunityType", "OpportunityName"), (1, "Pre", "Gru\u0308nwald"), (2, "Pre", "\ufa19")]
    first, second = judged(opportunities(tmp_path, rows))
    assert first.job is not None
    assert first.job.values["OpportunityName"] == "Gr\u00fcnwald"
    assert first.row.cells[2] == "Gru\u0308nwald"
    assert second.job is not None
    assert second.job.values["OpportunityName"] == "\ufa19"


def test_letters_of_another_script_are_named() -> None:
    """'Did you mean Pre?' does not help a person who has typed what looks like Pre."""
    kind = replace(KIND, enum=("Pre", "Post"), title="type")
    refused = refusal(kind, "\u0420re")
    assert "character 1 is U+0420 (CYRILLIC CAPITAL LETTER ER), not P" in refused.reason
    assert "Did you mean 'Pre'?" in refused.remedy
    assert read(TEXT, "\u0421losed Won") == ("\u0421losed Won", ["other-script"])


@pytest.mark.parametrize("text", ["\uff37on", "Wo\uff4e", "\ufb01le", "\U0001d416on", "\u0421losed"], ids=ascii)
def test_a_letter_of_another_form_inside_a_latin_word_is_told(text: str) -> None:
    """A full-width W looks at home in Won; a word that is full-width as a whole is ordinary."""
    assert read(TEXT, text) == (text, ["other-script"])
    for ordinary in ("\uff37\uff4f\uff4e", "\uff21\uff23\uff2d\uff25 GmbH", "N\u00ba 5", "CO\u2082", "5 m\u2113"):
        assert read(TEXT, ordinary) == (ordinary, [])


@pytest.mark.parametrize("character", ["\u200b", "\u00ad", "\u00a0", "\n"], ids=ascii)
def test_what_cannot_be_in_the_name_of_a_record_is_named(character: str) -> None:
    """A text in the path of a call says which character is wrong, as every other text does."""
    for field in (replace(TEXT, location=ParameterLocation.PATH), replace(CODE, location=ParameterLocation.PATH)):
        assert f"U+{ord(character):04X}" in refusal(field, f"A{character}1").reason


def test_a_cell_with_a_problem_has_no_note(tmp_path: Path) -> None:
    """What is refused is not said to be sent."""
    file = workbook(tmp_path / "a.xlsx", {"S": [("itemId", "count", "label"), (1, Decimal("3.0000001"), "-")]})
    book = openpyxl.load_workbook(file)
    book["S"]["B2"].number_format = "0"
    book.save(file)
    table = open_table(file, endpoint(), settings(), name=file.name)
    assert problems(judged(table)) == {2: [("count", "not-a-whole-number")]}
    assert [note.partition(" ")[0] for note in table.notes] == ["label"]


# Dates and numbers.


@pytest.mark.parametrize(
    "text",
    ["25-MAR-26", "25-Mar-26", "3/25/26", "25.03.26", "25-MAR-26 12.00.00.000000000 AM", "2026-03-25-00.00.00.000000",
     "25 Mar '26", "March 25, 26"],
)  # fmt: skip
def test_the_century_of_two_digits_is_a_setting(text: str) -> None:
    """With the first year of the hundred every form gives the day; without it the message names the setting."""
    assert read(DAY, text, two_digit_years=1930, date_order="DMY")[0] == date(2026, 3, 25)
    if "2026" not in text:
        refused = refusal(DAY, text)
        assert "input.two_digit_years" in refused.remedy


@pytest.mark.parametrize(
    ("first", "text", "year"),
    [(1930, "25-Mar-29", 2029), (1930, "25-Mar-30", 1930), (2000, "25-Mar-99", 2099), (1950, "25-Mar-49", 2049)],
)
def test_two_digits_are_of_the_hundred_years_that_are_configured(first: int, text: str, year: int) -> None:
    """The setting is the first of them."""
    assert read(DAY, text, two_digit_years=first)[0] == date(year, 3, 25)


@pytest.mark.parametrize(
    "text", ["29.02.26", "31.11.26", "30.02.25", "31/04/26", "31-06-26", "31/9/27", "02/30/26", "31.11.26 00:00"]
)
@pytest.mark.parametrize("given", [{}, {"date_order": "DMY"}, {"date_order": "MDY"}], ids=str)
def test_a_day_that_does_not_exist_is_no_day_of_another_year(text: str, given: dict[str, str]) -> None:
    """A day too many makes no year of the first number, whether or not the order of day and month is named."""
    assert refusal(DAY, text, two_digit_years=1930, **given).code == "no-such-date"


def test_a_year_of_two_digits_is_in_front_only_where_no_day_can_be() -> None:
    """No day is 99; with 25-02-29 one of the two readings does not exist, and a named order has the year last."""
    assert read(DAY, "99-03-25", two_digit_years=1930)[0] == date(1999, 3, 25)
    assert "could be 25 February 2029, or" in refusal(DAY, "25-02-29", two_digit_years=1930).reason
    assert read(DAY, "25-02-29", two_digit_years=1930, date_order="DMY")[0] == date(2029, 2, 25)
    assert refusal(DAY, "99-03-25", two_digit_years=1930, date_order="DMY").code == "no-such-date"


def test_only_the_readings_that_the_settings_leave_are_listed() -> None:
    """Who has said the order is asked for the century alone, and the other way round."""
    both = refusal(DAY, "03/04/26")
    assert "3 April 2026, 4 March 2026" in both.reason
    assert "add --date-order DMY or --date-order MDY (or set input.date_order) and --two-digit-years" in both.remedy
    century = refusal(DAY, "03/04/26", date_order="DMY")
    assert century.reason == "'03/04/26' could be 3 April 2026 or 3 April 1926."
    assert "date_order" not in century.remedy
    order = refusal(DAY, "03/04/26", two_digit_years=1930)
    assert "1926" not in order.reason
    assert "add --date-order DMY or --date-order MDY (or set input.date_order)." in order.remedy
    assert "two_digit_years" not in order.remedy


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,23,456.00", "123456.00"), ("\u20b91,23,456", "123456"), ("12,34,567.5 INR", "1234567.5"),
     ("1,2345,6789", "123456789"), ("1'234,567.50", "1234567.50"), ("500.-", "500"), ("CHF 500.--", "500"),
     ("Fr. 6", "6"),
     ("SFr. 1'234.50", "1234.50"), ("fr.6.-", "6"), ("6.50 Fr.", "6.50"), ("-6 sFr", "-6")],
)  # fmt: skip
def test_digit_groups_of_other_countries_are_read_where_one_reading_remains(text: str, number: str) -> None:
    """India groups by two, China and Japan by four, Mexico writes millions with an apostrophe; 500.- is a price."""
    assert read(AMOUNT, text)[0] == Decimal(number)


@pytest.mark.parametrize(
    "text",
    ["Fr. 6 EUR", "Fr6", "Frau 6", "6 fr. x", "1,23", "1,2345", "0,23,456", "1,23,45", "1,23,456,7", "1'234,567"],
)
def test_digit_groups_that_are_none_are_not_read(text: str) -> None:
    """A single group may be a fraction, and groups that no country has are a slip."""
    assert refusal(AMOUNT, text).code in {"other-decimal-mark", "not-a-number", "ambiguous-number"}


def semicolons(path: Path, amounts: Sequence[str], **given: object) -> tuple[list[object], list[JudgedRow]]:
    lines = "".join(f"{number};{amount}\n" for number, amount in enumerate(amounts, 1))
    rows = judged(table_of(path, f"itemId;amountDue\n{lines}", **given))
    return [row.job and row.job.values.get("amountDue") for row in rows], rows


def test_a_column_whose_every_cell_shows_a_decimal_comma_is_read_with_it(tmp_path: Path) -> None:
    """200,50 has one reading; what could be a thousand is refused with a cell that shows the comma."""
    values, rows = semicolons(tmp_path, ["200,50", "1.234,5", "5", "1.000", "1,234", "500,-"])
    assert values == [Decimal("200.50"), Decimal("1234.5"), Decimal(5), None, None, Decimal(500)]
    for row in rows[3:5]:
        (problem,) = row.problems
        assert problem.code == "ambiguous-number"
        assert "Row 2 has 200,50 (amountDue)" in problem.remedy


def test_a_column_that_mixes_the_marks_is_read_with_the_configured_one(tmp_path: Path) -> None:
    """Where the cells contradict each other, the setting holds, and the others are refused as before."""
    values, rows = semicolons(tmp_path, ["200,50", "200.50", "2.000"])
    assert values == [None, Decimal("200.50"), None]
    assert [problem.code for row in rows for problem in row.problems] == ["other-decimal-mark", "ambiguous-number"]


def test_semicolons_are_evidence_of_a_decimal_comma_where_no_cell_can_tell(tmp_path: Path) -> None:
    """2.000 is not taken for 2 in a file as programs write it that use a decimal comma; one certain cell settles it."""
    values, rows = semicolons(tmp_path, ["2.000", "5"])
    assert values == [None, Decimal(5)]
    assert "separated by semicolons" in rows[0].problems[0].remedy
    assert semicolons(tmp_path, ["2.000", "0.5"])[0] == [Decimal("2.000"), Decimal("0.5")]
    plain = judged(table_of(tmp_path, "itemId,amountDue\n1,2.000\n"))
    assert plain[0].job is not None


def test_a_whole_number_may_be_a_thousand_too(tmp_path: Path) -> None:
    """2.000 in a column of whole numbers is not 2 where the file has decimal commas."""
    rows = judged(table_of(tmp_path, 'itemId,amountDue,count\n1,"200,50",2.000\n2,"7,5",3\n'))
    assert problems(rows) == {2: [("count", "ambiguous-number")], 3: []}


@pytest.mark.parametrize(
    ("amounts", "taken"),
    [
        (["9.000", "8000"], ["", "8000"]), (["12.500", "9.000", "-8000"], ["", "", "-8000"]),
        (["$9.000", "$8000"], ["", "8000"]), (["9.000", "8000", "1.5"], ["9", "8000", "1.5"]),
        (["9.000", "8000.00"], ["9", "8000"]), (["9.000", "800", "12.345"], ["9", "800", "12.345"]),
        (["0.125", "9.000", "8000"], ["0.125", "9", "8000"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", [".", ","])
def test_three_digits_behind_a_mark_are_a_fraction_only_where_nothing_speaks_for_thousands(
    tmp_path: Path, mark: str, amounts: list[str], taken: list[str]
) -> None:
    """9.000 beside 8000 is refused, unless another cell shows the mark; beside numbers of its like it is told."""
    texts = [amount.replace(".", mark) for amount in amounts]
    lines = "".join(f'{number},"{text}"\n' for number, text in enumerate(texts, 1))
    table = table_of(tmp_path, f"itemId,amountDue\n{lines}", decimal=mark)
    rows = judged(table)
    assert [row.job.values["amountDue"] if row.job else None for row in rows] == [
        Decimal(number) if number else None for number in taken
    ]
    assert {problem.code for row in rows for problem in row.problems} <= {"ambiguous-number"}
    told = amounts == ["9.000", "800", "12.345"]
    assert table.notes == (
        (f"amountDue (B2, B4): '{texts[0]}' is sent as 9. If 9000 is meant, type 9000.",) if told else ()
    )


def test_number_cells_show_thousands_too(tmp_path: Path) -> None:
    """A text among the numbers of a workbook was typed by a person, and Excel did not take it for a number."""
    rows: list[list[object]] = [["itemId", "amountDue"], [1, "9.000"], [2, 8000]]
    path = workbook(tmp_path / "a.xlsx", {"S": rows})
    found = problems(judged(open_table(path, endpoint(), settings(), name=path.name)))
    assert found == {2: [("amountDue", "ambiguous-number")], 3: []}


@pytest.mark.parametrize(
    ("header", "amounts"),
    [
        ("itemId;amountDue", ["1.234,50", "2.000", "3.450"]), ("itemId;amountDue", ["2.000", "7", "3.456"]),
        ("itemId;amountDue", ["1.234,50", "0.5", "2.000"]), ("itemId;amountDue", ["1,234", "5.5"]),
        ("itemId;amountDue", ["9.000", "8000", "12.500", "0"]), ("itemId;amountDue", ["1,234", "8000"]),
        ("itemId;amountDue", ["$9.000", "12,5"]), ("itemId;count", ["9.000", "8000", "3.456"]),
        ("itemId;count", ["1,234", "5"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", [".", ","])
@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_is_offered_for_a_number_of_two_readings_is_taken(
    tmp_path: Path, delimiter: str, mark: str, header: str, amounts: list[str]
) -> None:
    """Each form, typed into the very file, makes the row good and no other row worse."""

    def judgements(texts: Sequence[str]) -> list[JudgedRow]:
        lines = "".join(f"{number};{text}\n" for number, text in enumerate(texts, 1))
        return judged(table_of(tmp_path, f"{header}\n{lines}".replace(";", delimiter), decimal=mark))

    before, offers = judgements(amounts), 0
    for at, row in enumerate(before):
        for problem in (one for one in row.problems if one.code == "ambiguous-number"):
            _, _, choice = problem.remedy.replace("Type ", "type ").rpartition("type ")
            for text in choice.removesuffix(".").split(" or "):
                offers += 1
                after = judgements([*amounts[:at], text, *amounts[at + 1 :]])
                assert after[at].job, (text, after[at].problems)
                assert all(new.job for old, new in zip(before, after, strict=True) if old.job)
    assert offers or all(problem.code != "ambiguous-number" for row in before for problem in row.problems)


def test_a_currency_that_contradicts_its_column_is_told(tmp_path: Path) -> None:
    """The number alone is sent, so that people have to know of dollars among euros."""
    mapping = {"Amount (EUR)": "amountDue"}
    table = table_of(tmp_path, "itemId,Amount (EUR)\n1,5\n2,$6\n3,7 EUR\n", columns=mapping)
    assert all(row.job for row in judged(table))
    (note,) = table.notes
    assert note.startswith("Amount (EUR) (B3): '$6' names $, but its column is in EUR.")
    table = table_of(tmp_path, "itemId,Amount (CHF)\n1,Fr. 5\n2,6\n3,SFr. 7\n", columns={"Amount (CHF)": "amountDue"})
    assert all(row.job for row in judged(table))
    assert table.notes == ()
    table = table_of(tmp_path, "itemId,amountDue\n1,$5\n2,US$ 6\n3,A$7\n")
    assert all(row.job for row in judged(table))
    (note,) = table.notes
    assert note.startswith("amountDue (B4): 'A$7' names A$, but another cell of the column has US$.")
    table = table_of(tmp_path, "itemId,amountDue\n1,$5\n2,\u20ac6\n3,US$ 7\n")
    assert all(row.job for row in judged(table))
    (note,) = table.notes
    assert note.startswith("amountDue (B3): '\u20ac6' names \u20ac, but another cell of the column has $.")


# Rows that are no records.


def test_remarks_below_the_table_are_called_that(tmp_path: Path) -> None:
    """The footer of a report has one problem a row, and its remedy is to leave it out."""
    footer = [
        "Opportunities closing this quarter",
        "Copyright \u00a9 2026 Acme",
        "Generated By:  Some Body  3/25/2026",
        "Acme Corp",
    ]
    content = "OpportunityId,opportunityType,StageName,AcctPotential\n1,Pre,Qualified,5\n2,Pre,Qualified,9\n\n"
    file = tmp_path / "report.csv"
    file.write_text(content + "".join(f'"{line}"\n' for line in footer), encoding="utf-8")
    rows = judged(open_table(file, NEXUS, settings(), name=file.name))
    assert [row.row.number for row in rows if row.job] == [2, 3]
    assert problems(rows[2:]) == {number: [(None, "remark-below-table")] for number in range(5, 9)}
    assert rows[2].problems[0].reason == f"'{footer[0]}' is a remark below the table, not a record."
    assert all("delete the row" in row.problems[0].remedy for row in rows[2:])


@pytest.mark.parametrize("line", ["25.03.2026 10:00", "https://example.com/reports/1", "2 rows selected."])
def test_when_and_where_a_report_was_made_is_a_remark(tmp_path: Path, line: str) -> None:
    """It is neither a number nor a code that was mistyped."""
    rows = judged(table_of(tmp_path, f"itemId,label,count\n1,a,2\n{line},,\n"))
    assert problems(rows) == {2: [], 3: [(None, "remark-below-table")]}


def test_a_line_of_dashes_is_called_that(tmp_path: Path) -> None:
    """Programs for databases draw one below the headers, and below the table."""
    rows = judged(table_of(tmp_path, "itemId,label,count\n------,-----,-----\n1,a,2\n======,=====,=====\n"))
    assert problems(rows) == {2: [(None, "rule")], 3: [], 4: [(None, "rule")]}


def items_named_by_texts(path: Path, lines: str) -> tuple[list[JudgedRow], list[str]]:
    """Return the rows of a table whose records are named by texts, and the notes about it."""
    file = path / "items.csv"
    file.write_text(f"itemId,label,amountDue\n{lines}", encoding="utf-8")
    described = endpoint((replace(ITEM, kind=Kind.TEXT), TEXT, AMOUNT))
    table = open_table(file, described, settings(), name=file.name)
    return judged(table), list(table.notes)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("Total,,11", "totals-row"), ("Grand total:,,11", "totals-row"), ("Sub-total,,11", "totals-row"),
        ("TOTAL (2),,11", "totals-row"), ("Sum of amountDue,,11", "totals-row"), ("\u5408\u8a08,,11", "totals-row"),
        ("Total:,Bolts,11", "totals-row"), ("------,---------,", "rule"), ("______,______,", "rule"),
        ("itemId,label,amountDue", "repeated-headers"), ("itemId,stock,", "repeated-headers"),
    ],
)  # fmt: skip
def test_where_texts_name_records_totals_and_lines_are_none(tmp_path: Path, line: str, code: str) -> None:
    """Any text may be the name of a record there, but not that of totals, of a drawn line, or of the column."""
    rows, _ = items_named_by_texts(tmp_path, f"A1,Bolt,5\n{line}\n")
    assert problems(rows) == {2: [], 3: [(None, code)]}


@pytest.mark.parametrize("name", ["Total Fitness", "Summer", "Max-1", "A-1", "Totalizer 5", "Count Dracula"])
def test_where_texts_name_records_other_names_are_names(tmp_path: Path, name: str) -> None:
    """Such a word at the beginning of a longer name makes no totals of it."""
    (row,), notes = items_named_by_texts(tmp_path, f"{name},Bolt,5\n")
    assert (row.problems, notes) == ((), [])


def test_where_texts_name_records_figures_are_told(tmp_path: Path) -> None:
    """A record may be called Max: it is sent, and the note asks."""
    (row,), notes = items_named_by_texts(tmp_path, "Max,,5\n")
    assert (row.problems, notes) == ((), ["itemId (A2): 'Max' is sent as a record: is the row one, or a figure?"])


def test_a_row_that_is_too_short_amid_the_table_is_no_remark(tmp_path: Path) -> None:
    """Only what nothing follows is below the table; a single cell is counted as one."""
    rows = judged(table_of(tmp_path, "itemId,label,count\nSome remark\n1,a,2\n"))
    assert problems(rows) == {2: [(None, "ragged-row")], 3: []}
    assert rows[0].problems[0].reason.startswith("The row has 1 cell, separated by commas, but the header row has 3")


@pytest.mark.parametrize(
    "line",
    [
        ",Total,11",
        "Total:,,11",
        "Summe,,11",
        "Grand Total,,11",
        ",,11",
        "\u03a3,,11.00",
        ",Total of all,11",
        "Average,,6",
        "Total g\u00e9n\u00e9ral,,11",
        "\u5408\u8a08,,11",
        "Total (EUR),,99",
        "Total,,=SUM(C2:C3)",
        ",,=SUM(C2:C3)",
        '"Total","","1,100"',
    ],
)
def test_totals_are_called_that(tmp_path: Path, line: str) -> None:
    """A row that says so, or whose numbers are the sums of their columns, holds totals."""
    rows = judged(table_of(tmp_path, f"itemId,label,amountDue\n1,a,5\n2,b,6\n{line}\n"))
    assert problems(rows) == {2: [], 3: [], 4: [(None, "totals-row")]}


@pytest.mark.parametrize(
    ("line", "codes"),
    [
        (",,12", ["missing"]), (",Total Energies,12", ["missing"]), (",Max,12", ["missing"]),
        ("7x,b,", ["not-a-number"]), ("9,Total,11", []),
        (",b,11", ["missing"]), ("9,,=SUM(C2:C3)", ["not-a-number"]),
        (",,=SUM(B4:D4)", ["not-a-number", "missing"]), (',,"1,234"', ["ambiguous-number", "missing"]),
        ("x,,", ["not-a-number", "nothing-to-update"]),
    ],
)  # fmt: skip
def test_a_row_that_may_be_a_record_is_judged_as_one(tmp_path: Path, line: str, codes: list[str]) -> None:
    """No person is told to delete a change whose number is missing or mistyped."""
    rows = judged(table_of(tmp_path, f"itemId,label,amountDue\n1,a,5\n2,b,6\n{line}\n"))
    assert [problem.code for problem in rows[2].problems] == codes


@pytest.mark.parametrize("total", ["=SUM($E$2:$E$4)", "=SUBTOTAL(109,Table1[Amount])", 30])
@pytest.mark.parametrize("header", ["SalesRevenue", "Worth"])
@pytest.mark.parametrize("first", ["Total", "Suma:", None])
def test_a_formula_that_adds_up_the_column_is_a_totals_row(
    tmp_path: Path, first: str | None, header: str, total: object
) -> None:
    """Directly below the table, with or without its result, whether its column is sent or not; never amid the table."""
    headers: list[object] = ["OpportunityId", "opportunityType", "StageName", "OpportunityName", header]
    records: list[list[object]] = [[number, "Pre", "Won", None, 10] for number in (1, 2, 3)]
    rows = [headers, *records]
    totals = [first, None, None, None, total]
    path = workbook(tmp_path / "a.xlsx", {"Changes": [*rows, totals]})
    judgements = judged(open_table(path, NEXUS, settings(), name=path.name))
    assert problems(judgements) == {2: [], 3: [], 4: [], 5: [(None, "totals-row")]}
    if first is None:
        path = workbook(path, {"Changes": [*rows, totals, [4, "Pre", "Won", None, 10]]})
        found = problems(judged(open_table(path, NEXUS, settings(), name=path.name)))
        assert (None, "totals-row") not in found[5]
        assert found[6] == []


# Any text at all.


SUSPICIOUS = "#CLEAR'=\u200b\u00ad\ufffd\u00c3\u00a9&;<br>\\N .,0E+-\u0421\U0001f469\u200d"
CONVERTERS = [
    converter(field, settings(clear_marker=marker), []) for field in EVERY_KIND for marker in ("#CLEAR", "-", "NULL")
]


@given(st.text(max_size=24) | st.text(alphabet=SUSPICIOUS, max_size=12))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text makes the reading of a cell fail in another way, whatever the clear marker is."""
    for convert in CONVERTERS:
        with contextlib.suppress(ValueProblem):
            convert(text)


@pytest.mark.parametrize(
    "text",
    [
        "'1" + " x" * 60_000, "\U0001f3f4" + "\U000e0067" * 120_000, "\u2801" + "\u2800" * 120_000,
        "\u00c3\u00a9" * 60_000, "\u200b" * 120_000, "a\u200d" * 60_000,
        "&" * 120_000, "<" * 120_000, "\u00e9" * 120_000,
    ],
    ids=lambda text: ascii(text[:3]),
)  # fmt: skip
@pytest.mark.timeout(20)
def test_a_long_text_takes_no_longer_than_it_is(text: str) -> None:
    """A cell of 120,000 characters is judged at once, whatever they are."""
    for field in (TEXT, CODE, AMOUNT):
        with contextlib.suppress(ValueProblem):
            read(field, text)


# Records' own texts.


@pytest.mark.parametrize("text", ["#clear", "'00123", "OPP\u200b2", "Gr\ufffdn", "4711.0", "Gru\u0308n", " a "])
def test_the_texts_of_an_undo_are_taken_as_they_are(text: str) -> None:
    """A record that held it before gets it back, however improbable it is."""
    for field in (TEXT, CODE):
        noted: list[CellNote] = []
        assert converter(field, settings(), noted, ColumnFacts(is_verbatim=True))(text) == text
        assert not noted


@pytest.mark.parametrize("text", CALCULATED)
def test_the_numbers_of_an_undo_are_taken_as_they_are(text: str) -> None:
    """A record that held what a program has calculated gets every digit back."""
    noted: list[CellNote] = []
    assert converter(AMOUNT, settings(), noted, ColumnFacts(is_verbatim=True))(text) == Decimal(text)
    assert not noted
