"""The Google provider's schema, read out of a package that is on PyPI.

The provider itself is to be had from Terraform's registry alone. Its bindings for cdktf name every resource
with every argument, its type, and whether it must be given, in one JSON document (`.jsii`: jsii's assembly,
github.com/aws/jsii). What is not in there: which values an argument may have, and which arguments exclude
each other. An argument that may be left out may also be computed: the bindings do not tell.

Run as `python -m tfcheck.schema WHEEL FILE`, it writes what `provider.py` serves.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import IO, Any, cast

Assembly = dict[str, dict[str, Any]]

_REGISTRY = "registry.terraform.io/providers/hashicorp/google/"
_KIND = re.compile(re.escape(_REGISTRY) + r"[\d.]+/docs/(resources|data-sources)/\w+ (google_\w+)}")
_ARGUMENT = re.compile(re.escape(_REGISTRY) + r"[^#\s]+#(\w+)")
_BASES = ("TerraformResource", "TerraformDataSource")
_PRIMITIVES = {"string": "string", "number": "number", "boolean": "bool"}
_MAPS = {
    "cdktf.StringMap": "string",
    "cdktf.NumberMap": "number",
    "cdktf.BooleanMap": "bool",
}


def read_assembly(wheel: Path) -> Assembly:
    """The types of the assembly that a wheel of bindings carries, by their full names."""
    with zipfile.ZipFile(wheel) as package:
        (name,) = (each for each in package.namelist() if each.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(package.read(name))) as archive:
            content = cast("IO[bytes]", archive.extractfile("package/.jsii"))
            types: Assembly = json.load(content)["types"]
    return types


def reduce_assembly(types: Assembly) -> dict[str, Any]:
    """The schema: `provider` is a block, `resources` and `data` are blocks by type.

    A block has `attributes` (a type in Terraform's JSON form, and `required`, `optional`, `computed`) and
    `blocks` (a `block`, `required`, and whether there is only a `single` one).
    """
    schema: dict[str, Any] = {"provider": {}, "resources": {}, "data": {}}
    for name, declared in types.items():
        if name.endswith(".GoogleProviderConfig"):
            schema["provider"] = _block(types, name)
        base = declared.get("base", "").rpartition(".")[2]
        kind = _KIND.search(declared.get("docs", {}).get("summary", ""))
        if kind and base in _BASES:
            block = _block(types, f"{name}Config")
            _add_computed(declared, block)
            schema["resources" if kind[1] == "resources" else "data"][kind[2]] = block
    return schema


def _block(types: Assembly, name: str) -> dict[str, Any]:
    """A block's arguments and inner blocks."""
    block: dict[str, Any] = {"attributes": {}, "blocks": {}}
    for declared in types[name].get("properties", []):
        found = _ARGUMENT.search(declared.get("docs", {}).get("remarks", ""))
        argument = found[1] if found else _snake(declared["name"])
        required = not declared.get("optional", False)
        inner = _inner(types, declared["type"])
        if inner:
            content = _block(types, inner)
            _add_computed(types.get(f"{inner}OutputReference", {}), content)
            block["blocks"][argument] = {
                "block": content,
                "required": required,
                "single": "collection" not in json.dumps(declared["type"]),
            }
        else:
            block["attributes"][argument] = {
                "type": _type(declared["type"]) or "dynamic",
                "required": required,
                "optional": not required,
            }
    return block


def _add_computed(declared: dict[str, Any], block: dict[str, Any]) -> None:
    """Adds what can be read of a resource, or of a block in it, but not given."""
    given = {*block["attributes"], *block["blocks"]}
    for each in declared.get("properties", []):
        name = _snake(each["name"])
        if each.get("static") or name.endswith(("_input", "internal_value")) or name in given:
            continue
        block["attributes"][name] = {"type": _type(each["type"]) or "dynamic", "computed": True}
    if "id" in block["attributes"]:  # may be given by the bindings, never by Terraform's users
        block["attributes"]["id"] = {"type": "string", "optional": True, "computed": True}


def _inner(types: Assembly, declared: dict[str, Any]) -> str | None:
    """The name of the interface that an inner block has; None where the type is no block."""
    if "collection" in declared:
        return _inner(types, declared["collection"]["elementtype"])
    for each in declared.get("union", {}).get("types", []):
        found = _inner(types, each)
        if found:
            return found
    name: str = declared.get("fqn", "")
    is_block = types.get(name, {}).get("kind") == "interface"
    return name if is_block else None


def _type(declared: dict[str, Any]) -> Any:
    """A type in Terraform's JSON form, None where the bindings do not tell."""
    if "primitive" in declared:
        return _PRIMITIVES.get(declared["primitive"])
    if "collection" in declared:
        kind = "map" if declared["collection"]["kind"] == "map" else "list"
        return [kind, _type(declared["collection"]["elementtype"]) or "string"]
    if "union" in declared:
        known = [each for each in map(_type, declared["union"]["types"]) if each is not None]
        return known[0] if known else None
    return ["map", _MAPS[declared["fqn"]]] if declared.get("fqn") in _MAPS else None


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def main() -> None:
    """Reads the wheel that is named, and writes the schema into the file that is."""
    wheel, file = map(Path, sys.argv[1:])
    file.write_text(json.dumps(reduce_assembly(read_assembly(wheel)), separators=(",", ":")))


if __name__ == "__main__":
    main()
