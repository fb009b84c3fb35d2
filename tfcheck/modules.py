"""What the modules under `terraform/` declare, and the rules of this project for it.

A module is a folder with `main.tf`, `variables.tf`, `outputs.tf` and `versions.tf`. Every variable has a type
and a description, and but for booleans a validation; every output has a description. A check of checkov's
is skipped only with a reason beside it. An example is a module of one `main.tf` that calls another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
from lark.exceptions import LarkError

FILES = ("main.tf", "variables.tf", "outputs.tf", "versions.tf")
NEEDS_NO_VALIDATION = ("bool",)
"""Types of which any value will do."""

_SKIP = re.compile(r"checkov:skip=(\w+)(?::(.*))?")
_OPTIONS = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False)


@dataclass(frozen=True)
class Declaration:
    """A variable or an output: where it stands, its name, and what is said of it.

    `type` is None for outputs, `default` is None for them and for variables that must be given; else it is
    the default as HCL would have it in JSON. `has_validation` says whether any rule stands in it.
    """

    place: str
    name: str
    description: str
    type: str | None = None
    default: Any = None
    is_required: bool = False
    has_validation: bool = False


def find_modules(root: Path) -> list[Path]:
    """The root module, the modules it is made of, and the examples."""
    inner = {file.parent for file in root.glob("*/*/*.tf")}
    return [root, *sorted(inner)]


def read_variables(module: Path) -> list[Declaration]:
    """All variables of a module, in the order they stand in."""
    return [
        Declaration(
            f"{file}: variable {name}",
            name,
            said.get("description", ""),
            said["type"].removeprefix("${").removesuffix("}") if "type" in said else None,
            said.get("default"),
            "default" not in said,
            "validation" in said,
        )
        for file, name, said in _blocks(module, "variable")
    ]


def read_outputs(module: Path) -> list[Declaration]:
    """All outputs of a module, in the order they stand in."""
    return [
        Declaration(f"{file}: output {name}", name, said.get("description", ""))
        for file, name, said in _blocks(module, "output")
    ]


def untidy(root: Path, module: Path) -> list[str]:
    """What a module under `root` does against the rules above, one sentence each."""
    try:
        faults = list(_faults(module))
    except LarkError as error:
        faults = [f"{module} has a file that is not HCL: {error}"]
    return [fault.replace(f"{root.parent}/", "") for fault in faults]


def _faults(module: Path) -> Iterator[str]:
    if module.parent.name != "examples":
        yield from (
            f"{module}: {name} is missing." for name in FILES if not (module / name).exists()
        )
    variables, outputs = read_variables(module), read_outputs(module)
    for each in variables:
        if each.type is None:
            yield f"{each.place} has no type."
        elif each.type not in NEEDS_NO_VALIDATION and not each.has_validation:
            yield f"{each.place} has no validation."
    for each in (*variables, *outputs):
        if not each.description.endswith("."):
            yield f"{each.place} has no description that ends with a full stop."
    for file in sorted(module.glob("*.tf")):
        for check, reason in _SKIP.findall(file.read_text(encoding="utf-8")):
            if not reason.strip():
                yield f"{file}: {check} is skipped without a reason."


def _blocks(module: Path, kind: str) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    for file in sorted(module.glob("*.tf")):
        with file.open(encoding="utf-8") as text:
            for block in hcl2.load(text, serialization_options=_OPTIONS).get(kind, []):
                for name, said in block.items():
                    yield file, name, said
