"""How well a configured rate is used, and what holding it costs."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import product
from benchmarks.bench import say
from benchmarks.clients import PRODUCT, Client, Sent, median_sent, sent
from benchmarks.servers import serving
from benchmarks.table import Goal, Table

if TYPE_CHECKING:
    from benchmarks.bench import Bench

RATE_PER_S = 100


@dataclass(frozen=True, slots=True)
class Rate:
    """A run that is held back by its rate."""

    sent: Sent

    @property
    def permits_used(self) -> float:
        """Share of the permits that were used: between n requests lie n - 1 of them."""
        return (self.sent.rows - 1) / (self.sent.sending_s * RATE_PER_S)

    @property
    def cpu_share(self) -> float:
        """Share of one core over the whole process, its start included."""
        return self.sent.cost.cpu_s / self.sent.cost.wall_s

    def tables(self) -> list[Table]:
        """Return its one line."""
        line = (
            f"{self.sent.rows:,}",
            f"{self.sent.sending_s:.2f}",
            f"{self.permits_used:.1%}",
            f"{self.cpu_share:.1%}",
            f"{self.sent.cost.peak_mb:.0f}",
        )
        headers = ("Rows", "Seconds of sending", "Permits used", "CPU of one core", "Peak MB")
        return [Table(f"A configured rate of {RATE_PER_S}/s", headers, [line])]

    def goals(self) -> list[Goal]:
        """Nearly every permit is used, and waiting costs little."""
        what = f"rate of {RATE_PER_S}/s over {self.sent.rows / RATE_PER_S:.0f} s"
        return [
            Goal(f"{what}: permits used", "at least", 0.99, self.permits_used, "{:.1%}"),
            Goal(f"{what}: CPU of one core", "at most", 0.08, self.cpu_share, "{:.1%}"),
        ]


def measured(bench: Bench) -> Rate:
    """Send as many rows as the rate allows in the set time."""
    client = Client(PRODUCT, functools.partial(product.send, rate_per_s=RATE_PER_S))
    rounds = []
    with serving(bench.folder) as server:
        for number in range(1, bench.rounds + 1):
            say(f"a rate of {RATE_PER_S}/s for {bench.sizes.rate_s} s, round {number}")
            rounds.append(sent(bench, server, client, RATE_PER_S * bench.sizes.rate_s))
    return Rate(median_sent(rounds))
