"""Hosts of a team: a folder with a configuration each, and commands and workers in it as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from batch_updater.config.secrets import Secret
from batch_updater.runs.team_database import SCHEMA, TeamDatabase, address_of
from batch_updater.team.migrate import migrate
from tests.end_to_end.program import TOKEN, environment
from tests.team.postgres import PostgresServer

ROOT = Path(__file__).parent.parent.parent
PATIENT_S = 120
"""Longer than a request takes on any machine."""
SENDING = "{rate_per_s: 100, attempts: 5, retry_budget: 5, max_wait_s: 60}"


_SUBMIT_ALL = """
import sys
from batch_updater.cli import commands
sys.exit(max(commands.main(["run", file, "--detach"]) for file in sys.argv[1:]))
"""


class WorkerProcess:
    """A worker on a host."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process = process
        self._log = log

    @property
    def said(self) -> str:
        """What it has said so far."""
        text = self._log.read_text(encoding="utf-8")
        assert TOKEN not in text
        assert "secret-of-the-database" not in text
        return text

    def wait_for(self, words: str, seconds: float = 90) -> None:
        """Wait until it has said that."""
        until(lambda: words in self.said, seconds, lambda: self.said)

    def kill(self) -> None:
        """Kill it, as when its machine goes down."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> None:
        """Press Ctrl-C on its terminal: every process of its group gets the signal."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, seconds: float = 60) -> int:
        """Tell it to end; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended(seconds)

    def ended(self, seconds: float = 60) -> int:
        """Wait for its end; returns its exit code."""
        code = self.process.wait(seconds)
        assert "Internal error" not in self.said, self.said
        assert "Traceback" not in self.said, self.said
        return code


class Host:
    """A folder with a configuration, of a team whose database has an address."""

    def __init__(
        self,
        folder: Path,
        api: str,
        database: str,
        *,
        more: str = "",
        sending: str = SENDING,
        account: str = "token: 'env:NEXUS_TOKEN'",
        variables: Mapping[str, str] | None = None,
        timeout_s: float = 5,
    ) -> None:
        """`account`: further keys of the section `api`; `variables` of its environment, beside the usual ones.

        `timeout_s`: how long a request may take; `PATIENT_S` where each may go out once, however busy the machine is.
        """
        folder.mkdir(exist_ok=True)
        self._variables = variables or {}
        self.folder = folder
        self._database = database
        self._workers: list[WorkerProcess] = []
        (folder / "config.yaml").write_text(
            f"api: {{base_url: '{api}', {account}, timeout_s: {timeout_s}}}\nsending: {sending}\n"
            f"team: {{database: 'env:TEAM_DATABASE', block_rows: 25}}\n{more}",
            encoding="utf-8",
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the program."""
        return subprocess.Popen(
            [sys.executable, "-m", "batch_updater", *arguments], cwd=self.folder, env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, *arguments: str, seconds: float = 200) -> tuple[int, str, str]:
        """Run a command of the program to its end; returns its exit code and what it printed."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=seconds)
        assert "secret-of-the-database" not in out + err
        return process.returncode, out, err

    def submit(self, file: str, *options: str) -> str:
        """Queue a run; returns its name."""
        code, out, err = self.run("run", file, "--detach", *options)
        assert code == 0, err
        return out.strip()

    def submit_all(self, files: Iterable[str]) -> subprocess.Popen[str]:
        """Start a process that queues the runs of some files, one right after the other."""
        return subprocess.Popen(
            [sys.executable, "-c", _SUBMIT_ALL, *files], cwd=self.folder, env=self._environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def work(self, concurrency: int = 2, *, quick: bool = True) -> WorkerProcess:
        """Start a worker, and return once it works; `quick`: it counts as dead after 3 seconds."""
        command = ["tests.team.quick_worker", str(concurrency)]
        if not quick:
            command = ["batch_updater", "worker", "--concurrency", str(concurrency)]
        log = self.folder / f"worker-{len(self._workers)}.log"
        with log.open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=stream, text=True, start_new_session=True,
            )  # fmt: skip
        worker = WorkerProcess(process, log)
        self._workers.append(worker)
        worker.wait_for("Working for")
        return worker

    def close(self) -> None:
        """Kill the workers that are left."""
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.kill()

    @property
    def _environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        return environment(TEAM_DATABASE=self._database, PYTHONPATH=path, **self._variables)


@contextmanager
def hosts(*made: Host) -> Iterator[None]:
    """Kill in the end what still works on some hosts."""
    with ExitStack() as stack:
        for host in made:
            stack.callback(host.close)
        yield


def migrated(server: PostgresServer) -> str:
    """Return the address of a new database with the tables of this program: Alembic makes the first one of a server."""
    if not server.template:
        address = server.new_database()
        with closing(TeamDatabase(Secret(address_of(address)))) as database:
            migrate(database)
        server.template = address.rpartition("/")[2]
    return server.new_database(server.template)


def query(address: str, statement: str, *values: object) -> list[Sequence[Any]]:
    """Return the records of a statement over the tables of a team."""
    with psycopg.connect(address, options=f"-c search_path={SCHEMA}") as connection:
        return list(connection.execute(statement, values))


def wait_for_workers(address: str, count: int) -> None:
    """Wait until so many workers have connected and had their first heartbeat, with which their host is known."""
    until(lambda: query(address, "SELECT count(*) FROM workers") == [(2 * count,)])  # each has two queues


def joined_run(host: Host, address: str, confirmed: int) -> tuple[WorkerProcess, WorkerProcess, str]:
    """Submit many.csv to one worker, and start another once so many rows are confirmed; returns both, and the run."""
    first = host.work()
    run = host.submit("many.csv")
    until(lambda: len(confirmed_rows(address, run)) >= confirmed)
    second = host.work()
    wait_for_workers(address, 2)
    return first, second, run


def wait_until_handing_back(folder: Path) -> None:
    """Wait until a worker of a host begins no more requests, since it was told to end or has lost the database."""
    until(lambda: any('"event": "stop"' in log.read_text(encoding="utf-8") for log in folder.glob("runs/*/run.log")))


def unanswered_rows(address: str) -> set[int]:
    """Return the rows of the only run of which a request has had no answer that the database knows."""
    return {row for (row,) in query(address, 'SELECT "row" FROM attempts WHERE status IS NULL')}


def state_of(address: str, run: str) -> str:
    """Return what the team does with a run."""
    ((state,),) = query(address, "SELECT state FROM runs WHERE name = %s", run)
    return str(state)


def confirmed_rows(address: str, run: str) -> set[int]:
    """Return the numbers of the rows whose confirmation the database holds."""
    rows = query(
        address,
        "SELECT number FROM rows JOIN runs ON runs.id = rows.run WHERE name = %s AND outcome = 'updated'"
        " AND rows.state = 'finished'",
        run,
    )
    return {number for (number,) in rows}


def outcomes_of(address: str, run: str) -> dict[str, int]:
    """Return how many rows have which outcome."""
    found = query(
        address,
        "SELECT outcome, count(*) FROM rows JOIN runs ON runs.id = rows.run WHERE name = %s AND rows.state = 'finished'"
        " GROUP BY outcome",
        run,
    )
    return dict(found)  # type: ignore[arg-type]


def ended(address: str, run: str, seconds: float = 180) -> None:
    """Wait until a run of one part has ended, and see that its blocks have counted its rows."""

    def jobs() -> object:
        return query(address, "SELECT task_name, args, status::text, worker_id, scheduled_at FROM procrastinate_jobs")

    until(lambda: state_of(address, run) == "ended", seconds, jobs)
    require_counted(address, run)


def require_counted(address: str, run: str) -> None:
    """Fail unless the blocks of a run of one part have counted the outcomes of its rows."""
    counted = query(
        address,
        "SELECT counted.key, sum(counted.value::bigint)::bigint FROM blocks JOIN runs ON runs.id = blocks.run,"
        " json_each_text(blocks.counts::json) AS counted WHERE name = %s GROUP BY counted.key",
        run,
    )
    assert outcomes_of(address, run) == {kind: rows for kind, rows in counted if rows}


def until(holds: Callable[[], object], seconds: float = 120, told: Callable[[], object] = lambda: "") -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, told()
        time.sleep(0.02)
