"""Files of a few rows under headers to try, in every format that people send most, opened for one endpoint."""

from __future__ import annotations

import shlex
from datetime import date
from typing import TYPE_CHECKING

import pytest

from batch_updater.endpoint.reference import load_endpoint
from batch_updater.errors import ExitCode, InputError
from batch_updater.loader.columns import no_names
from batch_updater.loader.layouts import NO_LAYOUTS, LayoutChoice
from batch_updater.loader.table import Table, open_table
from batch_updater.questions import NO_ANSWERS, Answers
from batch_updater.records import AllowedList, AllowedValue
from tests.end_to_end.program import SAMPLES
from tests.loader.described import csv_text, settings, workbook

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint

FORMATS = ("csv", "xlsx")
NEXUS = load_endpoint("nexus-opportunity")
CUSTOMERS = load_endpoint(f"{SAMPLES / 'second-endpoint' / 'customers.openapi.yaml'}#update-contact")
STAGES = AllowedList("StageName", (("LanguageId", "1"),), (AllowedValue("Prospect", 1), AllowedValue("Qualified", 2)))
CATEGORIES = AllowedList("CategoryName", (("LanguageId", "1"),), (AllowedValue("Renewal", 1),))
KEYS = {
    NEXUS.name: {"OpportunityId": 101, "opportunityType": "Pre"},
    CUSTOMERS.name: {"accountId": "DE-0042", "contactId": 7, "email": "ada@example.com"},
}
"""Columns that every row needs, and a value for them."""


def write(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """Write rows into a file of the format that its name says."""
    if path.suffix == ".csv":
        path.write_text(csv_text(rows), encoding="utf-8")
        return path
    return workbook(path, {"Changes": rows})


def opened(
    path: Path,
    endpoint: Endpoint = NEXUS,
    *,
    names: Sequence[AllowedList] = (),
    answers: Answers = NO_ANSWERS,
    layouts: LayoutChoice = NO_LAYOUTS,
    **given: object,
) -> Table:
    """Open a file as `check` does."""
    known = (lambda: tuple(names)) if names else no_names
    return open_table(
        path, endpoint, settings(**given), name=path.name, known_names=known, answers=answers, layouts=layouts
    )


def with_column(
    path: Path,
    header: str,
    values: Sequence[object] = ("x",),
    beside: Sequence[str] = (),
    endpoint: Endpoint = NEXUS,
    **given: object,
) -> Table:
    """Open a file that has what every row needs, the fields `beside` and one more column under a header to try."""
    keys = KEYS[endpoint.name]
    row = [*keys.values(), *(None for _ in beside)]
    rows = [[*keys, *beside, header], *([*row, value] for value in values)]
    return opened(write(path, rows), endpoint, **given)  # type: ignore[arg-type]


def refusal(path: Path, *given: object, **more: object) -> InputError:
    """Return why such a file is refused."""
    with pytest.raises(InputError) as raised:
        with_column(path, *given, **more)  # type: ignore[arg-type]
    assert raised.value.exit_code is ExitCode.NOTHING_SENT
    return raised.value


def offered(error: InputError, header: str) -> list[str]:
    """Return which fields the options offer for a header, in their order; "" leaves the column out."""
    lines = [line.split("   ")[1] for line in error.remedy_lines if line.startswith("    --map ")]
    words = [shlex.split(line)[1].rpartition("=") for line in lines]
    return [field for name, _, field in words if name == header]


def days(count: int) -> list[date]:
    """Return so many dates."""
    return [date(2026, 3, day) for day in range(1, count + 1)]
