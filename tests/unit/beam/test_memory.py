from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from pipeline.beam.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for _ in range(3):
    [b"x" * (1 << 24) for _ in range(4)]
began = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    [b"x" * (1 << 24) for _ in range(4)]
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - began)
"""


def page_faults(how: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of the GNU C library")
def test_blocks_after_the_first_ask_the_system_for_nothing() -> None:
    assert page_faults("kept") < 1_000 < page_faults("given back")
