"""The queue of the server: checks in a few threads, and one comparison or sending at a time."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import msgspec

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config
from batch_updater.errors import (
    BatchUpdaterError,
    EndedEarlyError,
    GuardError,
    LockedError,
    ResultsError,
    StoreError,
    UsageError,
)
from batch_updater.loader.formats.book import UnreadableFileError
from batch_updater.questions import HeaderRowError, OpenQuestionsError
from batch_updater.records import Outcome, OutcomeKind, Stop, StopReason
from batch_updater.runs.comparison import COMPARED, compare_draft
from batch_updater.runs.draft import Draft, Judgement, Upload, stage_draft
from batch_updater.runs.folder import safe_stem
from batch_updater.runs.follow_ups import can_be_repaired, repair_of_run
from batch_updater.runs.history import DamagedRun, PastRun, read_run
from batch_updater.runs.interrupts import Detached, StopRequests
from batch_updater.runs.layouts import require_name, write_layout
from batch_updater.runs.open_run import OpenRun, is_begun, open_draft, remove_unless_begun, reopen_run
from batch_updater.runs.permission import CHANGED, permission, why_not_resume
from batch_updater.runs.result import Options, RunResult
from batch_updater.runs.run_log import spoken
from batch_updater.runs.statements import CONFIRMED
from batch_updater.runs.store import DamagedStoreError
from batch_updater.runs.uploads import (
    OpenColumnsQuestions,
    StoredUpload,
    Task,
    TaskFault,
    TaskKind,
    Uploads,
)
from batch_updater.team import submit
from batch_updater.team.progress import progress_of
from batch_updater.web.open_drafts import OpenDrafts
from batch_updater.web.page_words import in_page_words

if TYPE_CHECKING:  # imported only where there is a team
    from batch_updater.runs.team_database import TeamDatabase
    from batch_updater.runs.team_drafts import TeamDrafts

_LOG = logging.getLogger(__name__)
_LANE = (TaskKind.COMPARE, TaskKind.SEND)
"""What makes requests: one at a time, and none while another process does (runs/lock.py)."""
_IN_TOUCH_EVERY_S = 0.5
"""How often a server says to the others of its team that it is there, and looks at what they want."""
_FOLLOWED_AT_ONCE = 8
"""Of a team: its queue has one run at a time for an API, and workers send it."""
_CHECKS_AT_ONCE = 4
"""More would share the same processor; so many people see their rows being read at once."""
_TRIED_EVERY_S = 1.0
"""How often a lock is tried that another process holds."""
_AFTER_FAULT_S = 5.0
"""Until the queue is read again after the disk has not let us."""
_TURN_S = 0.1
"""How long a check waits for another at most: some of its work cannot be interrupted."""
_RATE_OVER_S = 5.0
_SAMPLED_EVERY_S = 0.25
_LOOKED_AT_EVERY_S = 1.0
"""How often the database of a run of another process is read, at most."""
_TEAM_LOOKED_AT_EVERY_S = 0.5
_TIDIED_EVERY_S = 60.0
_REMOVED_EVERY_S = 3600.0
_SERVER = "batch-updater"
"""Who removes old uploads, in the list of who did what."""
_SETTLED = CONFIRMED | {OutcomeKind.INVALID}
"""Outcomes of rows that a run does not send any more."""
_ANSWERED = CONFIRMED | {OutcomeKind.REJECTED}
"""Outcomes that only a service gives which is there."""


class LiveCounts(msgspec.Struct, frozen=True):
    """How far a run, a comparison or a check is."""

    done: int
    """Rows that have their outcome, or that are read."""
    total: int | None
    """None: it is not known yet, as while a file is read."""
    outcomes: dict[OutcomeKind, int]
    rate_per_s: float
    """Rows a second over the last few seconds."""
    left_s: float | None
    """Seconds until all rows had their turn; None if that cannot be told."""
    message: str = ""
    """What it waits for, such as a service that is down; '' if nothing."""


def being_sent(name: str) -> str:
    """Return why the cells of an upload cannot be changed while it is sent."""
    return f"{name} is being sent. Its cells can be changed when that has ended."


class _Ending(Exception):  # noqa: N818  (no error: the server ends, or a person has stopped the task)
    """A task is left as it is."""


class _Rate:
    """Rows a second over the last few seconds, from how many there were when."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, at_s: float, done: int) -> None:
        """Note how many rows there are at a time of the monotonic clock."""
        if not self._samples or at_s - self._samples[-1][0] >= _SAMPLED_EVERY_S:
            self._samples.append((at_s, done))
            while at_s - self._samples[0][0] > _RATE_OVER_S:
                self._samples.popleft()

    def per_s(self, at_s: float, done: int) -> float:
        """Return the rate at that time."""
        since = [sample for sample in tuple(self._samples) if sample[0] < at_s]
        return max(done - since[0][1], 0) / (at_s - since[0][0]) if since else 0.0


class _Work:
    """A task that is being worked on, as the other threads see it."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.interrupts = StopRequests()
        self.run = task.run
        self._done = 0
        self._total: int | None = None
        self._outcomes: Counter[OutcomeKind] = Counter()
        self._message = ""
        self._rate = _Rate()

    def read(self, rows: int) -> None:
        """Note how many rows of a file are read."""
        self._done = rows
        self._rate.add(time.monotonic(), rows)

    def expect(self, total: int, outcomes: dict[OutcomeKind, int] | None = None) -> None:
        """Note how many rows there are, and the outcomes of those that have one."""
        self._total = total
        self._outcomes.update(outcomes or {})
        self._done = self._outcomes.total()

    def settled(self, outcome: Outcome) -> None:
        """Count one more row that has its outcome. Runs for every row: kept lean."""
        self._done += 1
        self._outcomes[outcome.kind] += 1
        if self._message and outcome.kind in _ANSWERED:
            self._message = ""
        self._rate.add(time.monotonic(), self._done)

    def say(self, message: str) -> None:
        """Note what it waits for."""
        self._message = message

    @property
    def live(self) -> LiveCounts:
        """How far it is at this moment."""
        outcomes = dict(self._outcomes)  # of one moment, whatever another thread counts meanwhile
        return _live(self._rate, sum(outcomes.values()) or self._done, self._total, outcomes, self._message)


def _live(rate: _Rate, done: int, total: int | None, outcomes: dict[OutcomeKind, int], message: str = "") -> LiveCounts:
    per_s = rate.per_s(time.monotonic(), done)
    left_s = max(total - done, 0) / per_s if total is not None and per_s else None
    return LiveCounts(done, total, {kind: n for kind, n in outcomes.items() if n}, per_s, left_s, message)


class _Turns:
    """Lets the checks compute one after the other, some hundred rows each.

    Threads that compute at the same time are no faster together, and a page would wait for each of them at every step.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()
        """The first is the one whose turn it is."""

    @contextmanager
    def taken(self) -> Iterator[Callable[[], None]]:
        """Take turns within the block; what it gives ends one and waits for the next."""
        own = [object()]
        self._begin(own[0])

        def next_turn() -> None:
            ended, own[0] = own[0], object()
            with self._changed:
                self._waiting.append(own[0])
                self._waiting.remove(ended)
                self._changed.notify_all()
            self._wait(own[0])

        try:
            yield next_turn
        finally:
            with self._changed:
                self._waiting.remove(own[0])
                self._changed.notify_all()

    def _begin(self, turn: object) -> None:
        with self._changed:
            self._waiting.append(turn)
        self._wait(turn)

    def _wait(self, turn: object) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting[0] is turn, _TURN_S)


class _OtherRun:
    """A run of another process, whose database is read now and then."""

    def __init__(self) -> None:
        self.counts: LiveCounts | None = None
        self._rate = _Rate()
        self._read_at_s = float("-inf")
        self._took_s = 0.0

    def look(self, folder: Path) -> LiveCounts | None:
        """Return how far it is; None if it is not going on, as far as this machine can tell."""
        now = time.monotonic()
        # Counting the rows of a large run takes longer than a second: it must not be all that this process does.
        if now - self._read_at_s >= max(_LOOKED_AT_EVERY_S, 10 * self._took_s):
            past = read_run(folder)
            self._read_at_s, self._took_s = time.monotonic(), time.monotonic() - now
            if not isinstance(past, PastRun) or not past.is_going_on:
                self.counts = None
            else:
                outcomes = dict(past.counts)
                del outcomes[OutcomeKind.NOT_SENT]
                done = sum(outcomes.values())
                self._rate.add(now, done)
                self.counts = _live(self._rate, done, past.rows, outcomes)
        return self.counts


class _TeamRun:
    """A run of a team, whose progress is read now and then."""

    def __init__(self, team: TeamDatabase) -> None:
        self.counts: LiveCounts | None = None
        self._team = team
        self._rate = _Rate()
        self._read_at_s = float("-inf")

    def look(self, folder: Path) -> LiveCounts | None:
        """Return how far it is; None if it is not going on."""
        now = time.monotonic()
        if now - self._read_at_s >= _TEAM_LOOKED_AT_EVERY_S:
            self._read_at_s, found = now, progress_of(self._team, folder.name)
            self.counts = None
            if found:
                done = found.outcomes.total()
                self._rate.add(now, done)
                self.counts = _live(self._rate, done, found.rows, dict(found.outcomes), found.waits_for)
        return self.counts


class Worker:
    """Takes the tasks of the queue, oldest first. Its threads never hold up the event loop."""

    def __init__(
        self, config: Config, environment: Environment, uploads: Uploads, team: TeamDrafts | None = None
    ) -> None:
        """`team`: the drafts of all hosts that serve the page; None if this one is alone."""
        self._config = config
        self._environment = environment
        self._uploads = uploads
        self._team = team
        self._drafts = OpenDrafts(config, team=team)
        self._turns = _Turns()
        self._changed = threading.Condition()
        """Guards the four below; notified when the queue may hold something new."""
        self._work: dict[int, _Work] = {}
        """Number of a task -> that task, as long as a thread works on it."""
        self._lane_after_s = 0.0
        """When the lane is tried again, on the monotonic clock: another process holds the lock."""
        self._queue_fault = ""
        """Why the queue could not be read, if that was so just now."""
        self._is_ending = False
        self._others: dict[str, _OtherRun | _TeamRun] = {}
        self._others_lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Take up what a killed server had left, and begin to work. Raises ResultsError."""
        self._uploads.remove_leftovers()
        self._uploads.take_up_tasks()
        lanes = 1 if self._team is None else _FOLLOWED_AT_ONCE
        targets = [(self._work_on, ((TaskKind.CHECK,),))] * _CHECKS_AT_ONCE + [(self._work_on, (_LANE,))] * lanes
        self._threads = [
            threading.Thread(target=target, args=arguments, name=f"task {number}", daemon=True)
            for number, (target, arguments) in enumerate(targets, 1)
        ]
        self._threads.append(threading.Thread(target=self._tidy, name="tidy", daemon=True))
        if self._team:
            in_touch = threading.Thread(target=self._keep_in_touch, args=(self._team,), name="in touch", daemon=True)
            self._threads.append(in_touch)
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look for tasks: one was added."""
        with self._changed:
            self._changed.notify_all()

    def draft(self, upload_id: str) -> Draft | None:
        """Return the draft of an upload, which stays open for a while; None if it is not checked.

        None, too, while it is being checked. Raises ResultsError, and what `Draft.open` raises.
        """
        upload = self._uploads.upload(upload_id)
        return None if upload is None else self._drafts.get(upload)

    def judgement(self, upload: StoredUpload) -> Judgement | None:
        """Return what the rows of an upload come to, on whatever host it is; None if it is not checked."""
        if self._team:
            return self._team.judgement(upload.id)
        draft = self._drafts.get(upload)
        return draft.judgement if draft else None

    def live_of_upload(self, upload_id: str) -> LiveCounts | None:
        """Return how far the running task of an upload is; None if none is running."""
        work = self._working_on(upload_id, tuple(TaskKind))
        return work.live if work else None

    def live_of_run(self, run: str) -> LiveCounts | None:
        """Return how far a run is, also one of another process or host; None if none is going on."""
        if self._team is None and (work := self._sending(run)):
            return work.live
        with self._others_lock:
            new = _TeamRun(self._team.uploads.team) if self._team else _OtherRun()
            other = self._others.setdefault(run, new)
            found = other.look(self._config.results.folder / run)
            if found is None:
                del self._others[run]
            return found

    def stop(self, run: str, by: str) -> bool:
        """Stop a run as Ctrl-C does: what is in flight is awaited. Returns whether it is sent here, or by the team."""
        is_stopped = self._stop_for_team(self._team, run, by) if self._team else False
        task = self._uploads.task_of_run(run)
        return (task is not None and self.cancel(task.number)) or is_stopped

    def _stop_for_team(self, team: TeamDrafts, run: str, by: str) -> bool:
        """Stop a run on whatever host it was started. Returns whether it was going on."""
        from batch_updater.team import follow

        past = read_run(self._config.results.folder / run)
        if not isinstance(past, PastRun) or not past.is_going_on:
            return False
        with team.uploads.transaction() as connection:
            stop = Stop(StopReason.INTERRUPTED, f"{by} stopped the run.", "Run again to go on.")
            follow.stop_run(connection, run, stop)
        return True

    def cancel(self, number: int) -> bool:
        """Stop a task, or take it from the queue. Returns whether it was still open."""
        if not self._uploads.stop_task(number):
            return False
        with self._changed:
            work = self._work.get(number)
            if work is None:
                if not self._uploads.is_elsewhere(number):
                    self._uploads.end_task(number)
            elif not work.interrupts.count:  # a second request would end it at once
                work.interrupts.request()
        return True

    def shut_down(self) -> None:
        """End everything cleanly, waiting for what is in flight; the tasks go on when the server is started again."""
        with self._changed:
            self._is_ending = True
            for work in self._work.values():
                if not work.interrupts.count:
                    work.interrupts.request()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._drafts.close()

    # --- the queue ---

    def _working_on(self, upload_id: str, kinds: Collection[TaskKind]) -> _Work | None:
        with self._changed:
            works = (one for one in self._work.values() if one.task.upload == upload_id and one.task.kind in kinds)
            return next(works, None)

    def _sending(self, run: str) -> _Work | None:
        with self._changed:
            return next((one for one in self._work.values() if one.run == run), None)

    def _work_on(self, kinds: Collection[TaskKind]) -> None:
        while work := self._next(kinds):
            self._do(work)

    def _next(self, kinds: Collection[TaskKind]) -> _Work | None:
        """Wait for the next task of some kinds; None if the server ends."""
        with self._changed:
            while not self._is_ending:
                wait_s: float | None = None
                try:
                    for task in self._ready(kinds):
                        if task.kind in _LANE and (left_s := self._lane_after_s - time.monotonic()) > 0:
                            wait_s = left_s
                            continue
                        if not self._uploads.start_task(task.number) and self._team:
                            continue  # another host was faster
                        work = _Work(task)
                        if self._uploads.is_stopped(task.number):  # before the server was killed
                            work.interrupts.request()
                        self._work[task.number] = work
                        self._queue_fault = ""
                        return work
                except ResultsError as error:
                    if str(error) != self._queue_fault:  # once for each outage, and not by each thread
                        self._queue_fault = str(error)
                        self._log(self._queue_fault)
                    wait_s = _AFTER_FAULT_S
                else:
                    self._queue_fault = ""
                self._changed.wait(wait_s)
            return None

    def _ready(self, kinds: Collection[TaskKind]) -> Iterator[Task]:
        """Yield the tasks that can begin now, the oldest first; no two of an upload are worked on at once."""
        busy = {work.task.upload for work in self._work.values()}
        to_check: set[str | None] = set()
        for task in self._uploads.startable_tasks():
            if task.number in self._work:
                continue
            waits = task.upload is not None and (task.upload in busy or task.upload in to_check)
            if task.kind in kinds and not waits:
                yield task
            if task.kind is TaskKind.CHECK:
                to_check.add(task.upload)

    def _do(self, work: _Work) -> None:
        """Work on a task until it is done, has failed or waits again."""
        task, fault, waits = work.task, None, None
        try:
            match task.kind:
                case TaskKind.CHECK:
                    self._check(work)
                case TaskKind.COMPARE:
                    self._compare(work)
                case TaskKind.SEND:
                    fault = self._send(work)
        except (_Ending, Detached):
            waits = ""
        except LockedError as error:
            waits = self._redacted(str(error), error.place.file)
        except (BatchUpdaterError, StoreError, DamagedStoreError) as error:
            fault = self._fault(error, work)
        except Exception:  # noqa: BLE001  (one task must not keep the others back)
            self._log(traceback.format_exc())
            fault = TaskFault("Internal error.", "The traceback is in the log of the server.")
        with self._changed:
            try:
                if waits is None or self._uploads.is_stopped(task.number):
                    self._uploads.end_task(task.number, fault)
                else:
                    self._uploads.defer_task(task.number, waits)
            except ResultsError as error:  # it stays in the queue, and is taken up once more
                self._log(str(error))
            if waits:
                self._lane_after_s = time.monotonic() + _TRIED_EVERY_S
            del self._work[task.number]
            self._changed.notify_all()

    def _require_going_on(self, work: _Work) -> None:
        """Raise _Ending if the server ends, or a person has stopped the task."""
        if work.interrupts.count:
            raise _Ending

    def _upload(self, task: Task) -> StoredUpload:
        """Return the upload of a task. Raises UsageError if it was removed."""
        upload = self._uploads.upload(task.upload or "")
        if upload:
            self._drafts.brought(upload)
        if upload is None or not (upload.folder / upload.file).exists():
            raise UsageError("The file was removed.", remedy="Upload it once more.")
        return upload

    # --- checking ---

    def _check(self, work: _Work) -> None:
        upload, runs = self._upload(work.task), self._config.results.folder
        journal = self._drafts.brought(upload)
        source = Upload(
            upload.folder / upload.file,
            upload.name,
            safe_stem(upload.name),
            upload.source_path,
            runs / upload.repairs if upload.repairs else None,
        )

        with self._drafts.replacing(upload.id):
            try:
                with self._turns.taken() as next_turn:

                    def progress(rows: int) -> None:
                        self._require_going_on(work)
                        work.read(rows)
                        next_turn()

                    draft = stage_draft(
                        source, self._config, upload.answers, upload.layout, progress=progress, journal=journal
                    )
            except (OpenQuestionsError, HeaderRowError) as error:
                asked = OpenColumnsQuestions(in_page_words(self._redacted(str(error))), error.questions, error.columns)
                self._uploads.set_asked(upload.id, asked)
                if isinstance(error, HeaderRowError):  # a person can say what its columns are
                    raise
                return
            self._uploads.set_asked(upload.id, None)
            self._drafts.keep(upload.id, draft)
        if self._team and journal:
            journal.judge(draft.judgement)
            self._team.put(draft, journal)
        if upload.remember and not any(not question.is_about_one_cell for question in draft.questions):
            self._remember(upload, draft, upload.remember, work.task.by)

    def _remember(self, upload: StoredUpload, draft: Draft, name: str, by: str) -> None:
        plan = draft.plan()
        if plan.is_own_workbook:  # which says itself how it is read
            return
        try:
            layout = plan.layout(require_name(name))
        except ValueError as error:
            raise UsageError(f"{name} cannot be the name of a layout: {error}.") from error
        write_layout(self._config.layouts_folder, layout)
        self._uploads.set_remembered(upload.id, by, layout.name)

    # --- reading records first, and sending ---

    def _draft_of(self, upload: StoredUpload) -> Draft:
        draft = self._drafts.get(upload)
        if draft is None or upload.asked is not None:
            raise UsageError(
                f"{upload.name} must be checked first: it was not, or the configuration has changed since.",
                remedy="Check it once more.",
            )
        return draft

    def _compare(self, work: _Work) -> None:
        self._require_going_on(work)
        upload = self._upload(work.task)
        draft = self._draft_of(upload)
        work.expect(draft.staged.good)
        with spoken(work.say):
            compare_draft(draft, self._environment, work.settled, work.interrupts)
        self._require_going_on(work)
        if journal := self._drafts.brought(upload):
            journal.put_file(COMPARED, draft.folder / COMPARED)

    def _send(self, work: _Work) -> TaskFault | None:
        """Begin or resume the run of a task. Returns what could not be written at its end.

        A task that has noted a run continues that one, and never begins another: rows may have been sent.
        """
        task, runs = work.task, self._config.results.folder
        self._require_going_on(work)
        if task.run is not None and (past := self._begun(task, runs / task.run)):
            return self._resume(work, past)
        upload = self._upload(task)
        draft = self._draft_of(upload)
        with ExitStack() as until_copied:
            # No one changes what is judged here until the run has its own copy of it.
            until_copied.enter_context(draft.held(being_sent(upload.name)))
            judged = permission(draft, upload, self._uploads, self._config, task.by)
            if task.options.digest not in {"", judged.digest}:
                raise UsageError(CHANGED, remedy="Look at the preview once more, and send it from there.")
            if judged.refusal:
                raise UsageError(judged.refusal, remedy=judged.remedy)
            with open_draft(
                draft,
                self._environment,
                override=judged.override,
                compare=upload.compare,
                sent_by=task.by,
            ) as open_run:
                until_copied.close()
                if task.options.earlier not in {None, open_run.earlier.key}:
                    raise UsageError(
                        "Another run of these rows has begun or ended since.",
                        remedy="Look at the preview once more, and send it from there.",
                    )
                return self._execute(work, open_run)

    def _begun(self, task: Task, folder: Path) -> PastRun | None:
        """Return the run that a task has noted; None if nothing came of it. Raises UsageError if it is gone."""
        past = read_run(folder)
        if past is None:
            is_gone = self._team.uploads.has_submitted(task) is None if self._team else not folder.exists()
            if task.upload is None or is_gone:
                raise UsageError(
                    f"The run {folder.name} is gone, and with it which rows were sent.",
                    remedy="Put its folder back; or send the file again, which sends every row.",
                )
            remove_unless_begun(folder)
            # The host that was working on the task may have submitted it by now, though it seemed to be dead.
            past = read_run(folder) if self._team else None
        if isinstance(past, DamagedRun):
            raise past.error
        return past

    def _resume(self, work: _Work, past: PastRun) -> TaskFault | None:
        task = work.task
        # What the task has put into the queue before its host was killed is not put there once more.
        if self._team and (past.is_going_on or self._team.uploads.has_submitted(task)):
            return self._follow(work, self._team, past.folder)
        if not past.is_unfinished:
            self._follow_up(past, task.by)
            return None
        # Once all rows have kept the guards, or they were overridden, what is left goes the same way.
        override = past.facts.overridden if self._uploads.has_begun(past.folder.name) else None
        if why := why_not_resume(past, self._uploads, self._config, task.by):
            raise UsageError(why)
        with reopen_run(past, self._config, self._environment, override=override, sent_by=task.by) as open_run:
            return self._execute(work, open_run)

    def _follow(self, work: _Work, team: TeamDrafts, folder: Path) -> TaskFault | None:
        """Wait for the end of a run that the workers of the team send."""
        from batch_updater.runs.team_quota import account_of
        from batch_updater.team import follow

        with self._changed:
            work.run = folder.name
        database = team.uploads.team
        with spoken(work.say):
            result = self._followed(
                work,
                lambda: follow.follow(
                    database, folder, progress=work.settled, interrupts=work.interrupts,
                    ask_to_stop=partial(self._uploads.is_stopped, work.task.number),
                    account=partial(account_of, self._config.api, self._environment, database),
                ),
            )  # fmt: skip
        return self._ended(work, folder, result)

    def _followed(self, work: _Work, until_end: Callable[[], RunResult]) -> RunResult | None:
        """Return how a run has ended; None if a person of the page took it from the queue before its turn."""
        try:
            return until_end()
        except EndedEarlyError:
            if self._uploads.is_stopped(work.task.number):
                return None
            raise

    def _execute(self, work: _Work, open_run: OpenRun) -> TaskFault | None:
        task, plan, folder = work.task, open_run.plan, open_run.folder
        if open_run.earlier.is_old and open_run.to_send and not task.options.resume_old:
            raise UsageError(
                f"The run {folder.name} is unfinished, but more than a day old: resuming it could overwrite newer "
                "changes.",
                remedy="If nothing has changed since, let it go on all the same; or send every row again.",
            )
        self._uploads.set_task_run(task.number, folder.name)
        with self._changed:
            work.run = folder.name
        try:
            self._require_going_on(work)
            known = plan.store.counts(OutcomeKind.NOT_SENT)
            work.expect(plan.staged.rows, {kind: n for kind, n in known.items() if kind in _SETTLED})
            with spoken(work.say):
                result = submit.execute(
                    open_run, Options(), self._environment, work.settled, work.interrupts, lambda: not self._is_ending
                )
        except Detached as error:  # this server ends, and the team's workers go on
            raise _Ending from error
        finally:
            if not is_begun(folder):  # nothing came of it, and its folder goes
                self._uploads.set_task_run(task.number, task.run if task.upload is None else None)
        return self._ended(work, folder, result)

    def _ended(self, work: _Work, folder: Path, result: RunResult | None) -> TaskFault | None:
        past = read_run(folder)
        if isinstance(past, PastRun) and not past.is_unfinished:
            self._follow_up(past, work.task.by)
        else:
            self._require_going_on(work)
        if result is None or not result.fault:
            return None
        return TaskFault(self._redacted(result.fault), "Let the run go on: that writes it.")

    def _follow_up(self, past: PastRun, by: str) -> None:
        """Let the rows be repaired that need a person. That they cannot be is no fault of the run, which is done."""
        if not can_be_repaired(past):
            return
        try:
            repair_of_run(past, self._uploads, by)
        except (BatchUpdaterError, StoreError, DamagedStoreError) as error:
            why = self._redacted(f"Its rows cannot be repaired here: {error}")
            self._uploads.note(_SERVER, "repair failed", run=past.folder.name, text=why)

    # --- what goes wrong ---

    def _fault(self, error: BatchUpdaterError | StoreError | DamagedStoreError, work: _Work) -> TaskFault:
        """Return a fault as it is kept: without secrets, and without the paths of the server."""
        if isinstance(error, DamagedStoreError):
            text = f"What was read of the file cannot be relied on: {error}."
            return TaskFault(self._redacted(text), "Upload the file once more.")
        if isinstance(error, StoreError):
            return TaskFault(self._redacted(str(error)), error.remedy)
        remedy = error.remedy
        if isinstance(error, GuardError):
            remedy = "Read records first; then it can be approved, or correct the file."
        elif isinstance(error, OpenQuestionsError):
            remedy = "Answer on the page of the file."
        elif isinstance(error, HeaderRowError):
            remedy = "Correct the header row, or say on the page of the file what its columns are."
        own = str(self._uploads.folder / work.task.upload) if work.task.upload else None
        return TaskFault(
            in_page_words(self._redacted(error.message, own)),
            in_page_words(self._redacted(remedy, own)),
            error.place.sheet,
            error.place.cell,
            is_unreadable=isinstance(error, UnreadableFileError),
        )

    def _redacted(self, text: str, path: str | None = None) -> str:
        """Return a text without secrets, and without the folders of a path and of the results."""
        if path:
            text = text.replace(f"{path}/", "").replace(path, PurePath(path).name)
        results = str(self._config.results.folder)
        return self._environment.redaction.text(text.replace(results, PurePath(results).name))

    def _log(self, text: str) -> None:
        _LOG.error("%s", self._environment.redaction.text(text))

    # --- the other hosts of a team ---

    def _keep_in_touch(self, team: TeamDrafts) -> None:
        """Say that this server is there, and do what the others want of it, until it ends."""
        fault = ""
        while True:
            with self._changed:
                if self._is_ending:
                    return
                busy = {work.task.upload for work in self._work.values() if work.run is None}
            news = None
            try:
                news = team.uploads.beat()
                for upload_id in set(news.asked_for) - busy:
                    if upload := self._uploads.upload(upload_id):
                        self._drafts.give(upload)
                fault = ""
            except ResultsError as error:
                if str(error) != fault:  # once for each outage
                    fault = str(error)
                    self._log(fault)
            except Exception:  # noqa: BLE001  (a server that says nothing more would be taken to be dead)
                self._log(traceback.format_exc())
            with self._changed:
                for number in news.to_stop if news else ():
                    if (work := self._work.get(number)) and not work.interrupts.count:
                        work.interrupts.request()
                if news and news.is_task_waiting:
                    self._changed.notify_all()
                if not self._is_ending:
                    self._changed.wait(_IN_TOUCH_EVERY_S)

    # --- what is old ---

    def _tidy(self) -> None:
        """Close drafts that no one asks for, and remove uploads with which nothing was done for long."""
        removed_at_s = float("-inf")
        while True:
            with self._changed:
                if self._is_ending:
                    return
            self._drafts.close_idle()
            if time.monotonic() - removed_at_s >= _REMOVED_EVERY_S:
                removed_at_s = time.monotonic()
                try:
                    before = datetime.now(UTC) - timedelta(days=self._config.results.keep_days)
                    self._uploads.remove_unused(before, _SERVER)
                except ResultsError as error:
                    self._log(str(error))
            with self._changed:
                if not self._is_ending:
                    self._changed.wait(_TIDIED_EVERY_S)
