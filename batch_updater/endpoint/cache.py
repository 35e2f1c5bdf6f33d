"""Endpoints that were read before: a large description is parsed once, and not by every command.

An entry is found by the content of the description and by what else decides what is made of it. It is a private file in
the folder of the user's caches. One that is damaged, or of another user, does not count, and where none can be written
every command reads the description.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from batch_updater.endpoint.description import Endpoint
from batch_updater.endpoint.document_files import digest_beside
from batch_updater.endpoint.stored import decode_endpoint, encode_endpoint
from batch_updater.files.reading import open_regular
from batch_updater.files.writing import private_folder, write_whole
from batch_updater.text.typed_values import typed_json
from batch_updater.version import __version__

_MOST_ENTRIES = 200
_LARGEST_BYTES = 64_000_000


class _Entry(msgspec.Struct, frozen=True):
    files: dict[str, str | None]
    """Files beside the document -> SHA-256; None: it could not be read."""
    endpoint: str


def cache_key(*parts: str | None) -> str:
    """Return the name of the entry for a description, of what decides what is made of it and of this very program."""
    return hashlib.sha256(repr((_program(), *parts)).encode(errors="surrogatepass")).hexdigest()


def _program() -> str:
    """Return what tells this version of the program from others, also while it is being developed."""
    facts = [__version__]
    with suppress(OSError):
        for module in sorted(Path(__file__).parent.glob("*.py")):
            status = module.stat()
            facts.append(f"{module.name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(facts)


def cached_endpoint(key: str, document: Path) -> Endpoint | None:
    """Return the endpoint of an entry; None if there is none, or if a file beside the document has changed."""
    folder = cache_folder(os.environ)
    if folder is None:
        return None
    try:
        with open_regular(folder / key) as file:
            if not _is_own(os.fstat(file.fileno())):
                return None
            digest, _, content = file.read(_LARGEST_BYTES).partition(b"\n")
        if digest.decode("ascii", "replace") != hashlib.sha256(content).hexdigest():
            return None
        entry = typed_json(content, _Entry)
        is_current = all(digest_beside(document, name) == known for name, known in entry.files.items())
        return decode_endpoint(entry.endpoint) if is_current else None
    except (OSError, ValueError, msgspec.DecodeError):
        return None


def keep_endpoint(key: str, endpoint: Endpoint, files: Mapping[str, str | None]) -> None:
    """Write an entry, if that is possible, and remove the oldest ones; `files` are those beside the document."""
    folder = cache_folder(os.environ)
    if folder is None:
        return
    content = msgspec.json.encode(_Entry(dict(files), encode_endpoint(endpoint)))
    whole = b"%s\n%s" % (hashlib.sha256(content).hexdigest().encode(), content)
    with suppress(OSError):
        private_folder(folder)
        if _is_own(folder.stat()):
            write_whole(folder / key, lambda draft: draft.write_bytes(whole))
            _remove_oldest(folder.iterdir())


def _is_own(status: os.stat_result) -> bool:
    """Whether no other user could have written it (POSIX)."""
    return os.name != "posix" or (status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def _remove_oldest(entries: Iterable[Path]) -> None:
    newest_first = sorted(entries, key=lambda entry: entry.stat().st_mtime_ns, reverse=True)
    for entry in newest_first[_MOST_ENTRIES:]:
        entry.unlink(missing_ok=True)


def cache_folder(variables: Mapping[str, str]) -> Path | None:
    """Return the folder of the user's caches that is ours; None if the user has none.

    XDG Base Directory Specification: a path that is not absolute does not count.
    """
    name = "LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME"
    folder = Path(variables.get(name, ""))
    if not folder.is_absolute():
        if os.name == "nt":
            return None
        try:
            folder = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
        except RuntimeError:  # a user without a home
            return None
    return folder / "batch-updater" / "endpoints" if folder.is_absolute() else None
