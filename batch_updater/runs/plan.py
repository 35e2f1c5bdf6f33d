"""What would be done: the input copied, read once, judged and staged, nothing sent."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace

from batch_updater.config.environment import SENT_BY, environment_settings
from batch_updater.config.schema import Config, settings_of
from batch_updater.endpoint.adjusted import endpoint_for
from batch_updater.endpoint.base_url import possible_misfit, require_fitting
from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.endpoint.security import unlike_described
from batch_updater.endpoint.stored import digest_of
from batch_updater.errors import ConfigError, InputError, Location, ResultsError, StoreError
from batch_updater.files.writing import ROOM_FOR_TEMPORARY_FILES
from batch_updater.loader.layouts import Layout, layout_of
from batch_updater.loader.table import Table, open_table
from batch_updater.questions import NO_ANSWERS, Answers, OpenQuestionsError
from batch_updater.records import Origin, RunFacts, Setting, StagedInput
from batch_updater.runs import folder as snapshots
from batch_updater.runs import statements
from batch_updater.runs.family import origin_of
from batch_updater.runs.folder import Snapshot, Source
from batch_updater.runs.guards import guards_on_changes
from batch_updater.runs.history import DATABASE, Identity, related_by_name
from batch_updater.runs.layouts import read_layouts
from batch_updater.runs.names import RememberedNames, remembered_names
from batch_updater.runs.repeats import Repeats, repeats_of
from batch_updater.runs.stage import Staging
from batch_updater.runs.store import Store, faults_named

_ROWS_NAMED = 5
_REMEMBER = (
    "To keep the answers for all files with these headers, give the options to `batch-updater columns FILE "
    "--save NAME`."
)


class Plan(msgspec.Struct, frozen=True):
    """What would be done: the input copied, read once, judged and staged, nothing sent."""

    config: Config
    endpoint: Endpoint
    """With a field for each column of an open part."""
    snapshot: Snapshot
    staged: StagedInput
    store: Store
    """Holds the rows."""
    answers: Answers
    """What was decided about the file beyond the configuration."""
    names: RememberedNames
    """Those that the API is known to have."""
    repeats: Repeats | None = None
    """What of it earlier runs have applied although their input was another."""
    sent_by: str = ""
    """Who sends it on the page; '': the user of this process."""
    is_of_page: bool = False
    """Whether people who use the page get its workbooks: they see no folder of the server."""

    @property
    def reads_first(self) -> bool:
        """Whether each record is read before its update: as configured, and always where a run is undone."""
        return self.config.sending.compare or self.staged.is_undo

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The configuration without secrets, what was decided besides, who runs it, on which machine."""
        decided = (Setting("--visible-only", "hidden rows are left out"),) if self.staged.visible_only else ()
        answered = itertools.starmap(Setting, self.answers.settings.items())
        person = (Setting(SENT_BY, self.sent_by),) if self.sent_by else ()
        return (
            *settings_of(self.config, hides_folders=self.is_of_page),
            *decided,
            *answered,
            *person,
            *environment_settings(),
        )

    def comparing(self) -> Plan:
        """Return the same with each record read before its update."""
        sending = self.config.sending.model_copy(update={"compare": True})
        return replace(self, config=self.config.model_copy(update={"sending": sending}))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know beforehand."""
        notes = list(self.staged.notes)
        notes += [
            f"{question.evidence} {question.text} Answer by option: {'; '.join(question.lines)}."
            for question in self.staged.questions
        ]
        if misfit := possible_misfit(self.config.api.base_url, self.endpoint):
            notes.insert(0, misfit.note)
        notes += self.endpoint.notes
        if unlike := unlike_described(self.config.api, self.endpoint):
            notes.append(unlike)
        keys = guards_on_changes(self.config.guards)
        if keys and not self.reads_first:
            are = f"{' and '.join(keys)} {'are' if len(keys) > 1 else 'is'}"
            notes.append(f"{are} judged only where records are read: add --compare, or set sending.compare.")
        if self.endpoint.requires_if_match and not self.reads_first:
            notes.append(
                f"{self.endpoint.api_name} asks which version of a record is meant, and the updates say that any is "
                "(If-Match: *). With --compare each is for the version that was read: what changes meanwhile is kept."
            )
        if (origin := self.staged.columns.origin) and (added := self._added(origin)):
            notes.append(added)
        if self.names.fault:
            notes.append(self.names.fault)
        if self.repeats:
            notes.append(self.repeats.note(reads_first=self.reads_first))
        return tuple(notes)

    def _added(self, origin: Origin) -> str:
        """Return a sentence on the rows that the first file does not have; '' if there are none."""
        first = self.store.numbers(statements.ADDED_ROWS, first=origin.next_row, most=_ROWS_NAMED + 1)
        if not first:
            return ""
        rows = "Row " if len(first) == 1 else "Rows "
        rows += ", ".join(f"{number:,}" for number in first[:_ROWS_NAMED])
        rows += " and more are" if len(first) > _ROWS_NAMED else " is" if len(first) == 1 else " are"
        return f"{rows} new: added or copied on the sheet To fix, and not in {origin.file}."

    @property
    def open_questions(self) -> OpenQuestionsError:
        """What keeps rows from being sent until it is answered."""
        questions, name = self.staged.questions, self.snapshot.name
        found = dict.fromkeys(one.kind.key for one in questions if one.kind.key)
        keys = [f"For every column of every file, set {' and '.join(found)} in the configuration."] if found else []
        are = "a question is" if len(questions) == 1 else f"{len(questions)} questions are"
        return OpenQuestionsError(
            (f"Nothing was sent: {are} open about {name}.", *(f"  {one.evidence} {one.text}" for one in questions)),
            questions,
            remedy=("Answer by option:", *(f"    {line}" for one in questions for line in one.lines), _REMEMBER, *keys),
            place=Location(name, self.staged.sheet),
        )

    @property
    def is_own_workbook(self) -> bool:
        """Whether it is a workbook of ours, which says itself how it is read."""
        return self.staged.is_to_fix or self.staged.is_undo

    @property
    def layout_name(self) -> str | None:
        """Name of the layout that the file has."""
        return self.staged.layout

    def layout(self, name: str) -> Layout:
        """Return the layout that files with the same headers have from now on."""
        return layout_of(name, self.staged.columns, self.answers)

    def facts(self, command: str, started_at: datetime, store: Store, run: str = "") -> RunFacts:
        """Return what a report says besides its rows, as far as it is known beforehand; `run` names a run's folder."""
        return RunFacts(
            command=command,
            input_path=self.snapshot.name,
            input_sha256=self.snapshot.sha256,
            sheet=self.staged.sheet,
            endpoint=self.endpoint.name,
            base_url=self.config.api.base_url,
            started_at=started_at,
            finished_at=datetime.now(UTC),
            settings=self.settings,
            repeats=self.repeats.run_of_all if self.repeats else None,
            expected=store.expected() if self.staged.is_undo else None,
            origin=origin_of(
                self.staged.columns, run=run, name=self.snapshot.name, stem=self.snapshot.stem,
                last_row=store.last_row(),
            ),
        )  # fmt: skip


class Opened(msgspec.Struct, frozen=True):
    """The input copied and its header row read."""

    config: Config
    endpoint: Endpoint
    """With a field for each column of an open part."""
    snapshot: Snapshot
    table: Table
    names: RememberedNames
    """Those that the API is known to have."""

    @property
    def is_own_workbook(self) -> bool:
        """Whether it is a workbook of ours, which says itself how it is read."""
        return self.table.is_to_fix or self.table.expected is not None

    @property
    def layout_name(self) -> str | None:
        """Name of the layout that the file has."""
        return self.table.layout.name if self.table.layout else None

    def layout(self, name: str) -> Layout:
        """Return the layout that files with the same headers have from now on."""
        return layout_of(name, self.table.columns, self.table.answers)

    def staged(self, store: Store, *, for_sending: bool) -> Plan:
        """Judge every row, in one transaction, and let go of the file. Raises InputError.

        `for_sending`: whether requests are made.
        """
        with faults_named(store.path or Path(tempfile.gettempdir())), store.transaction():
            staged = self.staging(store, for_sending=for_sending).stage()
        self.table.close()
        return self.plan(staged, store)

    def staging(
        self,
        store: Store,
        *,
        for_sending: bool,
        commit: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Staging:
        """Return what judges every row, within a transaction; `commit` is the last one of a run that is staged again.

        `progress` gets the rows that are read so far.
        """
        builder = RequestBuilder(self.endpoint) if for_sending else None
        return Staging(self.table, store, builder, commit, self.names.allowed, progress)

    @property
    def identity(self) -> Identity:
        """What makes the run that begins from it the same as another; no edits are part of it."""
        columns, settings = self.table.columns, self.config.input
        reading = settings.model_dump(
            mode="json", include={"encoding", "date_order", "two_digit_years", "decimal", "clear_marker"}
        )
        # Left out where they are not set, as of runs before there were these keys.
        reading |= settings.model_dump(mode="json", include={"list_separator", "time_zone"}, exclude_defaults=True)
        reading["header_row"] = columns.header_row if self.table.has_other_header_row else None
        return Identity(
            content=self.snapshot.sha256,
            sheet=self.table.sheet,
            mapping={name: f"{columns.letters(at)}: {columns.headers[at]}" for name, at in columns.of_field.items()},
            constants=dict(settings.constants),
            reading={
                **{name: None if value is None else str(value) for name, value in reading.items()},
                **self.table.answers.settings,
            },
            description=digest_of(self.endpoint),
            base_url=self.config.api.base_url,
            duplicates=settings.duplicates,
            endpoint=self.endpoint.name,
            visible_only=self.table.visible_only,
        )

    def plan(self, staged: StagedInput, store: Store) -> Plan:
        """Return the plan of rows that are staged."""
        return Plan(self.config, self.endpoint, self.snapshot, staged, store, self.table.answers, self.names)


def open_source(source: Source, config: Config, folder: Path, answers: Answers, layout: str | None) -> Opened:
    """Copy the input into the folder and read its header row. Raises ConfigError, EndpointError and InputError."""
    return open_snapshot(lambda: snapshots.take(source, folder), config, answers, layout)


def open_snapshot(take: Callable[[], Snapshot], config: Config, answers: Answers, layout: str | None) -> Opened:
    """Read the header row of a copy, which is taken if the configuration fits the endpoint.

    Raises ConfigError, EndpointError, InputError, and what `take` raises.
    """
    endpoint = endpoint_for(config.api, config.input.constants)
    require_fitting(config.api.base_url, endpoint)
    if config.sending.compare:
        require_comparable(endpoint)
    names = remembered_names(config.results.folder, endpoint.name, config.api.base_url)
    snapshot = take()
    table = open_table(
        snapshot.path,
        endpoint,
        config.input,
        name=snapshot.name,
        known_names=lambda: names.allowed,
        answers=answers,
        layouts=read_layouts(config.layouts_folder, layout),
    )
    if origin := table.columns.origin:
        snapshot = replace(snapshot, stem=snapshots.safe_stem(f"{origin.stem}.x"))
    if table.expected is not None:
        try:
            require_read(endpoint)
        except ConfigError as error:  # it is this file that asks for it
            table.close()
            raise InputError(error.message, remedy=error.remedy, place=Location(file=snapshot.name)) from error
    return Opened(config, table.endpoint, snapshot, table, names)


def prepare(
    source: Source,
    config: Config,
    folder: Path,
    *,
    answers: Answers = NO_ANSWERS,
    layout: str | None = None,
    compares: bool = False,
) -> Plan:
    """Copy the input into the folder, read it and judge every row. Opens no connection.

    `compares`: whether records will be read, so that the rows go into a database
    in the folder and not into a temporary one. Close the plan's store in the end. Raises EndpointError, InputError, and
    ResultsError if there is no room for the rows.
    """
    opened = open_source(source, config, folder, answers, layout)
    try:
        snapshot = opened.snapshot
        related = related_by_name(
            config.results.folder, opened.endpoint.name, config.api.base_url, snapshot.source_path, snapshot.stem
        )
        with ExitStack() as on_error:
            store = on_error.enter_context(Store.draft(folder / DATABASE) if compares else Store.temporary())
            plan = opened.staged(store, for_sending=bool(related) or compares)
            plan = replace(plan, repeats=repeats_of(plan.store, plan.staged, related))
            on_error.pop_all()
            return plan
    except StoreError as error:
        raise ResultsError(str(error), remedy=ROOM_FOR_TEMPORARY_FILES) from error
    finally:
        opened.table.close()


def require_comparable(endpoint: Endpoint) -> None:
    """Raise ConfigError unless the endpoint describes how a record is read, which comparing needs."""
    if endpoint.read is None:
        raise ConfigError(
            f"Comparing needs a way to read a record, and the description {endpoint.name} names none.",
            remedy="Leave out --compare and sending.compare, or set api.read to the operation that returns a record.",
        )


def require_read(endpoint: Endpoint) -> None:
    """Raise ConfigError unless the endpoint describes how a record is read, which taking a run back needs."""
    if endpoint.read is None:
        raise ConfigError(
            "Taking a run back needs a way to read a record, and the description "
            f"{endpoint.name} names none (api.read).",
            remedy="Set api.read in the configuration to the operation that returns a record.",
        )
