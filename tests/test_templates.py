"""Templates are compiled once for each installation, and whatever becomes of that changes no page."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from batch_updater.text.templates import environment_of


def _page(folder: Path) -> str:
    return environment_of(folder, lambda value: value).get_template("page.j2").render(name="<b>")


def _compiled(folder: Path) -> list[Path]:
    return list(folder.rglob("*.jinja"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)
    (tmp_path / "page.j2").write_text("{{ name }}!")
    return tmp_path


def test_a_template_is_compiled_once(folder: Path) -> None:
    first = _page(folder)
    (compiled,) = _compiled(folder)
    assert compiled.parent.name == "__pycache__"
    written = compiled.stat().st_mtime_ns
    assert _page(folder) == first == "&lt;b&gt;!"
    assert compiled.stat().st_mtime_ns == written


def test_a_changed_template_is_compiled_anew(folder: Path) -> None:
    _page(folder)
    (folder / "page.j2").write_text("{{ name }}?")
    assert _page(folder) == "&lt;b&gt;?"
    assert len(_compiled(folder)) == 1


@pytest.mark.parametrize("kept", [0, 1, 20, 60, 90])
def test_a_compiled_template_that_is_cut_short_is_replaced(folder: Path, kept: int) -> None:
    _page(folder)
    (compiled,) = _compiled(folder)
    whole = compiled.read_bytes()
    compiled.write_bytes(whole[:kept])
    assert _page(folder) == "&lt;b&gt;!"
    assert compiled.read_bytes() == whole


def test_no_compiled_template_is_needed(folder: Path) -> None:
    (folder / "__pycache__").write_text("no folder")
    assert _page(folder) == "&lt;b&gt;!"


def test_python_may_be_told_to_write_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert _page(folder) == "&lt;b&gt;!"
    assert not _compiled(folder)
