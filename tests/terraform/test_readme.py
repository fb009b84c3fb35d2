"""terraform/README.md says what the modules declare, and which there are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.test_docs import section
from tfcheck.modules import Declaration, find_modules, read_outputs, read_variables
from tfcheck.terraform import ROOT

TERRAFORM = ROOT / "terraform"
README = (TERRAFORM / "README.md").read_text(encoding="utf-8")
MODULES = [each for each in find_modules(TERRAFORM) if each.parent.name != "examples"]


def title(module: Path) -> str:
    return "The root module" if module == TERRAFORM else f"Module `{module.name}`"


def tables(module: Path) -> str:
    """The tables that a module's section must hold."""
    variables = [
        f"| `{each.name}` | {str(each.type).split('(')[0]} | {default(each)} | {each.description} |"
        for each in read_variables(module)
    ]
    outputs = [f"| `{each.name}` | {each.description} |" for each in read_outputs(module)]
    return "\n".join(
        [
            *("| Variable | Type | Default | What |", "|---|---|---|---|", *variables, ""),
            *("| Output | What |", "|---|---|", *outputs, ""),
        ]
    )


def default(variable: Declaration) -> str:
    return "required" if variable.is_required else f"`{json.dumps(variable.default)}`"


@pytest.mark.parametrize("module", MODULES, ids=title)
def test_every_variable_and_output_stands_in_the_readme(module: Path) -> None:
    assert tables(module) in section(README, title(module)), f"it must hold:\n\n{tables(module)}"


def test_every_example_is_named() -> None:
    for each in (TERRAFORM / "examples").iterdir():
        assert f"examples/{each.name}" in README
