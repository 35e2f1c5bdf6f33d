"""What would be done: the input copied, read and judged, nothing sent."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batch_updater.config.environment import environment_settings
from batch_updater.config.schema import settings_of
from batch_updater.endpoint.base_url import doubt, require_fitting
from batch_updater.endpoint.openapi import Description, endpoint_of, read_description
from batch_updater.endpoint.request import RequestBuilder
from batch_updater.errors import ConfigError, InputError, Location
from batch_updater.loader.table import open_table
from batch_updater.records import Setting
from batch_updater.runs import folder as snapshots
from batch_updater.runs.guards import not_judged
from batch_updater.runs.history import known_names, related_by_name
from batch_updater.runs.repeats import repeats_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from batch_updater.config.schema import Config
    from batch_updater.endpoint.description import Endpoint
    from batch_updater.loader.table import Review, Table
    from batch_updater.records import AllowedList, Job
    from batch_updater.runs.folder import Snapshot, Source
    from batch_updater.runs.history import PastRun
    from batch_updater.runs.journal import EarlierRows
    from batch_updater.runs.repeats import Repeats


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done: the input copied, read and judged, nothing sent."""

    config: Config
    description: Description
    endpoint: Endpoint
    snapshot: Snapshot
    table: Table
    review: Review
    repeats: Repeats | None = None
    """What of it earlier runs have applied although their input was another."""

    @property
    def reads_first(self) -> bool:
        """Whether each record is read before its update: as asked, and always where a run is taken back."""
        return self.config.sending.compare or self.table.expected is not None

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The configuration without secrets, what was decided besides, who runs it, on which machine."""
        decided = (Setting("--visible-only", "hidden rows are left out"),) if self.table.visible_only else ()
        return (*settings_of(self.config), *decided, *environment_settings())

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know beforehand."""
        repeats = (self.repeats.note(reads_first=self.reads_first),) if self.repeats else ()
        found = doubt(self.config.api.base_url, self.endpoint)
        address = (found.note,) if found else ()
        return (*address, *self.table.notes, *not_judged(self.config.guards, reads_first=self.reads_first), *repeats)

    def jobs(self, limit: int | None = None, earlier: EarlierRows | None = None) -> Iterator[Job]:
        """Yield the jobs of the first good rows, in file order, without those that an earlier part has confirmed.

        What is confirmed counts towards the limit.
        """
        judged_rows = self.table.judged(self.review)
        good = (judged.job for judged in judged_rows if judged.job and judged.waits_for is None)
        builder = RequestBuilder(self.endpoint)
        for job in itertools.islice(good, limit):
            if earlier is None or not earlier.is_confirmed(job.row, builder.build(job)):
                yield job


@dataclass(frozen=True, slots=True)
class Opened:
    """The input copied and its header row read."""

    config: Config
    description: Description
    endpoint: Endpoint
    snapshot: Snapshot
    table: Table

    def judged(self) -> Plan:
        """Judge every row. Raises InputError."""
        return Plan(self.config, self.description, self.endpoint, self.snapshot, self.table, self.table.review())

    def in_folder_of(self, past: PastRun) -> Opened:
        """Return the same from the copy that an earlier run made, and let go of this one. Raises InputError."""
        self.table.close()
        copy = past.folder / past.facts.input_file
        if not snapshots.is_copy_of(copy, self.snapshot.sha256):
            snapshots.copy_again(self.snapshot, copy)
        table = open_table(
            copy,
            self.endpoint,
            self.config.input,
            name=self.snapshot.name,
            known_names=_known_names(self.config, self.endpoint),
            visible_only=self.table.visible_only,
        )
        return replace(self, snapshot=replace(self.snapshot, path=copy), table=table)


def open_source(source: Source, config: Config, folder: Path, *, visible_only: bool = False) -> Opened:
    """Copy the input into the folder and read its header row; `visible_only` leaves out hidden rows.

    Raises ConfigError, EndpointError and InputError.
    """
    description = read_description(config.api.endpoint)
    endpoint = endpoint_of(description)
    require_fitting(config.api.base_url, endpoint)
    if config.sending.compare and endpoint.read is None:
        raise ConfigError(
            f"Comparing needs a way to read a record, and the description {endpoint.name} names none (x-read).",
            remedy="Leave out --compare and sending.compare, or add x-read to the description.",
        )
    snapshot = snapshots.take(source, folder)
    table = open_table(
        snapshot.path,
        endpoint,
        config.input,
        name=snapshot.name,
        known_names=_known_names(config, endpoint),
        visible_only=visible_only,
    )
    if table.expected is not None:
        try:
            require_read(endpoint)
        except ConfigError as error:  # it is this file that asks for it
            table.close()
            raise InputError(error.message, remedy=error.remedy, place=Location(file=snapshot.name)) from error
    return Opened(config, description, endpoint, snapshot, table)


def _known_names(config: Config, endpoint: Endpoint) -> Callable[[], tuple[AllowedList, ...]]:
    return functools.partial(known_names, config.results.folder, endpoint.name, config.api.base_url)


def prepare(source: Source, config: Config, folder: Path, *, visible_only: bool = False) -> Plan:
    """Copy the input into the folder, read it and judge every row. Opens no connection.

    `visible_only` leaves out hidden rows. Raises EndpointError and InputError.
    """
    plan = open_source(source, config, folder, visible_only=visible_only).judged()
    snapshot, folder_of_runs = plan.snapshot, config.results.folder
    related = related_by_name(
        folder_of_runs, plan.endpoint.name, config.api.base_url, snapshot.source_path, snapshot.stem
    )
    return replace(plan, repeats=repeats_of(plan, related))


def require_read(endpoint: Endpoint) -> None:
    """Raise ConfigError unless the endpoint describes how a record is read, which taking a run back needs."""
    if endpoint.read is None:
        raise ConfigError(
            f"Taking a run back needs a way to read a record, and the description {endpoint.name} names none (x-read).",
            remedy="Add x-read to the description.",
        )
