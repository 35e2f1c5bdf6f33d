"""Whatever an API answers, every row has the right outcome, and workbook, page, report and undo are written."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import openpyxl
import pytest
from aiohttp import web

from tests.end_to_end.program import batch_updater, configure
from tests.sender.server import Api

if TYPE_CHECKING:
    from tests.sender.server import Answer, Seen

pytestmark = pytest.mark.usefixtures("store")

ODD = (
    "1e999999999", "1e-999999999", "-1E+401", "NaN", "-Infinity", "-0.00", "7" * 5_000, "0." + "3" * 5_000, "true",
    "null", '""', '"sNaN"', '"1e999999999"', '"0000-01-01"', '"99999-12-31"', '"a \\ud83d"', '"\\u0000\\u001b[2J"',
    '"=1+1"', '"<b>&"', '"_x0041_"', f'"{"long " * 30_000}"', f'"{chr(0x327) * 3_000}"', "[" * 99 + "]" * 99,
    '{"a": [1e-999999, {"\\udc00": 9999999999999999999999}]}',
)  # fmt: skip
NO_ANSWERS = (*ODD, "[" * 3_000 + "]" * 3_000, "{", '{"errors": [1e999999999]}', "[NaN]", "")
ASKED = {"OpportunityName": "new", "StageName": "Won", "SalesRevenue": "1.50", "PendingCloseDate": "2031-05-06"}
PROPERTIES = ("OpportunityName", "OpportunityStageID", "SalesRevenue", "PendingCloseDate")


def record(identity: int, **changed: str) -> str:
    """Return the record as a row asks for it, as JSON, with other JSON for some of its properties."""
    asked = {name: json.dumps(ASKED.get(name)) for name in PROPERTIES}
    members = {
        "ID": str(identity),
        "Type": '"Pre"',
        **asked,
        "OpportunityStageID": "3",
        "SalesRevenue": "1.5",
    } | changed
    return f"{{{', '.join(f'{json.dumps(name)}: {value}' for name, value in members.items())}}}"


def says(text: str) -> Answer:
    async def answer(_: Seen) -> web.StreamResponse:
        return web.Response(text=text, content_type="application/json")

    return answer


def scripted(api: Api) -> dict[int, str]:
    """Have a record for every odd reading and every odd answer; returns the outcome that each must have."""
    expected: dict[int, str] = {}

    def add(outcome: str, reading: str | None, answer: str | None, **odd: str) -> None:
        """Add a record; None is one with the odd values."""
        number = len(expected) + 1
        reading = record(number, **odd) if reading is None else reading
        answer = record(number, **odd) if answer is None else answer
        api.readings[str(number)] = [says(f"[{reading}]")] * 9
        api.script[str(number)] = [says(answer)] * 9
        expected[number] = outcome

    for name, value in itertools.product(PROPERTIES, ODD):
        is_accepted = name == "OpportunityStageID" and value not in ("null", '""')
        add("updated", None, record(len(expected) + 1), **{name: value})
        add(
            "updated" if is_accepted else "differs",
            record(len(expected) + 1, OpportunityName='"old"'),
            None,
            **{name: value},
        )
    for text in NO_ANSWERS:
        add("failed" if text else "rejected", text, "")
        add("unconfirmed", record(len(expected) + 1, OpportunityName='"old"'), text)
    add("differs", record(len(expected) + 1, OpportunityName='"old"'), '{"ID": 1e999999999}')
    return expected


def test_whatever_is_answered_every_row_has_its_outcome_and_everything_is_written(tmp_path: Path) -> None:
    """Run, report, undo and check meet any value anywhere, and the outcome of every row is right."""
    with Api() as api:
        expected = scripted(api)
        configure(tmp_path, api.url, "sending: {rate_per_s: 5000, attempts: 1, compare: true}\n")
        with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("Id", "Type", *ASKED))
            writer.writerows((number, "Pre", *ASKED.values()) for number in expected)
        done = batch_updater("run", "rows.csv", "--json", cwd=tmp_path)
        assert (done.code, done.outcomes) == (3, dict(Counter(expected.values()))), done.err
        for results in (done.object["results"], batch_updater("report", done.object["run"], "--json", cwd=tmp_path)):
            path = results if isinstance(results, str) else results.object["results"]
            rows = openpyxl.load_workbook(path)["All rows"].iter_rows(min_row=2, values_only=True)
            assert {row[2]: row[1] for row in rows} == {str(key): kind for key, kind in expected.items()}
        ET.parse(Path(done.object["run"]) / "report.html")  # noqa: S314  (ours)
        undone = batch_updater("undo", done.object["run"], "--json", cwd=tmp_path)
        assert undone.code == 0, undone.err
        assert undone.object["rows"] > 0
        guards = {"BATCH_UPDATER_GUARDS__FACTOR": "2", "BATCH_UPDATER_GUARDS__TOTAL_CHANGE_PERCENT": "1"}
        checked = batch_updater("check", "rows.csv", "--compare", cwd=tmp_path, **guards)
        assert checked.code == 3, checked.err
        assert "it is no number that can be compared" in checked.out
