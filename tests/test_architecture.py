"""The shape of the package: which module may import which, and what it may name."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

PACKAGE = Path(__file__).parent.parent / "batch_updater"
STAGES = ("loader", "sender", "reporter")
ABOVE_THE_STAGES = ("runs", "cli", "library", "doctor", "nightly")


def modules(folder: Path = PACKAGE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def imports(module: Path) -> set[str]:
    """Name every module of the package that a module imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("batch_updater")}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_imports_no_other_stage_and_nothing_above_it(stage: str) -> None:
    """Loader, sender and reporter know the words they share, and neither each other nor who calls them."""
    forbidden = {f"batch_updater.{name}" for name in (*STAGES, *ABOVE_THE_STAGES, "sandbox") if name != stage}
    for module in modules(PACKAGE / stage):
        taken = {name for name in imports(module) if any(name == no or name.startswith(f"{no}.") for no in forbidden)}
        assert not taken, f"{module.relative_to(PACKAGE)} imports {sorted(taken)}"


def test_the_words_import_no_stage() -> None:
    """What the stages share is below all of them."""
    above = {f"batch_updater.{name}" for name in (*STAGES, *ABOVE_THE_STAGES, "sandbox")}
    words = [PACKAGE / f"{name}.py" for name in ("records", "errors", "messages")]
    for module in [*words, *(m for p in ("endpoint", "config", "files", "text") for m in modules(PACKAGE / p))]:
        taken = {name for name in imports(module) if any(name == no or name.startswith(f"{no}.") for no in above)}
        assert not taken, f"{module.relative_to(PACKAGE)} imports {sorted(taken)}"


def test_only_runs_knows_all_three_stages() -> None:
    """No module outside runs/ imports loader, sender and reporter, and runs/ knows all of them."""
    known = {stage: {module for module in modules() if imports_of_stage(module, stage)} for stage in STAGES}
    knowing = set.intersection(*known.values())
    assert all(module.parent.name == "runs" for module in knowing), knowing
    assert all(any(module.parent.name == "runs" for module in found) for found in known.values())


def imports_of_stage(module: Path, stage: str) -> bool:
    return any(name.startswith(f"batch_updater.{stage}.") for name in imports(module))


def test_whatever_is_printed_goes_through_one_function() -> None:
    """Nothing else may put text on a terminal: a file's name could move its cursor."""
    for module in modules():
        if "sandbox" not in module.relative_to(PACKAGE).parts:
            called = {
                node.func.id
                for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert not {"print", "print_exc"} & called, module.relative_to(PACKAGE)


def test_the_sandbox_shares_nothing_with_the_client() -> None:
    """The sandbox judges the wire on its own: it imports nothing of the package outside its folder."""
    for module in modules(PACKAGE / "sandbox"):
        assert all(name.startswith("batch_updater.sandbox") for name in imports(module)), module.name


def test_no_field_of_the_api_is_named_in_code() -> None:
    """Whatever is special about a field is in the endpoint's description, never in a module."""
    description = YAML(typ="safe").load(PACKAGE / "endpoint" / "nexus-opportunity.openapi.yaml")
    text = str(description)
    names = ("OpportunityId", "opportunityType", "LanguageId", "OpportunityName", "OpportunityID", "CategoryName",
             "StageName", "AcctPotential", "SalesRevenue", "PendingCloseDate", "AvailableStages", "AvailableCategories",
             "ValidationMessage")  # fmt: skip
    assert all(name in text for name in names)
    for module in modules():
        if "sandbox" not in module.relative_to(PACKAGE).parts:
            code = module.read_text(encoding="utf-8")
            assert not [name for name in names if name in code], module.relative_to(PACKAGE)


def test_help_imports_nothing_heavy() -> None:
    """`--help` must be instant: none of the large packages is imported on the way to it."""
    program = (
        "import sys\n"
        "from batch_updater.cli.commands import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'pandas', 'numpy', 'openpyxl', 'xlsxwriter', 'aiohttp', 'pydantic', 'ruamel', 'tenacity', 'tqdm',\n"
        "         'apprise', 'prometheus_client'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("heavy: []\n")


def test_the_library_exports_run_check_and_their_result() -> None:
    """What the package offers to programs is exactly this."""
    import batch_updater

    assert sorted(batch_updater.__all__) == ["Run", "check", "run"]
    assert callable(batch_updater.run)
    assert callable(batch_updater.check)
