"""The whole job on sample data against the sandbox, which runs as a process of its own like a real service."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batch_updater.config.loading import config_from
from batch_updater.errors import ConfigError
from batch_updater.files.writing import no_temporary_folder, temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batch_updater.config.schema import Config

_TOKEN = "sandbox-token"  # noqa: S105  (the sandbox's documented one)


@contextmanager
def sandbox() -> Iterator[str]:
    """Run the sandbox on any free port of this machine until the block ends; gives its URL."""
    command = [sys.executable, "-m", "batch_updater", "sandbox", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8")  # noqa: S603
    with process:
        try:
            url = process.stdout.readline().strip() if process.stdout else ""
            if not url:
                raise ConfigError("The sandbox did not start.", remedy="Try `batch-updater sandbox` by itself.")
            yield url
        finally:
            process.terminate()


@contextmanager
def configuration(url: str) -> Iterator[Config]:
    """Give a configuration as a person would write it for the sandbox; results go to `runs`.

    Tokens are only ever given by reference, so that of the sandbox is in a file until the block ends.
    """
    with temporary_folder() as folder:
        token = folder / "token"
        try:
            token.write_text(_TOKEN, encoding="ascii")
        except OSError as error:
            raise no_temporary_folder(error) from error
        yield config_from({"api": {"base_url": url, "token": f"file:{token}"}, "sending": {"rate_per_s": 50}}, {})
