"""The pipeline: the only part that knows all three stages, and carries rows from one to the next.

It goes over its own copy of the input three times, so that nobody holds all the rows: to judge, to send, to report.
"""

from batch_updater.pipeline.beginning import Begun, begun
from batch_updater.pipeline.finished import Finished, Options, Progress
from batch_updater.pipeline.judging import check, compare, overridden, require_allowed
from batch_updater.pipeline.past import endpoint_of_run, report, table_of_run
from batch_updater.pipeline.plan import Plan, prepare, require_read
from batch_updater.pipeline.run import Run

__all__ = [
    "Begun",
    "Finished",
    "Options",
    "Plan",
    "Progress",
    "Run",
    "begun",
    "check",
    "compare",
    "endpoint_of_run",
    "overridden",
    "prepare",
    "report",
    "require_allowed",
    "require_read",
    "table_of_run",
]
