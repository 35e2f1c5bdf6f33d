"""A run that is sent: by this process, or by the workers of a team, whose progress is followed."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import Environment, machine_name
from batch_updater.errors import ConfigError, EndedEarlyError
from batch_updater.files.writing import check_replaceable
from batch_updater.records import Stop
from batch_updater.runs.beginning import RunBeginning
from batch_updater.runs.history import DATABASE
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.open_run import OpenRun, remove_unless_begun
from batch_updater.runs.result import Options, Progress, RunResult
from batch_updater.runs.retention import remove_old_runs
from batch_updater.runs.run import ActiveRun
from batch_updater.runs.store import draft_of
from batch_updater.runs.team_files import MOST_BYTES
from batch_updater.runs.team_folders import team_of
from batch_updater.runs.team_runs import TeamRunState

if TYPE_CHECKING:  # imported only where there is a team
    from collections.abc import Callable, Mapping

    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.queued_runs import PartOptions, QueuedRun
    from batch_updater.runs.team_database import TeamDatabase

_RETENTION_S = 1.0
"""How long old runs are removed before the run is followed, or the command ends."""


def execute(
    open_run: OpenRun,
    options: Options,
    environment: Environment,
    progress: Progress | None = None,
    interrupts: StopRequests | None = None,
    ask_to_stop: Callable[[], bool] = lambda: True,
) -> RunResult:
    """Send every good row that is not done yet, then write the workbook.

    In a team its workers do that, and the run is followed to its end: `ask_to_stop` then asks a person who interrupts
    whether the run is to be stopped. Raises what `ActiveRun.execute`, `submit` and `follow` raise.
    """
    team = team_of(open_run.folder.parent)
    if team is None:
        return ActiveRun(open_run, options, environment).execute(progress, interrupts)
    from batch_updater.runs.team_quota import account_of
    from batch_updater.team.follow import follow

    folder, removed = _submitted(open_run, options, environment, interrupts)
    result = follow(
        team, folder, results=options.results, progress=progress, interrupts=interrupts, ask_to_stop=ask_to_stop,
        account=partial(account_of, open_run.plan.config.api, environment, team),
    )  # fmt: skip
    return replace(result, removed=removed)


def submit(
    open_run: OpenRun, options: Options, environment: Environment, interrupts: StopRequests | None = None
) -> Path:
    """Put a run, or one more part of it, into the queue of its team. Returns its folder, whose name is the run's.

    What is queued or being sent already is not queued twice: its folder is returned. Raises ConfigError if a token
    cannot be fetched or the database cannot be used, ResultsError if the workbook's place is taken, GuardError if a
    guard is exceeded: then nothing is sent. Raises EndedEarlyError if it is not known whether the run was queued.

    Then old runs of the team are removed, by the settings of this host, as many as can be in a second; one at least.
    """
    return _submitted(open_run, options, environment, interrupts)[0]


def _submitted(
    open_run: OpenRun, options: Options, environment: Environment, interrupts: StopRequests | None
) -> tuple[Path, tuple[str, ...]]:
    """Do what `submit` does; returns the names of the runs that were removed, too."""
    team = team_of(open_run.folder.parent)
    if team is None:
        raise RuntimeError("a run of no team cannot be queued")
    if options.results:
        check_replaceable(options.results)
    if open_run.is_under_way:
        return open_run.folder, ()
    folder = _Submission(open_run, options, environment).into(team, interrupts)
    # Here and not in the end: a command may submit the run without waiting for its end.
    results = open_run.plan.config.results
    return folder, remove_old_runs(results, datetime.now(UTC), in_use=folder, within_s=_RETENTION_S)


class _Submission(RunBeginning):
    """A run, or one more part of it, on its way to the queue."""

    def into(self, team: TeamDatabase, interrupts: StopRequests | None) -> Path:
        """Queue it. Returns the folder of the run that will do what it asks for."""
        import psycopg

        credentials = self._credentials()
        stop = self._stop_beforehand(interrupts) if credentials else None
        override, resumed = self._override(stop), self._open_run.earlier.resumed
        if resumed:
            digest = self._digest(credentials) if credentials else None
            facts: Mapping[str, object] = self._changed_facts(resumed, digest, override)
        else:
            facts = self._facts_of_run(self._digest(credentials), override).as_json()
        is_committing = False
        try:
            with team.connected(autocommit=False) as connection:
                folder = self._queued(connection, facts, stop)
                if interrupts:
                    interrupts.watched()  # from now on rows may be sent
                is_committing = True
        except psycopg.Error as error:
            if is_committing:
                raise EndedEarlyError(
                    "The team's database did not answer when the run was put into the queue.",
                    remedy="Run the file again: if the run is in the queue, it is followed.",
                ) from error
            message, remedy = team.fault_of(error)
            raise ConfigError(
                f"The team's database cannot be used: {message}. Nothing was sent.", remedy=remedy
            ) from error
        self._plan.store.close()
        if not resumed:  # the rows are in the database of the team
            draft_of(self._folder / DATABASE).unlink(missing_ok=True)
        if folder != self._folder:
            remove_unless_begun(self._folder)
        return folder

    def _queued(self, connection: TeamConnection, facts: Mapping[str, object], stop: Stop | None) -> Path:
        """Queue it within a transaction, unless the same was queued meanwhile. Returns the folder of that run."""
        from batch_updater.runs.history import find_run
        from batch_updater.runs.postgres import RunConnection
        from batch_updater.runs.queued_runs import queued_run, set_facts
        from batch_updater.runs.team_files import put_file
        from batch_updater.runs.team_rows import Cut, copy_run
        from batch_updater.runs.team_store import TeamStore
        from batch_updater.team import queue

        _lock(connection, self._open_run.candidate.identity.content)
        own = queued_run(connection, self._folder.name, locked=True)
        if own is None:
            raise ConfigError(
                f"The run {self._folder.name} is gone from the team's database.", remedy="Run the file again."
            )
        resumed = self._open_run.earlier.resumed
        if resumed and (own.state is not TeamRunState.ENDED or find_run(self._folder.parent, own.name) != resumed):
            return self._folder  # another host has resumed it
        if not resumed and (same := self._same_run(connection, own)):
            return same
        if resumed:
            # By whether the part before has read each record: what it left in flight may have been applied.
            TeamStore(RunConnection(connection, own.id, lambda _: None), self._folder / DATABASE).make_ready()
            set_facts(connection, own.id, facts)
        else:
            cut = Cut(self._plan.config.team.block_rows, self._options.limit)
            copy_run(self._plan.store, connection, own.id, facts, cut)
            put_file(connection, own.id, self._plan.snapshot.path)  # a further part may begin where the file is not
        connection.execute(
            "UPDATE runs SET state = 'queued', part = part + 1, submitted_at = clock_timestamp(), options = %s,"
            " stop = %s, has_answer = false, changed_at = clock_timestamp() WHERE id = %s",
            [_as_json(self._part_options()), stop and _as_json(stop), own.id],
        )
        queue.submit(connection, own.name)
        return self._folder

    @property
    def _notes(self) -> tuple[str, ...]:
        if self._open_run.earlier.resumed or self._plan.snapshot.path.stat().st_size <= MOST_BYTES:
            return super()._notes
        kept_out = (
            f"The team's database takes no file of more than {MOST_BYTES >> 20} MB, so the copy of the input is on "
            f"{machine_name()} alone."
        )
        return (*super()._notes, kept_out)

    def _same_run(self, connection: TeamConnection, own: QueuedRun) -> Path | None:
        """Return the folder of a run that does the same, and was queued since it was looked for one; else None."""
        from batch_updater.runs.history import PastRun, read_run
        from batch_updater.runs.queued_runs import runs_of_content

        open_run = self._open_run
        for other in runs_of_content(connection, open_run.candidate.identity.content, own.submitted_at):
            if open_run.is_restart and other.submitted_at < own.submitted_at:
                continue  # the one that a person wants to be left as it is
            past = read_run(self._folder.parent / other.name)
            if isinstance(past, PastRun) and open_run.candidate.is_same_run(past):
                return past.folder
        return None

    def _part_options(self) -> PartOptions:
        from batch_updater.runs.queued_runs import PartOptions, SendingRules

        options, readings = self._options, self._readings
        return PartOptions(
            host=machine_name(),
            rules=SendingRules.of(self._plan.config),
            limit=options.limit,
            keep_going=options.keep_going,
            annotate=self._plan.config.results.annotate,
            may_lose=options.may_lose,
            invocation=options.invocation,
            inbox=options.inbox,
            repeats=self._open_run.repeats,
            notes=self._notes,
            requests=sum(one.requests for one in readings),
            retries=sum(one.retries for one in readings),
            throttled=sum(one.throttled for one in readings),
            elapsed_s=sum(one.elapsed_s for one in readings),
        )


def _lock(connection: TeamConnection, content: str) -> None:
    """Let others who queue the same content wait until this transaction has ended."""
    key = int.from_bytes(hashlib.sha256(f"submit {content}".encode()).digest()[:8], "big", signed=True)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [key])


def _as_json(value: object) -> str:
    # The standard library's: names of files may hold half a surrogate, which is a byte that is no text.
    return json.dumps(msgspec.to_builtins(value))
