"""Writes the outcomes of a block to the team's database, as long as the block is this worker's.

Each claim of a block raises its epoch, and every commit checks the epoch of its claim: once another worker has taken
the block over, this one cannot write any more. A commit that fails because the database does not respond is repeated
for as long as it takes. It writes values, not differences, so it may be repeated even if it did arrive.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import psycopg
from msgspec.structs import replace

from batch_updater.errors import StoreError
from batch_updater.records import Attempt, Outcome, OutcomeKind
from batch_updater.runs import statements
from batch_updater.runs.history import DATABASE
from batch_updater.runs.postgres import storable
from batch_updater.runs.store import reason_of
from batch_updater.runs.team_database import full_disk, is_of_lost_database
from batch_updater.runs.writer import Many, RowWriter, Write, as_batch, sorted_writes
from batch_updater.sender.pool import SETTLED

if TYPE_CHECKING:
    from batch_updater.runs.team_database import TeamDatabase
    from batch_updater.runs.team_faults import TeamFault
    from batch_updater.sender.client import Counts
    from batch_updater.sender.pool import UniformRefusals

_OPEN = frozenset({OutcomeKind.FAILED, OutcomeKind.UNCONFIRMED, OutcomeKind.NOT_SENT})
"""Outcomes of rows that another worker sends if the block is handed back."""
_AGAIN_AFTER_S = 0.2
_UPDATE = """UPDATE blocks SET counts = %(counts)s, refusals = %(refusals)s, requests = %(requests)s,
    retries = %(retries)s, throttled = %(throttled)s
    WHERE run = %(run)s AND number = %(number)s AND epoch = %(epoch)s AND state = 'sending' RETURNING number"""
_ANSWERED = "UPDATE runs SET has_answer = true WHERE id = %s AND NOT has_answer"
_PUT_BACK = """UPDATE rows SET state = 'ready', commit_number = %(commit)s, outcome = %(kind)s, message = %(said)s,
    advice = %(remedy)s, cause = %(why)s, maybe_applied = %(doubt)s, status = %(http)s,
    earlier_attempts = earlier_attempts + %(tries)s, attempts = 0, problems = NULL,
    before = CASE WHEN %(doubt)s = 1 THEN before END
    WHERE run = %(run)s AND number = %(row)s AND state = 'in_flight'"""
"""Of a row that was sent. Made twice, as where it is unknown whether a commit was made, it counts no attempt twice."""
_MADE = """SELECT attempts."row", max(attempts.number) FROM attempts
    JOIN rows ON rows.run = attempts.run AND rows.number = attempts."row"
    WHERE attempts.run = %(run)s AND rows.block = %(number)s AND rows.state = 'ready'
    AND attempts.part = (SELECT max(number) FROM parts WHERE run = %(run)s) GROUP BY attempts."row\""""


_HELD = """SELECT target, min(number) FROM rows WHERE run = %(run)s AND block = %(number)s AND state = 'finished'
    AND outcome <> ALL(%(settled)s) GROUP BY target"""


class BlockRefusals(msgspec.Struct, frozen=True):
    """How the first rows of a block were refused; the column `refusals`."""

    seen: int
    kind: str | None
    """In which way all of them were; None if one was not, or in another way."""
    are_missing: bool


class Claim(NamedTuple):
    """A block that is this worker's, until another one claims it."""

    run_id: int
    run: str
    number: int
    epoch: int
    counts: Mapping[OutcomeKind, int]
    """Of rows that had their outcome before."""
    refusals: BlockRefusals | None
    """Of those rows."""
    requests: int
    """Made before; so the next two."""
    retries: int
    throttled: int

    @property
    def key(self) -> dict[str, object]:
        """What tells it apart, as statements take it."""
        return {"run": self.run_id, "number": self.number, "epoch": self.epoch}


class TakenOver(StoreError):  # noqa: N818  (no error: another worker has the block)
    """Another worker has claimed the block."""


def time_s() -> float:
    """Return seconds that go on while the machine sleeps: others take its blocks over then."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


class Contact:
    """When the database last answered that the block is still this worker's."""

    def __init__(self, lost_after_s: float) -> None:
        self._lost_after_s = lost_after_s
        self.asked_at = time_s()
        """When it was asked what it has answered last."""

    @property
    def left_s(self) -> float:
        """For how many seconds requests may still go out; 0 or less: others may soon count this worker as dead."""
        return self.asked_at + self._lost_after_s - time_s()


class TeamWriter(RowWriter):
    """The rows of a block in the team's database."""

    def __init__(
        self, team: TeamDatabase, claim: Claim, contact: Contact, refused: Callable[[TeamFault], None]
    ) -> None:
        """Open the rows of the run; `refused` is told why nothing can be written for now. Raises psycopg.Error."""
        self._team = team
        self._refused = refused
        self._claim = claim
        self._contact = contact
        self._rows = team.store_of(Path(claim.run, DATABASE))
        super().__init__(self._rows)
        self._counts: Counter[OutcomeKind] = Counter(claim.counts)
        self._sent: tuple[Counts, UniformRefusals] | None = None
        self._made: dict[int, int] = {}
        """Row -> attempts that earlier workers made at it in this part, one that was left in flight included."""
        self._has_answer = False
        self._is_answer_told = False
        self._given_up = threading.Event()
        self.is_handing_back = False
        """Whether rows that are not done are left for another worker, from now on."""

    def take_over(self) -> None:
        """Make rows ready again that an earlier worker left in flight: they may have been applied.

        Call it before the first row is sent. Raises psycopg.Error, TakenOver.
        """
        claim = self._claim
        with self._rows.transaction():
            self._write_block()
            for statement in statements.in_order("READY_BLOCK"):
                self._rows.execute(statement, block=claim.number)
        connection = self._rows.rows_of_run.connection
        self._made = {int(row): int(made) for row, made in connection.execute(_MADE, claim.key)}

    def held(self) -> dict[str, int]:
        """Return target -> the row of it that did not settle when an earlier worker sent it. Raises psycopg.Error."""
        settled = [kind.value for kind in SETTLED]
        records = self._rows.rows_of_run.connection.execute(_HELD, {**self._claim.key, "settled": settled})
        return {str(target): int(row) for target, row in records}

    def begin(self, counts: Counts, refusals: UniformRefusals) -> None:
        """Begin to write; `counts` and `refusals` are the sender's own, which it keeps changing."""
        self._sent = counts, refusals
        self._writer.start()

    def flush(self) -> None:
        """Return when all that is queued is in the database; before `begin` nothing is. Raises StoreError."""
        if self._writer.is_alive():
            super().flush()

    def close(self) -> None:
        """Write what is queued, and let go of the database."""
        if self._writer.is_alive():
            self._put_awaited(None)
            self._writer.join()
        self._rows.close()

    def give_up(self) -> None:
        """Stop waiting for a database that does not respond: what it has not stored is lost. From any thread."""
        self._given_up.set()

    def is_given_up(self, within_s: float) -> bool:
        """Wait for at most that many seconds; returns whether `give_up` was called."""
        return self._given_up.wait(within_s)

    def tell_of_full_disk(self, error: psycopg.Error) -> None:
        """Tell if that is why a commit has failed, which is repeated."""
        if (full := full_disk(error)) is not None:
            self._refused(self._team.fault_of(full))

    def reconnect(self) -> None:
        """Connect again; if that fails, the next commit fails as well, and this is tried again."""
        try:
            rows = self._team.store_of(Path(self._claim.run, DATABASE))
        except (psycopg.Error, FileNotFoundError):
            return
        self._rows.close()
        self.store = self._rows = rows

    def require_contact(self) -> None:
        """Raise StoreError if nothing may go out: the block is another worker's, or may soon be.

        What has come of a request that is out already is kept all the same, until the database answers again.
        """
        self.require_writable()
        if self._contact.left_s <= 0:
            self.is_handing_back = True
            raise StoreError("The team's database does not answer.")

    def settle(self, outcome: Outcome) -> None:
        """Queue a row's outcome; one that is not done is another worker's if the block is handed back."""
        if not (self.is_handing_back and outcome.kind in _OPEN):
            super().settle(outcome)
            return
        doubt = outcome.maybe_applied or outcome.kind is OutcomeKind.UNCONFIRMED
        texts: dict[str, object] = {
            "kind": outcome.kind.value, "said": outcome.message, "remedy": outcome.advice, "why": outcome.cause,
        }  # fmt: skip
        if outcome.kind is OutcomeKind.NOT_SENT and not doubt:
            # That this worker has ended is no reason of the row's: if the run ends before its turn, that is.
            texts = dict.fromkeys(texts)
        self._writes.put(Write((_PUT_BACK,), {
            **texts, "row": outcome.row, "tries": outcome.attempts, "http": outcome.status, "doubt": int(doubt),
        }))  # fmt: skip

    def attempted(self, made: Attempt) -> None:
        """Queue the attempt for the table of attempts; those of an earlier worker stay."""
        self._has_answer = self._has_answer or made.status is not None
        if before := self._made.get(made.row):
            made = replace(made, number=made.number + before)
        super().attempted(made)

    def write_last(self) -> None:
        """Write what has gone out since the last commit, on the connection of a transaction. Raises TakenOver."""
        with self._rows.transaction():
            self._write_block()

    # --- in the writer's thread ---

    def _save(self, writes: Sequence[Many | Write]) -> StoreError | None:
        counts = self._counts + Counter(_finished(writes))
        while True:
            asked_at = time_s()
            try:
                self._commit_once(writes, counts)
            except StoreError as error:
                return error
            except psycopg.Error as error:
                if not is_of_lost_database(error) or self.is_given_up(_AGAIN_AFTER_S):
                    return StoreError(f"The team's database cannot be written: {reason_of(error)}.")
                self.tell_of_full_disk(error)
                self.reconnect()
            except UnicodeEncodeError:  # half a character, as an answer in JSON may hold it
                return StoreError("The team's database cannot be written: it keeps no text that is not Unicode.")
            else:
                self._counts = counts
                self._contact.asked_at = max(asked_at, self._contact.asked_at)
                return None

    def _commit_once(self, writes: Sequence[Many | Write], counts: Mapping[OutcomeKind, int]) -> None:
        if self._has_answer and not self._is_answer_told:
            self._rows.rows_of_run.connection.execute(_ANSWERED, [self._claim.run_id])
            self._is_answer_told = True
        batches, others = sorted_writes(writes)
        commit, connection = self._claim.epoch, self._rows.rows_of_run.connection
        try:
            # All goes out at once: each answer that is waited for, the event loop's thread may hold up once more.
            with connection.pipeline():
                connection.execute("BEGIN")
                written = self._update_block(counts)
                for statement, records in batches.items():
                    self._rows.execute(statement, commit=commit, batch=as_batch(records))
                for statement, values in others:
                    if statement is _PUT_BACK:
                        own = {"run": self._claim.run_id, "commit": commit}
                        connection.execute(statement, {**storable(values), **own})
                    else:
                        self._rows.execute(statement, commit=commit, **values)
                _require_written(written)
                connection.execute("COMMIT")
        except BaseException:
            with suppress(psycopg.Error):
                connection.rollback()
            raise

    def _write_block(self) -> None:
        """Write how far the block is, within a transaction. Raises TakenOver if it is another worker's."""
        _require_written(self._update_block(self._counts))

    def _update_block(self, counts: Mapping[OutcomeKind, int]) -> psycopg.Cursor[tuple[Any, ...]]:
        claim, refusals = self._claim, self._claim.refusals
        requests, retries, throttled = claim.requests, claim.retries, claim.throttled
        if self._sent:
            sent, own = self._sent
            requests, retries = requests + sent.requests, retries + sent.retries
            throttled += sent.throttled
            refusals = _added_up(refusals, own)
        return self._rows.rows_of_run.connection.execute(_UPDATE, {
            **claim.key, "requests": requests, "retries": retries, "throttled": throttled,
            "counts": json.dumps({kind.value: rows for kind, rows in counts.items()}),
            "refusals": refusals and msgspec.json.encode(refusals).decode(),
        })  # fmt: skip


def _require_written(block: psycopg.Cursor[tuple[Any, ...]]) -> None:
    """Raise TakenOver if the block that a statement was to write is another worker's."""
    if block.fetchone() is None:
        raise TakenOver("Another worker has taken the block over.")


def _finished(writes: Sequence[Many | Write]) -> list[OutcomeKind]:
    """Return the outcomes of the rows that some writes settle."""
    kinds = []
    for write in writes:
        if isinstance(write, Many):
            if write.statement == statements.WRITE_MANY:
                kinds += [OutcomeKind(str(kind)) for _, kind, *_ in write.records if kind is not None]
        elif write.statements[0] == statements.SETTLE:
            kinds.append(OutcomeKind(str(write.values["kind"])))
    return kinds


def _added_up(before: BlockRefusals | None, own: UniformRefusals) -> BlockRefusals | None:
    """Return how the rows of a block were refused, those of an earlier worker included."""
    if not own.seen:
        return before
    if before is None:
        return BlockRefusals(own.seen, own.kind, own.are_missing)
    kind = own.kind if own.kind == before.kind else None
    return BlockRefusals(before.seen + own.seen, kind, before.are_missing and own.are_missing)
