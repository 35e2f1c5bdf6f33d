"""A run that holds its lock and has its folder: a new one, or one more part of an earlier one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config, SecretReference
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.endpoint.adjusted import endpoint_for
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.open_columns import opened as with_open_columns
from batch_updater.endpoint.stored import digest_of
from batch_updater.errors import Location, UsageError
from batch_updater.files.writing import private_folder
from batch_updater.messages import format_time
from batch_updater.questions import NO_ANSWERS, Answers
from batch_updater.records import OutcomeKind, StagedInput
from batch_updater.runs import folder as snapshots
from batch_updater.runs import statements
from batch_updater.runs.caller import Caller
from batch_updater.runs.folder import Snapshot, Source, folder_faults
from batch_updater.runs.guards import Override, exceeded, guards_on_changes, require_none
from batch_updater.runs.history import (
    DATABASE,
    Candidate,
    Earlier,
    Identity,
    PastRun,
    earlier_run,
    find_run,
    read_run,
    reference_to,
    undone_by,
)
from batch_updater.runs.lock import locked, origin_of
from batch_updater.runs.names import remembered_names
from batch_updater.runs.plan import Opened, Plan, open_source, require_comparable
from batch_updater.runs.repeats import repeats_of
from batch_updater.runs.store import DamagedStoreError, Store, converted, faults_named
from batch_updater.runs.team_folders import team_of
from batch_updater.version import __version__

if TYPE_CHECKING:  # a run of the command line needs nothing of it
    from batch_updater.runs.draft import Draft


class OpenRun(msgspec.Struct, frozen=True):
    """A run that holds its lock and has its folder; nothing has been sent."""

    plan: Plan
    folder: Path
    candidate: Candidate
    earlier: Earlier
    fetched: Mapping[str, Secret]
    """Secrets that were needed to tell whose run it is, by their keys of the configuration."""
    undoes: str | None = None
    """The folder of the run that it undoes; None if the input is not from there."""
    override: Override | None = None
    """The guards that are overridden; None if none is."""
    is_restart: bool = False
    """Whether a person wants every row sent, whatever an unfinished run has done of them."""
    is_under_way: bool = False
    """Whether a team is sending the same already: that is followed, and nothing is sent twice."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know beforehand, the guards that are overridden included."""
        plan, override = self.plan, self.override
        if override is None:
            return plan.notes
        over = exceeded(plan.config.guards, plan.staged, plan.store)
        return (*plan.notes, *(override.note(guard) for guard in over if override.covers(guard.key)))

    @property
    def repeats(self) -> str | None:
        """The folder of an earlier run that has applied the same rows; None if none has."""
        if self.earlier.resumed:
            return self.earlier.resumed.facts.repeats
        if finished := self.earlier.finished:
            applied = finished.counts[OutcomeKind.UPDATED] + finished.counts[OutcomeKind.UNCHANGED]
            return reference_to(finished.folder) if applied and applied == self.plan.staged.good else None
        return self.plan.repeats.run_of_all if self.plan.repeats else None

    @property
    def needs_changes(self) -> bool:
        """Whether every record has to be read before the first update: a guard asks for what would change."""
        guards, override = guards_on_changes(self.plan.config.guards), self.override
        return self.plan.reads_first and any(not (override and override.covers(key)) for key in guards)

    @property
    def to_send(self) -> int:
        """Good rows that are not done yet."""
        return self.sends(None)

    def comparing(self) -> OpenRun:
        """Return the same run with each record read before its update."""
        return replace(self, plan=self.plan.comparing())

    def sends(self, limit: int | None) -> int:
        """Return how many of the first `limit` good rows will be sent, at most."""
        if self.earlier.resumed is None:  # no row is done: there is no need to go over all of them
            return self.plan.staged.good if limit is None else min(limit, self.plan.staged.good)
        return self.plan.store.to_send(limit)

    def require_recent(self) -> None:
        """Raise UsageError if resuming needs a person's word."""
        if self.earlier.is_old and self.to_send and self.earlier.resumed:
            began = format_time(self.earlier.resumed.started_at)
            raise UsageError(
                f"The run of {began} is unfinished, but more than a day old: resuming it could overwrite newer "
                "changes.",
                remedy="To resume it, add --yes; to send every row again, add --restart.",
            )


class _RunInput(msgspec.Struct, frozen=True):
    """What a run begins with: a file that is about to be read, or rows that are staged already."""

    snapshot: Snapshot
    """Its copy in the folder of the run, if it is a new one."""
    identity: Identity
    is_undo: bool
    stage: Callable[[Store], Plan]
    """Puts the rows into the store of a new run. Raises InputError."""
    resume: Callable[[PastRun], Plan]
    """Returns the plan of an earlier run with these rows, whose store is open. Raises InputError, StoreError."""
    close: Callable[[], object]
    """Lets go of the file."""


@contextmanager
def open_run(
    source: Source,
    config: Config,
    environment: Environment,
    *,
    restart: bool = False,
    override_guards: bool = False,
    answers: Answers = NO_ANSWERS,
    layout: str | None = None,
) -> Iterator[OpenRun]:
    """Hold the lock, and give a run that has its folder: a new one, or that of the run that it resumes.

    In a team no lock is held: its queue sees to it that an API has one run at a time. A new folder is removed again if
    no run comes of it. `restart`: do not resume an unfinished run. Raises LockedError, ResultsError if the folder
    cannot be made, GuardError unless `override_guards`, CredentialsError if a header's value cannot be fetched,
    InputError if the database of such a run is damaged, OpenQuestionsError if the rows of a new run leave something
    open that an answer would settle, and what `prepare` raises.
    """
    stem = snapshots.stem_of(source)
    with locked_results(config, snapshots.name_of(source)), ExitStack() as stack:
        folder = _new_folder(config, stem, stack)
        opened = open_source(source, config, folder, answers, layout)
        if opened.snapshot.stem != stem:  # only inside a results workbook is what its first file was called
            opened.table.close()
            remove_unless_begun(folder)
            folder = _new_folder(config, opened.snapshot.stem, stack)
            opened = open_source(source, config, folder, answers, layout)
        stack.callback(opened.table.close)
        run_input = _RunInput(
            opened.snapshot,
            opened.identity,
            opened.table.expected is not None,
            partial(opened.staged, for_sending=True),
            partial(_resumed_from_file, opened),
            opened.table.close,
        )
        override = Override("by --override-guards") if override_guards else None
        yield _opened_run(run_input, folder, config, environment, stack, override, restart=restart)


@contextmanager
def open_draft(
    draft: Draft,
    environment: Environment,
    *,
    override: Override | None = None,
    compare: bool = False,
    sent_by: str = "",
) -> Iterator[OpenRun]:
    """Do the same for rows that are staged and may have been edited: they are sent as they are in the draft now.

    The run gets a copy of them and of the uploaded file. `override`: the guards that a person has let it
    exceed; `compare`: records are read before they are changed, whatever the configuration says; `sent_by` is who sends
    it. Raises what `open_run` raises.
    """
    plan = replace(draft.plan(), sent_by=sent_by)
    if compare:
        require_comparable(plan.endpoint)
        plan = plan.comparing()
    original, config = plan.snapshot, plan.config
    with locked_results(config, original.name), ExitStack() as stack:
        folder = _new_folder(config, original.stem, stack)
        plan = replace(plan, snapshot=replace(original, path=folder / original.path.name))
        with folder_faults(folder):
            snapshots.restore_copy(original, plan.snapshot.path)
        run_input = _RunInput(
            plan.snapshot,
            draft.identity,
            plan.staged.is_undo,
            partial(_copied_plan, plan, draft),
            partial(_resumed_as_staged, plan, draft, original),
            lambda: None,
        )
        yield _opened_run(run_input, folder, config, environment, stack, override, restart=False)


@contextmanager
def reopen_run(
    past: PastRun, config: Config, environment: Environment, *, override: Override | None = None, sent_by: str = ""
) -> Iterator[OpenRun]:
    """Hold the lock, and give an unfinished run once more, from its own folder: its rows go on as they were staged.

    What the run was told about its input stays so; the API and the account must be those of its beginning. `override`:
    the guards that it may exceed; `sent_by` is who lets it go on. Raises UsageError if API or account have changed, or
    the run is finished, was closed or was undone, and what `open_run` raises.
    """
    config = config.model_copy(update={"input": past.facts.reading})
    if past.facts.reads_first:
        config = config.model_copy(update={"sending": config.sending.model_copy(update={"compare": True})})
    with locked_results(config, past.facts.input), ExitStack() as stack:
        past = find_run(past.folder.parent, past.folder.name)  # it may have ended meanwhile
        if not past.is_unfinished:
            raise UsageError(f"The run {past.folder.name} is finished, or was closed: there is nothing to resume.")
        # The columns of open parts are among its fields, and come last, as in the file.
        endpoint = with_open_columns(
            endpoint_for(config.api, config.input.constants), [field.name for field in past.endpoint.fields]
        )
        identity = replace(
            past.identity,
            description=digest_of(endpoint),
            base_url=config.api.base_url,
            endpoint=endpoint.name,
        )
        candidate, fetched = _candidate(identity, config, environment)
        if changed := candidate.changed_since(past):
            raise UsageError(
                f"The run {past.folder.name} cannot be resumed, because this has changed since: {changed}.",
                remedy="Resume it with the configuration with which it was begun, or close it: its workbook then holds "
                "the rows that are left.",
            )
        if undo := undone_by(past.folder.parent, past):
            raise UsageError(
                f"The run {past.folder.name} is not resumed: it was undone since by {undo.folder.name}.",
                remedy="Close it, or send its file again: that sends every row.",
            )
        if not past.is_under_way:
            past.require_whole()
        facts = past.facts
        snapshot = Snapshot(
            past.folder / facts.input_file, facts.input, facts.stem, facts.identity.content, facts.input_path
        )
        names = remembered_names(config.results.folder, endpoint.name, config.api.base_url)
        answers = Answers.from_settings({setting.name: setting.value for setting in facts.settings})
        with folder_faults(past.folder):
            store = stack.enter_context(_reopened_store(past, endpoint))
        plan = Plan(
            config,
            endpoint,
            snapshot,
            _staged(past, store),
            store,
            answers,
            names,
            sent_by=sent_by,
            is_of_page=past.is_of_page,
        )
        if not past.is_under_way:
            _require_sendable(plan, override)
        yield OpenRun(
            plan, past.folder, candidate, Earlier(past), fetched, facts.undoes, override,
            is_under_way=past.is_under_way,
        )  # fmt: skip


@contextmanager
def locked_results(config: Config, file: str) -> Iterator[None]:
    """Hold the lock for the API in the folder of results, which is made if need be; `file` is what others are told.

    A team has a queue instead. Raises LockedError, ResultsError.
    """
    parent = config.results.folder
    with folder_faults(parent):
        private_folder(parent)
    if team_of(parent):
        yield
        return
    with locked(parent, config.api.base_url or "", file):
        yield


def _new_folder(config: Config, stem: str, stack: ExitStack) -> Path:
    """Return a new folder, which goes with the stack if no run comes of it; in a team its name is on all hosts."""
    parent, now = config.results.folder, datetime.now(UTC)
    with folder_faults(parent):
        if team := team_of(parent):
            from batch_updater.runs.queued_runs import reserve_name

            origin = origin_of(config.api.base_url or "")
            folder = snapshots.claim_folder(parent, now, stem, lambda name: reserve_name(team, name, origin))
        else:
            folder = snapshots.claim_folder(parent, now, stem)
    stack.callback(remove_unless_begun, folder)
    return folder


def _opened_run(
    run_input: _RunInput,
    folder: Path,
    config: Config,
    environment: Environment,
    stack: ExitStack,
    override: Override | None,
    *,
    restart: bool,
) -> OpenRun:
    """Return the run of an input in a new folder, or in that of the run that it resumes; the lock is held."""
    snapshot = run_input.snapshot
    candidate, fetched = _candidate(run_input.identity, config, environment)
    undoes = _undone_run(snapshot, candidate) if run_input.is_undo else None
    earlier = earlier_run(config.results.folder, candidate, snapshot.source_path, snapshot.stem, restart=restart)
    if earlier.resumed:
        with folder_faults(config.results.folder):
            plan = run_input.resume(earlier.resumed)
        stack.callback(plan.store.close)
        run_input.close()  # Windows removes no folder with a file that is open
        remove_unless_begun(folder)  # now, and not in the end: a killed process would leave it
        folder = earlier.resumed.folder
        if earlier.resumed.is_under_way:
            return OpenRun(plan, folder, candidate, earlier, fetched, undoes, override, is_under_way=True)
    else:
        with folder_faults(config.results.folder):
            store = stack.enter_context(Store.draft(folder / DATABASE))
            plan = run_input.stage(store)
            store.learn(plan.names.told_to(candidate.caller))
        if any(not question.is_about_one_cell for question in plan.staged.questions):
            raise plan.open_questions
    plan = replace(plan, repeats=repeats_of(plan.store, plan.staged, earlier.related))
    _require_sendable(plan, override)
    return OpenRun(plan, folder, candidate, earlier, fetched, undoes, override, is_restart=restart)


def _candidate(identity: Identity, config: Config, environment: Environment) -> tuple[Candidate, dict[str, Secret]]:
    """Return the run that is about to begin, and the secrets that were needed to tell whose it is."""
    fetched: dict[str, Secret] = {}

    def reveal(reference: SecretReference, key: str) -> str:
        fetched[key] = fetch_secret(reference, environment, key)
        return fetched[key].reveal()

    return Candidate(identity, Caller(config.api, reveal)), fetched


def _require_sendable(plan: Plan, override: Override | None) -> None:
    """Raise GuardError if a guard is exceeded that is not overridden, ConfigError if a proxy cannot be used."""
    config = plan.config
    place = Location(file=plan.snapshot.name, sheet=plan.staged.sheet)
    require_none(exceeded(config.guards, plan.staged, plan.store), override, place)
    if plan.staged.good:
        from batch_updater.sender.proxies import require_usable_proxies

        require_usable_proxies(config.api)


def remove_unless_begun(folder: Path) -> None:
    """Remove the folder of a run of which nothing came: without a database nothing of it was sent."""
    if not is_begun(folder):
        shutil.rmtree(folder, ignore_errors=not folder.exists())


def is_begun(folder: Path) -> bool:
    """Whether anything came of a new run: a database, or a run of the team. Lets go of a name that was reserved.

    Where a team's database cannot be asked it counts as begun, and the name is free again after a day.
    """
    team = team_of(folder.parent)
    if team is None:
        return (folder / DATABASE).exists()
    import psycopg

    from batch_updater.runs.queued_runs import release_name

    try:
        return not release_name(team, folder.name)
    except psycopg.Error:
        return True


def _undone_run(snapshot: Snapshot, candidate: Candidate) -> str | None:
    """Return the folder of the run that the input, which is a workbook of `undo`, undoes, if it lies there.

    Raises UsageError if that would be at another API, or for another tenant, than the run was made.
    """
    path = snapshot.source_path
    past = read_run(Path(path).parent) if path is not None else None
    if not isinstance(past, PastRun):
        return None
    if not candidate.is_same_api(past):
        changed = candidate.api_changed_since(past)
        raise UsageError(
            f"{snapshot.name} undoes the run {past.folder.name}, but this has changed since: {changed}.",
            remedy="Undo it with the configuration with which it was sent.",
        )
    return reference_to(past.folder)


def _copied_plan(plan: Plan, draft: Draft, store: Store) -> Plan:
    """Copy the rows of a draft into the store of a new run, as they are at this moment."""
    from batch_updater.runs.draft import DRAFT

    with closing(Store.reading(draft.folder / DRAFT)) as rows:
        rows.sqlite.backup(store.sqlite)
    return replace(plan, staged=converted(store.fact("staged"), StagedInput, "its table run"), store=store)


def _resumed_from_file(opened: Opened, past: PastRun) -> Plan:
    """Return the plan of a run that is resumed with the same input.

    Nothing of the input is read unless another version of the program staged the run.
    """
    copy, path = past.folder / past.facts.input_file, past.folder / DATABASE
    private_folder(past.folder)  # of a team's run it may be on another host
    snapshots.restore_copy(opened.snapshot, copy)
    opened = replace(opened, snapshot=replace(opened.snapshot, path=copy))
    # Another host of a team may be sending them, and each has its own version.
    if past.facts.staged_by != __version__ and not team_of(past.folder.parent):
        try:
            _judge_again(opened, path)
            past = find_run(past.folder.parent, past.folder.name)
        except DamagedStoreError as error:
            raise past.damaged(error) from error
    store = _reopened_store(past, opened.endpoint)
    return opened.plan(_staged(past, store), store)


def _resumed_as_staged(plan: Plan, draft: Draft, original: Snapshot, past: PastRun) -> Plan:
    """Return the plan of a run that is resumed with the rows that it has, which are those of a draft.

    Raises UsageError if they are not: another version of the program has judged them otherwise.
    """
    copy = past.folder / past.facts.input_file
    private_folder(past.folder)
    snapshots.restore_copy(original, copy)
    store = _reopened_store(past, plan.endpoint)
    if draft.digest_of(store) != draft.digest():
        store.close()
        raise UsageError(
            f"The run {past.folder.name} is not resumed: the version {past.facts.staged_by} of the program, which has "
            "begun it, reads some rows in another way than this one.",
            remedy="Close it, then send the file again: that sends every row.",
        )
    return replace(plan, snapshot=replace(original, path=copy), staged=_staged(past, store), store=store)


def _reopened_store(past: PastRun, endpoint: Endpoint) -> Store:
    """Open the database of a run that is resumed, and check its requests. Raises InputError, StoreError."""
    with faults_named(past.folder / DATABASE, "read"):
        store = Store.reading(past.folder / DATABASE)
        try:
            if not past.is_under_way:
                store.require_requests(endpoint)
        except DamagedStoreError as error:
            store.close()
            raise past.damaged(error) from error
    return store


def _staged(past: PastRun, store: Store) -> StagedInput:
    """Return what is known of the input of a run that is resumed; without that its store is closed."""
    try:
        return past.staged(store)
    except DamagedStoreError as error:
        store.close()
        raise past.damaged(error) from error


def _judge_again(opened: Opened, path: Path) -> None:
    """Stage the input once more, in one transaction, and keep what is known of rows with the same request."""
    with faults_named(path), closing(Store.writing(path)) as store, store.transaction():
        commit = store.last_commit()
        for statement in statements.in_order("PUT_ROWS_ASIDE"):
            store.connection.execute(statement)
        staged = opened.staging(store, for_sending=True, commit=commit).stage()
        if lost := store.numbers(statements.LOST_ROWS):
            raise DamagedStoreError(f"it holds row {lost[0]}, which the input does not have")
        store.set_facts({"rows": staged.rows})
        store.connection.execute(statements.DROP_EARLIER_ROWS)
