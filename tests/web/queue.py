"""Uploads and tasks as the page makes them, and a worker in the process of the test."""

from __future__ import annotations

import json
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.runs.uploads import StoredUpload, Task, TaskKind, TaskState, Uploads
from batch_updater.web.worker import Worker
from tests.end_to_end.program import TOKEN
from tests.torture.runs import write_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from batch_updater.config.schema import Config

OPEN = (TaskState.WAITING, TaskState.RUNNING)
SENDING = {"rate_per_s": 500, "concurrency": 10, "retry_budget": 5}


def config_in(folder: Path, url: str, **sections: Mapping[str, object]) -> Config:
    """Return the configuration of a file in a folder, with results and layouts beside it."""
    values = {"api": {"base_url": url, "token": "env:NEXUS_TOKEN"}, "sending": SENDING, **sections}
    (folder / "config.yaml").write_text(json.dumps(values), encoding="utf-8")
    return load_config(folder / "config.yaml", {})


def numbered_rows(count: int, *, wrong: Sequence[int] = ()) -> list[dict[str, object]]:
    """Return rows from number 2, each of the record with its number; those that are `wrong` cannot be sent."""
    return [
        {"Id": row, "Type": "Pre", "OpportunityName": f"row {row}", "SalesRevenue": "much" if row in wrong else row}
        for row in range(2, count + 2)
    ]


def add_rows(
    uploads: Uploads, rows: Sequence[dict[str, object]], by: str = "anna", name: str = "q1.csv"
) -> StoredUpload:
    """Upload a file of rows."""
    upload_id, folder = uploads.new_folder()
    write_rows(folder / "input.csv", rows)
    return uploads.add(upload_id, name, "input.csv", by)


def until(holds: Callable[[], object], seconds: float = 90) -> None:
    """Wait for what another thread or process does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.01)


class Queue:
    """A worker that works, and its uploads."""

    def __init__(self, config: Config, uploads: Uploads) -> None:
        self.config = config
        self.uploads = uploads
        self.environment = Environment({"NEXUS_TOKEN": TOKEN})
        self.worker = Worker(config, self.environment, uploads)

    def done(self, upload: StoredUpload) -> Task:
        """Wait for every task of an upload, and return the last."""
        until(lambda: not any(task.state in OPEN for task in self.uploads.tasks(upload.id)))
        return self.uploads.tasks(upload.id)[0]

    def do(self, kind: TaskKind, upload: StoredUpload, by: str = "anna") -> Task:
        """Do a task of an upload."""
        self.uploads.add_task(kind, by, upload=upload.id)
        self.worker.wake()
        return self.done(upload)

    def checked(self, rows: Sequence[dict[str, object]], by: str = "anna") -> StoredUpload:
        """Upload rows and check them."""
        upload = add_rows(self.uploads, rows, by)
        self.worker.wake()
        task = self.done(upload)
        assert task.state is TaskState.DONE, task.fault
        return upload


@contextmanager
def working(config: Config) -> Iterator[Queue]:
    """Let a worker work until the block ends."""
    with closing(Uploads(config.results.folder / "web")) as uploads:
        queue = Queue(config, uploads)
        queue.worker.start()
        try:
            yield queue
        finally:
            queue.worker.shut_down()
