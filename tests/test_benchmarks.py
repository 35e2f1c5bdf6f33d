"""benchmarks/: the harness measures what it says; how fast anything is, is no test."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks.measure import FailedError, run
from benchmarks.servers import serving
from benchmarks.table import Goal

ROOT = Path(__file__).parent.parent


def test_a_quick_call_tells_every_goal_of_its_sections_and_draws_them(tmp_path: Path) -> None:
    """The table has one line for each goal, computed from what ran just now, and the plot is a PNG file."""
    plot = tmp_path / "plot.png"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "growth", "workbook", "--plot", str(plot)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    goals = told.stdout.split("### Goals")[1].split("###")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in goals.strip().splitlines()]
    assert [line[0] for line in lines] == [
        "What",
        "---",
        "`run` of 1,000 CSV rows: peak memory",
        "`run` of 500 xlsx rows: peak memory",
        "memory is flat from 200 to 1,000 rows: peak of the whole process / that of the fewest",
        "CPU per row is flat from 200 to 1,000 rows: largest step from one size to the next",
        "results workbook of 500 rows x 15: time / openpyxl's ordinary mode",
        "results workbook of 500 rows x 15: peak memory",
    ]
    assert all(line[3] in ("yes", "**no**") for line in lines[2:])
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("latency_ms", [0, 50])
def test_a_server_tells_what_it_saw_and_ends_with_its_block(tmp_path: Path, latency_ms: int) -> None:
    """Requests are counted since it was last asked, each answer confirms its record, and nothing is left serving."""
    with serving(tmp_path, latency_ms) as server:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
        for identity in range(1, 4):
            for body in (b"{}", b'{"OpportunityName": "a \\"}"}'):
                connection.request("PUT", f"/api/v2/opportunities/{identity}?opportunityType=Pre", body=body)
                told = json.loads(connection.getresponse().read())
                assert told.items() >= {"Type": "Pre", "ID": identity}.items()
                assert server.name == "nginx" or told.items() >= json.loads(body).items()
        connection.close()
        seen = server.take(6)
        assert seen.requests == 6
        assert seen.sending_s >= 6 * latency_ms / 1_000 * 0.9
        assert server.take(0).requests == 0
    with pytest.raises(ConnectionRefusedError):
        connection.request("PUT", "/")


def test_a_process_that_fails_has_no_figures(tmp_path: Path) -> None:
    """Its end and its last words are told instead."""
    with pytest.raises(FailedError, match=r"ended with 7:\nno such luck"):
        run([sys.executable, "-c", "import sys; sys.stderr.write('no such luck'); sys.exit(7)"], tmp_path / "told")


def test_the_cost_of_a_process_is_its_own(tmp_path: Path) -> None:
    """Memory is in MB and holds what the process held; what it printed is kept."""
    told = tmp_path / "told"
    cost = run([sys.executable, "-c", "print(len(bytearray(300_000_000)))"], told)
    assert told.read_text() == "300000000\n"
    assert 280 < cost.peak_mb < 800
    assert 0 < cost.wall_s < 60
    assert cost.cpu_s > 0


def test_a_goal_is_judged_by_the_figure_and_not_by_what_is_shown() -> None:
    """0.697 is shown as 0.70 and misses 0.7 all the same."""
    assert Goal("rate", "at least", 0.7, 0.697, "{:.2f}").row() == ("rate", "at least 0.70", "0.70", "**no**")
    assert Goal("rate", "at least", 0.7, 0.7, "{:.2f}").is_met
    assert Goal("memory", "under", 300, 299.9, "{:.0f} MB").is_met
    assert not Goal("memory", "under", 300, 300, "{:.0f} MB").is_met
