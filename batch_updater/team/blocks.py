"""A block of a run while a worker sends its rows: in a thread with an event loop of its own, watched from another one.

The watch asks the database again and again whether the run was stopped, whether the block is still this worker's, and
what other blocks have come to; so it also learns when the database does not answer any more. Then nothing new goes out,
and the block is handed back: another worker sends the rows that are left.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec
import psycopg
from msgspec.structs import replace

from batch_updater.config.environment import machine_name
from batch_updater.config.schema import Config
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.request import Prepared, RequestBuilder
from batch_updater.endpoint.stored import decode_endpoint
from batch_updater.errors import BatchUpdaterError, StoreError
from batch_updater.files.writing import private_folder
from batch_updater.messages import counted
from batch_updater.records import Attempt, OutcomeKind, Stop, StopReason
from batch_updater.runs.caller import CallerDigest
from batch_updater.runs.queued_runs import QueuedRun, queued_run
from batch_updater.runs.run_log import LogFile
from batch_updater.runs.sending import run_loop
from batch_updater.runs.store import DamagedStoreError, converted
from batch_updater.runs.team_database import is_of_lost_database
from batch_updater.runs.team_quota import TeamLimits, TeamQuota, limits_of, quota_for
from batch_updater.sender.pool import FAILURES, Sender, SendResult
from batch_updater.sender.send_options import Elsewhere, Hooks, ReadBeforeWrite, SendOptions
from batch_updater.sender.team_limiter import TeamLimiter
from batch_updater.team.access import Access, RunAccess
from batch_updater.team.parts import end_if_done, lock_run, stop_for_all
from batch_updater.team.queue import HandedBack
from batch_updater.team.writer import BlockRefusals, Claim, Contact, TakenOver, TeamWriter, time_s

if TYPE_CHECKING:
    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.team_database import TeamDatabase
    from batch_updater.team.worker_log import WorkerLog

CONTACT_S = 8.0
"""Without an answer of the database for so long a worker lets nothing more out: others may soon take it for dead."""
_WATCHED_EVERY_S = 0.25
_TRIED_AGAIN_AFTER_S = 0.5
_HANDED_BACK = Stop(StopReason.INTERRUPTED, "A worker of the team has ended.", "Another worker continues with the row.")
_CLAIM = """UPDATE blocks SET state = 'sending', epoch = epoch + 1, host = %(host)s, claimed_at = clock_timestamp()
    FROM runs WHERE runs.id = blocks.run AND runs.name = %(run)s AND runs.state = 'sending'
    AND blocks.number = %(number)s AND blocks.state <> 'done'
    RETURNING runs.id, epoch, counts, refusals, requests, retries, throttled"""
_END = "UPDATE blocks SET state = %(state)s WHERE run = %(run)s AND number = %(number)s AND epoch = %(epoch)s"
_LOOK = """SELECT runs.stop, blocks.epoch FROM runs JOIN blocks ON blocks.run = runs.id AND blocks.number = %(number)s
    WHERE runs.id = %(run)s"""
_SENDERS = "SELECT count(*) FROM blocks WHERE run = %(run)s AND number <> %(number)s AND state = 'sending'"
_REFUSALS = "SELECT refusals FROM blocks WHERE run = %(run)s AND number <> %(number)s AND refusals IS NOT NULL"
_FAILURES = """SELECT coalesce(sum(counted.value::bigint), 0)::bigint
    FROM blocks, json_each_text(blocks.counts::json) AS counted
    WHERE run = %(run)s AND number <> %(number)s AND counted.key = ANY(%(kinds)s)"""


class _Identity(msgspec.Struct, frozen=True):
    base_url: str | None
    duplicates: str = "reject"


class _Facts(msgspec.Struct, frozen=True):
    """The facts about a run that decide how its rows are sent."""

    identity: _Identity
    caller: CallerDigest
    endpoint: str
    rows: int
    reads_first: bool
    is_undo: bool


class BlockSending:
    """One block, from its claim until it is done or handed back. All but `work` is for any thread."""

    def __init__(
        self,
        team: TeamDatabase,
        access: RunAccess,
        block: tuple[str, int],
        log: WorkerLog,
        all_taken: Callable[[], None],
        contact_s: float,
        lost_drain_s: float,
    ) -> None:
        """`block` is the name of the run and the number of the block.

        `lost_drain_s`: how long answers are awaited at most once the database has not answered for `contact_s`.
        `all_taken` is called in the block's thread, once the last of its rows is about to be sent.
        """
        self._team = team
        self._access = access
        self._run, self._number = block
        self._log = log
        self._say = log.say
        self._all_taken = all_taken
        self.is_all_taken = False
        """Whether the next block may begin, so that the connections that this one needs no more are not idle."""
        self._contact_s = contact_s
        self._lost_drain_s = lost_drain_s
        self._contact = Contact(contact_s)
        self._drain_s = 0.0
        """How long the run waits for what was sent."""
        self._elsewhere = Elsewhere()
        self._is_told = False
        """Whether the database holds why this block has stopped the run."""
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._asked: list[Callable[[], object]] = []
        """What was asked for before there was a loop that does it."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._contact_lost: asyncio.TimerHandle | None = None
        self._sender: Sender | None = None
        self._writer: TeamWriter | None = None

    def hand_back(self, within_s: float = math.inf) -> float:
        """Start nothing new, wait for what was sent, `drain_s` or `within_s` at most, and leave the rest to others.

        Returns how many seconds that may take.
        """
        self._ask(partial(self._start_handing_back, within_s))
        return min(self._drain_s, within_s) + self._contact_s

    def abort(self) -> None:
        """Hand back without waiting for answers, or for a database that does not respond."""
        if self._writer is not None:
            self._writer.give_up()
        self._ask(self._abort)

    def work(self) -> None:
        """Send the rows of the block.

        Raises HandedBack if another worker has to continue them; what it raises if the database does not answer,
        `is_lost` knows.
        """
        with self._team.connected() as connection:
            claim, queued = self._claimed(connection), queued_run(connection, self._run)
        if claim is None or queued is None:
            return  # its rows have had their turn
        with closing(TeamWriter(self._team, claim, self._contact, self._log.refused)) as writer:
            self._writer = writer
            try:
                writer.take_over()
                stop = queued.stop or self._logged(claim, queued, writer)
            except TakenOver:
                self._say(f"{self._name}: another worker has taken it over.")
                raise HandedBack from None
            except StoreError as error:
                if writer.is_handing_back:
                    raise HandedBack from error
                if is_of_lost_database(error):
                    raise
                stop = Stop(StopReason.DISK, str(error), error.remedy)
            except DamagedStoreError as error:
                remedy = "Run the file again with --restart: that sends every row."
                stop = Stop(StopReason.DISK, f"The rows of the run cannot be read: {error}.", remedy)
            is_done = not writer.is_handing_back or stop is not None
            self._end(claim, writer, stop, is_done=is_done)
            if not is_done:
                self._say(f"{self._name}: handed back.")
                raise HandedBack

    @property
    def _name(self) -> str:
        return f"{self._run}, block {self._number}"

    def _claimed(self, connection: TeamConnection) -> Claim | None:
        """Make the block this worker's; None if there is nothing left to do."""
        record = connection.execute(
            _CLAIM, {"host": machine_name(), "run": self._run, "number": self._number}
        ).fetchone()
        if record is None:
            return None
        run, epoch, counts, refusals, requests, retries, throttled = record
        return Claim(
            run, self._run, self._number, epoch, msgspec.json.decode(counts, type=dict[OutcomeKind, int]),
            refusals and msgspec.json.decode(refusals, type=BlockRefusals), requests, retries, throttled,
        )  # fmt: skip

    def _end(self, claim: Claim, writer: TeamWriter, stop: Stop | None, *, is_done: bool) -> None:
        """Note that the block is done, or another worker's, as soon as the database answers. Raises HandedBack."""
        while True:
            try:
                writer.write_last()
                with self._team.connected(autocommit=False) as connection:
                    lock_run(connection, claim.run)
                    if stop is not None:
                        stop_for_all(connection, claim.run_id, stop)
                    state = "done" if is_done else "waiting"
                    connection.execute(_END, {**claim.key, "state": state})
                    if is_done:
                        end_if_done(connection, claim.run_id)
            except TakenOver:
                raise HandedBack from None
            except psycopg.Error as error:
                if not is_of_lost_database(error):
                    raise
                writer.tell_of_full_disk(error)
                if writer.is_given_up(_TRIED_AGAIN_AFTER_S):
                    raise HandedBack from None
                writer.reconnect()
            else:
                return

    # --- sending ---

    def _logged(self, claim: Claim, queued: QueuedRun, writer: TeamWriter) -> Stop | None:
        """Send the rows, with a log in the run's folder on this host; returns and raises what `_sent` does."""
        results = self._access.config.results.folder
        folder = results / self._run
        with suppress(OSError):  # the log says so itself
            private_folder(results)
            private_folder(folder)
        with LogFile(folder / "run.log") as log:
            log.note("block begins", why=f"block {self._number}")
            return self._sent(claim, queued, writer, log)

    def _sent(self, claim: Claim, queued: QueuedRun, writer: TeamWriter, log: LogFile) -> Stop | None:
        """Send the rows; returns why the run is to end for all, if this block has found a reason. Raises StoreError."""
        facts = converted(writer.store.facts(), _Facts, "its table run")
        try:
            endpoint = decode_endpoint(facts.endpoint)
        except ValueError as error:
            raise DamagedStoreError("its table run holds no endpoint") from error
        environment = self._access.environment
        try:
            access = self._access.of(queued, facts.identity.base_url, facts.caller, endpoint)
        except BatchUpdaterError as error:
            message = environment.redaction.text(f"On {machine_name()}: {error.message}")
            self._say(f"{self._run} ends for all: {error.message}")
            return Stop(StopReason.CREDENTIALS, message, error.remedy)
        config = queued.rules.within(self._access.config)
        self._drain_s = config.sending.drain_s
        jobs = list(writer.store.jobs(endpoint, block=claim.number))

        def attempted(made: Attempt) -> None:
            log.attempt(made)
            writer.attempted(made)

        hooks = Hooks(
            before_send=writer.will_send,
            may_send=writer.require_contact,
            on_outcome=writer.settle,
            on_names=writer.learned,
            on_attempt=attempted,
        )
        options = self._options(facts, queued, writer, endpoint, access)

        def sender_within(limits: TeamLimits) -> Sender:
            own = replace(options, limiter=limits.limiter, breaker=limits.breaker)
            return Sender(endpoint, config.api, config.sending, hooks, access.credentials, environment, own)

        self._say(f"{self._name}: {counted(len(jobs), 'row')}.")
        with self._team.connected() as connection:
            self._learn_of_others(connection, claim, queued)
        watch = threading.Thread(target=self._watch, args=(claim, queued), name="block watch", daemon=True)
        with access.quotas.taken(lambda: quota_for(config, environment, access.credentials.token)) as quota:
            sent = run_loop(self._send(sender_within, quota, config, writer, watch, jobs))
        writer.flush()
        return None if writer.is_handing_back else sent.stop

    def _options(
        self, facts: _Facts, queued: QueuedRun, writer: TeamWriter, endpoint: Endpoint, access: Access
    ) -> SendOptions:
        read_first = None
        if facts.reads_first:
            expected = writer.store.expected() if facts.is_undo else {}
            read_first = ReadBeforeWrite(RequestBuilder(endpoint), writer.will_change, only=False, expected=expected)
        is_in_order = facts.identity.duplicates == "in_order"
        return SendOptions(
            facts.rows,
            queued.options.keep_going,
            read_first,
            allowed=writer.store.names(),
            in_order=is_in_order,
            run=facts.caller.salt,
            host=machine_name(),
            elsewhere=self._elsewhere,
            token=access.token,
            held=writer.held() if is_in_order else {},
        )

    async def _send(
        self,
        sender_within: Callable[[TeamLimits], Sender],
        quota: TeamQuota,
        config: Config,
        writer: TeamWriter,
        watch: threading.Thread,
        jobs: Iterable[Prepared],
    ) -> SendResult:
        async with limits_of(TeamLimiter(quota), config.api, config.sending) as limits:
            sender = sender_within(limits)
            writer.begin(sender.counts, sender.refusals)
            self._take_requests(sender)
            watch.start()
            self._mind_contact()
            try:
                return await sender.send(self._telling_of_the_last(jobs))
            finally:
                if self._contact_lost is not None:
                    self._contact_lost.cancel()
                self._over.set()
                with self._lock:
                    self._loop = None

    def _telling_of_the_last(self, jobs: Iterable[Prepared]) -> Iterator[Prepared]:
        yield from jobs
        self.is_all_taken = True
        self._all_taken()

    def _take_requests(self, sender: Sender) -> None:
        """Do from now on what is asked for, and what has been asked for before."""
        self._sender = sender
        with self._lock:
            self._loop = asyncio.get_running_loop()
            for do in self._asked:
                self._loop.call_soon(do)

    def _ask(self, do: Callable[[], object]) -> None:
        with self._lock:
            if self._loop is None:
                self._asked.append(do)
            else:
                self._loop.call_soon_threadsafe(do)

    def _start_handing_back(self, within_s: float = math.inf) -> None:
        if self._writer is not None and self._sender is not None:
            self._writer.is_handing_back = True
            self._sender.stop(_HANDED_BACK, within_s)

    def _abort(self) -> None:
        if self._writer is not None and self._sender is not None:
            self._writer.is_handing_back = True
            self._sender.abort()

    def _mind_contact(self) -> None:
        """Hand the block back when the database has not answered for too long."""
        if (left_s := self._contact.left_s) > 0:
            self._contact_lost = asyncio.get_running_loop().call_later(left_s, self._mind_contact)
            return
        self._log.lost()
        self._start_handing_back(self._lost_drain_s)

    # --- the watch, in its own thread ---

    def _watch(self, claim: Claim, queued: QueuedRun) -> None:
        while not self._over.wait(_WATCHED_EVERY_S):
            asked_at = time_s()
            try:
                with self._team.connected() as connection:
                    self._tell_stop(connection, claim)
                    self._learn_of_others(connection, claim, queued)
                    stop, epoch = connection.execute(_LOOK, claim.key).fetchone() or (None, None)
            except psycopg.Error:
                continue  # how long ago it has answered is looked at elsewhere
            except Exception:  # noqa: BLE001  (who claims the block next fails with it, and says so)
                self._ask(self._start_handing_back)
                return
            if epoch != claim.epoch:  # another worker has it, so that no answer can be kept any more
                self._ask(partial(self._start_handing_back, 0.0))
                return
            self._contact.asked_at = max(asked_at, self._contact.asked_at)
            if stop is not None:
                self._ask(partial(self._end_for_all, msgspec.json.decode(stop, type=Stop)))

    def _tell_stop(self, connection: TeamConnection, claim: Claim) -> None:
        """Let the run end for all, once this block has found a reason. What it cannot write, its end tells."""
        stop = self._sender.stopped if self._sender else None
        is_own = self._writer is not None and not self._writer.is_handing_back
        if stop is not None and is_own and not self._is_told and stop.reason is not StopReason.DISK:
            stop_for_all(connection, claim.run_id, stop)
            self._is_told = True

    def _end_for_all(self, stop: Stop) -> None:
        """End because another block has found a reason, or a person has stopped the run."""
        if self._sender is None or self._sender.stopped is not None:
            return
        if stop.reason is StopReason.INTERRUPTED:
            self._sender.stop(stop)
        else:
            self._sender.end(stop)

    def _learn_of_others(self, connection: TeamConnection, claim: Claim, queued: QueuedRun) -> None:
        """Learn what rows have come to that this sender does not send: of other blocks, and of an earlier worker."""
        elsewhere = self._elsewhere
        (elsewhere.senders,) = connection.execute(_SENDERS, claim.key).fetchone() or (0,)
        if queued.rules.stop_after_failures is not None:
            kinds = [kind.value for kind in FAILURES]
            (failures,) = connection.execute(_FAILURES, {**claim.key, "kinds": kinds}).fetchone() or (0,)
            elsewhere.failures = failures + sum(rows for kind, rows in claim.counts.items() if kind in FAILURES)
        if queued.options.keep_going or elsewhere.refusals_differ:
            return
        refusals = [
            msgspec.json.decode(text, type=BlockRefusals) for (text,) in connection.execute(_REFUSALS, claim.key)
        ]
        refusals += [claim.refusals] if claim.refusals else []
        kinds_found = {one.kind for one in refusals}
        elsewhere.refusals_differ = None in kinds_found or len(kinds_found) > 1
        elsewhere.refused, elsewhere.refused_as = sum(one.seen for one in refusals), next(iter(kinds_found), None)
