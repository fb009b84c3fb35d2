"""What a plan of Terraform holds, by the addresses of its resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Plan:
    """The resources and outputs that a plan would make; what only Google can tell is left out."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._resources = list(_resources(plan["planned_values"]["root_module"]))
        self.outputs = {
            name: output.get("value")
            for name, output in plan["planned_values"].get("outputs", {}).items()
        }

    def all(self, *types: str) -> dict[str, dict[str, Any]]:
        """The values of all resources, or of those of some types, by their addresses."""
        return {
            each["address"]: each["values"]
            for each in self._resources
            if each["mode"] == "managed" and (not types or each["type"] in types)
        }

    def one(self, type_: str) -> dict[str, Any]:
        """The values of the only resource of a type."""
        (found,) = self.all(type_).values()
        return found

    def types(self) -> set[str]:
        """The types of all resources."""
        return {each["type"] for each in self._resources}


def _resources(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from module.get("resources", ())
    for each in module.get("child_modules", ()):
        yield from _resources(each)
