"""The clients that are compared: the product and the references, each a whole process that sends a CSV file."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import product
from benchmarks.measure import Cost, FailedError, median_cost, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

PRODUCT = "batch-updater"
MINIMAL = "minimal aiohttp loop"
THREADS = "50 threads with requests"
PANDAS = "pandas loop with requests (scaled)"
CURL = "curl -Z"


@dataclass(frozen=True, slots=True)
class Sent:
    """What sending so many rows took."""

    rows: int
    cost: Cost
    sending_s: float
    """From the first request to the last answer, as the server saw it."""

    @property
    def sending_rows_per_s(self) -> float:
        """Rows per second while sending."""
        return self.rows / self.sending_s

    @property
    def whole_rows_per_s(self) -> float:
        """Rows per second of the whole process."""
        return self.rows / self.cost.wall_s

    @property
    def cpu_s_per_1000(self) -> float:
        """CPU seconds for every thousand rows."""
        return self.cost.cpu_s / self.rows * 1_000


@dataclass(frozen=True, slots=True)
class Client:
    """A program that sends."""

    name: str
    send: Callable[[Path, int, str, Path], Cost]
    """(CSV file, its rows, URL of the server, an empty folder) -> what the process took."""


def clients() -> list[Client]:
    """Return the product and every reference that is installed."""
    found = [
        Client(PRODUCT, product.send),
        Client(MINIMAL, _reference("minimal_loop")),
        Client(THREADS, _reference("threads")),
        Client(PANDAS, _reference("pandas_loop")),
    ]
    return [*found, Client(CURL, _curl)] if shutil.which("curl") else found


def sent(bench: Bench, server: Server, client: Client, rows: int, source: Path | None = None) -> Sent:
    """Let a client send so many rows. Raises FailedError unless the server saw one request for each."""
    source = source or bench.csv(rows)
    server.take(0)
    with bench.empty_folder() as folder:
        cost = client.send(source, rows, server.url, folder)
    traffic = server.take(rows)
    if traffic.requests != rows:
        raise FailedError(f"{client.name} sent {traffic.requests} requests for {rows} rows.")
    return Sent(rows, cost, traffic.sending_s)


def sent_scaled(bench: Bench, server: Server, client: Client, smaller: tuple[int, int], rows: int) -> Sent:
    """Let a client send two smaller numbers of rows, and calculate what all of them would take.

    Sending takes as long for each row as in the larger of the two, and start and end as long as there. CPU goes on
    along the line through both; memory is that of the larger.
    """
    less, more = (sent(bench, server, client, count) for count in smaller)
    sending_s = more.sending_s / more.rows * rows
    cpu_s_per_row = max(0.0, more.cost.cpu_s - less.cost.cpu_s) / (more.rows - less.rows)  # noise must not save any
    cost = Cost(
        more.cost.wall_s - more.sending_s + sending_s,
        more.cost.cpu_s + cpu_s_per_row * (rows - more.rows),
        more.cost.peak_mb,
    )
    return Sent(rows, cost, sending_s)


def median_sent(rounds: Sequence[Sent]) -> Sent:
    """Return the median of each figure of several rounds with the same rows."""
    sending_s = statistics.median(one.sending_s for one in rounds)
    return Sent(rounds[0].rows, median_cost([one.cost for one in rounds]), sending_s)


def _reference(module: str) -> Callable[[Path, int, str, Path], Cost]:
    def send(source: Path, rows: int, url: str, folder: Path) -> Cost:  # noqa: ARG001  (the server counts)
        results = str(folder / "results.xlsx")
        return run([sys.executable, "-m", f"benchmarks.{module}", str(source), results, url], folder / "told")

    return send


def _curl(source: Path, rows: int, url: str, folder: Path) -> Cost:  # noqa: ARG001  (the server counts)
    """Send with curl, which is given every request ready-made and writes no results."""
    orders = folder / "orders"
    with source.open(newline="", encoding="utf-8") as stream, orders.open("w", encoding="utf-8") as config:
        for number, row in enumerate(csv.DictReader(stream)):
            body = f'{{"OpportunityName": {json.dumps(row["OpportunityName"])}, "SalesRevenue": {row["SalesRevenue"]}}}'
            target = f"{url}/api/v2/opportunities/{row['OpportunityId']}?opportunityType={row['opportunityType']}"
            config.write("next\n" if number else "")
            config.write(f'url = "{target}"\nrequest = PUT\ndata = {json.dumps(body)}\noutput = /dev/null\n')
            config.write('header = "Authorization: Bearer x"\nheader = "Content-Type: application/json"\n')
    command = ["curl", "-q", "-sS", "-Z", "--parallel-max", str(product.CONNECTIONS), "-K", str(orders)]
    return run(command, folder / "told")
