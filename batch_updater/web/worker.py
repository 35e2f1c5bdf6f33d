"""The queue of the server: checks in a few threads, and one comparison or sending at a time."""

from __future__ import annotations

import msgspec

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config
from batch_updater.records import OutcomeKind
from batch_updater.runs.draft import Draft
from batch_updater.runs.uploads import Uploads


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


class Worker:
    """Takes the tasks of the queue, oldest first. Its threads never hold up the event loop."""

    def __init__(self, config: Config, environment: Environment, uploads: Uploads) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Take up what a killed server had left, and begin to work."""
        raise NotImplementedError

    def wake(self) -> None:
        """Look for tasks: one was added."""
        raise NotImplementedError

    def draft(self, upload_id: str) -> Draft | None:
        """Return the draft of an upload, which stays open for a while; None if it is not checked."""
        raise NotImplementedError

    def live_of_upload(self, upload_id: str) -> LiveCounts | None:
        """Return how far the running task of an upload is; None if none is running."""
        raise NotImplementedError

    def live_of_run(self, run: str) -> LiveCounts | None:
        """Return how far a run is, also one of another process; None if none is going on."""
        raise NotImplementedError

    def stop(self, run: str) -> bool:
        """Stop a run as Ctrl-C does: what is in flight is awaited. Returns whether this server is sending it."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """End everything cleanly, waiting for what is in flight; the tasks go on when the server is started again."""
        raise NotImplementedError
