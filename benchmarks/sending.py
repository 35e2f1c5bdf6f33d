"""How fast rows go out, beside the references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import say
from benchmarks.clients import MINIMAL, PANDAS, PRODUCT, THREADS, Sent, clients, median_sent, sent, sent_scaled
from benchmarks.product import CONNECTIONS
from benchmarks.servers import serving
from benchmarks.table import Goal, Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.bench import Bench

SLOW_MS = 50


@dataclass(frozen=True, slots=True)
class Sending:
    """Every client at one latency."""

    rows: int
    pandas_rows: tuple[int, int]
    latency_ms: int
    server: str
    of_client: Mapping[str, Sent]
    """Name of the client -> medians."""

    def tables(self) -> list[Table]:
        """Return one line for each client."""
        ours = self.of_client[PRODUCT]
        lines = [
            (
                name,
                f"{one.sending_rows_per_s:,.0f}",
                f"{ours.sending_rows_per_s / one.sending_rows_per_s:.2f}",
                f"{one.whole_rows_per_s:,.0f}",
                f"{ours.whole_rows_per_s / one.whole_rows_per_s:.2f}",
                f"{one.cpu_s_per_1000:.2f}",
                f"{one.cost.peak_mb:.0f}",
            )
            for name, one in self.of_client.items()
        ]
        headers = ("Client", "Rows/s while sending", "ours / this", "Rows/s of the whole program", "ours / this",
                   "CPU s per 1,000 rows", "Peak MB")  # fmt: skip
        title = f"{self.rows:,} CSV rows, {self.latency_ms} ms latency, {CONNECTIONS} connections, {self.server}"
        less, more = self.pandas_rows
        note = (
            f"The pandas loop sends one row after another, here {less:,} and {more:,} rows, its figures are scaled; "
            "its memory is that of the larger. curl gets its requests ready-made and writes no results."
        )
        return [Table(title, headers, lines, note)]

    def goals(self) -> list[Goal]:
        """Without latency the references are the measure; with it, what connections and latency allow."""
        ours = self.of_client[PRODUCT]
        if self.latency_ms:
            share = ours.sending_rows_per_s / (CONNECTIONS / self.latency_ms * 1_000)
            what = f"{self.latency_ms} ms latency: rate while sending / (connections / latency)"
            return [Goal(what, "at least", 0.97, share, "{:.3f}")]
        minimal, threads = self.of_client[MINIMAL], self.of_client[THREADS]
        return [
            Goal("0 ms latency: rate while sending / that of the minimal aiohttp loop", "at least", 0.7,
                 ours.sending_rows_per_s / minimal.sending_rows_per_s, "{:.2f}"),
            Goal("0 ms latency: rate of the whole program / that of the minimal aiohttp loop", "at least", 0.5,
                 ours.whole_rows_per_s / minimal.whole_rows_per_s, "{:.2f}"),
            Goal("0 ms latency: rate of the whole program / that of 50 threads with requests", "at least", 3,
                 ours.whole_rows_per_s / threads.whole_rows_per_s, "{:.1f}"),
        ]  # fmt: skip


def fast(bench: Bench) -> Sending:
    """Send to a server that answers at once."""
    return _measured(bench, 0, bench.sizes.fast, bench.sizes.fast_pandas)


def slow(bench: Bench) -> Sending:
    """Send to a server that takes its time."""
    return _measured(bench, SLOW_MS, bench.sizes.slow, bench.sizes.slow_pandas)


def _measured(bench: Bench, latency_ms: int, rows: int, pandas_rows: tuple[int, int]) -> Sending:
    found: dict[str, list[Sent]] = {}
    with serving(bench.folder, latency_ms) as server:
        for number in range(1, bench.rounds + 1):
            for client in clients():
                if client.name == PANDAS:
                    one = sent_scaled(bench, server, client, pandas_rows, rows)
                else:
                    one = sent(bench, server, client, rows)
                found.setdefault(client.name, []).append(one)
                rates = f"{one.sending_rows_per_s:,.0f} rows/s while sending, {one.whole_rows_per_s:,.0f} in all"
                say(f"{server.name}, {latency_ms} ms, round {number}: {client.name}: {rates}")
        of_client = {name: median_sent(rounds) for name, rounds in found.items()}
        return Sending(rows, pandas_rows, latency_ms, server.name, of_client)
