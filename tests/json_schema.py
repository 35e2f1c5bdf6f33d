"""The schema of what `--json` prints, against which every such object of the tests is held."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA = Path(__file__).parent.parent / "docs" / "reference" / "json.schema.json"
OF_COMMAND = {
    "run": "result", "check": "result", "nightly": "night", "runs": "runs", "undo": "undo", "template": "template",
    "init": "init", "doctor": "doctor", "report": "explained_row", "columns": "columns",
    "completion": "completion", "endpoints": "endpoints", "serve": "serve",
    "team import": "team_import", "run --detach": "detached", "worker": "worker",
}  # fmt: skip


@cache
def definitions() -> dict[str, Any]:
    """Return what the schema defines, by name."""
    found: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]
    return found


def fields(name: str) -> list[str]:
    """Return the fields of a definition, in their order."""
    return list(definitions()[name]["properties"])


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = {"$ref": f"#/$defs/{name}", "$defs": definitions()}
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def require_valid(told: dict[str, Any]) -> dict[str, Any]:
    """Fail unless an object is one of those that the schema describes, with its fields in their order; returns it."""
    of_command = OF_COMMAND.get(told.get("command", ""), "endpoints" if "operations" in told else "row")
    name = "error" if "error" in told else of_command
    if errors := [f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(told)]:
        raise AssertionError("\n".join(errors))
    assert list(told) == fields(name)
    return told
