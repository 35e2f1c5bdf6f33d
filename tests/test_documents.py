"""What the documents for developers say about the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
"""What looks like a path between backticks; one without a folder counts only with one of the endings below."""
ENDINGS = (".py", ".md", ".toml", ".lock")


def paths(document: str) -> list[str]:
    """Return each file and folder that a document names in backticks."""
    names = re.findall(r"`([^`\n]+)`", (ROOT / document).read_text(encoding="utf-8"))
    return sorted({name for name in names if PATH.fullmatch(name) and ("/" in name or name.endswith(ENDINGS))})


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_path_that_a_document_for_developers_names_exists(document: str) -> None:
    """A path starts at the root of the repository or of the package; a module may be named without its ending."""
    assert paths(document)
    missing = [
        name
        for name in paths(document)
        if not any((root / path).exists() for root in (ROOT, ROOT / "batch_updater") for path in (name, f"{name}.py"))
    ]
    assert missing == []


def test_every_make_target_that_contributing_or_the_workflow_names_exists() -> None:
    """`make lint types` names two."""
    documents = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "SECURITY.md"))
    workflow = YAML(typ="safe").load(ROOT / ".github" / "workflows" / "ci.yml")
    steps = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    commands = [
        *re.findall(r"`(make [^`]+)`|^    (make .*?)(?: +#.*)?$", documents, re.MULTILINE),
        *((s, "") for s in steps),
    ]
    named = {word for pair in commands for word in "".join(pair).split()[1:] if re.fullmatch(r"[a-z./-]+", word)}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("$(READY)", ".venv/.ready")
    targets = set(re.findall(r"^([\w./-]+):", makefile, re.MULTILINE))
    assert {"test", "test-all", "lock", "types", ".venv/.ready"} <= named
    assert named - targets == set()
