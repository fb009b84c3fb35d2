"""A folder of logs and a store, for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shipping import Place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)
