"""Reads come one after the other, so that steps have the same numbers in every run."""

from __future__ import annotations

import pytest

from pipeline.batchlog import reader


@pytest.fixture(autouse=True)
def _one_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_READERS", 1)
