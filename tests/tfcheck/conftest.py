from __future__ import annotations

from collections.abc import Iterator

import pytest

from tfcheck.terraform import Terraform, terraform_here


@pytest.fixture(scope="session")
def terraform() -> Iterator[Terraform]:
    with terraform_here() as terraform:
        yield terraform
