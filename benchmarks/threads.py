"""A reference: 50 threads, each with a session of requests; CSV in, an xlsx of results.

python -m benchmarks.threads ROWS.csv RESULTS.xlsx BASE_URL
"""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import requests

from benchmarks.plain_files import read_rows, write_results

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 50


def work(base: str, rows: Iterator[list[str]], turn: threading.Lock, done: list[tuple[list[str], int]]) -> None:
    """Send rows for as long as the shared iterator has any."""
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer x"
        while True:
            with turn:
                row = next(rows, None)
            if row is None:
                return
            identity, kind, name, revenue = row
            answer = session.put(
                f"{base}/api/v2/opportunities/{identity}",
                params={"opportunityType": kind},
                json={"OpportunityName": name, "SalesRevenue": float(revenue)},
                timeout=35,
            )
            answer.json()
            done.append((row, answer.status_code))


def main() -> None:
    """Send a file and write the outcomes."""
    source, results, base = sys.argv[1:]
    rows, turn, done = read_rows(source), threading.Lock(), list[tuple[list[str], int]]()
    threads = [threading.Thread(target=work, args=(base, rows, turn, done)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    write_results(results, done)


if __name__ == "__main__":
    main()
