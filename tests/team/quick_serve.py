"""`batch-updater serve` that counts as dead after 5 seconds instead of 20, for tests that wait for it.

A busy machine may keep it, and the database, from its heartbeat for seconds while it lives.

python -m tests.team.quick_serve --port PORT
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.runs.interrupts import Interrupts
from batch_updater.runs.team_folders import joined
from batch_updater.web import server


def main() -> None:
    environment = Environment(os.environ)
    config = load_config(Path("config.yaml"), os.environ)
    config = config.model_copy(update={"web": config.web.model_copy(update={"port": int(sys.argv[2])})})
    say = environment.redaction.text
    with (
        joined(config, environment),
        server.logged(lambda line: print(line, file=sys.stderr, flush=True), say, every_request=False),  # noqa: T201
        Interrupts() as interrupts,
    ):
        server.serve(config, environment, interrupts, _started, Path("config.yaml"), dead_after_s=5)


def _started(link: str) -> None:
    print(link, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
