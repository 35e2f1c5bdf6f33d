"""Unintended values, from the file to the wire."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import openpyxl

from tests.end_to_end.program import batch_updater, configure, sandbox
from tests.loader.described import csv_text

if TYPE_CHECKING:
    from pathlib import Path

HEADERS = ("OpportunityId", "opportunityType", "OpportunityName", "OpportunityID", "StageName", "PendingCloseDate")
ROWS = (
    (1, "Pre", "#clear", "OPP-1", None, None),
    (2, "Pre", "'=Acme renewal", "'00123", None, None),
    (3, "Pre", "Acme", "4711.0", None, None),
    (4, "Pre", "Acme", "OPP-4\u200b", None, None),
    (5, "Pre", "Gr\ufffdnwald", None, None, None),
    (6, "Pre", "Gru\u0308nwald", "OPP-6", None, "25-MAR-26"),
    (7, "Pre", "Gr\u00c3\u00bcnwald", None, None, None),
    (8, "Pre", "Smith &amp; Co", None, None, None),
    (9, "Pre", None, None, "\u0421losed Won", None),
    ("Total", None, None, None, None, None),
)


def test_unintended_values_are_refused_or_told_before_they_go_out(tmp_path: Path) -> None:
    """What is refused is not sent, what is noted is told, and a name in other letters is told which."""
    (tmp_path / "changes.csv").write_text(csv_text([HEADERS, *ROWS]), encoding="utf-8")
    with sandbox() as api:
        configure(tmp_path, api.url, "sending: {rate_per_s: 5000, attempts: 1}\ninput: {two_digit_years: 1930}\n")
        done = batch_updater("run", "changes.csv", "--with-totals", "--json", cwd=tmp_path)
        sent = {int(one["path"].rpartition("/")[2]): json.loads(one["body"]) for one in api.requests()}
    assert (done.code, done.outcomes) == (1, {"updated": 3, "invalid": 6, "rejected": 1})
    assert sent == {
        6: {"OpportunityName": "Gr\u00fcnwald", "OpportunityID": "OPP-6", "PendingCloseDate": "2026-03-25"},
        7: {"OpportunityName": "Gr\u00c3\u00bcnwald"},
        8: {"OpportunityName": "Smith &amp; Co"},
        9: {"StageName": "\u0421losed Won"},
    }
    checked = batch_updater("check", "changes.csv", cwd=tmp_path)
    notes = " ".join((checked.out + checked.err).split())
    assert "OpportunityName (C8): 'Gr\u00c3\u00bcnwald' is probably 'Gr\u00fcnwald'" in notes
    assert "holds '&amp;'" in notes
    assert "StageName (E10): '\u0421losed Won' holds U+0421 (CYRILLIC CAPITAL LETTER ES) among Latin letters." in notes
    book = openpyxl.load_workbook(done.object["results"])
    messages = {row[0]: f"{row[2]} {row[3]}" for row in book["To fix"].iter_rows(min_row=2, values_only=True)}
    assert "Did you mean #CLEAR?" in messages[2]
    assert "'=Acme renewal' is probably meant" in messages[3]
    assert "'00123' is probably meant" in messages[3]
    assert "'Total' is a remark below the table, not a record. Leave it out: delete the row." in messages[11]
    assert "character 1 is U+0421" in messages[10]
    assert "Did you mean 'Closed Won'?" in messages[10]
