"""A worker of a team: takes runs and blocks of one API from the queue for as long as it is not told to stop.

Procrastinate fetches the jobs and keeps a heartbeat of this worker. If the heartbeat of a worker stops, any other one
queues its jobs again. A worker that loses the database hands its blocks back, and continues when it is connected again.
"""

from __future__ import annotations

import asyncio
import math
import threading
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import psycopg
from procrastinate import App
from procrastinate.exceptions import ConnectorException
from procrastinate.worker import Worker

from batch_updater.config.environment import Environment, machine_name
from batch_updater.config.schema import Config
from batch_updater.errors import BatchUpdaterError
from batch_updater.messages import counted
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.lock import origin_of
from batch_updater.runs.sending import responsive
from batch_updater.runs.team_database import full_disk
from batch_updater.team.access import RunAccess
from batch_updater.team.blocks import CONTACT_S, BlockSending
from batch_updater.team.nightly import NIGHTLY, ScheduledNights
from batch_updater.team.parts import advance, begin, give_up
from batch_updater.team.queue import HandedBack, app_of, blocks_queue, is_lost, runs_queue
from batch_updater.team.report import write_report
from batch_updater.team.worker_log import WorkerLog, logged_to

if TYPE_CHECKING:
    from procrastinate.manager import JobManager

    from batch_updater.runs.team_database import TeamDatabase
    from batch_updater.runs.team_faults import TeamFault

_LOOKED_EVERY_S = 0.05
"""While a run is sent. So long may its first answer, and its end, keep the quota from being used."""
_NOTE_WORKER = """
INSERT INTO workers (id, host, origin, queue) VALUES (%(worker)s, %(host)s, %(origin)s, %(queue)s)
ON CONFLICT (id) DO NOTHING
"""
_DEAD = """SELECT id, host FROM workers JOIN procrastinate_workers USING (id)
    WHERE last_heartbeat < clock_timestamp() - make_interval(secs => %(stalled_s)s)"""
_FORGET = """DELETE FROM procrastinate_workers AS one
    WHERE last_heartbeat < clock_timestamp() - make_interval(secs => %(forgotten_s)s)
    AND NOT EXISTS (SELECT FROM procrastinate_jobs WHERE worker_id = one.id AND status = 'doing')"""
"""A worker that has a job is not forgotten before one that works on its queue has taken the job over, and named its
host."""
_NEVER_S = 1e9
"""After so long Procrastinate forgets workers by itself: it would also forget those that still have jobs."""
_QUEUE_ERRORS = (psycopg.OperationalError, psycopg.InterfaceError, ConnectorException, TimeoutError)
"""Of the queue itself: whatever it is, the worker connects again."""
_POLLED_EVERY_S = 1.0
"""How often a worker looks for jobs that were queued again: of new ones it is told."""
_LONGEST_PAUSE_S = 5.0
_T = TypeVar("_T")


class Timing(NamedTuple):
    """Times after which a worker stops sending and counts as dead."""

    heartbeat_s: float = 2.0
    contact_s: float = CONTACT_S
    """Without an answer of the database for so long a worker lets nothing more out."""
    stalled_s: float = 20.0
    """After so long without a heartbeat the others take its blocks over."""

    @property
    def lost_drain_s(self) -> float:
        """How long answers are awaited, at most, once contact is lost: until shortly before others take over."""
        return self.stalled_s - self.contact_s - 2 * self.heartbeat_s

    @property
    def forgotten_s(self) -> float:
        """After so long without a heartbeat a worker that has no jobs is forgotten."""
        return self.stalled_s + 2 * self.heartbeat_s


class TeamWorker:
    """Works for the API of a configuration. Raises ValueError if `timing` lets it send after others have taken over."""

    def __init__(
        self,
        team: TeamDatabase,
        config: Config,
        environment: Environment,
        concurrency: int,
        say: Callable[[str], None],
        *,
        night: Sequence[str],
        timing: Timing = Timing(),  # noqa: B008  (it is immutable)
    ) -> None:
        """`concurrency`: how many blocks are sent at once; `night`: the command of the unattended job."""
        if timing.lost_drain_s <= 0:
            raise ValueError("a worker would count as dead while it still sends")
        self._team = team
        self._config = config
        self._environment = environment
        self._concurrency = concurrency
        self._timing = timing
        self._origin = origin_of(config.api.base_url or "")
        self._ending = asyncio.Event()
        self._log = WorkerLog(say, environment.redaction, timing.contact_s)
        self._say = self._log.say
        self._queues = {"runs": (runs_queue(self._origin), 1)}  # more would wait: they have the same lock
        # One more is made ready, and begins, while the last answers of another are awaited.
        self._queues["blocks"] = blocks_queue(self._origin), concurrency + 1
        self._nights: ScheduledNights | None = None
        if (schedule := config.team.nightly) is not None:
            self._queues["nightly"] = NIGHTLY, 1
            redact = environment.redaction.text
            self._nights = ScheduledNights(team, schedule, night, self._say, redact, self._ending.is_set)
        self._access = RunAccess(config, environment)
        self._blocks: set[BlockSending] = set()
        self._is_leaving = False
        """Whether no more jobs are fetched."""
        self._room = asyncio.Event()
        """Set while one more block may be fetched, and once none is any more."""
        self._threads: set[asyncio.Future[Any]] = set()
        """Of work that is not done."""
        self._left: list[int] = []
        """Numbers under which the queue still knows this worker, from before the database was lost."""

    def run(self, requests: StopRequests) -> None:
        """Work until the first request to stop; then hand everything back. A second one does not wait for answers."""
        with logged_to(self._log), responsive(), closing(self._access):
            asyncio.run(self._run(requests))

    async def _run(self, requests: StopRequests) -> None:
        asyncio.get_running_loop().set_exception_handler(_unless_lost)
        requests.sending(asyncio.get_running_loop(), self._ending.set, self._abort)
        self._say(f"Working for {self._origin}, {counted(self._concurrency, 'block')} at once.")
        if self._nights is not None:
            self._say(f"The next nightly job begins at {self._nights.next_time}.")
        look = asyncio.create_task(self._log.keep_looking())
        pause_s = 0.5
        while not self._ending.is_set():
            app, is_connected = app_of(self._team, self), False
            if self._nights is not None:
                self._nights.register(app)
            try:
                # Why it cannot be connected to: the pool only says that it could not in time.
                await (await psycopg.AsyncConnection.connect(self._team.address)).close()
                is_connected = True
                await app.open_async()
                await app.check_connection_async()
                await self._leave_behind(app)
                await self._take_from_the_dead(app.job_manager)
                self._log.answers()
                pause_s = 0.5
                await self._work(app)
            except _QUEUE_ERRORS as error:
                if not self._ending.is_set():
                    is_known = is_connected and is_lost(error) and full_disk(error) is None
                    self._log.lost(None if is_known else self._fault_of(error))
            finally:
                await app.close_async()
            if self._ending.is_set():
                break
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        look.cancel()
        if self._nights is not None:
            await self._nights.end()
        requests.sent()
        self._say("Ended.")

    def _fault_of(self, error: Exception) -> TeamFault | None:
        """Return why the database cannot be used; None if the error does not say."""
        if not isinstance(error, ConnectorException):
            return self._team.fault_of(error) if isinstance(error, psycopg.Error) else None
        cause = error.__cause__  # without an SQLSTATE it may be the pool's, which has only waited too long
        return self._team.fault_of(cause) if isinstance(cause, psycopg.Error) and cause.sqlstate else None

    async def _leave_behind(self, app: App) -> None:
        """Let the jobs be queued again that the queue counts as this worker's from before the database was lost."""
        if self._threads:  # what they have learned comes first
            await asyncio.wait(self._threads, timeout=self._timing.contact_s)
        while self._left:
            await app.job_manager.unregister_worker(self._left[-1])
            self._left.pop()

    async def _work(self, app: App) -> None:
        """Work until told to stop, or until the database does not respond."""
        self._is_leaving = False
        self._look_for_room()
        workers: list[Worker] = [
            _Worker(
                self._leave, app, queues=[queue], name=name, concurrency=concurrency, install_signal_handlers=False,
                fetch_job_polling_interval=_POLLED_EVERY_S, shutdown_graceful_timeout=0, delete_jobs="successful",
                update_heartbeat_interval=self._timing.heartbeat_s, stalled_worker_timeout=_NEVER_S,
            )
            for name, (queue, concurrency) in self._queues.items()
        ]  # fmt: skip
        running = [asyncio.create_task(worker.run()) for worker in workers]  # type: ignore[no-untyped-call]  # of Procrastinate
        look = asyncio.create_task(self._keep_looking(app, workers))
        ending = asyncio.create_task(self._ending.wait())
        try:
            await asyncio.wait([*running, look, ending], return_when=asyncio.FIRST_COMPLETED)
            for worker in workers:
                worker.stop()  # type: ignore[no-untyped-call]  # of Procrastinate
            await asyncio.wait(running)
        finally:
            look.cancel()
            ending.cancel()
            self._left += [worker.worker_id for worker in workers if worker.worker_id is not None]
        for error in [task.exception() for task in running]:  # all are looked at, so that asyncio says nothing of them
            if error is not None:
                raise error
        with suppress(asyncio.CancelledError):
            await look

    async def _keep_looking(self, app: App, workers: list[Worker]) -> None:
        """Keep the heartbeat, also while work is handed back, and queue the jobs of dead workers again."""
        jobs, noted_ids = app.job_manager, set[int]()
        while True:
            await asyncio.sleep(self._timing.heartbeat_s)
            async with asyncio.timeout(self._timing.contact_s):
                for worker in workers:
                    if worker.worker_id is None:
                        continue
                    if worker.worker_id not in noted_ids:
                        own = {"worker": worker.worker_id, "host": machine_name(), "origin": self._origin}
                        await jobs.connector.execute_query_async(_NOTE_WORKER, **own, queue=worker.worker_name)
                        noted_ids.add(worker.worker_id)
                    await jobs.update_heartbeat(worker.worker_id)
                await self._take_from_the_dead(jobs)
            self._log.answers()

    async def _take_from_the_dead(self, jobs: JobManager) -> None:
        """Queue the jobs of dead workers again, while their hosts are known."""
        stalled_s = self._timing.stalled_s
        stalled = [
            job
            for queue, _ in self._queues.values()
            for job in await jobs.get_stalled_jobs(queue=queue, seconds_since_heartbeat=stalled_s)
        ]
        # After the jobs, so that the worker of each is among the dead by now.
        dead = await jobs.connector.execute_query_all_async(_DEAD, stalled_s=stalled_s)
        hosts = {record["id"]: str(record["host"]) for record in dead}
        for job in stalled:
            await jobs.retry_job(job)
            self._log.taken_from(hosts.get(job.worker_id), job)
        await jobs.connector.execute_query_async(_FORGET, forgotten_s=self._timing.forgotten_s)

    def _leave(self) -> None:
        """Fetch no more jobs."""
        self._is_leaving = True
        self._look_for_room()

    def _look_for_room(self) -> None:
        if self._is_leaving or sum(not block.is_all_taken for block in self._blocks) < self._concurrency:
            self._room.set()
        else:
            self._room.clear()

    # --- the jobs ---

    async def has_room(self, queues: Iterable[str] | None) -> bool:
        """Return when one more job of these queues may be fetched, or False when none may any more."""
        if queues is not None and self._queues["blocks"][0] in queues:
            await self._room.wait()
        return not self._is_leaving

    async def send(self, run: str) -> None:
        """Begin a run, and wait until each of its rows has had its turn."""
        self._say(f"{run} begins.")
        await self._in_thread(partial(begin, self._team, run, self._config.team.block_rows))
        is_shared = False
        while not (come := await self._in_thread(partial(advance, self._team, run, is_shared=is_shared))).is_over:
            is_shared = come.is_shared
            await asyncio.sleep(_LOOKED_EVERY_S)

    async def block(self, run: str, number: int) -> None:
        """Send a block."""
        loop = asyncio.get_running_loop()

        def all_taken() -> None:
            with suppress(RuntimeError):  # the worker has ended, and has left the block's thread alone
                loop.call_soon_threadsafe(self._look_for_room)

        def hand_back() -> float:
            # A worker that is told to end keeps its heartbeat meanwhile, one that has lost the database does not.
            return block.hand_back(math.inf if self._ending.is_set() else timing.lost_drain_s)

        timing = self._timing
        block = BlockSending(
            self._team, self._access, (run, number), self._log, all_taken, timing.contact_s, timing.lost_drain_s
        )
        self._blocks.add(block)
        self._look_for_room()
        try:
            await self._in_thread(block.work, hand_back)
        finally:
            self._blocks.discard(block)
            self._look_for_room()

    async def report(self, run: str) -> None:
        """Write the report of a run."""
        await self._in_thread(partial(write_report, self._team, run, self._config), lambda: self._timing.contact_s)
        self._say(f"{run} has ended.")

    async def give_up(self, task: str, run: str, number: int | None = None) -> None:
        """End a run of which a job has failed too often."""
        await self._in_thread(partial(give_up, self._team, run, number))
        of_block = "" if number is None else f" of block {number}"
        self._say(f"{run} ends: the job {task}{of_block} has failed too often.")

    async def _in_thread(self, work: Callable[[], _T], end: Callable[[], float] = lambda: 0.0) -> _T:
        """Do something in a thread; where this is cancelled, `end` says for how many seconds it is waited for, at most.

        A thread that waits for a network that is cut is left alone then: the process can end without it.
        """
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  (raised where it is waited for)
                future.set_exception(error)

        threading.Thread(target=run, name="job", daemon=True).start()
        done = asyncio.wrap_future(future)
        self._threads.add(done)
        done.add_done_callback(self._end_of_thread)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if not self._ending.is_set():
                self._log.lost()
            await asyncio.wait([done], timeout=end())
            raise
        except HandedBack:
            raise
        except Exception as error:
            if (full := full_disk(error)) is not None:
                self._log.refused(self._team.fault_of(full))
            elif not is_lost(error):
                # One of ours says itself what is wrong, such as damaged rows.
                self._say(error.message if isinstance(error, BatchUpdaterError) else _told(error))
            raise

    def _end_of_thread(self, done: asyncio.Future[Any]) -> None:
        self._threads.discard(done)
        if not done.cancelled():
            done.exception()  # read here, so that asyncio does not report it

    def _abort(self) -> None:
        for block in self._blocks:
            block.abort()
        if self._nights is not None:
            self._nights.terminate()


def _unless_lost(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Report what no one has waited for, except that the database was lost: Procrastinate drops such tasks of jobs."""
    if not is_lost(context.get("exception")):
        loop.default_exception_handler(context)


def _told(error: BaseException) -> str:
    """Return of which kinds an error and its causes are, and where they come from. Their texts may hold values."""
    lines = ["Internal error. Please report the lines below to the person who maintains your installation."]
    behind, seen_ids = [error], set[int]()
    while behind:
        if id(one := behind.pop()) in seen_ids:  # an error may be raised once more because of one that it has caused
            continue
        seen_ids.add(id(one))
        lines += [*traceback.format_tb(one.__traceback__), type(one).__qualname__]
        behind += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        behind += filter(None, [one.__cause__ or one.__context__])
    return "\n".join(lines)


class _Worker(Worker):
    """Says when it stops, by itself or not: it does not look for that while it waits until it may fetch a job."""

    def __init__(self, leave: Callable[[], None], *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._leave = leave

    def stop(self) -> None:
        self._leave()
        super().stop()  # type: ignore[no-untyped-call]  # of Procrastinate
