"""Write a results workbook with the product's reporter: python -m benchmarks.workbook_by_product FILE ROWS."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

from batch_updater.endpoint.reference import load_endpoint
from batch_updater.records import RunFacts
from batch_updater.reporter.workbook import write_results
from benchmarks.outcomes import COLUMNS, RATE_PER_S, STARTED_AT, report_rows


def main() -> None:
    """Write what a run of so many rows would write."""
    path, rows = Path(sys.argv[1]), int(sys.argv[2])
    facts = RunFacts(
        command="run",
        input_path="rows.xlsx",
        input_sha256="0" * 64,
        sheet="Sheet1",
        endpoint="nexus-opportunity",
        base_url="https://nexus.example.com",
        run_folder=None,
        started_at=STARTED_AT,
        finished_at=STARTED_AT + timedelta(seconds=rows / RATE_PER_S),
        requests=rows,
        retries=0,
        stop=None,
        allowed=(),
        settings=(),
    )
    write_results(path, facts, COLUMNS, load_endpoint("nexus-opportunity"), report_rows(rows))


if __name__ == "__main__":
    main()
