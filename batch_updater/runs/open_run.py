"""A run that holds its lock and has its folder: a new one, or one more part of an earlier one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config, SecretReference
from batch_updater.config.secrets import Secret, fetch_secret
from batch_updater.errors import Location, UsageError
from batch_updater.files.writing import private_folder
from batch_updater.messages import format_time
from batch_updater.questions import NO_ANSWERS, Answers
from batch_updater.records import OutcomeKind
from batch_updater.runs import folder as snapshots
from batch_updater.runs import statements
from batch_updater.runs.caller import Caller
from batch_updater.runs.folder import Source, folder_faults
from batch_updater.runs.guards import exceeded, guards_on_changes, require_none
from batch_updater.runs.history import DATABASE, Candidate, Earlier, PastRun, earlier_run, find_run, read_run
from batch_updater.runs.lock import locked
from batch_updater.runs.plan import Opened, Plan, open_source
from batch_updater.runs.repeats import repeats_of
from batch_updater.runs.store import DamagedStoreError, Store, faults_named
from batch_updater.version import __version__

_FIELDS_NAMED = 5
_OLD = timedelta(days=1)
"""A run that began longer ago is not resumed without a question: others may have changed the records since."""


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
    overrides_guards: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know beforehand, the guards that are overridden included."""
        plan = self.plan
        over = exceeded(plan.config.guards, plan.staged, plan.store) if self.overrides_guards else ()
        return (*plan.notes, *(guard.override_note for guard in over))

    @property
    def repeats(self) -> str | None:
        """The folder of an earlier run that has applied the same rows; None if none has."""
        if self.earlier.resumed:
            return self.earlier.resumed.facts.repeats
        if finished := self.earlier.finished:
            applied = finished.counts[OutcomeKind.UPDATED] + finished.counts[OutcomeKind.UNCHANGED]
            return str(finished.folder) if applied and applied == self.plan.staged.good else None
        return self.plan.repeats.run_of_all if self.plan.repeats else None

    @property
    def needs_changes(self) -> bool:
        """Whether every record has to be read before the first update: a guard asks for what would change."""
        config = self.plan.config
        return self.plan.reads_first and not self.overrides_guards and bool(guards_on_changes(config.guards))

    @property
    def to_send(self) -> int:
        """Good rows that are not done yet."""
        return self.sends(None)

    @property
    def undo(self) -> str:
        """Whether the run can be undone, in words."""
        plan, resumed = self.plan, self.earlier.resumed
        if plan.endpoint.read is None:
            return f"not possible: the description {plan.endpoint.name} names no way to read a record"
        if not plan.reads_first:
            return "not possible; with --compare every record is read first"
        sent = [field for field in plan.endpoint.body_fields if plan.staged.sent.get(field.name)]
        reported = plan.endpoint.reported_fields
        exceptions = "".join(
            f"; {' and '.join(names[:_FIELDS_NAMED])}{' and more' if len(names) > _FIELDS_NAMED else ''} {when}"
            for when, names in (
                ("only where names are known for the ids", [one.name for one in sent if one.reported_id_as]),
                ("only where the columns hold all of the list", [one.name for one in sent if one.list_reported_as]),
                ("not, since records do not report it", [one.name for one in sent if one not in reported]),
            )
            if names
        )
        if resumed and resumed.confirmed and not resumed.facts.reads_first:
            return f"possible for the rows sent now, not for the {resumed.confirmed:,} done before{exceptions}"
        return f"possible: every record is read before its update{exceptions}"

    def comparing(self) -> OpenRun:
        """Return the same run with each record read before its update."""
        config = self.plan.config
        sending = config.sending.model_copy(update={"compare": True})
        return replace(self, plan=replace(self.plan, config=config.model_copy(update={"sending": sending})))

    def sends(self, limit: int | None) -> int:
        """Return how many of the first `limit` good rows will be sent, at most."""
        if self.earlier.resumed is None:  # no row is done: there is no need to go over all of them
            return self.plan.staged.good if limit is None else min(limit, self.plan.staged.good)
        return self.plan.store.to_send(limit)

    @property
    def is_old(self) -> bool:
        """Whether it resumes a run that began more than a day ago, or in the future, as by a wrong clock."""
        resumed = self.earlier.resumed
        return resumed is not None and abs(datetime.now(UTC) - resumed.started_at) > _OLD

    def require_recent(self) -> None:
        """Raise UsageError if resuming needs a person's word."""
        if self.is_old and self.to_send and self.earlier.resumed:
            began = format_time(self.earlier.resumed.started_at)
            raise UsageError(
                f"The run of {began} is unfinished, but more than a day old: resuming it could overwrite newer "
                "changes.",
                remedy="To resume it, add --yes; to send every row again, add --restart.",
            )


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

    A new folder is removed again if no run comes of it. `restart`: do not resume an unfinished run. Raises
    LockedError, ResultsError if the folder cannot be made, GuardError unless `override_guards`, CredentialsError if a
    header's value cannot be fetched, InputError if the database of such a run is damaged, OpenQuestionsError if the
    rows of a new run leave something open that an answer would settle, and what `prepare` raises.
    """
    parent, stem = config.results.folder, snapshots.stem_of(source)
    with folder_faults(parent):
        private_folder(parent)
    with locked(parent, config.api.base_url or "", snapshots.name_of(source)):
        with folder_faults(parent):
            folder = snapshots.claim_folder(parent, datetime.now(UTC), stem)
        with ExitStack() as stack:
            stack.callback(_remove_unless_begun, folder)
            opened = open_source(source, config, folder, answers, layout)
            if opened.snapshot.stem != stem:  # only inside a results workbook is what its first file was called
                opened.table.close()
                shutil.rmtree(folder)
                stem = opened.snapshot.stem
                with folder_faults(parent):
                    folder = snapshots.claim_folder(parent, datetime.now(UTC), stem)
                stack.callback(_remove_unless_begun, folder)
                opened = open_source(source, config, folder, answers, layout)
            stack.callback(opened.table.close)
            fetched: dict[str, Secret] = {}

            def reveal(reference: SecretReference, key: str) -> str:
                fetched[key] = fetch_secret(reference, environment, key)
                return fetched[key].reveal()

            candidate = Candidate(opened.identity, Caller(config.api, reveal))
            undoes = _undone_run(opened, candidate)
            earlier = earlier_run(parent, candidate, opened.snapshot.source_path, stem, restart=restart)
            if earlier.resumed:
                with folder_faults(parent):
                    plan = _resumed_plan(opened, earlier.resumed)
                stack.callback(plan.store.close)
                opened.table.close()  # Windows removes no folder with a file that is open
                shutil.rmtree(folder)  # now, and not in the end: a killed process would leave it
                folder = earlier.resumed.folder
            else:
                with folder_faults(parent):
                    store = stack.enter_context(Store.draft(folder / DATABASE))
                    plan = opened.staged(store, for_sending=True)
                    store.learn(plan.names.told_to(candidate.caller))
                if any(not question.is_about_one_cell for question in plan.staged.questions):
                    raise plan.open_questions
            plan = replace(plan, repeats=repeats_of(plan.store, plan.staged, earlier.related))
            if not override_guards:
                place = Location(file=plan.snapshot.name, sheet=plan.staged.sheet)
                require_none(exceeded(config.guards, plan.staged, plan.store), place)
            if plan.staged.good:
                from batch_updater.sender.proxies import require_usable_proxies

                require_usable_proxies(config.api)
            yield OpenRun(plan, folder, candidate, earlier, fetched, undoes, override_guards)


def _remove_unless_begun(folder: Path) -> None:
    if not (folder / DATABASE).exists():
        shutil.rmtree(folder, ignore_errors=not folder.exists())


def _undone_run(opened: Opened, candidate: Candidate) -> str | None:
    """Return the folder of the run that the input undoes, if it lies there.

    Raises UsageError if that would be at another API, or for another tenant, than the run was made.
    """
    path = opened.snapshot.source_path
    past = read_run(Path(path).parent) if path is not None and opened.table.expected is not None else None
    if not isinstance(past, PastRun):
        return None
    if not candidate.is_same_api(past):
        changed = candidate.api_changed_since(past)
        raise UsageError(
            f"{opened.snapshot.name} undoes the run {past.folder.name}, but this has changed since: {changed}.",
            remedy="Undo it with the configuration with which it was sent.",
        )
    return str(past.folder)


def _resumed_plan(opened: Opened, past: PastRun) -> Plan:
    """Return the plan of a run that is resumed, whose store is open for reading. Raises InputError, StoreError.

    `opened` is the same input, of which nothing is read unless another version of the program staged the run.
    """
    copy, path = past.folder / past.facts.input_file, past.folder / DATABASE
    snapshots.restore_copy(opened.snapshot, copy)
    opened = replace(opened, snapshot=replace(opened.snapshot, path=copy))
    try:
        if past.facts.staged_by != __version__:
            _judge_again(opened, path)
            past = find_run(past.folder.parent, past.folder.name)
    except DamagedStoreError as error:
        raise past.damaged(error) from error
    with faults_named(path, "read"):
        store = Store.reading(path)
    try:
        store.require_requests(opened.endpoint)
        return opened.plan(past.staged(store), store)
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
