"""Apply every row of a spreadsheet to a REST API, without losing track of a row.

The library is `run`, `arun`, `check` and `undo`, what they return, and the errors that they raise; see `library.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from batch_updater.version import __version__ as __version__

if TYPE_CHECKING:
    from batch_updater.errors import (
        BatchUpdaterError,
        ConfigError,
        CredentialsError,
        EndpointError,
        GuardError,
        InputError,
        LockedError,
        ResultsError,
        UsageError,
    )
    from batch_updater.library import Progress, Run, arun, check, run, undo
    from batch_updater.questions import OpenQuestionsError
    from batch_updater.runs.undo import Undo

__all__ = [
    "BatchUpdaterError",
    "ConfigError",
    "CredentialsError",
    "EndpointError",
    "GuardError",
    "InputError",
    "LockedError",
    "OpenQuestionsError",
    "Progress",
    "ResultsError",
    "Run",
    "Undo",
    "UsageError",
    "arun",
    "check",
    "run",
    "undo",
]


def __getattr__(name: str) -> object:
    # Lazily: the command line imports this package too, and `--help` must not wait for pandas and aiohttp.
    if name in __all__:
        from batch_updater import errors, library  # noqa: PLC0415

        return getattr(errors if hasattr(errors, name) else library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
