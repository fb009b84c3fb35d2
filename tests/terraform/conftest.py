"""Plans of the modules under terraform/, made by Terraform itself without an account."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest

from tests.terraform.plans import Plan
from tfcheck.terraform import ROOT, Terraform, terraform_here

MakePlan: TypeAlias = Callable[..., Plan]


@pytest.fixture(scope="session")
def terraform() -> Iterator[Terraform]:
    """Terraform with the stand-in for its provider."""
    with terraform_here(ROOT / "terraform") as found:
        yield found


@pytest.fixture(scope="session")
def plan_of(terraform: Terraform) -> MakePlan:
    """What a folder of terraform/ ("modules/job") would make, by its variables; each is planned once."""
    made: dict[str, Plan] = {}

    def plan(folder: str, **variables: Any) -> Plan:
        key = json.dumps([folder, variables], sort_keys=True)
        if key not in made:
            made[key] = Plan(terraform.plan(ROOT / "terraform" / folder, variables))
        return made[key]

    return plan
