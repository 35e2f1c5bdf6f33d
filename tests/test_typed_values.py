"""text/typed_values.py: types of ours, used for the first time by several threads at once."""

from __future__ import annotations

import subprocess
import sys
import textwrap

FIRST_USES = """
    import sys, threading
    import msgspec
    from batch_updater.text.typed_values import typed, typed_json

    sys.setswitchinterval(1e-6)
    for number in range(100):
        inner = msgspec.defstruct(f"Inner{number}", [(f"field_{at}", int) for at in range(40)])
        outer = msgspec.defstruct(f"Outer{number}", [("first", inner), ("second", list[inner])])
        value = {f"field_{at}": at for at in range(40)}
        value = {"first": value, "second": [value]}
        text, found, start = msgspec.json.encode(value), [], threading.Barrier(4)

        def use(reads_text):
            start.wait()
            found.append(typed_json(text, outer) if reads_text else typed(value, outer))

        threads = [threading.Thread(target=use, args=[bool(one % 2)]) for one in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [msgspec.to_builtins(one) for one in found] == [value] * 4
"""


def test_threads_may_use_a_type_for_the_first_time_at_once() -> None:
    """The process does not die of it: msgspec shows a type to other threads before it is complete."""
    command = [sys.executable, "-c", textwrap.dedent(FIRST_USES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stderr)
