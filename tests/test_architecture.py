"""What no module may do. Which may import which is held by the contracts in pyproject.toml."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

PACKAGE = Path(__file__).parent.parent / "batch_updater"


def modules(folder: Path = PACKAGE) -> list[Path]:
    return sorted(folder.rglob("*.py"))


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
        "heavy = {'pandas', 'numpy', 'openpyxl', 'xlsxwriter', 'aiohttp', 'pydantic', 'ruamel', 'yaml', 'tenacity',\n"
        "         'tqdm', 'apprise', 'prometheus_client', 'sqlalchemy', 'jinja2'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert shown.endswith("heavy: []\n")
