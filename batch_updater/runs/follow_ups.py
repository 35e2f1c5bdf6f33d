"""What follows a run on the page: an upload that repairs its rows, and one that undoes it."""

from __future__ import annotations

from pathlib import Path

from batch_updater.config.environment import Environment
from batch_updater.config.schema import Config
from batch_updater.errors import UsageError
from batch_updater.reporter.summary import NEEDS_PERSON
from batch_updater.runs.folder import take
from batch_updater.runs.history import PastRun
from batch_updater.runs.names import names_for_undo
from batch_updater.runs.report import report
from batch_updater.runs.undo import write_undo
from batch_updater.runs.uploads import StoredUpload, Uploads

_PROGRAM = "batch-updater"
"""Who does what no person has asked for, in the list of who did what."""


def can_be_repaired(past: PastRun) -> bool:
    """Whether rows of a run need a person, and it has come to its end."""
    return not past.is_unfinished and bool(past.summary.total(NEEDS_PERSON))


def repair_of_run(past: PastRun, uploads: Uploads, by: str) -> StoredUpload:
    """Return the upload in which the rows of a run are repaired that need a person; it is made if there is none.

    Its file is the run's results workbook, which is written once more where it is gone. Raises UsageError if there is
    nothing to repair or the run is unfinished, InputError if the run cannot be read, ResultsError. Where the run read
    every record first, so does the repair: both can be undone then.
    """
    with uploads.follow_ups:
        name = past.folder.name
        if found := uploads.repair_of(name):
            return found
        if past.is_unfinished:
            raise UsageError(f"The run {name} is unfinished.", remedy="Let it go on first, or close it.")
        if not can_be_repaired(past):
            raise UsageError(f"No row of the run {name} needs a repair.")
        workbook = past.workbook or report(past, None).results
        if workbook is None:
            raise UsageError(f"The workbook of the run {name} could not be written.")
        made = _uploaded(workbook, workbook.name, uploads, by, repairs=name)
        if past.facts.reads_first:
            uploads.set_compare(made.id, _PROGRAM, compare=True)
        return uploads.upload(made.id) or made


def undo_of_run(past: PastRun, uploads: Uploads, config: Config, environment: Environment, by: str) -> StoredUpload:
    """Return the upload that undoes a run, to be checked and sent; it is made if there is none, or that was sent.

    Its file is a workbook that is written into the run's folder; what it cannot set back is said by its event. Raises
    what `write_undo` raises.
    """
    with uploads.follow_ups:
        earlier = uploads.undo_of(past.folder.name)
        if earlier and earlier.run is None:
            return earlier
        undo = write_undo(past, None, names_for_undo(past, config.api, environment))
        name = past.folder.name
        return _uploaded(undo.path, f"undo of {name}", uploads, by, undoes=name, text=undo.verdict)


def _uploaded(
    workbook: Path,
    name: str,
    uploads: Uploads,
    by: str,
    *,
    repairs: str | None = None,
    undoes: str | None = None,
    text: str = "",
) -> StoredUpload:
    upload_id, folder = uploads.new_folder()
    copy = take(workbook, folder)
    source_path = copy.source_path
    return uploads.add(
        upload_id, name, copy.path.name, by, source_path=source_path, repairs=repairs, undoes=undoes, text=text
    )
