"""The folders of the server, which no page shows: messages name files by what is within them."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

from markupsafe import escape
from pydantic import BaseModel

from batch_updater.config.schema import Config, ReferenceKind, SecretReference


class HiddenPaths:
    """Takes the folders in which a server works out of texts."""

    def __init__(self, config: Config, config_path: Path | None) -> None:
        paths = [*_paths_in(config), Path(tempfile.gettempdir()) / "any", Path.cwd() / "any"]
        if config_path:
            paths.append(config_path.resolve())
        folders = {str(path.parent) for path in paths if path.is_absolute() and path.parent != path.parent.parent}
        self._folders = folders
        self._folder = _pattern(folders)
        self._separators = frozenset(filter(None, (os.sep, os.altsep)))

    def text(self, text: str) -> str:
        """Return a text in which `/srv/updates/runs/a` is `runs/a`; an address that has such a path stays."""
        if self._separators.isdisjoint(text):
            return text
        return self._folder.sub("", text)

    def page(self, markup: str, file: str) -> str:
        """Return a page of a run, as it was written to the disk, without them and without the folder of a file."""
        of_file = PurePath(file)
        folders = self._folders | ({str(of_file.parent)} if of_file.is_absolute() and of_file.parent.name else set())
        return _pattern({str(escape(folder)) for folder in folders}).sub("", markup)


def _pattern(folders: Collection[str]) -> re.Pattern[str]:
    separators = re.escape(os.sep if os.altsep is None else os.sep + os.altsep)
    longest_first = sorted(map(re.escape, folders), key=len, reverse=True)
    return re.compile(rf"(?<![\w./\\-])(?:{'|'.join(longest_first)})(?:[{separators}]|(?![\w-]|\.\w))")


def _paths_in(section: BaseModel) -> Iterator[Path]:
    """Yield all paths of a configuration, those of secrets included."""
    for _, value in section:
        match value:
            case Path():
                yield value
            case SecretReference(kind=ReferenceKind.FILE, location=location):
                yield Path(location)
            case BaseModel():
                yield from _paths_in(value)
            case str() if "#" in value:  # a description and its operation
                yield Path(value.partition("#")[0])
