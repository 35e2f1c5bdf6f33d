"""The declared dependencies, their locks, and what the package imports."""

from __future__ import annotations

import ast
import hashlib
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")


def normalized(name: str) -> str:
    """Return a distribution's name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normalized(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}  # type: ignore[index]


def runtime() -> set[str]:
    return declared(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"])


def development() -> set[str]:
    return declared(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["dev"])


def locked(lock: str) -> dict[str, str]:
    """Return the version of each distribution in a lock file."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return {normalized(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


def imported() -> dict[str, str]:
    """Return each distribution that a module of the package imports, with one such module."""
    of_package = packages_distributions()
    found = {}
    for module in sorted((ROOT / "batch_updater").rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            else:
                continue
            for top in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"_typeshed"}:
                found.update({normalized(name): str(module) for name in of_package[top]})
    del found["batch-updater"]
    return found


def test_the_package_imports_what_it_declares_alone() -> None:
    """Nothing is there by luck: because it is a dependency of another one, or of the tools."""
    undeclared = {name: module for name, module in imported().items() if name not in runtime()}
    assert undeclared == {}


def test_each_declared_dependency_is_imported() -> None:
    """Nothing is installed for users in vain."""
    of_zoneinfo = {"tzdata"}
    assert runtime() - set(imported()) == of_zoneinfo


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_holds_names_versions_and_hashes(lock: str) -> None:
    """Each line pins a version or is one of its hashes; there is no address to download from."""
    entry = re.compile(r"[a-z0-9.-]+==[\w.!+]+( ; [^\\]+)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    lines = (ROOT / lock).read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not entry.fullmatch(line)] == []
    assert sum(line.endswith("\\") for line in lines) == len(lines) - len(locked(lock))


def test_the_locks_hold_what_is_declared_and_agree() -> None:
    """What users install is apart from the tools, and both files can be installed together."""
    of_users, of_tools = (locked(lock) for lock in LOCKS)
    assert runtime() <= set(of_users)
    assert development() <= set(of_tools)
    assert not development() & runtime()
    assert {name: version for name, version in of_tools.items() if of_users.get(name, version) != version} == {}


def test_files_by_others_are_named_unchanged_and_in_the_package() -> None:
    """With version, digest and licence; a wheel has the whole folder of the package, and the licences."""
    (row,) = (line for line in (ROOT / "THIRD-PARTY.md").read_text(encoding="utf-8").splitlines() if "`batch_" in line)
    path = ROOT / row.split("`")[1]
    assert hashlib.sha256(path.read_bytes()).hexdigest() in row
    version = re.search(r'version:"([\d.]+)"', path.read_text(encoding="utf-8"))
    assert version
    assert f"htmx](https://htmx.org) {version[1]}," in row
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["batch_updater"]
    licence = path.with_name("htmx.LICENSE").relative_to(ROOT)
    assert {"LICENSE", "THIRD-PARTY.md", str(licence)} <= set(project["project"]["license-files"])
    assert str(licence) in row
    assert path.with_name("htmx.LICENSE").read_text(encoding="utf-8").startswith("Zero-Clause BSD")
