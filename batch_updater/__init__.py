"""Apply every row of a spreadsheet to a REST API by PUT, without losing track of a row.

The library is `run`, `check` and the `Run` that they return; see `library.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_updater.version import __version__ as __version__

if TYPE_CHECKING:
    from batch_updater.library import Run, check, run

__all__ = ["Run", "check", "run"]


def __getattr__(name: str) -> object:
    # Lazily: the command line imports this package too, and `--help` must not wait for pandas and aiohttp.
    if name in __all__:
        from batch_updater import library  # noqa: PLC0415

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
