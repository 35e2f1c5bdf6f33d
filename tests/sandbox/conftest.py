"""A sandbox of its own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from batch_updater.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as served:
        yield served
