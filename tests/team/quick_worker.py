"""`batch-updater worker` that counts as dead after 3 seconds instead of 20, for tests that wait for it.

python -m tests.team.quick_worker CONCURRENCY
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from batch_updater.config.environment import Environment
from batch_updater.config.loading import load_config
from batch_updater.runs.interrupts import Interrupts
from batch_updater.runs.team_folders import joined
from batch_updater.team.worker import TeamWorker, Timing

TIMING = Timing(heartbeat_s=0.4, contact_s=1.5, stalled_s=3.0)


def main() -> None:
    environment = Environment(os.environ)
    config = load_config(Path("config.yaml"), os.environ)
    with joined(config, environment) as team, Interrupts() as interrupts:
        assert team is not None
        worker = TeamWorker(team, config, environment, int(sys.argv[1]), _say, night=(), timing=TIMING)
        worker.run(interrupts)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
