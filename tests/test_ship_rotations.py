"""nginx under load through rotations, shippers killed: each reply is one line, and one row or its like.

`python -m faults.rotations` does the same fifty times.
"""

from __future__ import annotations

from pathlib import Path

from faults.edge import lines_of
from faults.rotations import try_rotations


def test_every_reply_is_a_line_in_the_store_and_a_row(tmp_path: Path) -> None:
    outcome = try_rotations(tmp_path, rotations=6, clients=1, pause_s=0.02, seed=1)
    assert outcome.wonders == []
    assert lines_of(outcome.asked) == outcome.shipped_lines
    assert outcome.loaded == outcome.asked
    assert all(outcome.asked.values())
    assert outcome.is_exact
    assert (outcome.rotations, outcome.objects > 3, outcome.kills > 0) == (6, True, True)
