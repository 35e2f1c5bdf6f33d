"""The clients that are compared: the product and the references, each a whole process that sends a CSV file."""

from __future__ import annotations

import csv
import json
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import product
from benchmarks.measure import Cost, FailedError, median_cost, run
from benchmarks.servers import program_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.bench import Bench
    from benchmarks.servers import Server

PRODUCT = "batch-updater"
MINIMAL = "minimal aiohttp loop, results as xlsx"
MINIMAL_CSV = "minimal aiohttp loop, results as CSV"
THREADS = "50 threads with requests"
PANDAS = "pandas loop with requests (scaled)"
CURL = "curl -Z"
K6 = "k6"
K6_SCRIPT = Path(__file__).with_name("k6.js")


@dataclass(frozen=True, slots=True)
class Sent:
    """What sending so many rows took."""

    rows: int
    cost: Cost
    sending_s: float
    """From the first request to the last answer, as the server saw it."""
    ending_s: float
    """From the last answer to the end of the process, which has written its results by then."""

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
        Client(MINIMAL_CSV, _reference("minimal_loop", ".csv")),
        Client(THREADS, _reference("threads")),
        Client(PANDAS, _reference("pandas_loop")),
    ]
    programs = {"curl": Client(CURL, _curl), "k6": Client(K6, _k6)}
    return [*found, *(client for program, client in programs.items() if program_path(program))]


def sent(bench: Bench, server: Server, client: Client, rows: int, source: Path | None = None) -> Sent:
    """Let a client send so many rows. Raises FailedError unless the server saw one request for each."""
    source = source or bench.csv(rows)
    server.take(0)
    with bench.empty_folder() as folder:
        cost = client.send(source, rows, server.url, folder)
        ended_s = time.time()
    traffic = server.take(rows)
    if traffic.requests != rows:
        raise FailedError(f"{client.name} sent {traffic.requests} requests for {rows} rows.")
    return Sent(rows, cost, traffic.last_s - traffic.first_s, ended_s - traffic.last_s)


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
        more.cost.total_mb,
    )
    return Sent(rows, cost, sending_s, more.ending_s)


def median_sent(rounds: Sequence[Sent]) -> Sent:
    """Return the median of each figure of several rounds with the same rows."""
    return Sent(
        rounds[0].rows,
        median_cost([one.cost for one in rounds]),
        statistics.median(one.sending_s for one in rounds),
        statistics.median(one.ending_s for one in rounds),
    )


def _reference(module: str, suffix: str = ".xlsx") -> Callable[[Path, int, str, Path], Cost]:
    def send(source: Path, rows: int, url: str, folder: Path) -> Cost:  # noqa: ARG001  (the server counts)
        results = str(folder / f"results{suffix}")
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
    command = [
        program_path("curl") or "curl",
        "-q",
        "-sS",
        "-Z",
        "--parallel-max",
        str(product.CONNECTIONS),
        "-K",
        str(orders),
    ]
    return run(command, folder / "told")


def _k6(source: Path, rows: int, url: str, folder: Path) -> Cost:  # noqa: ARG001  (the server counts)
    """Send with k6, which reads the file itself and writes no results."""
    variables = (f"ROWS={source}", f"BASE_URL={url}", f"VUS={product.CONNECTIONS}")
    options = [option for variable in variables for option in ("--env", variable)]
    return run(
        [program_path("k6") or "k6", "run", "--quiet", "--no-usage-report", *options, str(K6_SCRIPT)], folder / "told"
    )
