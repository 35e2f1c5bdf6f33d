"""A queueing model of a team: how many rows a second so many workers send, and what holds them up.

It simulates events, from a seed, so that the same numbers give the same result. What takes time in it:

    row         made ready in batches, each with a commit; then a permit; then the worker's processor; then the service
    permits     leased from one row of the database, at most a tenth of a second's, for the rows that wait just now;
                where permits are left unused, also for those that are likely to follow; used a little late, or lost
    commits     the database's processor, then its log: one flush at a time, which serves all that came before it began;
                what only reads, and a lease, waits for no flush
    blocks      the first one of a run begins alone, the others after its first answer; a worker takes the next one when
                every row of the last is made ready, and sends both at once until the last has all of its answers; the
                first row of each goes alone, and then its connections begin one after another within the time of that
                answer

    python -m benchmarks.team_model --workers 1 10 100 --rate 2000
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from collections import deque
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

GATHERED_FOR_S = 0.004
UNAWAITED_FOR_S = 0.1
AHEAD_OF_A_CONNECTION = 4
AHEAD_S = 0.1
SLICE_S = 0.1
QUEUE_S = 0.2
AHEAD_MORE_S = 0.001
WINDOW_SLACK_S = 0.007
USABLE_FOR_S = 0.015
ASK_AHEAD_S = 0.05
LEASES_APART_S = 0.005
BLOCKS_AT_ONCE = 2
LOOKED_EVERY_S = 0.05
WATCHED_EVERY_S = 0.25
"""As in the program: `runs.writer`, `sender.pool`, `sender.limiter`, `sender.team_limiter`, `runs.team_quota` and
`team.blocks` and `team.worker` say what for."""
READS_OF_A_CLAIM = 13
WRITES_OF_A_CLAIM = 5
READS_OF_A_WATCH = 5
READS_OF_A_LOOK = 2
"""Transactions, as the database's log of statements has them: until a block is sent and when it ends, whether it was
stopped, and how far the run is."""
DATABASE_CORES = 4


@dataclass(frozen=True, slots=True)
class Costs:
    """What each step takes, in seconds of a processor unless the name says otherwise."""

    worker_row_s: float
    """Of a worker, for each row."""
    worker_transaction_s: float
    """Of a worker, for each transaction: its threads wake for it, and take turns with Python's lock."""
    row_s: float
    """Of the database, for each row that is written twice: in flight, and with its outcome."""
    transaction_s: float
    """Of the database, for each transaction."""
    flush_elapsed_s: float
    """Until the log is on the disk."""
    round_trip_elapsed_s: float
    """Between a worker and the database."""
    claim_elapsed_s: float
    """From the moment in which a worker may take a block to its first request, beyond its transactions."""
    service_s: float = 0.0
    """Of the service, for each request; counts only where it shares the machine."""
    switch_s: float = 0.0
    """What work takes longer that had to wait for a processor, whose caches it finds full of something else."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, and by what."""

    workers: int
    rows: int
    rate_per_s: float
    latency_s: float
    connections: int
    """Of each worker."""
    block_rows: int = 1_000
    cores: int | None = None
    """Of the one machine on which everything runs; None: each worker has a processor of its own, the database others,
    and the service is elsewhere."""
    database_cores: int = DATABASE_CORES
    """Where the database has a machine of its own."""
    leases_apart_s: float = LEASES_APART_S
    """Of one worker, at least."""
    lease_ahead_s: float = AHEAD_MORE_S
    """How much later than a round trip takes the first permit of a lease is due."""
    varies: bool = False
    """Whether latency and a worker's processor time are drawn from exponential distributions, instead of always the
    same."""


@dataclass(slots=True)
class Busy:
    """How long everything worked, as shares of the time."""

    workers: float
    database: float
    log: float
    leases: float
    rate: float

    def largest(self) -> tuple[str, float]:
        """Return what was busiest."""
        named = {
            "processors of the workers": self.workers, "processors of the database": self.database,
            "flushes of commits": self.log, "the row of the quota": self.leases, "the rate of the API": self.rate,
        }  # fmt: skip
        return max(named.items(), key=lambda item: item[1])


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of it."""

    rows: int
    seconds: float
    """From the first request to the last answer."""
    sent_at: tuple[float, ...]
    """When each request left, in order."""
    lost: int
    """Permits that came too late to be used, or for no row."""
    leases: int
    commits: int
    busy: Busy

    @property
    def rows_per_s(self) -> float:
        """Rows per second while sending."""
        return self.rows / self.seconds

    def most_in_a_second(self) -> int:
        """Return the most requests that left in any second."""
        most, first = 0, 0
        for last, moment in enumerate(self.sent_at):
            while self.sent_at[first] <= moment - 1:
                first += 1
            most = max(most, last - first + 1)
        return most


@dataclass(slots=True)
class Processors:
    """Take work in the order in which it comes."""

    free_at: list[float]
    switch_s: float = 0.0
    busy_s: float = 0.0

    def end_of(self, now: float, work_s: float) -> float:
        """Return when work that comes now is done."""
        took_s = work_s if self.free_at[0] <= now else work_s + self.switch_s
        ends_at = max(now, self.free_at[0]) + took_s
        heapq.heapreplace(self.free_at, ends_at)
        self.busy_s += took_s
        return ends_at


@dataclass(slots=True)
class WriteAheadLog:
    """One flush at a time. What comes during one waits for the next, which serves all of it."""

    flush_s: float
    ends_at: float = 0.0
    """When the last flush that is known ends."""
    begins_at: float = 0.0
    flushes: int = 0

    def end_of(self, now: float) -> float:
        """Return when a commit that comes now is on disk."""
        if now > self.begins_at or not self.flushes:  # that flush has begun without it
            self.begins_at = max(now, self.ends_at)
            self.ends_at = self.begins_at + self.flush_s
            self.flushes += 1
        return self.ends_at


@dataclass(slots=True)
class Block:
    """A block that is sent: what waits in it for what."""

    worker: int
    unmade: int
    """Rows that are not made ready yet."""
    unanswered: int
    """Rows without an answer."""
    idle: int = 1
    """Connections that wait for a row."""
    ready: int = 0
    is_answered: bool = False
    """Whether it has had its first answer."""
    waiting: int = 0
    """Rows with a connection that wait for a permit."""
    leased: deque[float] = field(default_factory=deque)
    """Moments of permits that are neither used nor lost."""
    used: int = 0
    """Permits since the last lease was asked for."""
    has_room: bool = False
    """Whether the permits of the last lease were due at once."""
    asked_at: float = -1.0
    is_leasing: bool = False
    """Or will be in a moment."""
    is_timed: bool = False
    """Whether the next permit will be given in its moment."""
    is_making: bool = False
    outcomes: int = 0
    """Rows to commit for which nothing waits."""
    batches: list[int] = field(default_factory=list)
    """Rows to commit before they may be sent."""
    is_writing: bool = False
    gathers_since: float | None = None


@dataclass(slots=True)
class Worker:
    """One process."""

    blocks: int = 0
    """That have rows without an answer."""
    last: Block | None = None
    """That it has taken."""
    work: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)
    """For its one thread that computes."""
    is_computing: bool = False


class Simulation:
    """Send the rows of a load once."""

    def __init__(self, load: Load, costs: Costs, seed: int = 1) -> None:
        self._load = load
        self._costs = costs
        self._chance = random.Random(seed)
        self._now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        shared = Processors([0.0] * load.cores, costs.switch_s) if load.cores else None
        self._processors = [shared or Processors([0.0]) for _ in range(load.workers)]
        self._database = shared or Processors([0.0] * load.database_cores)
        self._database_s = self._workers_s = self._leased_s = 0.0
        self._log = WriteAheadLog(costs.flush_elapsed_s)
        self._leases: deque[tuple[Block, int]] = deque()
        """Blocks that wait for the row of the quota, and how many permits they ask for."""
        self._quota_is_locked = False
        self._lease_ahead_s = costs.round_trip_elapsed_s + load.lease_ahead_s
        self._interval_s = (1 + WINDOW_SLACK_S) / load.rate_per_s
        self._next_slot_at = 0.0
        self._unclaimed = load.rows
        self._is_shared = False
        """Whether all blocks are queued, and not the first one alone."""
        self._sent_at: list[float] = []
        self._answered = self._lost = self._lease_count = self._commits = 0
        self._last_answer_at = 0.0
        self._workers = [Worker() for _ in range(load.workers)]
        share = math.ceil(load.rate_per_s / load.workers * AHEAD_S)
        self._ahead = max(1, min(AHEAD_OF_A_CONNECTION * load.connections, share))

    def run(self) -> Simulated:
        """Simulate until the last answer."""
        self._claim(0)
        self._look()
        while self._answered < self._load.rows:
            self._now, _, happens = heapq.heappop(self._events)
            happens()
        seconds = self._last_answer_at - self._sent_at[0]
        cores = self._load.cores or self._load.database_cores
        computing = self._load.cores or self._load.workers
        busy = Busy(
            self._workers_s / seconds / computing,
            self._database_s / seconds / cores,
            self._log.flushes * self._costs.flush_elapsed_s / seconds,
            self._leased_s / seconds,
            self._load.rows / seconds / self._load.rate_per_s,
        )
        return Simulated(
            self._load.rows, seconds, tuple(self._sent_at), self._lost, self._lease_count, self._commits, busy
        )

    def _at(self, moment: float, happens: Callable[[], None]) -> None:
        self._number += 1  # of two that happen in the same moment, the one that was told first
        heapq.heappush(self._events, (moment, self._number, happens))

    def _timed(self, moment: float, happens: Callable[[], None]) -> None:
        """Let something happen by a timer of an event loop: after whole milliseconds."""
        self._at(self._now + math.ceil(max(0.0, moment - self._now) * 1_000) / 1_000, happens)

    def _drawn(self, mean_s: float) -> float:
        return self._chance.expovariate(1 / mean_s) if self._load.varies and mean_s else mean_s

    # --- blocks, and rows that are made ready ---

    def _claim(self, number: int) -> None:
        """Let a worker take the next block, if it may."""
        worker = self._workers[number]
        rows = min(self._load.block_rows, self._unclaimed)
        is_queued = self._is_shared or self._unclaimed == self._load.rows
        if not rows or not is_queued or worker.blocks >= BLOCKS_AT_ONCE or (worker.last and worker.last.unmade):
            return
        self._unclaimed -= rows
        worker.blocks += 1
        block = worker.last = Block(number, rows, rows)
        self._transact_often(number, READS_OF_A_CLAIM, WRITES_OF_A_CLAIM, lambda: self._begin_block(block))

    def _begin_block(self, block: Block) -> None:
        self._at(self._now + self._costs.claim_elapsed_s, lambda: self._make(block))
        self._watch(block)

    def _watch(self, block: Block) -> None:
        """Look whether a block was stopped, until it ends."""
        if block.unanswered:
            self._transact_often(block.worker, READS_OF_A_WATCH, 0, lambda: None)
            self._at(self._now + WATCHED_EVERY_S, lambda: self._watch(block))

    def _look(self) -> None:
        """Let the worker that leads the run look how far it is."""
        self._transact_often(0, READS_OF_A_LOOK, 0, lambda: None)
        self._at(self._now + LOOKED_EVERY_S, self._look)

    def _share(self) -> None:
        """Queue the blocks that the first one went before."""
        self._is_shared = True
        for number in range(self._load.workers):
            self._claim(number)

    def _make(self, block: Block) -> None:
        """Make the next rows ready, unless there are enough: one commit says that they may be in flight."""
        is_enough = block.ready >= self._ahead if block.is_answered else block.unmade < block.unanswered
        if block.is_making or not block.unmade or is_enough:
            return
        block.is_making = True
        count = min(self._ahead if block.is_answered else 1, block.unmade)
        block.unmade -= count
        block.batches.append(count)
        self._gather(block)
        if not block.unmade:
            self._claim(block.worker)

    def _gather(self, block: Block) -> None:
        """Let the writer wait a little for more to commit, or longer while nothing waits for it."""
        if block.is_writing or not (block.batches or block.outcomes):
            return
        since = block.gathers_since = self._now if block.gathers_since is None else block.gathers_since
        moment = self._now + GATHERED_FOR_S if block.batches else since + UNAWAITED_FOR_S + GATHERED_FOR_S
        self._at(moment, lambda: self._write(block))

    def _write(self, block: Block) -> None:
        overdue = block.gathers_since is not None and self._now - block.gathers_since >= UNAWAITED_FOR_S
        if block.is_writing or not (block.batches or (block.outcomes and overdue)):
            return
        block.is_writing = True
        batches, block.batches = block.batches, []
        rows = sum(batches) + block.outcomes
        block.outcomes, block.gathers_since = 0, None

        def committed() -> None:
            block.is_writing = False
            if batches:
                block.is_making = False
                block.ready += sum(batches)
                self._take(block)
                self._make(block)
            self._gather(block)

        self._transact(block.worker, rows, committed)

    def _transact_often(self, number: int, reads: int, writes: int, done: Callable[[], None]) -> None:
        """Make transactions that write no rows, one after another."""
        if not reads + writes:
            done()
        elif reads:
            self._transact(number, 0, partial(self._transact_often, number, reads - 1, writes, done), is_flushed=False)
        else:
            self._transact(number, 0, partial(self._transact_often, number, 0, writes - 1, done))

    def _transact(self, number: int, rows: int, committed: Callable[[], None], *, is_flushed: bool = True) -> None:
        """Make a transaction of a worker. Each row is written twice, and costs half of it each time."""
        self._commits += 1
        work_s = self._costs.transaction_s + rows * self._costs.row_s / 2
        half_s = self._costs.round_trip_elapsed_s / 2

        def arrived() -> None:
            self._database_s += work_s
            self._at(self._database.end_of(self._now, work_s), executed)

        def executed() -> None:
            ends_at = self._log.end_of(self._now) if is_flushed else self._now
            self._at(ends_at + half_s, committed)

        self._compute(number, self._costs.worker_transaction_s, lambda: self._at(self._now + half_s, arrived))

    def _take(self, block: Block) -> None:
        """Let connections take rows."""
        count = min(block.idle, block.ready)
        if not count:
            return
        block.idle -= count
        block.ready -= count
        block.waiting += count
        self._make(block)
        self._give(block)
        self._lease(block)

    # --- permits ---

    def _wanted(self, block: Block) -> int:
        missing = block.waiting - len(block.leased)
        if not block.has_room:
            return missing
        share = min(1.0, USABLE_FOR_S / max(LEASES_APART_S, self._now - block.asked_at))
        return max(0, missing) + int(block.used * share)

    def _lease(self, block: Block) -> None:
        """Ask for the permits that are needed, as soon as it is time for it."""
        self._lose_late(block)
        if block.is_leasing or self._wanted(block) <= 0:
            return
        block.is_leasing = True
        earliest = block.asked_at + self._load.leases_apart_s
        if block.leased:
            earliest = max(earliest, block.leased[-1] - ASK_AHEAD_S - self._lease_ahead_s)
        self._timed(earliest, lambda: self._ask(block))

    def _ask(self, block: Block) -> None:
        self._lose_late(block)
        count = self._wanted(block)
        if count <= 0:
            block.is_leasing = False
            return
        block.asked_at, block.used = self._now, 0

        def arrived() -> None:
            self._leases.append((block, count))
            self._serve_leases()

        half_s = self._costs.round_trip_elapsed_s / 2
        work_s = self._costs.worker_transaction_s
        self._compute(block.worker, work_s, lambda: self._at(self._now + half_s, arrived))

    def _serve_leases(self) -> None:
        if self._quota_is_locked or not self._leases:
            return
        self._quota_is_locked = True
        block, wanted = self._leases.popleft()
        locked_at = self._now
        self._lease_count += 1
        work_s = self._costs.transaction_s
        self._database_s += work_s

        def computed() -> None:
            earliest = self._now + self._lease_ahead_s
            block.has_room = self._next_slot_at <= earliest
            first = max(self._next_slot_at, earliest)
            most_s = min(SLICE_S, earliest + QUEUE_S - first)
            count = min(wanted, max(1, int(most_s / self._interval_s)))
            self._next_slot_at = first + count * self._interval_s
            self._quota_is_locked = False
            self._leased_s += self._now - locked_at
            self._at(self._now + self._costs.round_trip_elapsed_s / 2, lambda: self._leased(block, first, count))
            self._serve_leases()

        self._at(self._database.end_of(self._now, work_s), computed)

    def _leased(self, block: Block, first: float, count: int) -> None:
        block.is_leasing = False
        block.leased.extend(first + position * self._interval_s for position in range(count))
        self._give(block)
        self._lease(block)

    def _lose_late(self, block: Block) -> None:
        while block.leased and block.leased[0] + USABLE_FOR_S < self._now:
            block.leased.popleft()
            self._lost += 1

    def _give(self, block: Block) -> None:
        """Let the rows go for which a permit is due, and the others in the moment of the next one."""
        self._lose_late(block)
        while block.waiting and block.leased and block.leased[0] <= self._now:
            block.leased.popleft()
            block.waiting -= 1
            block.used += 1
            self._sent_at.append(self._now)
            self._compute(block.worker, self._drawn(self._costs.worker_row_s), lambda: self._serve(block))
        if block.waiting and block.leased and not block.is_timed:
            block.is_timed = True
            self._timed(block.leased[0], lambda: self._give_in_time(block))

    def _give_in_time(self, block: Block) -> None:
        block.is_timed = False
        self._give(block)
        self._lease(block)

    # --- the row itself ---

    def _compute(self, number: int, work_s: float, then: Callable[[], None]) -> None:
        """Let a worker's thread do something after all that it has to do already."""
        worker = self._workers[number]
        worker.work.append((work_s, then))
        if not worker.is_computing:
            self._compute_next(number)

    def _compute_next(self, number: int) -> None:
        worker = self._workers[number]
        worker.is_computing = bool(worker.work)
        if not worker.work:
            return
        work_s, then = worker.work.popleft()
        self._workers_s += work_s

        def done() -> None:
            then()
            self._compute_next(number)

        self._at(self._processors[number].end_of(self._now, work_s), done)

    def _serve(self, block: Block) -> None:
        """Let the service answer."""
        answered_at = self._now + self._drawn(self._load.latency_s)
        if self._load.cores:
            answered_at += self._processors[block.worker].end_of(self._now, self._costs.service_s) - self._now
        sent_at = self._now
        self._at(answered_at, lambda: self._answer(block, sent_at))

    def _answer(self, block: Block, sent_at: float) -> None:
        self._answered += 1
        self._last_answer_at = self._now
        if self._answered == 1:
            self._at(self._now + LOOKED_EVERY_S, self._share)
        block.outcomes += 1
        block.idle += 1
        block.unanswered -= 1
        if not block.is_answered:
            block.is_answered = True
            for connection in range(1, self._load.connections):
                began_at = self._now + (self._now - sent_at) * connection / self._load.connections
                self._at(began_at, partial(self._begin, block))
        if not block.is_writing and block.gathers_since is None:
            self._gather(block)
        if block.unanswered:
            self._take(block)
            self._make(block)
        else:
            self._workers[block.worker].blocks -= 1
            self._claim(block.worker)

    def _begin(self, block: Block) -> None:
        """Let one more connection take rows."""
        block.idle += 1
        self._take(block)


def simulated(load: Load, costs: Costs, seed: int = 1) -> Simulated:
    """Simulate a load."""
    return Simulation(load, costs, seed).run()


TYPICAL = Costs(
    worker_row_s=95e-6, worker_transaction_s=850e-6, row_s=80e-6, transaction_s=200e-6, flush_elapsed_s=1e-3,
    round_trip_elapsed_s=0.5e-3, claim_elapsed_s=0.1,
)  # fmt: skip


def main() -> None:
    """Print what numbers of workers come to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 10, 100])
    parser.add_argument("--rate", type=float, default=1e6, help="of the API, a second")
    parser.add_argument("--latency-ms", type=float, default=50)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--rows", type=int, default=10_000, help="for each worker")
    given = parser.parse_args()
    load = Load(1, given.rows, given.rate, given.latency_ms / 1000, given.connections)
    for workers in given.workers:
        found = simulated(replace(load, workers=workers, rows=workers * given.rows), TYPICAL)
        what, share = found.busy.largest()
        print(f"{workers:>4} workers: {found.rows_per_s:>10,.0f} rows/s; {what} {share:.0%}; {found.busy}")


if __name__ == "__main__":
    main()
