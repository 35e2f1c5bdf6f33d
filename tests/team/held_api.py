"""An API that answers so many requests at first, and the others once it is released.

What a test does meanwhile finds rows in flight and a run that goes on, however long it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.end_to_end.program import Sandbox, sandbox_settings

if TYPE_CHECKING:
    from batch_updater.sandbox.server import SandboxSettings


class HeldSandbox(Sandbox):
    """Such an API."""

    def __init__(self, settings: SandboxSettings, answers: int) -> None:
        super().__init__(settings)
        self._app.answers = answers


def held_api(answers: int, *options: str) -> HeldSandbox:
    """Return one for `with` that answers so many requests at first; the options are those of the command `sandbox`."""
    return HeldSandbox(sandbox_settings(*options), answers)
