"""Pages from templates, which are compiled once for each installation."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path
from pickle import UnpicklingError

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket


class _CompiledTemplates(FileSystemBytecodeCache):
    """What Jinja makes of the templates in a folder, kept where Python keeps what it makes of modules there.

    Compiling those of a page takes longer than writing it.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(str(Path(cache_from_source(str(folder / "templates.py"))).parent), "%s.jinja")

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, UnpicklingError):  # not ours, or damaged: compiled again
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        if not sys.dont_write_bytecode:
            with suppress(OSError):  # an installation that may not be written to, or a full disk
                Path(self.directory).mkdir(parents=True, exist_ok=True)
                super().dump_bytecode(bucket)


def environment_of(folder: Path, finalize: Callable[[object], object] | None = None, *shared: Path) -> Environment:
    """Return what makes pages of the templates in a folder; what they insert passes `finalize`, and is escaped.

    `shared`: further folders, whose templates these may import.
    """
    return Environment(
        loader=FileSystemLoader([folder, *shared]),
        autoescape=True,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_CompiledTemplates(folder),
    )
