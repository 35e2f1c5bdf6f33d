"""The runs in a team's queue: their names, states, parts and options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import msgspec

from batch_updater.config.schema import Config
from batch_updater.records import Invocation, Stop
from batch_updater.runs.folder import is_file_name
from batch_updater.runs.team_runs import TeamRunState
from batch_updater.text.typed_values import typed

if TYPE_CHECKING:  # imported only where there is a team
    from batch_updater.runs.postgres import TeamConnection
    from batch_updater.runs.team_database import TeamDatabase

_RESERVED_FOR = timedelta(days=1)
"""How long a name is kept for a host that reads the rows. A reservation that is older was left by a killed process."""
UNDER_WAY = (TeamRunState.QUEUED, TeamRunState.SENDING, TeamRunState.REPORTING)
"""States of a run that some host will end."""


class SendingRules(msgspec.Struct, frozen=True):
    """How the person who submits a run has configured its sending, whatever the hosts say that send it.

    What a host has of its own stays its own: connections, time-outs, proxies and secrets. The keys are those of the
    section `sending` of the configuration, but for the last one.
    """

    rate_per_s: float
    burst: int
    attempts: int
    max_wait_s: float
    retry_budget: float
    stop_after_alike: int
    stop_after_failures: int | str | None
    drain_s: float
    accepted_is_done: bool
    """The key of that name of the section `api`."""

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the rules of a configuration."""
        rules = {name: getattr(config.sending, name) for name in cls._of_sending()}
        return cls(**rules, accepted_is_done=config.api.accepted_is_done)

    def within(self, config: Config) -> Config:
        """Return the configuration of a host with these rules in place of its own."""
        rules = {name: getattr(self, name) for name in self._of_sending()}
        sending = config.sending.model_copy(update=rules)
        api = config.api.model_copy(update={"accepted_is_done": self.accepted_is_done})
        return config.model_copy(update={"sending": sending, "api": api})

    @classmethod
    def _of_sending(cls) -> tuple[str, ...]:
        return tuple(name for name in cls.__struct_fields__ if name != "accepted_is_done")


class PartOptions(msgspec.Struct, frozen=True):
    """What one part of a run was asked for; the column `options`."""

    host: str = ""
    """The machine on which it was started."""
    rules: SendingRules | None = None
    """None before a part was queued."""
    limit: int | None = None
    """Send only the first so many good rows."""
    keep_going: bool = False
    """Whether to go on although the first rows were all refused in the same way."""
    annotate: bool = False
    """Whether an annotated copy is written."""
    may_lose: bool = False
    """Whether a person has agreed to what that copy loses."""
    invocation: Invocation | None = None
    inbox: str | None = None
    repeats: str | None = None
    notes: tuple[str, ...] = ()
    """What a person should have known beforehand."""
    requests: int = 0
    """Made before the part was queued, as where every record was read to judge the changes; so the next three."""
    retries: int = 0
    throttled: int = 0
    elapsed_s: float = 0.0


class QueuedRun(msgspec.Struct, frozen=True):
    """A run in the queue, being sent, or ended."""

    id: int
    name: str
    """Of its folder."""
    origin: str
    """Scheme, host and port of the API."""
    state: TeamRunState
    part: int
    """The part that is queued or sent, or was the last; 0: none yet."""
    submitted_at: datetime
    options: PartOptions
    stop: Stop | None
    """Why the part ends early; the first reason counts."""

    @property
    def rules(self) -> SendingRules:
        """How its part is sent."""
        if self.options.rules is None:
            raise LookupError(f"no part of the run {self.name} was queued")
        return self.options.rules

    @property
    def is_under_way(self) -> bool:
        """Whether some host will end it."""
        return self.state in UNDER_WAY


_SELECT = """SELECT runs.id, runs.name, origin, state, part, submitted_at, options, stop FROM runs """
_NAMED = _SELECT + "WHERE name = %s"
_LOCKED = _NAMED + " FOR UPDATE"
_AHEAD = (
    _SELECT
    + """WHERE origin = %s AND state = ANY(%s) AND id <> %s AND (state <> 'queued' OR submitted_at < %s)
    ORDER BY state = 'queued', submitted_at"""
)
_OF_CONTENT = (
    _SELECT
    + """JOIN run ON run.run = runs.id AND run.name = 'identity' AND strpos(run.value, %s) > 0
    WHERE state = ANY(%s) OR (state <> 'staging' AND submitted_at >= %s) ORDER BY submitted_at DESC"""
)

_CANCEL = """SELECT procrastinate_cancel_job_v1(id, false, true) FROM procrastinate_jobs
    WHERE task_name = 'send' AND status = 'todo' AND args ->> 'run' = %s"""
_LEAVE = "UPDATE runs SET state = 'ended', part = part - 1, changed_at = clock_timestamp() WHERE id = %s"
_SET_FACT = """INSERT INTO run (run, name, value) VALUES (%s, %s, %s)
    ON CONFLICT (run, name) DO UPDATE SET value = excluded.value"""


def queued_run(connection: TeamConnection, name: str, *, locked: bool = False) -> QueuedRun | None:
    """Return the run of that name; None if there is none. `locked`: no one else changes it in this transaction.

    A name that is none of a folder is no run's: files would be written elsewhere.
    """
    if not is_file_name(name):
        return None
    record = connection.execute(_LOCKED if locked else _NAMED, [name]).fetchone()
    return None if record is None else _run_of(record)


def leave_queue(connection: TeamConnection, run: QueuedRun) -> None:
    """Take a part from the queue that no worker has begun, within a transaction that has locked its run.

    The part before is then the last one. Raises psycopg.Error.
    """
    connection.execute(_CANCEL, [run.name])
    connection.execute(_LEAVE, [run.id])


def runs_ahead(connection: TeamConnection, run: QueuedRun) -> list[QueuedRun]:
    """Return the runs for the same API that have their turn before a queued one, in that order."""
    records = connection.execute(_AHEAD, [run.origin, list(UNDER_WAY), run.id, run.submitted_at])
    return [_run_of(record) for record in records]


def runs_of_content(connection: TeamConnection, content: str, since: datetime) -> list[QueuedRun]:
    """Return the runs of an input that are queued or being sent, or were submitted since; `content` is its SHA-256."""
    records = connection.execute(_OF_CONTENT, [content, list(UNDER_WAY), since])
    return [run for run in map(_run_of, records) if is_file_name(run.name)]


def _run_of(record: Sequence[Any]) -> QueuedRun:
    number, name, origin, state, part, submitted_at, options, stop = record
    return typed(
        {
            "id": number, "name": name, "origin": origin, "state": state, "part": part, "submitted_at": submitted_at,
            "options": json.loads(str(options)), "stop": stop and json.loads(str(stop)),
        },
        QueuedRun,
    )  # fmt: skip


def set_facts(connection: TeamConnection, run: int, facts: Mapping[str, object]) -> None:
    """Write facts about the run of that number, in place of those of the same names. Raises psycopg.Error."""
    for name, value in facts.items():
        connection.execute(_SET_FACT, [run, name, json.dumps(value)])


def reserve_name(team: TeamDatabase, name: str, origin: str) -> bool:
    """Reserve the name of a new run on all hosts; returns whether it was free. Raises psycopg.Error.

    Names that were reserved more than a day ago are free again: of those runs nothing came.
    """
    with team.connected() as connection:
        connection.execute(
            "DELETE FROM runs WHERE state = 'staging' AND submitted_at < clock_timestamp() - %s", [_RESERVED_FOR]
        )
        cursor = connection.execute(
            "INSERT INTO runs (name, origin) VALUES (%s, %s) ON CONFLICT (name) DO NOTHING RETURNING id", [name, origin]
        )
        return cursor.fetchone() is not None


def release_name(team: TeamDatabase, name: str) -> bool:
    """Let go of a reserved name. Returns whether there is no run of that name then. Raises psycopg.Error."""
    with team.connected() as connection:
        connection.execute("DELETE FROM runs WHERE name = %s AND state = 'staging'", [name])
        return queued_run(connection, name) is None
