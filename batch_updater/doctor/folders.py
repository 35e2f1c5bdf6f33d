"""The folders of a configuration: whether they can be written and have room, and whether another run holds them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from batch_updater.config.schema import NightlySettings, ResultsSettings
from batch_updater.doctor.finding import Finding, Status, from_error, ok, warning, wrong
from batch_updater.errors import LockedError, ResultsError
from batch_updater.runs.lock import locked

_LITTLE_ROOM_BYTES = 500_000_000
"""A run of a million rows takes about as much: copy, database, log, workbook."""
_MOUNTS = Path("/proc/self/mountinfo")
_SHARED = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs"})
"""File systems that other machines may use at the same time (Linux's names)."""


def folder_findings(results: ResultsSettings, nightly: NightlySettings) -> Iterator[Finding]:
    """Yield a finding for every folder that the program writes to; leaves nothing behind in them."""
    yield _folder("results folder", results.folder, "results.folder")
    if nightly.inbox:
        beside = nightly.inbox.parent
        yield _folder_of_others("inbox", nightly.inbox, "nightly.inbox")
        yield _folder("done", nightly.done or beside / "done", "nightly.done")
        yield _folder("attention", nightly.attention or beside / "attention", "nightly.attention")
    if nightly.metrics:
        path = nightly.metrics
        finding = _folder_of_others("metrics", path.parent, "nightly.metrics")
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "a device or a pipe"
            finding = wrong("metrics", f"{path} is {what}.", "Name a file under nightly.metrics.")
        elif finding.status is Status.OK and path.suffix != ".prom":
            finding = warning("metrics", finding.message, "Let its name end in .prom: node_exporter reads no others.")
        yield finding


def _folder_of_others(check: str, path: Path, key: str) -> Finding:
    """Check a folder that the program does not create, because other programs use it."""
    if not path.is_dir():
        return wrong(check, f"{path} does not exist, or is not a folder.", f"Create it, or correct {key}.")
    return _folder(check, path, key)


def _folder(check: str, path: Path, key: str) -> Finding:
    there = next(folder for folder in (path, *path.parents) if os.path.lexists(folder))
    try:
        # Only creating a file shows whether one can be created: permission bits say nothing about a read-only file
        # system, a quota or access lists.
        with tempfile.NamedTemporaryFile(dir=there, prefix=".batch-updater-doctor-") as probe:
            probe.write(b"x")
            probe.flush()
    except OSError as error:
        made = "" if there == path else f"{path} does not exist and cannot be created: "
        message = f"{made}{there} cannot be written: {error.strerror}."
        remedy = f"Let the user that runs batch-updater write there, or name another folder under {key}."
        return wrong(check, message, remedy)
    free_bytes = shutil.disk_usage(there).free
    state = f"{path} {'can be written' if there == path else 'does not exist yet and can be created'}"
    state += f"; {free_bytes / 1e9:.1f} GB free" if free_bytes >= 1e9 else f"; {free_bytes / 1e6:.0f} MB free"
    if free_bytes < _LITTLE_ROOM_BYTES:
        return warning(check, f"{state}.", f"Free some space, or name another folder under {key}.")
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        mounts = ""  # not Linux
    kind = file_system_of(there, mounts)
    if kind in _SHARED:
        message = f"{state}; it is on a network share ({kind})."
        remedy = f"Name a folder on a local disk under {key}: locks and the database may fail on a share."
        return warning(check, message, remedy)
    return ok(check, f"{state}.")


def file_system_of(path: Path, mounts: str) -> str | None:
    """Return the kind of file system of a path by the text of Linux's mountinfo (proc(5)); None if it is unknown.

    Later mounts hide earlier ones of the same folder.
    """
    target, kind, longest = path.resolve(), None, -1
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        # The kernel writes a blank in a name as \040.
        mounted_at = Path(fields[4].replace("\\040", " "))
        if len(mounted_at.parts) >= longest and target.is_relative_to(mounted_at):
            kind, longest = after.split(" ")[0], len(mounted_at.parts)
    return kind


def lock_finding(folder: Path, base_url: str | None) -> Finding:
    """Say whether another run holds the lock of a folder of results, by taking it for a moment."""
    if base_url is None or not folder.is_dir():
        return ok("lock", "free: nothing has run here yet.")
    try:
        with locked(folder, base_url, "batch-updater doctor"):
            return ok("lock", "free: no other run is in progress.")
    except LockedError as error:
        return warning("lock", error.message, error.remedy)
    except ResultsError as error:
        return from_error("lock", error)
