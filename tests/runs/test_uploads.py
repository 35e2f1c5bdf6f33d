"""What was given to the page, and who did what with it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from batch_updater.errors import ResultsError, UsageError
from batch_updater.questions import Answers
from batch_updater.runs.uploads import (
    OpenColumnsQuestions,
    SendingOptions,
    StoredUpload,
    TaskFault,
    TaskKind,
    TaskState,
    Uploads,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(name="uploads")
def _uploads(tmp_path: Path) -> Iterator[Uploads]:
    with closing(Uploads(tmp_path / "web")) as uploads:
        yield uploads


def added(uploads: Uploads, by: str = "anna", **of_run: str) -> StoredUpload:
    upload_id, folder = uploads.new_folder()
    (folder / "input.csv").write_text("Id\n1\n")
    return uploads.add(upload_id, "q1.csv", "input.csv", by, **of_run)


def test_an_upload_is_kept_with_a_task_that_checks_it(uploads: Uploads) -> None:
    upload = added(uploads)
    assert uploads.upload(upload.id) == upload
    assert [(task.kind, task.state, task.by) for task in uploads.tasks(upload.id)] == [
        (TaskKind.CHECK, TaskState.WAITING, "anna")
    ]
    assert uploads.upload("another") is None


def test_everything_is_there_after_a_new_start(tmp_path: Path) -> None:
    with closing(Uploads(tmp_path / "web")) as uploads:
        upload = added(uploads)
        answers = Answers(sheet="Deals", columns={"Amount": "SalesRevenue"})
        uploads.answer(upload.id, answers, "ben", layout=None, remember="q1")
        uploads.set_asked(upload.id, OpenColumnsQuestions("Which?", ()))
    with closing(Uploads(tmp_path / "web")) as uploads:
        found = uploads.upload(upload.id)
        assert found
        assert (found.answers, found.remember, found.asked) == (answers, "q1", OpenColumnsQuestions("Which?", ()))


def test_only_the_owner_may_enter_the_folder_and_read_the_database(uploads: Uploads) -> None:
    added(uploads)
    assert stat.S_IMODE(uploads.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in uploads.folder.glob("web.sqlite*")} == {0o600}


def test_two_that_have_it_open_see_each_other_whatever_closes_first(tmp_path: Path) -> None:
    """Closing a file gives up the locks of its process on it: then a log that others still write would be removed."""
    with closing(Uploads(tmp_path / "web")) as uploads:
        with closing(Uploads(tmp_path / "web")) as other:
            upload = added(other)
        program = (
            "import pathlib, sys\nfrom batch_updater.runs.uploads import Uploads\nUploads(pathlib.Path(sys.argv[1]))"
        )
        subprocess.run([sys.executable, "-c", f"{program}.close()", str(tmp_path / "web")], check=True)
        with closing(Uploads(tmp_path / "web")) as other:
            other.note("ben", "edited", upload=upload.id)
        assert [event.what for event in uploads.events(upload=upload.id)] == ["edited", "uploaded"]


def test_an_equal_task_that_still_waits_is_not_added_twice(uploads: Uploads) -> None:
    """A button that is pressed twice sends once; with other options it is another task."""
    upload = added(uploads)
    first = uploads.add_task(TaskKind.SEND, "anna", upload=upload.id)
    assert uploads.add_task(TaskKind.SEND, "ben", upload=upload.id) == first
    other = uploads.add_task(TaskKind.SEND, "anna", upload=upload.id, options=SendingOptions(resume_old=True))
    uploads.start_task(first.number)
    assert uploads.add_task(TaskKind.SEND, "anna", upload=upload.id).number not in {first.number, other.number}
    assert [event.what for event in uploads.events(upload=upload.id)] == ["sent", "sent", "sent", "uploaded"]


def test_what_a_killed_server_was_working_on_is_waiting_again(uploads: Uploads) -> None:
    upload = added(uploads)
    (task,) = uploads.tasks(upload.id)
    assert uploads.start_task(task.number)
    assert not uploads.start_task(task.number)
    uploads.take_up_tasks()
    assert [one.state for one in uploads.open_tasks()] == [TaskState.WAITING]
    uploads.end_task(task.number, TaskFault("It is empty.", "Give another.", cell="B2"))
    (task,) = uploads.tasks(upload.id)
    assert (task.state, task.fault and task.fault.cell) == (TaskState.FAILED, "B2")
    assert uploads.open_tasks() == ()


def test_the_run_of_a_task_is_the_last_run_of_its_upload(uploads: Uploads) -> None:
    upload = added(uploads)
    task = uploads.add_task(TaskKind.SEND, "anna", upload=upload.id)
    uploads.set_task_run(task.number, "run-1")
    assert [found and found.run for found in (uploads.upload(upload.id), uploads.task_of_run("run-1"))] == 2 * ["run-1"]
    assert uploads.has_begun("run-1")
    uploads.set_task_run(task.number, None)
    assert [found and found.run for found in (uploads.upload(upload.id), uploads.task_of_run("run-1"))] == 2 * [None]
    assert not uploads.has_begun("run-1")


def test_an_upload_that_is_worked_on_is_not_removed(uploads: Uploads) -> None:
    upload = added(uploads)
    with pytest.raises(UsageError):
        uploads.remove(upload.id, "anna")
    (task,) = uploads.tasks(upload.id)
    uploads.end_task(task.number)
    uploads.remove(upload.id, "anna")
    assert uploads.upload(upload.id) is None
    assert not upload.folder.exists()
    assert uploads.events()[0].what == "removed"


def test_uploads_with_which_nothing_is_done_are_removed_in_time(uploads: Uploads) -> None:
    """The last use counts, and one with an open task stays."""
    old, waiting, used = (added(uploads) for _ in range(3))
    for upload in (old, used):
        uploads.end_task(uploads.tasks(upload.id)[0].number)
    before = datetime.now(UTC)
    uploads.note("ben", "edited", upload=used.id)
    assert uploads.remove_unused(before, "server") == 1
    assert {upload.id for upload in uploads.uploads()} == {waiting.id, used.id}
    assert uploads.remove_unused(before + timedelta(days=1), "server") == 1
    assert {upload.id for upload in uploads.uploads()} == {waiting.id}


def test_a_folder_that_a_killed_server_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    """The file was not whole: no one was told that it had arrived."""
    with closing(Uploads(tmp_path / "web")) as uploads:
        upload, (_, left) = added(uploads), uploads.new_folder()
    os.utime(left, (0, 0))
    with closing(Uploads(tmp_path / "web")) as uploads:
        _, arriving = uploads.new_folder()
        # File systems have a clock of their own, which is some milliseconds behind.
        os.utime(arriving, (uploads._opened_at - 0.01,) * 2)
        uploads.remove_leftovers()
        assert (left.exists(), upload.folder.exists(), arriving.exists()) == (False, True, True)


def test_the_events_of_a_run_begin_with_the_upload_of_its_first_round(uploads: Uploads) -> None:
    """A repair belongs to the run that it repairs, and that one to its own upload."""
    first = added(uploads)
    uploads.note("ben", "edited", upload=first.id)
    task = uploads.add_task(TaskKind.SEND, "carl", upload=first.id)
    uploads.set_task_run(task.number, "run-1")
    repair = added(uploads, "dora", repairs="run-1")  # which a run that has ended does by itself
    uploads.note("dora", "edited", upload=repair.id)
    uploads.set_task_run(uploads.add_task(TaskKind.SEND, "emil", upload=repair.id).number, "run-2")
    added(uploads, "other")
    told = [(event.by, event.what) for event in uploads.events(run="run-2")]
    assert told == [
        ("emil", "sent"), ("dora", "edited"), ("carl", "sent"), ("ben", "edited"), ("anna", "uploaded")
    ]  # fmt: skip
    assert uploads.people_of(first.id) == {"anna", "ben"}
    assert [found and found.id for found in (uploads.repair_of("run-1"), uploads.undo_of("run-1"))] == [repair.id, None]


def test_an_approval_is_withdrawn_once_something_else_would_be_sent(uploads: Uploads) -> None:
    """Even if later the same would be sent again."""
    upload = added(uploads)
    uploads.approve(upload.id, "digest-1", "ben")
    approval = uploads.approval(upload.id, "digest-1")
    assert approval
    assert approval.by == "ben"
    assert uploads.approval(upload.id, "digest-2") is None
    assert uploads.approval(upload.id, "digest-1") is None
    assert uploads.events(upload=upload.id)[0].what == "approval withdrawn"


def test_a_session_ends_when_it_expires(uploads: Uploads) -> None:
    now = datetime.now(UTC)
    uploads.add_session("digest", "anna", now + timedelta(hours=1))
    assert uploads.session_user("digest", now) == "anna"
    assert uploads.session_user("digest", now + timedelta(hours=2)) is None
    assert uploads.session_user("other", now) is None


def test_a_person_has_a_hundred_sessions(uploads: Uploads) -> None:
    """The oldest goes, as for a program that keeps no cookies; no one loses any by what others do."""
    now = datetime.now(UTC)
    uploads.add_session("of ben", "ben", now + timedelta(minutes=1))
    for number in range(102):
        uploads.add_session(f"digest {number}", "anna", now + timedelta(hours=1, seconds=number))
    found = [uploads.session_user(f"digest {number}", now) for number in range(102)]
    assert found == [None] * 2 + ["anna"] * 100
    assert uploads.session_user("of ben", now) == "ben"


def test_many_threads_write_at_once(uploads: Uploads) -> None:
    """Each method is one transaction, and none is lost."""

    def write(by: str) -> None:
        for _ in range(20):
            uploads.note(by, "edited", upload=added(uploads, by).id)

    threads = [threading.Thread(target=write, args=(f"person {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(uploads.uploads()) == 80
    assert len(uploads.events(most=1000)) == 160


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "web.sqlite").write_bytes(b"none of ours" * 100)
    with pytest.raises(ResultsError, match=r"web\.sqlite"):
        Uploads(tmp_path / "web")


def test_a_damaged_database_of_the_page_is_to_be_moved_away(tmp_path: Path) -> None:
    (tmp_path / "web.sqlite").write_bytes(b"x" * 9000)
    with pytest.raises(ResultsError, match="not a database") as raised:
        Uploads(tmp_path)
    assert raised.value.remedy == "Move its folder away, and upload the files again."
