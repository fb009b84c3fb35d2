"""The job on Prism, Beam's own portable runner, built from its Go module."""

from __future__ import annotations

from pathlib import Path

from runners.install import ensure_prism
from runners.tests.conftest import OnOneMachine
from tests.portable import Loading, balance


def test_rows_are_those_of_one_machine(expected: OnOneMachine, tmp_path: Path) -> None:
    there = Loading.fresh(expected.cloud)
    options = ("--runner=PrismRunner", f"--prism_location={ensure_prism()}")
    assert balance(there.start(*options, tmp=tmp_path / "there")) == expected.balance
    assert there.contents() == expected.contents
