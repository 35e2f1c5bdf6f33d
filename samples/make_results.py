"""Make the samples that the program itself writes: `python samples/make_results.py` (after make_samples.py).

The results workbook is that of a real run of mistakes.xlsx against the sandbox, without who ran it and where.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from msgspec.structs import replace

from batch_updater.cli import demo
from batch_updater.config.environment import Environment
from batch_updater.config.schema import InputSettings
from batch_updater.endpoint.reference import load_endpoint
from batch_updater.reporter.template import write_template
from batch_updater.reporter.workbook import write_results
from batch_updater.runs import open_run, result, run
from batch_updater.sandbox.server import Sandbox, SandboxSettings

HERE = Path(__file__).parent
PERSONAL = ("run by", "on machine", "Python", "api.token", "api.base_url", "results.folder")


def main() -> None:
    """Write both files beside this one."""
    template, results = HERE / "template.xlsx", HERE / "mistakes-results.xlsx"
    template.unlink(missing_ok=True)
    write_template(template, load_endpoint("nexus-opportunity"), InputSettings())
    with (
        Sandbox(SandboxSettings()) as sandbox,
        demo.configuration(sandbox.url) as config,
        tempfile.TemporaryDirectory() as folder,
    ):
        in_folder = config.results.model_copy(update={"folder": Path(folder)})
        moved, environment = config.model_copy(update={"results": in_folder}), Environment({})
        with open_run.open_run(HERE / "mistakes.xlsx", moved, environment) as opened:
            finished = run.ActiveRun(opened, result.Options(), environment).execute()
        plan = opened.plan
        facts = replace(
            finished.facts,
            input_path="mistakes.xlsx",
            base_url="https://nexus.example.com",
            run_folder=None,
            settings=tuple(setting for setting in finished.facts.settings if setting.name not in PERSONAL),
        )
        write_results(results, facts, plan.staged.columns, plan.endpoint, finished.rows())


if __name__ == "__main__":
    main()
