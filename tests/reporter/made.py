"""Workbooks made of rows and outcomes, as the pipeline makes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from batch_updater.endpoint.reference import load_endpoint
from batch_updater.records import (
    AllowedList,
    AllowedValue,
    Columns,
    Outcome,
    OutcomeKind,
    Problem,
    ReportRow,
    Row,
    RunFacts,
    Setting,
    Stop,
)
from batch_updater.reporter.workbook import WrittenWorkbook, write_results

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from batch_updater.records import Cell

ENDPOINT = load_endpoint("nexus-opportunity")
HEADERS = ("Id", "Type", "OpportunityName", "StageName", "SalesRevenue", "PendingCloseDate", "Owner")
COLUMNS = Columns(
    HEADERS, 0,
    {"OpportunityId": 0, "opportunityType": 1, "OpportunityName": 2, "StageName": 3, "SalesRevenue": 4,
     "PendingCloseDate": 5},
    ("Owner",),
)  # fmt: skip
STARTED = datetime(2026, 3, 1, 14, 2, tzinfo=UTC)
STAGES = AllowedList("StageName", (("LanguageId", "1"),), (AllowedValue("Prospect", 1), AllowedValue("Proposal", 3)))


def facts(command: str = "run", stop: Stop | None = None, *, lasted_s: float = 12.5, learned: bool = True) -> RunFacts:
    return RunFacts(
        command=command,
        input_path="changes.xlsx",
        input_sha256="ab" * 32,
        sheet="Changes",
        endpoint="nexus-opportunity",
        base_url="https://nexus.example.com",
        run_folder="/runs/x",
        started_at=STARTED,
        finished_at=STARTED + timedelta(seconds=lasted_s),
        requests=5,
        retries=1,
        stop=stop,
        allowed=(STAGES,) if learned else (),
        settings=(Setting("api.token", "env:NEXUS_TOKEN"),),
    )


def row(number: int, *cells: Cell) -> Row:
    return Row(number, (*cells, *[None] * (len(HEADERS) - len(cells))))


def updated(number: int, *cells: Cell, after_s: float = 1.0) -> ReportRow:
    sent_at = STARTED + timedelta(seconds=after_s)
    outcome = Outcome(number, OutcomeKind.UPDATED, status=200, attempts=1, sent_at=sent_at, seconds=0.25)
    return ReportRow(row(number, *cells), outcome)


def invalid(number: int, *cells: Cell, field: str = "StageName", value: str = "Propsal") -> ReportRow:
    problem = Problem(
        number,
        field,
        "name-not-accepted",
        value,
        f"'{value}' is not a stage that Nexus accepts.",
        "Did you mean 'Proposal'?",
    )
    return ReportRow(row(number, *cells), Outcome(number, OutcomeKind.INVALID, problems=(problem,)))


def write(path: Path, rows: Iterable[ReportRow], **options: object) -> WrittenWorkbook:
    made = options.pop("facts", facts())
    columns = options.pop("columns", COLUMNS)
    return write_results(path, made, columns, ENDPOINT, rows, **options)  # type: ignore[arg-type]  # as the caller names them
