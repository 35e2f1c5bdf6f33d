from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from batch_updater.endpoint.reference import load_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from batch_updater.endpoint.description import Endpoint


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Endpoint]:
    def written(content: dict[str, Any], operation: str = "") -> Endpoint:
        path = tmp_path / "openapi.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        return load_endpoint(f"{path}#{operation}" if operation else str(path))

    return written
