"""The folders of the server are in no text; what is not one of them stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from batch_updater.config.loading import load_config
from batch_updater.web.hidden_paths import HiddenPaths


@pytest.fixture
def hidden(tmp_path: Path) -> HiddenPaths:
    path = tmp_path / "etc" / "config.yaml"
    path.parent.mkdir()
    path.write_text(
        "api: {token: 'file:/run/secrets-of/token', endpoint: '../crm/openapi.yaml#update'}\n"
        "results: {folder: /srv/updates/runs}\nnightly: {inbox: /srv/inboxes/in}\n",
        encoding="utf-8",
    )
    return HiddenPaths(load_config(path, {}), path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The lock /srv/updates/runs/.lock-1 cannot be written", "The lock runs/.lock-1 cannot be written"),
        ("file:/run/secrets-of/token", "file:token"),
        ("'/srv/inboxes/in' is not there", "'in' is not there"),
        ("in /srv/updates.", "in ."),
        ("https://nexus.example.com/srv/updates/runs", "https://nexus.example.com/srv/updates/runs"),
        ("/srv/updates-old/a", "/srv/updates-old/a"),
        ("a/b/c", "a/b/c"),
        ("", ""),
    ],
)
def test_a_folder_of_the_server_is_left_out(text: str, shown: str, hidden: HiddenPaths) -> None:
    """What is within it is still named."""
    assert hidden.text(text) == shown


def test_the_folders_of_configuration_description_and_process_are_hidden(tmp_path: Path, hidden: HiddenPaths) -> None:
    """Each of them is somewhere on the machine of the server."""
    for path in (tmp_path / "etc" / "config.yaml", tmp_path / "etc" / ".." / "crm" / "openapi.yaml", Path.cwd() / "x"):
        assert hidden.text(f"({path})") == f"({path.name})"
