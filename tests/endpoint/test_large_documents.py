"""A description of 13 MB takes little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.endpoint.documents import document

if TYPE_CHECKING:
    from pathlib import Path

READ = """
import sys
from batch_updater.endpoint.reference import load_endpoint
print(load_endpoint(sys.argv[1] + "#put-thing").name)
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM:")))
"""


def schemas() -> dict[str, object]:
    """Return schemas that come to 13 MB in JSON, without the size of any text."""
    text = {"type": "string", "description": "What it is called, in a few words that say so.", "maxLength": 80}
    return {
        f"Schema{number}": {
            "type": "object",
            "properties": {f"field_{at}_{number}": text for at in range(40)} | {"ä": {"$ref": "#/components/x"}},
        }
        for number in range(2_700)
    }


@pytest.mark.skipif(sys.platform != "linux", reason="it has no figure of the process alone")
@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_13_mb_take_less_than_400_mb(tmp_path: Path, ending: str) -> None:
    """In JSON, and as YAML of as many characters; of the whole process."""
    path, content = tmp_path / f"openapi.{ending}", document()
    content["components"] = {"schemas": schemas()}
    # The beginning of a comment is no JSON, and what follows is YAML's way of writing it.
    path.write_text(("# YAML\n" if ending == "yaml" else "") + json.dumps(content, ensure_ascii=False), "utf-8")
    assert path.stat().st_size > 13_000_000
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    name, peak_kb = done.stdout.split()
    assert name == "put-thing"
    assert int(peak_kb) < 400 * 1024
