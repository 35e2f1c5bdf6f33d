"""The notebook of the documentation runs from its first cell to its last, and shows what its cells show here."""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import json
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

from batch_updater.sandbox.server import Sandbox
from tests.docs.pages import DOCS
from tests.end_to_end.program import configure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOTEBOOK = DOCS / "notebook.ipynb"


async def shown_by(source: str, names: dict[str, Any]) -> str:
    """Run a cell as a notebook does, await at its top included; return what it prints, and its last expression."""
    *statements, last = ast.parse(source).body
    parts: list[tuple[ast.Module | ast.Expression, str]] = [(ast.Module([*statements, last], []), "exec")]
    if isinstance(last, ast.Expr):
        parts = [(ast.Module(statements, []), "exec"), (ast.Expression(last.value), "eval")]
    printed, value = io.StringIO(), None
    for tree, mode in parts:
        with redirect_stdout(printed):
            value = eval(compile(tree, str(NOTEBOOK), mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307
            value = await value if inspect.iscoroutine(value) else value
    return f"{printed.getvalue()}{'' if value is None else repr(value)}".rstrip()


def test_the_notebook_runs_and_shows_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a running event loop, against the sandbox."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], len({cell["id"] for cell in notebook["cells"]})) == (4, len(notebook["cells"]))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NEXUS_TOKEN", "sandbox-token")

    async def main() -> None:
        names: dict[str, Any] = {}
        for cell in cells:
            told = [output.get("text") or output["data"]["text/plain"] for output in cell["outputs"]]
            expected = "".join(line for lines in told for line in lines).rstrip()
            assert await shown_by("".join(cell["source"]), names) == expected

    with Sandbox() as sandbox:
        configure(tmp_path, sandbox.url)
        asyncio.run(main())
    assert len(cells) > 5
