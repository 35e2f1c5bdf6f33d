"""benchmarks/team_model.py: the simulation keeps to what is known of such queues without simulating them."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType

import pytest

from batch_updater.runs import team_quota, writer
from batch_updater.sender import limiter, pool, team_limiter
from batch_updater.team import blocks, worker
from benchmarks import team_model
from benchmarks.team_model import TYPICAL, Costs, Load, WriteAheadLog, simulated

FREE = Costs(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Nothing takes any time."""
UNLIMITED_PER_S = 1e6


@pytest.mark.parametrize(
    ("name", "module", "as_there"),
    [
        ("GATHERED_FOR_S", writer, "_GATHERED_FOR_S"),
        ("UNAWAITED_FOR_S", writer, "_UNAWAITED_FOR_S"),
        ("AHEAD_OF_A_CONNECTION", pool, "_AHEAD_OF_A_WORKER"),
        ("AHEAD_S", pool, "_AHEAD_S"),
        ("SLICE_S", team_quota, "_SLICE_S"),
        ("QUEUE_S", team_quota, "_QUEUE_S"),
        ("AHEAD_MORE_S", team_quota, "_AHEAD_MORE_S"),
        ("WINDOW_SLACK_S", limiter, "WINDOW_SLACK_S"),
        ("USABLE_FOR_S", team_limiter, "_USABLE_FOR_S"),
        ("ASK_AHEAD_S", team_limiter, "_ASK_AHEAD_S"),
        ("LEASES_APART_S", team_limiter, "_LEASES_APART_S"),
        ("LOOKED_EVERY_S", worker, "_LOOKED_EVERY_S"),
        ("WATCHED_EVERY_S", blocks, "_WATCHED_EVERY_S"),
    ],
)
def test_the_model_has_the_times_of_the_program(name: str, module: ModuleType, as_there: str) -> None:
    """What the program does sooner or later, the simulation does, too."""
    assert getattr(team_model, name) == getattr(module, as_there)


def at_once(load: Load) -> Load:
    """Let permits be there as soon as they are asked for."""
    return replace(load, leases_apart_s=0.0, lease_ahead_s=0.0)


@pytest.mark.parametrize("rate_per_s", [20, 100, 2_000])
@pytest.mark.parametrize("workers", [1, 4, 30])
@pytest.mark.parametrize("varies", [False, True])
def test_no_second_holds_more_than_the_rate_and_the_rate_is_used(
    rate_per_s: int, workers: int, *, varies: bool
) -> None:
    """A permit may be used 15 ms late, and the pace leaves 7 ms of it. Of what is left, workers use nearly all."""
    rows = rate_per_s * 10
    load = Load(workers, rows, rate_per_s, 0.02, 50, block_rows=max(10, rows // workers // 8), varies=varies)
    for seed in (1, 2, 3):
        found = simulated(load, TYPICAL, seed)
        assert len(found.sent_at) == rows
        assert list(found.sent_at) == sorted(found.sent_at)
        assert found.most_in_a_second() <= rate_per_s * 1.01 + 1
        if workers > 1:  # one alone may have no block while it claims the next
            assert found.busy.rate >= 0.96  # of ten seconds, the first block is alone for more than a tenth of one


@pytest.mark.parametrize(("latency_s", "worker_s"), [(0.05, 0.0002), (0.01, 0.0002), (0.005, 0.0002), (0.0, 0.0002)])
def test_one_worker_with_constant_times_is_held_up_by_its_connections_or_by_its_processor(
    latency_s: float, worker_s: float
) -> None:
    """N connections and nothing that waits elsewhere: min(N / (latency + processor), 1 / processor)."""
    connections = 50
    load = Load(1, 20_000, UNLIMITED_PER_S, latency_s, connections, block_rows=20_000)
    found = simulated(at_once(load), replace(FREE, worker_row_s=worker_s))
    expected = min(connections / (latency_s + worker_s), 1 / worker_s)
    assert found.rows_per_s == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("latency_s", [0.05, 0.01, 0.005, 0.002])
def test_one_worker_with_times_of_chance_is_the_machine_repairman(latency_s: float) -> None:
    """Exponential times: (1 - p0) / processor, where 1 / p0 is the sum of N! / (N - k)! (processor / latency)^k."""
    connections, worker_s = 50, 0.0002
    ratio = worker_s / latency_s
    every = sum(math.perm(connections, waiting) * ratio**waiting for waiting in range(connections + 1))
    expected = (1 - 1 / every) / worker_s
    load = Load(1, 60_000, UNLIMITED_PER_S, latency_s, connections, block_rows=60_000, varies=True)
    found = simulated(at_once(load), replace(FREE, worker_row_s=worker_s))
    assert found.rows_per_s == pytest.approx(expected, rel=0.02)


def test_nothing_rests_while_there_is_work_for_it() -> None:
    """The processors of a machine, those of the database and the row of the quota: each is busy where it is scarce."""
    workers = Load(4, 40_000, UNLIMITED_PER_S, 0.0, 50, block_rows=10_000, cores=2)
    assert simulated(workers, replace(FREE, worker_row_s=200e-6)).busy.workers >= 0.98
    database = Load(8, 80_000, UNLIMITED_PER_S, 0.001, 50, block_rows=10_000, database_cores=1)
    assert simulated(at_once(database), replace(FREE, worker_row_s=100e-6, row_s=200e-6)).busy.database >= 0.94
    leases = Load(50, 100_000, UNLIMITED_PER_S, 0.005, 5, block_rows=2_000, database_cores=100)
    assert simulated(leases, replace(FREE, worker_row_s=100e-6, transaction_s=0.002)).busy.leases >= 0.95


def test_twice_as_many_workers_send_twice_as_much_until_something_is_shared() -> None:
    """Nothing is shared but the database, and that has nothing to do."""
    load = Load(1, 20_000, UNLIMITED_PER_S, 0.05, 50, block_rows=20_000)
    free = replace(FREE, worker_row_s=200e-6)
    alone = simulated(at_once(load), free).rows_per_s
    for workers in (2, 10):
        many = simulated(replace(at_once(load), workers=workers, rows=20_000 * workers), free).rows_per_s
        assert many == pytest.approx(workers * alone, rel=0.02)


def test_commits_that_come_during_a_flush_share_the_next_one() -> None:
    """A flush of 10 ms: the first goes alone, those that come meanwhile together."""
    log = WriteAheadLog(0.01)
    assert [log.end_of(moment) for moment in (1.0, 1.002, 1.009, 1.02, 1.05)] == pytest.approx(
        [1.01, 1.02, 1.02, 1.03, 1.06]
    )
    assert log.flushes == 4


def test_the_same_seed_gives_the_same_result() -> None:
    """Chance is drawn from the seed alone."""
    load = Load(3, 5_000, 1_000, 0.02, 10, varies=True)
    assert simulated(load, TYPICAL, 7) == simulated(load, TYPICAL, 7)
    assert simulated(load, TYPICAL, 7) != simulated(load, TYPICAL, 8)
