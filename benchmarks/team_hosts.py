"""A team on this machine: PostgreSQL, workers, and what submits runs, each with a folder as on a host of its own."""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import product
from benchmarks.measure import Cost, FailedError, cpu_s, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.servers import Server
    from tests.team.postgres import PostgresServer

DATABASE = "BENCH_DATABASE"
CONFIG = f'team: {{database: "env:{DATABASE}"}}\n'
READY_WITHIN_S = 120
_SAMPLE_EVERY_S = 0.05
_PROBED = 3_000
"""How often each step of a probe is made."""


class Spent(NamedTuple):
    """Processor seconds so far, by what spent them."""

    workers: float
    database: float
    service: float

    def since(self, before: Spent) -> Spent:
        """Return the difference."""
        return Spent(*(now - then for now, then in zip(self, before, strict=True)))


@dataclass(slots=True)
class Sampled:
    """What was spent at many moments."""

    times: list[float] = field(default_factory=list)
    """Seconds since the epoch."""
    spent: list[Spent] = field(default_factory=list)
    commits: int = 0
    """Of the database, from the first sample to the last."""

    def between(self, first_s: float, last_s: float) -> Spent:
        """Return what was spent from one moment to another."""
        return self._at(last_s).since(self._at(first_s))

    def _at(self, moment: float) -> Spent:
        after = min(max(1, sum(time < moment for time in self.times)), len(self.times) - 1)
        began_s, ended_s = self.times[after - 1], self.times[after]
        share = min(1.0, max(0.0, (moment - began_s) / (ended_s - began_s)))
        before, then = self.spent[after - 1], self.spent[after]
        return Spent(*(old + share * (new - old) for old, new in zip(before, then, strict=True)))


@dataclass(frozen=True, slots=True)
class Probe:
    """What the database takes for one transaction of one row, with nothing else to do."""

    round_trip_s: float
    """Of a statement that does nothing."""
    flush_s: float
    """Longer that a transaction takes whose commit waits for the disk."""
    processor_s: float
    """Of the database, for each."""


@dataclass(slots=True)
class Hosts:
    """A team with a database of its own, and the API to which it sends."""

    folder: Path
    postgres: PostgresServer
    address: str
    api: Server
    rate_per_s: int
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environ(self) -> Mapping[str, str]:
        """What every process of the team has in its environment."""
        return {**product.ENVIRONMENT, DATABASE: self.address}

    def host(self, name: str, more: str = "") -> Path:
        """Make the folder of a host. Returns its configuration."""
        folder = self.folder / name
        folder.mkdir()
        return product.write_config(folder, self.api.url, self.rate_per_s, CONFIG + more)

    def submit(self, source: Path, rows: int, name: str) -> Cost:
        """Send a file with `run` on a host of its own. Raises FailedError unless every row is `updated`."""
        config = self.host(name)
        return product.run_file(source, rows, config, self.environ)

    @contextlib.contextmanager
    def working(self, count: int) -> Iterator[None]:
        """Run so many workers; they are told to end, and waited for, at the end of the block."""
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **self.environ}
        try:
            for number in range(count):
                config = self.host(f"worker-{number}")
                command = [sys.executable, *product.PROGRAM, "worker", "--config", str(config)]
                with (config.parent / "worker.log").open("wb") as log:
                    self.workers.append(
                        subprocess.Popen(command, cwd=config.parent, env=environ, stdout=log, stderr=log)  # noqa: S603
                    )
            self._wait_until_ready(count)
            yield
        finally:
            for worker in self.workers:
                worker.terminate()
            for worker in self.workers:
                try:
                    worker.wait(READY_WITHIN_S)
                except subprocess.TimeoutExpired:
                    worker.kill()
                    worker.wait()
            self.workers.clear()

    @contextlib.contextmanager
    def sampled(self) -> Iterator[Sampled]:
        """Sample what is spent until the block ends."""
        found, ended = Sampled(), threading.Event()

        def sample() -> None:
            while True:
                found.spent.append(self.spent())
                found.times.append(time.time())
                if ended.is_set():
                    return  # after one more, so that there are two at least
                ended.wait(_SAMPLE_EVERY_S)

        commits = self._commits()
        sampling = threading.Thread(target=sample)
        sampling.start()
        try:
            yield found
        finally:
            ended.set()
            sampling.join()
            found.commits = self._commits() - commits

    def spent(self) -> Spent:
        """Return what all have spent since they began."""
        postmaster = int((self.postgres.folder / "data" / "postmaster.pid").read_text(encoding="ascii").split()[0])
        return Spent(sum(cpu_s(worker.pid) for worker in self.workers), cpu_s(postmaster), cpu_s(self.api.process))

    def _commits(self) -> int:
        import psycopg  # noqa: PLC0415  (as everything of a team, only where that is measured)

        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute("SELECT pg_stat_force_next_flush()")
            query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
            return int((connection.execute(query).fetchone() or (0,))[0])

    def _wait_until_ready(self, count: int) -> None:
        import psycopg  # noqa: PLC0415

        query = "SELECT count(*) FROM batch_updater.procrastinate_workers"
        latest = time.monotonic() + READY_WITHIN_S
        with psycopg.connect(self.address, autocommit=True) as connection:
            while (connection.execute(query).fetchone() or (0,))[0] < count:
                for worker in self.workers:
                    if worker.poll() is not None or time.monotonic() > latest:
                        logs = "".join(path.read_text("utf-8") for path in self.folder.glob("worker-*/worker.log"))
                        raise FailedError(f"A worker did not start:\n{logs}")
                time.sleep(0.05)


def is_installed() -> bool:
    """Whether this machine has a PostgreSQL server from Debian's package."""
    return any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@contextlib.contextmanager
def hosts(folder: Path, postgres: PostgresServer, api: Server, rate_per_s: int) -> Iterator[Hosts]:
    """Make a team with an empty database, whose tables are made as a person makes them."""
    found = Hosts(folder, postgres, postgres.new_database(), api, rate_per_s)
    config = found.host("first")
    run([sys.executable, *product.PROGRAM, "worker", "--migrate", "--config", str(config)], folder / "migrated",
        found.environ)  # fmt: skip
    yield found


def probe(postgres: PostgresServer) -> Probe:
    """Measure a transaction that changes one row, again and again on one connection."""
    import psycopg  # noqa: PLC0415

    def seconds(statement: str) -> float:
        took = []
        for _ in range(_PROBED):
            started_s = time.perf_counter()
            connection.execute(statement)
            took.append(time.perf_counter() - started_s)
        return statistics.median(took)

    change = "UPDATE probe SET value = value + 1"
    with psycopg.connect(postgres.new_database(), autocommit=True) as connection:
        connection.execute("CREATE TABLE probe (value bigint)")
        connection.execute("INSERT INTO probe VALUES (0)")
        backend = connection.info.backend_pid
        nothing_s = seconds("SELECT 1")
        connection.execute("SET synchronous_commit = off")
        before_s = cpu_s(backend)
        unflushed_s = seconds(change)
        processor_s = (cpu_s(backend) - before_s) / _PROBED
        connection.execute("SET synchronous_commit = on")
        return Probe(nothing_s, max(0.0, seconds(change) - unflushed_s), max(processor_s, unflushed_s - nothing_s))
