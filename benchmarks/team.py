"""What several workers and PostgreSQL make of a run, beside one process without them; and how a team keeps to its rate.

The workers share this machine with the database and the service, so that more of them soon have no more processors.
What they would come to on hosts of their own is calculated by `team_model`. It is calibrated by one worker here, and by
the most without latency; all the others check it.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from benchmarks import product, team_model
from benchmarks.bench import Load, say
from benchmarks.clients import PRODUCT, Client, Sent, median_sent, sent
from benchmarks.measure import Cost, FailedError, cpu_s, run
from benchmarks.page_server import page_of
from benchmarks.servers import serving
from benchmarks.table import Goal, Table
from benchmarks.team_hosts import Hosts, Probe, Sampled, Spent, hosts, probe
from benchmarks.team_model import Costs, Simulated, simulated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from benchmarks.bench import Bench
    from benchmarks.servers import Server
    from tests.team.postgres import PostgresServer

WORKERS = (1, 2, 4)
PREDICTED_LATENCY_S = 0.05
PREDICTED_ROUND_TRIP_S = 0.0005
"""Between hosts of one building."""
PREDICTED_FLUSH_S = 0.001
"""Of a disk that keeps what it says it has."""
BLOCK_ROWS = 1_000
"""`team.block_rows`, as it is."""
BLOCKS_OF_A_WORKER = 10
"""That a worker of a prediction sends."""
CORES = 2
RATES = ((100, 1.02, 0.97), (2_000, 1.02, 0.95))
"""(A second, at most so many times that in any second, at least so much of it used)."""
QUOTA_WORKERS = 4
_HALVINGS = 10
SHARES = {"run": 0.5, "page": 0.3, "nightly": 0.2}
"""What submits how much of the rows with which a rate is held."""
_IN_A_QUEUE = """SELECT (SELECT count(*) FROM batch_updater.procrastinate_jobs WHERE status IN ('todo', 'doing'))
    + (SELECT count(*) FROM batch_updater.tasks WHERE state IN ('waiting', 'running'))"""


@dataclass(frozen=True, slots=True)
class TeamSent:
    """What a team's sending of so many rows took."""

    sent: Sent
    """Its cost is that of `run`, which submits and follows."""
    whole: Spent
    """From the submission to the end of `run`."""
    while_sending: Spent
    commits: int
    """Of the database, from the submission to the end of `run`."""

    @property
    def workers_s_per_1000(self) -> float:
        """Processor seconds of the workers and of `run` for every thousand rows."""
        return (self.whole.workers + self.sent.cost.cpu_s) / self.sent.rows * 1_000


@dataclass(frozen=True, slots=True)
class Throughput:
    """One process and teams under one load."""

    load: Load
    server: str
    alone: Sent
    alone_service_s: float
    """Processor seconds of the service while that one process sends."""
    of_workers: Mapping[int, TeamSent]

    @property
    def latency_s(self) -> float:
        """How long a row takes a connection of the one process, where that is what it waits for."""
        return product.CONNECTIONS / self.alone.sending_rows_per_s if self.load.latency_ms else 0.0


@dataclass(frozen=True, slots=True)
class Held:
    """A rate that a team holds, as the service sees it."""

    rate_per_s: int
    most: float
    """Times the rate that may come in any second."""
    least_used: float
    requests: int
    most_in_a_second: int
    seconds: float
    """From the first request to the last answer."""

    @property
    def used(self) -> float:
        """Share of the permits that were used: between n requests lie n - 1 of them."""
        return (self.requests - 1) / (self.seconds * self.rate_per_s)


@dataclass(frozen=True, slots=True)
class Team:
    """All of it."""

    throughputs: Sequence[Throughput]
    costs: Costs
    held: Sequence[Held]
    predicted: Sequence[int]

    def tables(self) -> list[Table]:
        """Return what was measured, what the model makes of that, and how the rates were held."""
        return [
            *(self._measured(one) for one in self.throughputs),
            self._calibration(),
            *self._predictions(),
            Table(
                f"{QUOTA_WORKERS} workers, one page and one nightly job on one account",
                ("Rate", "Requests", "Seconds", "Most in any second", "Permits used"),
                [(f"{one.rate_per_s:,}/s", f"{one.requests:,}", f"{one.seconds:.1f}", f"{one.most_in_a_second:,}",
                  f"{one.used:.1%}") for one in self.held],
            ),
        ]  # fmt: skip

    def goals(self) -> list[Goal]:
        """Keep the promise to the account in every second, and use what it allows; and a model that is right."""
        rates = [
            goal
            for one in self.held
            for goal in (
                Goal(f"a team at {one.rate_per_s:,}/s: most requests in any second", "at most",
                     one.rate_per_s * one.most, one.most_in_a_second, "{:,.0f}"),
                Goal(f"a team at {one.rate_per_s:,}/s: permits used", "at least", one.least_used, one.used, "{:.1%}"),
            )
        ]  # fmt: skip
        return [*rates, Goal("model of a team: largest error", "at most", 0.15, max(self._errors()), "{:.0%}")]

    def _errors(self) -> Iterator[float]:
        for one in self.throughputs:
            for workers in one.of_workers:
                yield abs(_ratio(one, workers, self.costs) - 1)

    def _measured(self, one: Throughput) -> Table:
        alone = one.alone
        lines = [(
            "one process, SQLite", f"{alone.sending_rows_per_s:,.0f}", "1.00", f"{alone.whole_rows_per_s:,.0f}",
            f"{alone.cpu_s_per_1000:.3f}", "", f"{one.alone_service_s / alone.rows * 1_000:.3f}", "", "", "",
        )]  # fmt: skip
        for workers, found in one.of_workers.items():
            rows, speed = found.sent.rows, found.sent.sending_rows_per_s
            error = _ratio(one, workers, self.costs) - 1
            lines.append((
                f"{workers} worker{'s' * (workers > 1)}", f"{speed:,.0f}", f"{speed / alone.sending_rows_per_s:.2f}",
                f"{found.sent.whole_rows_per_s:,.0f}", f"{found.workers_s_per_1000:.3f}",
                f"{found.whole.database / rows * 1_000:.3f}", f"{found.whole.service / rows * 1_000:.3f}",
                f"{found.commits / rows * 1_000:.0f}", f"{speed * (1 + error):,.0f}", f"{error:+.0%}",
            ))  # fmt: skip
        headers = ("", "Rows/s while sending", "this / one process", "Rows/s of the whole program",
                   "CPU s per 1,000 rows: program", "PostgreSQL", "service", "Commits per 1,000 rows",
                   "Rows/s by the model", "its error")  # fmt: skip
        title = (
            f"A team: {one.load.rows:,} CSV rows, {one.load.latency_ms} ms latency, {product.CONNECTIONS} connections"
        )
        return Table(f"{title} of each worker, {one.server}", headers, lines)

    def _calibration(self) -> Table:
        costs = self.costs
        lines = [
            ("processor of a worker, each row", costs.worker_row_s),
            ("processor of a worker, each transaction", costs.worker_transaction_s),
            ("processor of PostgreSQL, each row", costs.row_s),
            ("processor of PostgreSQL, each transaction", costs.transaction_s),
            ("a flush of PostgreSQL's log", costs.flush_elapsed_s),
            ("round trip to PostgreSQL", costs.round_trip_elapsed_s),
            ("between two blocks, beside transactions", costs.claim_elapsed_s),
            ("what waited for a processor takes longer", costs.switch_s),
        ]
        note = (
            "From one worker with each latency, and from transactions of one row on an idle server; the last one from "
            f"{max(WORKERS)} workers without latency."
        )
        return Table("A team: what the model is given", ("", "ms"), [(what, f"{s * 1_000:.3f}") for what, s in lines],
                     note)  # fmt: skip

    def _predictions(self) -> Iterator[Table]:
        """Yield what workers on hosts of their own come to, for an API with a rate and for one without."""
        for rate_per_s in (product.UNLIMITED_PER_S, *(rate for rate, *_ in RATES)):
            alone = _predicted(1, rate_per_s, self.costs).rows_per_s
            lines = []
            for workers in self.predicted:
                found = _predicted(workers, rate_per_s, self.costs)
                what, share = found.busy.largest()
                lines.append((
                    f"{workers} worker{'s' * (workers > 1)}", f"{found.rows_per_s:,.0f}",
                    f"{found.rows_per_s / alone / workers:.0%}", f"{found.busy.rate:.0%}", f"{found.busy.leases:.0%}",
                    f"{found.busy.log:.0%}", f"{found.busy.database:.0%}", f"{what}, {share:.0%}",
                ))  # fmt: skip
            api = "no rate of the API" if rate_per_s == product.UNLIMITED_PER_S else f"{rate_per_s:,}/s"
            headers = ("On hosts of their own", "Rows/s by the model", "of one worker's, each", "Rate of the API",
                       "Row of the quota", "Flushes", f"{team_model.DATABASE_CORES} cores of PostgreSQL",
                       "Busiest")  # fmt: skip
            latency = f"{PREDICTED_LATENCY_S * 1_000:.0f} ms latency, {product.CONNECTIONS} connections"
            note = (
                f"A round trip to the database takes {PREDICTED_ROUND_TRIP_S * 1_000} ms here and a flush "
                f"{PREDICTED_FLUSH_S * 1_000:.0f} ms; all else is as measured."
            )
            yield Table(f"A team, by the model: {latency} of each worker, {api}", headers, lines, note)


def _ratio(one: Throughput, workers: int, costs: Costs) -> float:
    """Return the rows a second of the model, on this machine, as a share of those that were measured."""
    load = team_model.Load(
        workers, one.load.rows, product.UNLIMITED_PER_S, one.latency_s, product.CONNECTIONS, BLOCK_ROWS, CORES
    )
    by_one = one.of_workers[1]
    costs = replace(costs, service_s=by_one.while_sending.service / by_one.sent.rows)
    return simulated(load, costs).rows_per_s / one.of_workers[workers].sent.sending_rows_per_s


def _predicted(workers: int, rate_per_s: float, costs: Costs) -> Simulated:
    rows = workers * BLOCKS_OF_A_WORKER * BLOCK_ROWS
    if rate_per_s < product.UNLIMITED_PER_S:
        rows = min(rows, int(rate_per_s * 60))
    load = team_model.Load(workers, rows, rate_per_s, PREDICTED_LATENCY_S, product.CONNECTIONS,
                           min(BLOCK_ROWS, max(10, rows // workers)))  # fmt: skip
    between = replace(costs, round_trip_elapsed_s=PREDICTED_ROUND_TRIP_S, flush_elapsed_s=PREDICTED_FLUSH_S)
    return simulated(load, between)


def measured(bench: Bench) -> Team:
    """Measure every load and every rate; one PostgreSQL serves all, each team with a database of its own."""
    from tests.team.postgres import postgres_server  # noqa: PLC0415  (psycopg is not small: see Cost.peak_mb)

    with postgres_server(fsync="on") as postgres:
        probed = probe(postgres)
        say(f"the database: {probed}")
        throughputs = [_throughput(bench, postgres, load) for load in bench.sizes.team]
        costs = _calibrated(throughputs, probed)
        held = [_held(bench, postgres, *rate) for rate in RATES]
    return Team(throughputs, costs, held, bench.sizes.team_predicted)


def _calibrated(throughputs: Sequence[Throughput], probed: Probe) -> Costs:
    """Return what each step takes.

    What processors take is from one worker, which makes more transactions a row the longer the service takes. The time
    between two blocks is such that the model is no more wrong about one load of it than about another. What a wait for
    a processor costs is such that it is right about the most workers without latency.
    """
    fast, most = throughputs[0], max(WORKERS)
    by_one = [one.of_workers[1] for one in throughputs]
    worker_row_s, worker_transaction_s = _of_row_and_transaction([(one, one.while_sending.workers) for one in by_one])
    row_s, transaction_s = _of_row_and_transaction([(one, one.while_sending.database) for one in by_one])
    costs = Costs(
        worker_row_s=worker_row_s,
        worker_transaction_s=worker_transaction_s,
        row_s=row_s,
        transaction_s=transaction_s,
        flush_elapsed_s=probed.flush_s,
        round_trip_elapsed_s=probed.round_trip_s,
        claim_elapsed_s=0.0,
    )

    def of_one(claim_elapsed_s: float, switch_s: float) -> float:
        changed = replace(costs, claim_elapsed_s=claim_elapsed_s, switch_s=switch_s)
        return math.prod(_ratio(one, 1, changed) for one in throughputs)

    def of_most(claim_elapsed_s: float, switch_s: float) -> float:
        return _ratio(fast, most, replace(costs, claim_elapsed_s=claim_elapsed_s, switch_s=switch_s))

    claim_elapsed_s = switch_s = 0.0
    for _ in range(2):  # each of the two changes the other a little
        claim_elapsed_s = _that_fits(partial(of_one, switch_s=switch_s), 1.0)
        switch_s = _that_fits(partial(of_most, claim_elapsed_s), 0.001)
    return replace(costs, claim_elapsed_s=claim_elapsed_s, switch_s=switch_s)


def _of_row_and_transaction(spent: Sequence[tuple[TeamSent, float]]) -> tuple[float, float]:
    """Return what a row and what a transaction take, of what several sendings have spent in all."""
    fewest, most = sorted((one.commits / one.sent.rows, all_s / one.sent.rows) for one, all_s in spent)
    each_s = (most[1] - fewest[1]) / (most[0] - fewest[0]) if most[0] > fewest[0] else 0.0
    transaction_s = min(max(0.0, each_s), fewest[1] / fewest[0])
    return fewest[1] - fewest[0] * transaction_s, transaction_s


def _that_fits(ratio: Callable[[float], float], most: float) -> float:
    """Return the value from 0 on with which a ratio that falls is 1, or the nearest one."""
    least = 0.0
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        least, most = (middle, most) if ratio(middle) > 1 else (least, middle)
    return least


def _throughput(bench: Bench, postgres: PostgresServer, load: Load) -> Throughput:
    rounds: dict[int, list[TeamSent]] = {workers: [] for workers in WORKERS}
    alone, service_s = list[Sent](), list[float]()
    with serving(bench.folder, load.latency_ms) as server:
        for number in range(1, bench.rounds + 1):
            before_s = cpu_s(server.process)
            alone.append(sent(bench, server, Client(PRODUCT, product.send), load.rows))
            service_s.append(cpu_s(server.process) - before_s)
            for workers in WORKERS:
                rounds[workers].append(_sent_by(bench, postgres, server, load.rows, workers))
            speeds = [alone[-1], *(found[-1].sent for found in rounds.values())]
            told = ", ".join(f"{one.sending_rows_per_s:,.0f}" for one in speeds)
            say(f"{load.rows:,} rows, {load.latency_ms} ms, round {number}: alone and by {WORKERS} workers: {told}/s")
        return Throughput(
            load,
            server.name,
            median_sent(alone),
            statistics.median(service_s),
            {workers: _median_of(found) for workers, found in rounds.items()},
        )


def _sent_by(bench: Bench, postgres: PostgresServer, server: Server, rows: int, workers: int) -> TeamSent:
    """Let `run` submit and so many workers send."""
    sampled = Sampled()
    with bench.empty_folder() as folder, hosts(folder, postgres, server, product.UNLIMITED_PER_S) as team:
        with team.working(workers):
            source = bench.csv(rows)
            server.take(0)
            with team.sampled() as sampled:
                cost = team.submit(source, rows, "run")
                ended_s = time.time()
        traffic = server.take(rows)
    if traffic.requests != rows:
        raise FailedError(f"{workers} workers sent {traffic.requests} requests for {rows} rows.")
    found = Sent(rows, cost, traffic.last_s - traffic.first_s, ended_s - traffic.last_s)
    whole = sampled.spent[-1].since(sampled.spent[0])
    return TeamSent(found, whole, sampled.between(traffic.first_s, traffic.last_s), sampled.commits)


def _median_of(rounds: Sequence[TeamSent]) -> TeamSent:
    def median_spent(every: Sequence[Spent]) -> Spent:
        return Spent(*map(statistics.median, zip(*every, strict=True)))

    return TeamSent(
        median_sent([one.sent for one in rounds]),
        median_spent([one.whole for one in rounds]),
        median_spent([one.while_sending for one in rounds]),
        round(statistics.median(one.commits for one in rounds)),
    )


# --- the rate of an account ---


def _held(bench: Bench, postgres: PostgresServer, rate_per_s: int, most: float, least_used: float) -> Held:
    """Send for a set time from everything that a team has, each on a host of its own."""
    rows = {what: int(rate_per_s * bench.sizes.team_rate_s * share) for what, share in SHARES.items()}
    files = {what: bench.csv(count) for what, count in rows.items()}
    say(f"a team at {rate_per_s:,}/s for {bench.sizes.team_rate_s} s")
    with (
        serving(bench.folder) as server,
        bench.empty_folder() as folder,
        hosts(folder, postgres, server, rate_per_s) as team,
        team.working(QUOTA_WORKERS),
        page_of(team.host("page"), team.environ) as page,
        ThreadPoolExecutor(len(SHARES)) as pool,
    ):
        server.take(0)
        person = page.person()
        uploaded = person.upload(files["page"])
        person.wait_for_check(uploaded)
        inbox = folder / "inbox"
        inbox.mkdir()
        (inbox / "night.csv").write_bytes(files["nightly"].read_bytes())
        night = team.host(
            "nightly", f"nightly: {{inbox: {inbox}, done: {folder}/done, attention: {folder}/attention}}\n"
        )
        submitted: list[Future[Cost] | Future[None]] = [
            pool.submit(team.submit, files["run"], rows["run"], "run"),
            pool.submit(run, [sys.executable, *product.PROGRAM, "nightly", "--config", str(night)],
                        folder / "night", team.environ),
            pool.submit(person.send, uploaded),
        ]  # fmt: skip
        for one in submitted:
            one.result()
        _wait_for_all(team)
        traffic = server.take(sum(rows.values()))
    if traffic.requests != sum(rows.values()):
        raise FailedError(f"The team sent {traffic.requests} requests for {sum(rows.values())} rows.")
    held = Held(rate_per_s, most, least_used, traffic.requests, traffic.most_in_a_second,
                traffic.last_s - traffic.first_s)  # fmt: skip
    say(f"a team at {rate_per_s:,}/s: {held.most_in_a_second:,} in a second at most, {held.used:.1%} used")
    if bench.sizes.must_hold_rate and held.most_in_a_second > rate_per_s * most:
        raise FailedError(f"A team at {rate_per_s:,}/s sent {held.most_in_a_second:,} requests in one second.")
    return held


def _wait_for_all(team: Hosts) -> None:
    """Wait until no job of the team is left, nor a task of its page, which submits its run later than it answers."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(team.address, autocommit=True) as connection:
        while (connection.execute(_IN_A_QUEUE).fetchone() or (0,))[0]:
            time.sleep(0.1)
