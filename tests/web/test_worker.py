"""The queue of the server: checks, comparisons and sendings, and who may send what."""

from __future__ import annotations

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count
from shutil import rmtree
from typing import TYPE_CHECKING

import pytest

from batch_updater.config.schema import ReferenceKind, SecretReference
from batch_updater.config.secrets import fetch_secret
from batch_updater.errors import UsageError
from batch_updater.questions import Answers
from batch_updater.records import SETTINGS_SHEET, OutcomeKind
from batch_updater.runs.check import check
from batch_updater.runs.comparison import Comparison, compare_draft
from batch_updater.runs.draft import CellEdit, HeldDraftError
from batch_updater.runs.follow_ups import repair_of_run, undo_of_run
from batch_updater.runs.history import PastRun, find_run, past_runs
from batch_updater.runs.lock import locked
from batch_updater.runs.permission import Permission, approve, permission
from batch_updater.runs.report import report
from batch_updater.runs.uploads import SendingOptions, StoredUpload, TaskKind, TaskState, Uploads
from tests.end_to_end.program import TOKEN, batch_updater, configure, sandbox
from tests.torture.runs import numbered
from tests.web.queue import OPEN, Queue, add_rows, config_in, numbered_rows, until, working

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.end_to_end.program import Sandbox


@pytest.fixture(name="api")
def _api() -> Iterator[Sandbox]:
    with sandbox() as api:
        yield api


def past_of(queue: Queue, run: str | None) -> PastRun:
    assert run
    return find_run(queue.config.results.folder, run)


def told(workbook: Path | None) -> list[str]:
    """Return every text of a workbook."""
    from openpyxl import load_workbook

    assert workbook
    sheets = load_workbook(workbook).worksheets
    return [str(cell) for sheet in sheets for row in sheet.iter_rows(values_only=True) for cell in row if cell]


def judged(queue: Queue, upload: StoredUpload, user: str) -> Permission:
    draft, found = queue.worker.draft(upload.id), queue.uploads.upload(upload.id)
    assert draft
    assert found
    return permission(draft, found, queue.uploads, queue.config, user)


def edited(queue: Queue, upload: StoredUpload, row: int, position: int, text: str, by: str = "anna") -> None:
    draft = queue.worker.draft(upload.id)
    assert draft
    draft.edit([CellEdit(row, position, text)], by)
    queue.uploads.note(by, "edited", upload=upload.id)


def stopped(queue: Queue, upload: StoredUpload, api: Sandbox, *, after: int) -> str:
    """Send an upload, and stop its run after so many requests; returns its name."""
    with api.held_after(after):
        queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id)
        queue.worker.wake()
        api.wait_for(after)
        run = queue.uploads.tasks(upload.id)[0].run
        assert run
        assert queue.worker.stop(run, "anna")
    queue.done(upload)
    assert past_of(queue, run).is_unfinished
    return run


def test_rows_are_sent_as_they_are_in_the_draft_and_the_file_stays_as_it_was(tmp_path: Path, api: Sandbox) -> None:
    """An edit is sent, and the run says who sent it, in its workbook too."""
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(20, wrong=[5]))
        before = (upload.folder / upload.file).read_bytes()
        edited(queue, upload, 5, 3, "77")
        draft = queue.worker.draft(upload.id)
        assert draft
        assert not [
            text for text in told(check(draft.plan(), tmp_path / "check.xlsx").results) if str(tmp_path) in text
        ]
        task = queue.do(TaskKind.SEND, upload, "carla")
        assert task.state is TaskState.DONE, task.fault
        past = past_of(queue, task.run)
        assert (past.counts[OutcomeKind.UPDATED], past.sent_by) == (20, "carla")
        assert (past.folder / past.facts.input_file).read_bytes() == before
        assert api.records()[5]["SalesRevenue"] == 77
    from openpyxl import load_workbook

    assert past.workbook
    cells = {row[0].value: row[1].value for row in load_workbook(past.workbook)[SETTINGS_SHEET]}
    assert cells["sent by"] == "carla"
    assert cells["results.folder"] == "runs"
    assert not [text for text in told(past.workbook) if str(tmp_path) in text]
    assert past.folder.name in told(past.workbook)
    assert not [text for text in told(report(past, tmp_path / "again.xlsx").results) if str(tmp_path) in text]
    assert "carla" in (past.folder / "report.html").read_text(encoding="utf-8")


def test_a_file_that_leaves_its_columns_open_is_asked_about(tmp_path: Path, api: Sandbox) -> None:
    """Once they are answered the draft is there, and a layout if it was to be remembered."""
    with working(config_in(tmp_path, api.url)) as queue:
        rows = [{"Id": row, "Type": "Pre", "Money we make": row} for row in range(2, 12)]
        upload = add_rows(queue.uploads, rows)
        queue.worker.wake()
        assert queue.done(upload).state is TaskState.DONE
        found = queue.uploads.upload(upload.id)
        assert found
        assert found.asked
        assert [column.header for column in found.asked.columns] == ["Id", "Type", "Money we make"]
        assert queue.worker.draft(upload.id) is None
        answers = Answers(columns={"Money we make": "SalesRevenue"})
        queue.uploads.answer(upload.id, answers, "anna", layout=None, remember="money")
        queue.worker.wake()
        queue.done(upload)
        draft, found = queue.worker.draft(upload.id), queue.uploads.upload(upload.id)
        assert draft
        assert draft.staged.good == 10
        assert found
        assert (found.asked, found.remember) == (None, None)
        assert (queue.config.layouts_folder / "money.yaml").is_file()
        again = queue.checked(rows)
        draft = queue.worker.draft(again.id)
        assert draft
        assert draft.staged.layout == "money"


def test_a_file_that_cannot_be_read_is_a_fault_without_paths(tmp_path: Path, api: Sandbox) -> None:
    with working(config_in(tmp_path, api.url)) as queue:
        upload_id, folder = queue.uploads.new_folder()
        (folder / "input.xlsx").write_bytes(b"PK\x03\x04 and no more")
        upload = queue.uploads.add(upload_id, "q1.xlsx", "input.xlsx", "anna")
        queue.worker.wake()
        task = queue.done(upload)
        assert task.state is TaskState.FAILED
        assert task.fault
        assert "q1.xlsx" in task.fault.message
        assert str(tmp_path) not in f"{task.fault.message}{task.fault.remedy}"


def test_a_file_whose_folder_someone_has_removed_is_to_be_uploaded_again(tmp_path: Path, api: Sandbox) -> None:
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(3))
        assert queue.worker.draft(upload.id)
        rmtree(upload.folder)
        assert queue.worker.draft(upload.id) is None
        for kind in TaskKind:
            task = queue.do(kind, upload)
            assert task.fault
            assert (task.fault.message, task.fault.remedy) == ("The file was removed.", "Upload it once more.")
    assert not api.requests()


def test_what_would_change_is_kept_the_largest_jump_first(tmp_path: Path, api: Sandbox) -> None:
    """Page by page; an edit makes another content of it."""
    with working(config_in(tmp_path, api.url, guards={"changed": 10})) as queue:
        upload = queue.checked(numbered_rows(30))
        task = queue.do(TaskKind.COMPARE, upload)
        assert task.state is TaskState.DONE, task.fault
        found, draft = Comparison.open(upload.folder), queue.worker.draft(upload.id)
        assert found
        assert draft
        assert (found.records, found.change_count, found.unread_count, found.is_whole) == (30, 60, 0, True)
        assert found.digest == draft.digest()
        assert [guard.key for guard in found.over] == ["guards.changed"]
        pages = [found.changes(after=after, most=25) for after in (0, 25, 50)]
        changes = [change for page in pages for change in page]
        assert [change.rank for change in changes] == list(range(1, 61))
        sizes = [float(change.size.replace(",", "")) for change in changes if change.size is not None]
        assert sizes == sorted(sizes, reverse=True)
        assert [change.field for change in changes[30:]] == ["OpportunityName"] * 30
        assert [request["method"] for request in api.requests()] == ["GET"] * 30
        assert judged(queue, upload, "anna").over
        edited(queue, upload, 5, 3, "77")
        assert not judged(queue, upload, "anna").over


def test_a_comparison_is_of_the_content_that_its_digest_names(tmp_path: Path, api: Sandbox) -> None:
    """Also while someone types: 77 and 78 in turns."""
    with working(config_in(tmp_path, api.url)) as queue, ThreadPoolExecutor(1) as person:
        upload = queue.checked(numbered_rows(3))
        draft, is_done = queue.worker.draft(upload.id), threading.Event()
        assert draft
        digests = {}
        for text in ("78", "77"):
            draft.edit([CellEdit(3, 3, text)], "anna")
            digests[draft.digest()] = text

        def types() -> None:
            while not is_done.is_set():
                for text in ("78", "77"):
                    with suppress(HeldDraftError):
                        draft.edit([CellEdit(3, 3, text)], "anna")

        typing = person.submit(types)
        try:
            for _ in range(15):
                compare_draft(draft, queue.environment)
                found = Comparison.open(upload.folder)
                assert found
                new = {change.new for change in found.changes() if (change.row, change.field) == (3, "SalesRevenue")}
                assert new == {digests[found.digest]}
        finally:
            is_done.set()
        typing.result()


def test_a_sending_waits_while_another_process_holds_the_lock(tmp_path: Path, api: Sandbox) -> None:
    """It says who, other files are checked meanwhile, and it begins by itself."""
    config = config_in(tmp_path, api.url)
    with working(config) as queue:
        upload = queue.checked(numbered_rows(5))
        with locked(config.results.folder, api.url, str(tmp_path / "nightly.csv")):
            queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id)
            queue.worker.wake()
            until(lambda: queue.uploads.tasks(upload.id)[0].waits_for)
            said = queue.uploads.tasks(upload.id)[0].waits_for
            assert "nightly.csv" in said
            assert str(tmp_path) not in said
            queue.checked(numbered_rows(5))
            assert not api.requests()
        assert queue.done(upload).state is TaskState.DONE
        assert queue.uploads.tasks(upload.id)[0].waits_for == ""
    assert len(api.requests()) == 5


def test_reading_records_first_waits_while_another_process_holds_the_lock(tmp_path: Path, api: Sandbox) -> None:
    """Its requests would come on top of the rate of the other."""
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(5))
        with locked(queue.config.results.folder, api.url, "nightly.csv"):
            task = queue.uploads.add_task(TaskKind.COMPARE, "anna", upload=upload.id)
            queue.worker.wake()
            # It is tried again and again, and is no waiting one for that moment.
            until(lambda: queue.uploads.tasks(upload.id)[0].waits_for)
            assert "nightly.csv" in queue.uploads.tasks(upload.id)[0].waits_for
            until(lambda: queue.uploads.tasks(upload.id)[0].state is TaskState.WAITING)
            assert not api.requests()
        assert queue.done(upload).number == task.number
        assert Comparison.open(upload.folder)


def test_a_run_that_a_person_stops_goes_on_when_a_person_says_so(tmp_path: Path, api: Sandbox) -> None:
    """What is in flight is awaited; its counts are there while it runs; nothing is sent twice."""
    config = config_in(tmp_path, api.url, sending={"rate_per_s": 50, "concurrency": 5, "retry_budget": 5})
    with working(config) as queue:
        upload = queue.checked(numbered_rows(60, wrong=[2]))
        with api.held_after(15):
            queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id)
            queue.worker.wake()
            api.wait_for(15)
            run = queue.uploads.tasks(upload.id)[0].run
            assert run
            live = queue.worker.live_of_run(run)
            assert live
            assert live.total == 60
            assert live.outcomes[OutcomeKind.INVALID] == 1
            assert live.done == sum(live.outcomes.values())
            assert queue.worker.stop(run, "anna")
        assert queue.done(upload).state is TaskState.DONE
        assert queue.worker.live_of_run(run) is None
        past = past_of(queue, run)
        assert past.is_unfinished
        assert past.counts[OutcomeKind.UNCONFIRMED] == 0
        assert not queue.worker.stop(run, "anna")
        queue.uploads.add_task(TaskKind.SEND, "ben", upload=None, run=run)
        queue.worker.wake()
        until(lambda: not queue.uploads.open_tasks())
        assert past_of(queue, run).counts[OutcomeKind.UPDATED] == 59
        assert len(list(past_runs(config.results.folder))) == 1
    assert len(api.requests()) == 59


def test_guards_on_changes_are_judged_where_a_run_goes_on_that_was_stopped_before(tmp_path: Path, api: Sandbox) -> None:
    """As long as not every record could be read nothing says that the file keeps them."""
    sending = {"rate_per_s": 30, "concurrency": 5, "retry_budget": 5, "compare": True}
    with working(config_in(tmp_path, api.url, guards={"changed": 3}, sending=sending)) as queue:
        upload = queue.checked(numbered_rows(60))
        run = stopped(queue, upload, api, after=10)
        queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id, run=run)
        queue.worker.wake()
        task = queue.done(upload)
        assert task.fault
        assert "guards.changed" in task.fault.message
    assert {request["method"] for request in api.requests()} == {"GET"}


def test_guards_that_were_kept_do_not_hold_up_what_is_left_of_a_run(tmp_path: Path, api: Sandbox) -> None:
    """All rows were judged when it was begun; those that are left may be over a share of their own total."""
    sending = {"rate_per_s": 60, "concurrency": 5, "retry_budget": 5, "compare": True}
    with working(config_in(tmp_path, api.url, guards={"changed": 60}, sending=sending)) as queue:
        upload = queue.checked(numbered_rows(60))
        run = stopped(queue, upload, api, after=70)  # five at once: all records were read, and some row was sent
        assert any(request["method"] == "PUT" for request in api.requests())
    with working(config_in(tmp_path, api.url, guards={"changed": 1}, sending=sending)) as queue:
        queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id, run=run)
        queue.worker.wake()
        task = queue.done(upload)
        assert task.state is TaskState.DONE, task.fault
        assert past_of(queue, run).counts[OutcomeKind.UPDATED] == 60


def test_a_task_that_was_stopped_before_the_server_was_killed_is_not_taken_up(tmp_path: Path, api: Sandbox) -> None:
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(5))
    with closing(Uploads(upload.folder.parent)) as uploads:
        task = uploads.add_task(TaskKind.SEND, "anna", upload=upload.id)
        assert uploads.start_task(task.number)
        assert uploads.stop_task(task.number)
    with working(queue.config) as queue:
        assert queue.done(upload).state is TaskState.DONE
    assert not api.requests()


def test_a_run_whose_folder_is_gone_is_not_sent_again_by_going_on(tmp_path: Path, api: Sandbox) -> None:
    config = config_in(tmp_path, api.url, sending={"rate_per_s": 50, "concurrency": 5, "retry_budget": 5})
    with working(config) as queue:
        upload = queue.checked(numbered_rows(60))
        run = stopped(queue, upload, api, after=20)
        sent = len(api.requests())
        rmtree(config.results.folder / run)
        queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id, run=run)
        queue.worker.wake()
        task = queue.done(upload)
        assert task.fault
        assert f"{run} is gone" in task.fault.message
    assert len(api.requests()) == sent


def test_a_task_is_taken_from_the_queue(tmp_path: Path, api: Sandbox) -> None:
    config = config_in(tmp_path, api.url)
    with working(config) as queue:
        upload = queue.checked(numbered_rows(5))
        with locked(config.results.folder, api.url, "nightly.csv"):
            task = queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id)
            queue.worker.wake()
            until(lambda: queue.uploads.tasks(upload.id)[0].waits_for)
            assert queue.worker.cancel(task.number)
            assert queue.done(upload).state is TaskState.DONE
    assert not api.requests()


def test_a_run_of_the_command_line_goes_on_from_the_page(tmp_path: Path, api: Sandbox) -> None:
    """From its own folder: its file is gone."""
    configure(tmp_path, api.url)
    numbered(tmp_path / "many.csv", 20)
    assert batch_updater("run", "many.csv", "--limit", "5", cwd=tmp_path).code == 3
    (tmp_path / "many.csv").unlink()
    with working(config_in(tmp_path, api.url)) as queue:
        (past,) = past_runs(queue.config.results.folder)
        queue.uploads.add_task(TaskKind.SEND, "anna", upload=None, run=past.folder.name)
        queue.worker.wake()
        until(lambda: not queue.uploads.open_tasks())
        task = queue.uploads.task_of_run(past.folder.name)
        assert task
        assert task.state is TaskState.DONE, task.fault
        past = past_of(queue, past.folder.name)
        assert past.counts[OutcomeKind.UPDATED] == 20
        assert not past.is_unfinished
    assert len(api.requests()) == 20


def test_a_run_does_not_go_on_at_another_api(tmp_path: Path, api: Sandbox) -> None:
    """Its rows would be changed in two places."""
    configure(tmp_path, api.url)
    numbered(tmp_path / "many.csv", 20)
    assert batch_updater("run", "many.csv", "--limit", "5", cwd=tmp_path).code == 3
    with sandbox() as other, working(config_in(tmp_path, other.url)) as queue:
        (past,) = past_runs(queue.config.results.folder)
        queue.uploads.add_task(TaskKind.SEND, "anna", upload=None, run=past.folder.name)
        queue.worker.wake()
        until(lambda: not queue.uploads.open_tasks())
        task = queue.uploads.task_of_run(past.folder.name)
        assert task
        assert task.fault
        assert "the address of the API" in task.fault.message
        assert not other.requests()


def test_rows_that_need_a_person_are_repaired_in_an_upload_of_their_own(tmp_path: Path, api: Sandbox) -> None:
    """It is there right after the run, holds those rows alone, and is sent like any other."""
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(20, wrong=[5, 9]))
        run = queue.do(TaskKind.SEND, upload).run
        assert run
        repair = queue.uploads.repair_of(run)
        assert repair
        assert repair_of_run(past_of(queue, run), queue.uploads, "ben") == queue.uploads.upload(repair.id)
        queue.done(repair)
        draft = queue.worker.draft(repair.id)
        assert draft
        assert [row.number for row in draft.grid().rows] == [5, 9]
        draft.edit([CellEdit(5, draft.columns.of_field["SalesRevenue"], "55")], "ben")
        second = queue.do(TaskKind.SEND, repair, "ben")
        assert second.state is TaskState.DONE, second.fault
        past = past_of(queue, second.run)
        assert (past.counts[OutcomeKind.UPDATED], past.counts[OutcomeKind.INVALID]) == (1, 1)
        assert past.first_round == run
        assert api.records()[5]["SalesRevenue"] == 55
        assert queue.uploads.repair_of(past.folder.name)
    assert len(api.requests()) == 19


def test_a_run_without_rows_to_repair_is_not_repaired(tmp_path: Path, api: Sandbox) -> None:
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(3))
        run = queue.do(TaskKind.SEND, upload).run
        assert run
        assert queue.uploads.repair_of(run) is None
        with pytest.raises(UsageError, match="needs a repair"):
            repair_of_run(past_of(queue, run), queue.uploads, "anna")


def test_people_who_ask_at_the_same_time_repair_and_undo_a_run_in_one_upload(tmp_path: Path, api: Sandbox) -> None:
    with working(config_in(tmp_path, api.url)) as queue, ThreadPoolExecutor(4) as people:
        upload = queue.checked(numbered_rows(20, wrong=[5, 9]))
        queue.uploads.set_compare(upload.id, "anna", compare=True)
        past = past_of(queue, queue.do(TaskKind.SEND, upload).run)
        made = queue.uploads.repair_of(past.folder.name)
        assert made
        queue.done(made)
        queue.uploads.remove(made.id, "anna")
        names = ("anna", "ben", "carla", "dora")
        repairs = people.map(lambda name: repair_of_run(past, queue.uploads, name), names)
        assert len({one.id for one in repairs}) == 1
        undos = people.map(lambda name: undo_of_run(past, queue.uploads, queue.config, queue.environment, name), names)
        assert len({one.id for one in undos}) == 1
        folders = {entry.name for entry in upload.folder.parent.iterdir() if entry.is_dir()}
        assert folders == {one.id for one in queue.uploads.uploads()}


def test_rows_are_not_repaired_once_their_run_is_gone(tmp_path: Path, api: Sandbox) -> None:
    """Which of them the API refused is known there alone."""
    config = config_in(tmp_path, api.url)
    with working(config) as queue:
        upload = queue.checked(numbered_rows(20, wrong=[5]))
        past = past_of(queue, queue.do(TaskKind.SEND, upload).run)
        repair = queue.uploads.repair_of(past.folder.name)
        assert repair
        queue.done(repair)
        queue.uploads.remove(repair.id, "anna")
    with closing(Uploads(upload.folder.parent)) as uploads:  # no one checks it before the run is gone
        repair = repair_of_run(past, uploads, "anna")
        rmtree(past.folder)
    with working(config) as queue:
        task = queue.done(repair)
        assert task.fault
        assert f"The run {past.folder.name}, whose rows are repaired here, is gone" in task.fault.message


def test_a_run_is_undone_by_an_upload(tmp_path: Path, api: Sandbox) -> None:
    """What the records held before is there again, and the run is known to be undone."""
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(10))
        queue.uploads.set_compare(upload.id, "anna", compare=True)
        run = queue.do(TaskKind.SEND, upload).run
        after = api.records()
        undo = undo_of_run(past_of(queue, run), queue.uploads, queue.config, queue.environment, "ben")
        queue.worker.wake()
        assert queue.uploads.events(upload=undo.id)[0].text == "10 records can be set back."
        queue.done(undo)
        task = queue.do(TaskKind.SEND, undo, "ben")
        assert task.state is TaskState.DONE, task.fault
        past = past_of(queue, task.run)
        assert past.counts[OutcomeKind.UPDATED] == 10
        assert past.facts.undoes == str((queue.config.results.folder / (run or "")).resolve())
        assert all(api.records()[row]["OpportunityName"] != after[row]["OpportunityName"] for row in after)


def test_a_file_over_a_guard_is_sent_only_after_another_person_approves_it(tmp_path: Path, api: Sandbox) -> None:
    """Not by a person who uploaded, edited or sends it, and an edit withdraws it."""
    config = config_in(tmp_path, api.url, guards={"rows": 5}, web={"may_approve": ["anna", "ben", "carla"]})
    with working(config) as queue:
        upload = queue.checked(numbered_rows(8))
        task = queue.do(TaskKind.SEND, upload)
        assert task.fault
        assert "guards.rows" in task.fault.message
        draft = queue.worker.draft(upload.id)
        assert draft
        for person, why in (("anna", "uploaded"), ("dora", "may not approve")):
            found = judged(queue, upload, person)
            assert why in found.may_not_approve
            with pytest.raises(UsageError):
                approve(draft, upload, queue.uploads, config, person, found.digest)
        approve(draft, upload, queue.uploads, config, "ben", judged(queue, upload, "ben").digest)
        assert not judged(queue, upload, "ben").may_send
        assert judged(queue, upload, "anna").may_send
        edited(queue, upload, 3, 3, "77")
        assert not judged(queue, upload, "anna").may_send
        assert queue.uploads.events(upload=upload.id)[0].what == "approval withdrawn"
        assert not api.requests()
        approve(draft, upload, queue.uploads, config, "ben", judged(queue, upload, "ben").digest)
        task = queue.do(TaskKind.SEND, upload)
        assert task.state is TaskState.DONE, task.fault
    assert len(api.requests()) == 8


def test_an_approval_overrides_no_guard_on_changes_that_no_one_has_seen(tmp_path: Path, api: Sandbox) -> None:
    """Only what was exceeded on the preview is overridden; the rest is judged before anything is sent."""
    config = config_in(
        tmp_path, api.url, guards={"rows": 5, "changed": 3}, sending={"compare": True}, web={"may_approve": ["ben"]}
    )
    with working(config) as queue:
        upload = queue.checked(numbered_rows(8))
        draft = queue.worker.draft(upload.id)
        assert draft
        approve(draft, upload, queue.uploads, config, "ben", judged(queue, upload, "ben").digest)
        task = queue.do(TaskKind.SEND, upload)
        assert task.fault
        assert "guards.changed" in task.fault.message
        assert "guards.rows" not in task.fault.message
        assert {request["method"] for request in api.requests()} == {"GET"}
        queue.do(TaskKind.COMPARE, upload)
        assert {guard.key for guard in judged(queue, upload, "ben").over} == {"guards.rows", "guards.changed"}
        approve(draft, upload, queue.uploads, config, "ben", judged(queue, upload, "ben").digest)
        task = queue.do(TaskKind.SEND, upload)
        assert task.state is TaskState.DONE, task.fault
        assert past_of(queue, task.run).counts[OutcomeKind.UPDATED] == 8


def test_what_an_approval_overrides_stays_so_where_a_run_goes_on_that_had_not_read_every_record(
    tmp_path: Path, api: Sandbox
) -> None:
    """The guard that was approved is not judged again, and one that was not is."""
    sending = {"rate_per_s": 30, "concurrency": 5, "retry_budget": 5, "compare": True}
    guards = {"rows": 5, "changed": 3}
    config = config_in(tmp_path, api.url, guards=guards, sending=sending, web={"may_approve": ["ben"]})
    with working(config) as queue:
        upload = queue.checked(numbered_rows(60))
        draft = queue.worker.draft(upload.id)
        assert draft
        approve(draft, upload, queue.uploads, config, "ben", judged(queue, upload, "ben").digest)
        run = stopped(queue, upload, api, after=10)
        queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id, run=run)
        queue.worker.wake()
        task = queue.done(upload)
        assert task.fault
        assert "guards.changed" in task.fault.message
        assert "guards.rows" not in task.fault.message


def test_who_may_not_send_needs_an_approval(tmp_path: Path, api: Sandbox) -> None:
    """Without anyone who may approve, someone else has to send it."""
    alone = config_in(tmp_path, api.url, web={"may_send": ["ben"]})
    with working(alone) as queue:
        upload = queue.checked(numbered_rows(3))
        task = queue.do(TaskKind.SEND, upload)
        assert task.fault
        assert task.fault.remedy == "Ask ben to send it."
        assert judged(queue, upload, "ben").may_send


def test_nothing_else_is_sent_than_what_the_person_saw(tmp_path: Path, api: Sandbox) -> None:
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(3))
        options = SendingOptions(digest=judged(queue, upload, "anna").digest)
        edited(queue, upload, 3, 3, "77", "ben")
        queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id, options=options)
        queue.worker.wake()
        task = queue.done(upload)
        assert task.fault
        assert "has changed since" in task.fault.message
        assert task.run is None
    assert not api.requests()


def test_an_edit_during_a_new_check_is_kept_or_refused(tmp_path: Path, api: Sandbox) -> None:
    """Whatever was answered to be kept is in the draft in the end."""
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(400))
        kept, number = dict[int, str](), 0
        for _ in range(3):
            first = queue.worker.draft(upload.id)
            assert first
            task = queue.uploads.add_task(TaskKind.CHECK, "anna", upload=upload.id)
            queue.worker.wake()
            while (found := queue.uploads.task(task.number)) and found.state in OPEN:
                number += 1
                with suppress(HeldDraftError):
                    draft = queue.worker.draft(upload.id) or first
                    draft.edit([CellEdit(2 + number % 400, 2, f"name {number}")], "ben")
                    kept[2 + number % 400] = f"name {number}"
            with pytest.raises(HeldDraftError, match="The file is being checked again: try it in a moment"):
                first.edit([CellEdit(2, 2, "lost")], "ben")
        last = queue.worker.draft(upload.id)
        assert last
        assert {row: one.cells[2] for row in kept if (one := last.row(row))} == kept


def test_an_edit_that_is_undone_while_the_run_begins_is_not_sent(tmp_path: Path, api: Sandbox) -> None:
    """The copy of the run may have it, although the draft is before and after it as it was seen."""
    with working(config_in(tmp_path, api.url)) as queue:
        upload = queue.checked(numbered_rows(3))
        draft = queue.worker.draft(upload.id)
        assert draft
        options, is_over = SendingOptions(digest=judged(queue, upload, "anna").digest), threading.Event()

        def edit_and_undo() -> None:
            for number in count(1):
                while not is_over.is_set():
                    with suppress(HeldDraftError):  # a run begins just now
                        draft.edit([CellEdit(3, 3, "77")], "anna")
                        break
                else:
                    return
                while True:
                    with suppress(HeldDraftError):
                        draft.undo_edit(number, "anna")
                        break

        thread = threading.Thread(target=edit_and_undo)
        thread.start()
        try:
            for _ in range(20):
                queue.uploads.add_task(TaskKind.SEND, "anna", upload=upload.id, options=options)
                queue.worker.wake()
                queue.done(upload)
        finally:
            is_over.set()
            thread.join()
    assert not [request for request in api.requests() if "77" in str(request["body"])]


def test_no_fault_holds_a_secret(tmp_path: Path) -> None:
    """A file with the token in its name, which a message would name."""
    (tmp_path / TOKEN).write_text(TOKEN)
    with sandbox() as api, working(config_in(tmp_path, api.url)) as queue:
        fetch_secret(SecretReference(kind=ReferenceKind.FILE, location=str(tmp_path / TOKEN)), queue.environment, "x")
        upload_id, folder = queue.uploads.new_folder()
        (folder / "input.xlsx").write_bytes(b"PK\x03\x04 and no more")
        upload = queue.uploads.add(upload_id, f"{TOKEN}.xlsx", "input.xlsx", "anna")
        queue.worker.wake()
        task = queue.done(upload)
        assert task.fault
        assert ".xlsx" in task.fault.message
        assert TOKEN not in f"{task.fault.message}{task.fault.remedy}"


def test_a_queue_that_cannot_be_read_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And not by each thread that looks for tasks; once more if it was read in between."""
    with working(config_in(tmp_path, "http://127.0.0.1:1")) as queue:
        path = queue.uploads.folder / "web.sqlite"

        def faults() -> list[str]:
            return [record.message for record in caplog.records if record.threadName != "tidy"]

        with closing(sqlite3.connect(path)) as other:
            for _ in range(2):
                caplog.clear()
                other.execute("ALTER TABLE tasks RENAME TO away")
                for _ in range(10):
                    queue.worker.wake()
                    until(faults)
                    time.sleep(0.01)  # the other threads look as well
                assert faults() == [f"What was given to the page cannot be kept in {path}: no such table: tasks."]
                other.execute("ALTER TABLE away RENAME TO tasks")
                queue.checked(numbered_rows(1))


def test_a_run_of_another_process_shows_how_far_it_is(tmp_path: Path, api: Sandbox) -> None:
    """Read from its database, and no longer once it has ended."""
    from tests.torture.runs import ended, start

    # Longer than the sandbox is ever held.
    configure(tmp_path, api.url, "sending: {rate_per_s: 100, concurrency: 5, retry_budget: 5}\n", timeout_s=200)
    numbered(tmp_path / "many.csv", 60)
    with working(config_in(tmp_path, api.url)) as queue:
        with api.held_after(10):
            process = start(tmp_path, "run", "many.csv")
            api.wait_for(10)
            (past,) = past_runs(queue.config.results.folder)
            until(lambda: queue.worker.live_of_run(past.folder.name) is not None)
            live = queue.worker.live_of_run(past.folder.name)
            assert live
            assert live.total == 60
            assert not queue.worker.stop(past.folder.name, "anna")
        assert ended(process)[0] == 0
        until(lambda: queue.worker.live_of_run(past.folder.name) is None)
