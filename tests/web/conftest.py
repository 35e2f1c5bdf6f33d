"""A server of the page beside the sandbox, and a browser that is signed in there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.end_to_end.program import Sandbox, sandbox
from tests.web.served import Browser, PageServer, configured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def api() -> Iterator[Sandbox]:
    """Run the stand-in for the API."""
    with sandbox() as running:
        yield running


@pytest.fixture
def page_server(tmp_path: Path, api: Sandbox) -> Iterator[PageServer]:
    """Serve the page for one person, with results in `tmp_path / "runs"`."""
    with PageServer(configured(tmp_path, api.url)) as server:
        yield server


@pytest.fixture
def browser(page_server: PageServer) -> Browser:
    """Return a browser that is signed in."""
    return page_server.signed_in()
