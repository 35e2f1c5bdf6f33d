"""An API that answers so many requests at first, and the others once it is released.

What a test does meanwhile finds rows in flight and a run that goes on, however long it takes.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from batch_updater.sandbox.app import App
from tests.end_to_end.program import Sandbox, sandbox_settings

if TYPE_CHECKING:
    from aiohttp import web

    from batch_updater.sandbox.server import SandboxSettings
    from batch_updater.sandbox.update import Received

_LOOKED_EVERY_S = 0.01


class _HeldApp(App):
    answers: float = math.inf
    """So many requests are answered."""
    _came = 0

    async def _answered(self, request: web.BaseRequest, received: Received, body: bytes) -> web.StreamResponse:
        self._came += 1
        number = self._came
        while number > self.answers:  # noqa: ASYNC110  (it is set by another thread)
            await asyncio.sleep(_LOOKED_EVERY_S)
        return await super()._answered(request, received, body)


class HeldSandbox(Sandbox):
    """Such an API."""

    def __init__(self, settings: SandboxSettings, answers: int) -> None:
        super().__init__(settings)
        self._app = self._held = _HeldApp(settings)
        self._held.answers = answers

    def release(self) -> None:
        """Answer everything from now on."""
        self._held.answers = math.inf


def held_api(answers: int, *options: str) -> HeldSandbox:
    """Return one for `with` that answers so many requests at first; the options are those of the command `sandbox`."""
    return HeldSandbox(sandbox_settings(*options), answers)
