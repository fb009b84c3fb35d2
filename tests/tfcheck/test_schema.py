"""How a schema is made of jsii's assembly."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from tfcheck.schema import read_assembly, reduce_assembly

DOCS = "https://registry.terraform.io/providers/hashicorp/google/6.50.0/docs"


def argument(name: str, snake: str, declared: dict[str, Any], optional: bool = True) -> Any:
    remarks = f"Docs at Terraform Registry: {{@link {DOCS}/resources/pixel#{snake} Pixel#{snake}}}"
    return {"name": name, "type": declared, "optional": optional, "docs": {"remarks": remarks}}


def collection(kind: str, element: dict[str, Any]) -> dict[str, Any]:
    return {"collection": {"kind": kind, "elementtype": element}}


STRING, BOOLEAN = {"primitive": "string"}, {"primitive": "boolean"}
RESOLVABLE = {"fqn": "cdktf.IResolvable"}
TYPES: dict[str, Any] = {
    "g.Pixel": {
        "kind": "class",
        "base": "cdktf.TerraformResource",
        "docs": {"summary": f"Represents a {{@link {DOCS}/resources/pixel google_pixel}}."},
        "properties": [
            {"name": "ipv6Url", "type": STRING},
            {"name": "ipv6UrlInput", "type": STRING},
            {"name": "selfLink", "type": STRING},
            {"name": "tfResourceType", "type": STRING, "static": True},
        ],
    },
    "g.PixelConfig": {
        "kind": "interface",
        "properties": [
            argument("ipv6Url", "ipv6_url", STRING, optional=False),
            argument("isOn", "is_on", {"union": {"types": [BOOLEAN, RESOLVABLE]}}),
            argument("names", "names", collection("array", STRING)),
            argument("labels", "labels", collection("map", STRING)),
            argument(
                "rule",
                "rule",
                {"union": {"types": [RESOLVABLE, collection("array", {"fqn": "g.PixelRule"})]}},
            ),
            argument("log", "log", {"fqn": "g.PixelRule"}, optional=False),
        ],
    },
    "g.PixelRule": {
        "kind": "interface",
        "properties": [argument("age", "age", {"primitive": "number"})],
    },
    "g.PixelRuleOutputReference": {
        "kind": "class",
        "properties": [{"name": "state", "type": STRING}, {"name": "ageInput", "type": STRING}],
    },
    "g.GoogleProviderConfig": {
        "kind": "interface",
        "properties": [argument("project", "project", STRING)],
    },
}


def test_arguments_blocks_and_what_is_computed() -> None:
    schema = reduce_assembly(TYPES)
    given = {"required": False, "optional": True}
    rule = {
        "attributes": {
            "age": {"type": "number", **given},
            "state": {"type": "string", "computed": True},
        },
        "blocks": {},
    }
    assert schema["provider"] == {
        "attributes": {"project": {"type": "string", **given}},
        "blocks": {},
    }
    assert schema["data"] == {}
    assert schema["resources"] == {
        "google_pixel": {
            "attributes": {
                "ipv6_url": {"type": "string", "required": True, "optional": False},
                "is_on": {"type": "bool", **given},
                "names": {"type": ["list", "string"], **given},
                "labels": {"type": ["map", "string"], **given},
                "self_link": {"type": "string", "computed": True},
            },
            "blocks": {
                "rule": {"block": rule, "required": False, "single": False},
                "log": {"block": rule, "required": True, "single": True},
            },
        }
    }


def test_a_wheel_carries_the_assembly(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        content = json.dumps({"types": TYPES}).encode()
        entry = tarfile.TarInfo("package/.jsii")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    wheel = tmp_path / "bindings.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        package.writestr("bindings/_jsii/provider-google@1.jsii.tgz", packed.getvalue())
    assert read_assembly(wheel) == TYPES
