"""What the process gets before a command starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from batch_updater.cli.process import quick_imports

CERTIFICATE = Path(__file__).parent.parent / "sender" / "certificates" / "localhost.pem"


@pytest.mark.parametrize("value", ["/a.pem", None])
def test_the_environment_is_as_it_was_after_imports(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    """Certificates that a person named are those of the connections, whatever an import has raised."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    if value is not None:
        monkeypatch.setenv("SSL_CERT_FILE", value)
    before = dict(os.environ)
    with pytest.raises(ImportError), quick_imports():
        raise ImportError
    assert dict(os.environ) == before


def test_only_connections_load_certificates() -> None:
    """Aiohttp has none from its import, and a context made afterwards has those of the system."""
    program = (
        "import ssl\n"
        "from batch_updater.cli.process import quick_imports\n"
        "with quick_imports():\n"
        "    from aiohttp import connector\n"
        "contexts = connector._SSL_CONTEXT_VERIFIED, ssl.create_default_context()\n"
        "print(*(context.cert_store_stats()['x509'] for context in contexts))\n"
    )
    environ = os.environ | {"SSL_CERT_FILE": str(CERTIFICATE)}
    shown = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    assert shown.stdout == "0 1\n"
