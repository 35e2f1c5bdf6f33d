"""How fast rows go out, beside the references."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from benchmarks.bench import say
from benchmarks.clients import (
    CURL,
    K6,
    MINIMAL,
    MINIMAL_CSV,
    PANDAS,
    PRODUCT,
    THREADS,
    Client,
    Sent,
    clients,
    median_sent,
    sent,
    sent_scaled,
)
from benchmarks.product import CONNECTIONS
from benchmarks.servers import serving
from benchmarks.table import Goal, Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.bench import Bench, Load


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a figure of ours should be, divided by that of a reference."""

    reference: str
    what: str
    figure: Callable[[Sent], float]
    relation: Literal["at least", "at most"]
    bound: float


def _at_least(reference: str, bound: float) -> Comparison:
    return Comparison(reference, "rows/s of the whole program", lambda one: one.whole_rows_per_s, "at least", bound)


FAST = (_at_least(MINIMAL, 0.75), _at_least(K6, 1.25), _at_least(THREADS, 3.3))
LARGE = (
    _at_least(MINIMAL, 0.90),
    Comparison(MINIMAL_CSV, "CPU a row", lambda one: one.cpu_s_per_1000, "at most", 1.7),
)
SLOW = (
    _at_least(CURL, 0.93),
    Comparison(CURL, "rows/s while sending", lambda one: one.sending_rows_per_s, "at least", 0.98),
)


@dataclass(frozen=True, slots=True)
class Sending:
    """Every client under one load."""

    load: Load
    server: str
    of_client: Mapping[str, Sent]
    """Name of the client -> medians."""
    comparisons: Sequence[Comparison]

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
                f"{one.cpu_s_per_1000:.3f}",
                f"{one.ending_s:.2f}",
                f"{one.cost.peak_mb:.0f}",
                f"{one.cost.total_mb:.0f}",
            )
            for name, one in self.of_client.items()
        ]
        headers = ("Client", "Rows/s while sending", "ours / this", "Rows/s of the whole program", "ours / this",
                   "CPU s per 1,000 rows", "Seconds from last answer to end", "MB of largest process",
                   "MB of all processes")  # fmt: skip
        title = f"{self.load.rows:,} CSV rows, {self.load.latency_ms} ms latency, {CONNECTIONS} connections"
        return [Table(f"{title}, {self.server}", headers, lines, self._note())]

    def goals(self) -> list[Goal]:
        """Return the comparisons with references that are installed."""
        ours = self.of_client[PRODUCT]
        what = f"{self.load.rows:,} CSV rows, {self.load.latency_ms} ms latency"
        return [
            Goal(f"{what}: {one.what} / {one.reference}", one.relation, one.bound,
                 one.figure(ours) / one.figure(self.of_client[one.reference]), "{:.2f}")
            for one in self.comparisons if one.reference in self.of_client
        ]  # fmt: skip

    def _note(self) -> str:
        if not self.load.pandas_rows:
            return ""
        less, more = self.load.pandas_rows
        return (
            f"The pandas loop sends one row after another, here {less:,} and {more:,} rows, its figures are scaled; "
            "its memory and its end are those of the larger. curl gets its requests ready-made; curl and k6 write no "
            "results."
        )


def fast(bench: Bench) -> Sending:
    """Send to a server that answers at once."""
    return _measured(bench, clients(), bench.sizes.fast, FAST)


def large(bench: Bench) -> Sending:
    """Send more rows to it, beside the fastest references that write results."""
    chosen = [client for client in clients() if client.name in (PRODUCT, MINIMAL, MINIMAL_CSV)]
    return _measured(bench, chosen, bench.sizes.large, LARGE)


def slow(bench: Bench) -> Sending:
    """Send to a server that takes its time."""
    return _measured(bench, clients(), bench.sizes.slow, SLOW)


def _measured(bench: Bench, chosen: Sequence[Client], load: Load, comparisons: Sequence[Comparison]) -> Sending:
    rounds: dict[str, list[Sent]] = {}
    with serving(bench.folder, load.latency_ms) as server:
        for number in range(1, bench.rounds + 1):
            for client in chosen:
                if client.name == PANDAS and load.pandas_rows:
                    one = sent_scaled(bench, server, client, load.pandas_rows, load.rows)
                else:
                    one = sent(bench, server, client, load.rows)
                rounds.setdefault(client.name, []).append(one)
                rates = f"{one.sending_rows_per_s:,.0f} rows/s while sending, {one.whole_rows_per_s:,.0f} in all"
                say(f"{load.rows:,} rows, {load.latency_ms} ms, round {number}: {client.name}: {rates}")
        of_client = {name: median_sent(one) for name, one in rounds.items()}
        return Sending(load, server.name, of_client, comparisons)
