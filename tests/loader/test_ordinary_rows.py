"""Names and numbers as people have them: all good, without a note about any of them."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from batch_updater.endpoint.reference import load_endpoint
from batch_updater.loader.table import open_table
from tests.data.made_xlsb import write_xlsb
from tests.loader.described import judged, settings
from tests.loader.test_formats_agree import write_csv, write_ods, write_openpyxl, write_xls, write_xlsxwriter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from batch_updater.records import Cell

HEADERS = ("OpportunityId", "opportunityType", "OpportunityName", "OpportunityID", "AcctPotential", "PendingCloseDate")
NAMES = (
    # Accents and letters of other languages.
    "Grünwald GmbH", "L'Oréal", "L’Oréal Österreich", "Société Générale", "Ångström Bygg AB", "Łódź Logistyka",
    "Zażółć gęślą jaźń", "Škoda Auto a.s.", "Český Krumlov", "Žižkov", "Ñandú y Compañía", "São Paulo Turismo",
    "MAÇÃ VERDE S/A", "CAFÉ’S", "IRMÃ®", "Þórsmörk ehf.", "Øresundsbron", "MALMÖ–LUND", "Đorđević & sinovi",
    "İstanbul Gaz A.Ş.", "Tŷ Newydd", "Nguyễn Thị Minh Khai", "Œuvre d’Art", "Straßenbau Weiß™", "« Liberté »",
    "Größe 42", "Crème brûlée – dessert", "Piñata", "Ærø Kommune", "Kőbánya Zrt.", "Iași", "Ķekava",
    "Ħal Qormi", "ООО «Ромашка»", "Київстар", "1С:Предприятие", "Αθήνα ΑΕ", "תל אביב", "القاهرة للتأمين",
    "می‌خواهم", "शक्ति उद्योग", "क्‍ष", "மதுரை", "ภูเก็ต", "株式会社日立製作所", "東京（本社）", "台積電",
    "한국전력", "髙島屋", "Ａ社", "葛󠄀城市",
    # Apostrophes and quotation marks.
    "O'Brien & Sons", "D’Angelo", "'t Hooft Instituut", "'n Sync", "'s-Hertogenbosch", "'90s revival",
    "Rock 'n' Roll", "“Project Phoenix”", "„Phönix“", '"Quoted" Inc.', "5' 10\" frame", "Children's",
    "James' shop", "`code`", "‘Single’", "’26 Budget", "'1984' reprint", "'24 hours' campaign", "Average Joe's", "Max",
    # Signs.
    "AT&T / Verizon", "R&D", "Q&A <draft>", "x < y > z", "Smith \\ Jones", "50/50 split", "100% Renewable",
    "C# migration", "C++ training", "#1 priority", "#GoGreen", "@Home roll-out", "+1 programme",
    "-20 °C freezer", "=> next step", "~ approx.", "Yahoo!", "¿Qué?", "E.ON SE", "a@example.com",
    "https://example.com/?a=1&b=2", "H₂O", "TNFα assay", "½ price", "§ 5", "№ 5", "Tom™ ®", "5 € menu",
    "£ shop", "A • B", "tick ✓", "(brackets)", "[square]", "{curly}", "semi;colon", "a|b", "…",
    # Emoji.
    "👩‍💻 Women in Tech", "👨‍👩‍👧‍👦 Family", "🏳️‍🌈 Pride", "🧑🏽‍🚀 Space", "❤️ Health", "1️⃣ First",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿 England", "🇩🇪 Germany", "🤷‍♂️", "☎️ Support",
    # Words and numbers.
    "Null Island Ltd", "None of the Above", "NaN Labs", "NA", "TotalEnergies SE", "Total Renewal",
    "Sum of Parts", "Clear Channel", "Clearview", "CLEAR Inc", "True North", "FALSE", "Page 1 Media",
    "Note Taking", "Web 2.0", "2.0", "Windows 3.11", "3M", "7-Eleven", "1e5", "00123", "2026", "10.0.0.1",
    "v1.0", "24/7", "1,000 seats", "$5 promo", "Err 404", "E5", "Equals = same", "Ecole", "NULL-safe",
    "undefined behaviour", "Kunde 12", "C",
)  # fmt: skip
IDS = ("OPP-{:03}", "{:05}", "2026/{:03}", "AB_{:03}x", "{:03}-E-12", "crm {}")
AMOUNTS = (None, 0, 5, Decimal("1250.5"), Decimal("-0.01"), 999999999)
DAYS = (None, "2026-03-25", "25.03.2026", "25 March 2026")


def rows() -> list[tuple[Cell, ...]]:
    """Return 300 rows: every name, with numbers and dates that go round."""
    made = zip(
        itertools.cycle(NAMES), itertools.cycle(IDS), itertools.cycle(AMOUNTS), itertools.cycle(DAYS), strict=False
    )
    return [
        (number, ("Pre", "Post")[number % 2], name, identifier.format(number), amount, day)
        for number, (name, identifier, amount, day) in enumerate(itertools.islice(made, 300), 1)
    ]


def by_xlsb(path: Path, cells: Sequence[Sequence[Cell]], headers: Sequence[str]) -> Path:
    return write_xlsb(path / "a.xlsb", {"S": [headers, *cells]})


@pytest.mark.parametrize("write", [write_csv, write_openpyxl, write_xlsxwriter, write_xls, write_ods, by_xlsb])
def test_ordinary_rows_are_good_and_nothing_is_said_about_them(
    tmp_path: Path, write: Callable[[Path, Sequence[Sequence[Cell]], Sequence[str]], Path]
) -> None:
    """In no format is a real name refused, changed or told of."""
    file = write(tmp_path, rows(), HEADERS)
    table = open_table(file, load_endpoint("nexus-opportunity"), settings(), name=file.name)
    found = judged(table)
    assert [problem for row in found for problem in row.problems] == []
    assert [row.job and row.job.values["OpportunityName"] for row in found] == [row[2] for row in rows()]
    assert table.notes == ()
    table.close()
