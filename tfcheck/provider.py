"""A stand-in for the Google provider: it knows the schema and nothing else.

`terraform validate` and `terraform plan` work with it as with the provider itself, without an account: what
only Google can tell is unknown in a plan, and data sources answer with the names of their attributes.
Nothing can be applied. What the schema does not hold is not checked: the values of arguments, and which
exclude each other.

Runs in `.venv-terraform`, as `python -m tfcheck.provider FILE [FOLDER]` with the file that `schema.py` wrote.
With a folder it knows the types alone that its files name: Terraform asks for the whole schema time and
again, and that takes seconds. It prints what `TF_REATTACH_PROVIDERS` is to be, and ends when its standard
input does.
"""

from __future__ import annotations

import json
import os
import re
import sys
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as plugin
from tf.gen import tfplugin_pb2_grpc as service

NAME = "registry.terraform.io/hashicorp/google"

_UNKNOWN = msgpack.ExtType(0, b"\0")
_TYPE = re.compile(r'"(google_\w+)"')
_NESTING = plugin.Schema.NestedBlock.NestingMode
_EXAMPLES = {"number": 1, "bool": False}
_ACCOUNT = "{account_id}@{project}.iam.gserviceaccount.com"
_NAMED = {
    "google_project_iam_custom_role": {"id": "projects/{project}/roles/{role_id}"},
    "google_secret_manager_secret": {"id": "projects/{project}/secrets/{secret_id}"},
    "google_service_account": {
        "email": _ACCOUNT,
        "member": f"serviceAccount:{_ACCOUNT}",
        "name": f"projects/{{project}}/serviceAccounts/{_ACCOUNT}",
    },
}
"""What follows from a resource's arguments: so a plan tells who is granted what."""
_CHOSEN = {"google_compute_global_address": ["address"]}
"""Arguments for which Google chooses a value where none is given; the bindings do not tell of that."""


class Provider(service.ProviderServicer):  # type: ignore[misc]
    """The methods of Terraform's plugin protocol, version 6, that validating and planning need."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        for name in _CHOSEN.keys() & schema["resources"].keys():
            for argument in _CHOSEN[name]:
                schema["resources"][name]["attributes"][argument]["computed"] = True

    def GetProviderSchema(self, request: Any, context: Any) -> Any:
        """The whole schema."""
        response = plugin.GetProviderSchema.Response()
        response.provider.CopyFrom(_schema(self._schema["provider"]))
        for name, block in self._schema["resources"].items():
            response.resource_schemas[name].CopyFrom(_schema(block))
        for name, block in self._schema["data"].items():
            response.data_source_schemas[name].CopyFrom(_schema(block))
        return response

    def GetFunctions(self, request: Any, context: Any) -> Any:
        """No functions."""
        return plugin.GetFunctions.Response()

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:
        """No objection beyond the schema's."""
        return plugin.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:
        """No objection beyond the schema's."""
        return plugin.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request: Any, context: Any) -> Any:
        """No objection beyond the schema's."""
        return plugin.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:
        """Takes any configuration."""
        return plugin.ConfigureProvider.Response()

    def PlanResourceChange(self, request: Any, context: Any) -> Any:
        """What was asked for, with what is computed unknown."""
        state = _unpack(request.proposed_new_state)
        if state is not None:
            for name, form in _NAMED.get(request.type_name, {}).items():
                state[name] = form.format_map(state)
            _fill(state, self._schema["resources"][request.type_name], lambda *_: _UNKNOWN)
        return plugin.PlanResourceChange.Response(planned_state=_pack(state))

    def ReadDataSource(self, request: Any, context: Any) -> Any:
        """What was asked for, with examples of what is computed."""
        state = _unpack(request.config)
        _fill(state, self._schema["data"][request.type_name], _example)
        return plugin.ReadDataSource.Response(state=_pack(state))

    def StopProvider(self, request: Any, context: Any) -> Any:
        """Nothing is under way that could be stopped."""
        return plugin.StopProvider.Response()


def _schema(block: dict[str, Any]) -> Any:
    return plugin.Schema(version=0, block=_block(block))


def _block(block: dict[str, Any]) -> Any:
    answer = plugin.Schema.Block()
    for name, each in sorted(block["attributes"].items()):
        answer.attributes.add(**{**each, "name": name, "type": json.dumps(each["type"]).encode()})
    for name, each in sorted(block["blocks"].items()):
        if name == "timeouts":  # in the framework's schema an object of its own, never repeated
            answer.block_types.add(
                type_name=name, block=_block(each["block"]), nesting=_NESTING.SINGLE
            )
            continue
        answer.block_types.add(
            type_name=name,
            block=_block(each["block"]),
            nesting=_NESTING.LIST,
            min_items=int(each["required"]),
            max_items=int(each["single"]),
        )
    return answer


def _fill(state: dict[str, Any], block: dict[str, Any], value: Any) -> None:
    """Puts a value wherever a computed attribute, here or in inner blocks, has none."""
    for name, each in block["attributes"].items():
        if each.get("computed") and state.get(name) is None:
            state[name] = value(name, each["type"])
    for name, each in block["blocks"].items():
        inner = state.get(name)
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                _fill(one, each["block"], value)


def _example(name: str, type_: Any) -> Any:
    return name.replace("_", "-") if type_ == "string" else _EXAMPLES.get(str(type_))


def _unpack(value: Any) -> Any:
    return msgpack.unpackb(value.msgpack, strict_map_key=False)


def _pack(state: Any) -> Any:
    return plugin.DynamicValue(msgpack=msgpack.packb(state))


def _keep_named(schema: dict[str, Any], folder: Path) -> None:
    """Takes out of a schema all types that no file of a folder names."""
    texts = (file.read_text(encoding="utf-8") for file in folder.rglob("*.tf"))
    named = {name for text in texts for name in _TYPE.findall(text)}
    for kind in ("resources", "data"):
        schema[kind] = {name: block for name, block in schema[kind].items() if name in named}


def main() -> None:
    """Serves on a free loopback port until standard input ends."""
    file, *folder = map(Path, sys.argv[1:])
    schema = json.loads(file.read_text())
    for each in folder:
        _keep_named(schema, each)
    server = grpc.server(futures.ThreadPoolExecutor(8))
    service.add_ProviderServicer_to_server(Provider(schema), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    address = {"Network": "tcp", "String": f"127.0.0.1:{port}"}
    reattach = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True}
    print(json.dumps({NAME: {**reattach, "Addr": address}}), flush=True)
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
