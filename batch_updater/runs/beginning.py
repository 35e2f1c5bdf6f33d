"""The beginning of a run, or of one more part of it: its options, account and facts, and whether it may send."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from batch_updater.config.environment import Environment
from batch_updater.endpoint.stored import encode_endpoint
from batch_updater.errors import GuardError
from batch_updater.records import Stop
from batch_updater.runs.annotate import AnnotatedCopy
from batch_updater.runs.caller import CallerDigest, new_salt
from batch_updater.runs.check import compare_beforehand, overridden, require_allowed, why_incomplete
from batch_updater.runs.guards import Override
from batch_updater.runs.history import Facts, PastRun
from batch_updater.runs.interrupts import StopRequests
from batch_updater.runs.open_run import OpenRun
from batch_updater.runs.result import Options
from batch_updater.version import __version__

if TYPE_CHECKING:  # imported only where something is sent: it takes long
    from batch_updater.sender.auth import Credentials

_GUARDS_KEPT = "when it was begun"
"""How the guards are overridden for what is left of a run of which all rows have kept them."""


class RunBeginning:
    """What a run, or one more part of it, begins with."""

    def __init__(self, open_run: OpenRun, options: Options, environment: Environment) -> None:
        self._open_run = open_run
        self._plan = open_run.plan
        self._folder = open_run.folder
        # A person who starts a run again has seen that all rows are refused in the same way, so this says nothing of
        # the set-up any more. At night no one has, until a row is confirmed.
        resumed = open_run.earlier.resumed
        is_known = resumed is not None and (options.inbox is None or bool(resumed.confirmed))
        self._options = replace(options, keep_going=options.keep_going or is_known)
        self._environment = environment
        self._annotated_copy = AnnotatedCopy.of(self._plan, may_lose=options.may_lose)
        self._started_at = datetime.now(UTC)
        self._readings = [options.compared] if options.compared else []
        self._clock = time.monotonic() - sum(one.elapsed_s for one in self._readings)

    def _credentials(self) -> Credentials | None:
        """Fetch what tells the API who calls; None if nothing is to be sent. Raises ConfigError."""
        from batch_updater.sender.auth import fetch_credentials

        if not self._open_run.to_send:
            return None
        return fetch_credentials(self._plan.config.api, self._plan.endpoint, self._environment, self._open_run.fetched)

    def _stop_beforehand(self, interrupts: StopRequests | None) -> Stop | None:
        """Return why nothing is sent, as where not every record could be read to judge changes. Raises GuardError."""
        compared = self._options.compared
        if compared is not None and compared.stop and compared.is_stopped:
            return replace(compared.stop, message=f"Nothing was sent. {compared.stop.message}")
        if not self._open_run.needs_changes:
            return None
        if compared is None or why_incomplete(compared):
            compared = compare_beforehand(self._plan, self._options, self._environment, None, interrupts)
            self._readings.append(compared)
        try:
            require_allowed(self._open_run, compared)
        except GuardError as error:
            error.requests, error.retries, error.throttled = compared.requests, compared.retries, compared.throttled
            raise
        return why_incomplete(compared)

    def _override(self, stop: Stop | None) -> Override | None:
        """Return the fact `overridden`; `stop`: why nothing is sent, as where not every record could be read."""
        override = self._open_run.override
        if stop or self._options.limit is not None:
            return override
        return Override(override.how if override else _GUARDS_KEPT)

    def _facts_of_run(self, caller: CallerDigest, override: Override | None) -> Facts:
        """Return the facts that the database of a new run holds."""
        plan = self._plan
        return Facts(
            identity=self._open_run.candidate.identity,
            caller=caller,
            input=plan.snapshot.name,
            input_path=plan.snapshot.source_path,
            input_file=plan.snapshot.path.name,
            stem=plan.snapshot.stem,
            endpoint=encode_endpoint(plan.endpoint),
            reading=plan.config.input,
            settings=plan.settings,
            staged_by=__version__,
            rows=plan.staged.rows,
            reads_first=plan.reads_first,
            is_undo=plan.staged.is_undo,
            undoes=self._open_run.undoes,
            invocation=self._options.invocation,
            inbox=self._options.inbox,
            repeats=self._open_run.repeats,
            origin=plan.staged.columns.origin,
            notes=self._notes,
            overridden=override,
        )

    def _changed_facts(
        self, resumed: PastRun, digest: CallerDigest | None, override: Override | None
    ) -> dict[str, object]:
        """Return the facts that one more part of a run changes; `digest` is None if nothing is sent in it."""
        facts: dict[str, object] = {"caller": asdict(digest)} if digest else {}
        override = override or resumed.facts.overridden
        return facts | {"reads_first": self._plan.reads_first, "overridden": asdict(override) if override else None}

    def _digest(self, credentials: Credentials | None) -> CallerDigest:
        """Return what the database holds of who calls.

        By the token of this part a later one knows the account, wherever the token is kept by then.
        """
        token = credentials.token if credentials else None
        resumed = self._open_run.earlier.resumed
        salt = resumed.facts.caller.salt if resumed else new_salt()
        return self._open_run.candidate.caller.digest(salt, token.reveal() if token else None)

    @property
    def _notes(self) -> tuple[str, ...]:
        """What a person should know beforehand, and why an earlier run of the file is not resumed."""
        over = overridden(self._open_run, self._options.compared)
        return (*self._open_run.notes, *over, *filter(None, [self._open_run.earlier.note]))
