"""The module `warehouse` makes the very tables that `pixelship load` would make."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from pipeline.destinations import is_permitted
from pipeline.warehouses.bigquery_tables import TableOptions, Tables
from tests.terraform.conftest import MakePlan
from tests.terraform.plans import Plan
from tfcheck.terraform import ROOT, Terraform, TerraformError

PROJECT = {"project": "acme-pixels", "location": "EU"}
DATASETS = {"news": ["pageviews"], "mail": []}
_SAME = {"type": "type", "field": "field", "expirationMs": "expiration_ms"}


class _Recorder:
    """Stands in for BigQuery's client: nothing is there yet, and what is made is kept."""

    project = "acme-pixels"

    def __init__(self) -> None:
        self.made: dict[str, dict[str, Any]] = {}

    def get_dataset(self, *_: Any, **__: Any) -> Any:
        return SimpleNamespace(location="EU")

    def get_table(self, *_: Any, **__: Any) -> Any:
        raise NotFound("no such table")

    def create_table(self, table: bigquery.Table, **_: Any) -> None:
        self.made[f"{table.dataset_id}.{table.table_id}"] = table.to_api_repr()


def by_the_program(options: TableOptions) -> dict[str, dict[str, Any]]:
    """The tables that a run makes, and `pixelship email` with it, as BigQuery's API has them."""
    client = _Recorder()
    tables = Tables(client, "EU", options)
    for name in ("rejects", "bot_hits", "objects", "batches", "sends"):
        tables._create(f"pixelship.{name}", name)
    tables._create("news.pageviews", "event")
    return client.made


def by_terraform(plan: Plan) -> dict[str, dict[str, Any]]:
    """The planned tables in the same form."""
    return {
        f"{values['dataset_id']}.{values['table_id']}": _as_in_the_api(values)
        for values in plan.all("google_bigquery_table").values()
    }


def _as_in_the_api(values: dict[str, Any]) -> dict[str, Any]:
    partitions = {
        theirs: str(given) if theirs == "expirationMs" else given
        for part in values["time_partitioning"]
        for theirs, ours in _SAME.items()
        if (given := part[ours]) is not None
    }
    return {
        "description": values["description"],
        "schema": json.loads(values["schema"]),
        "timePartitioning": partitions or None,
        "clustering": values["clustering"],
        "requirePartitionFilter": bool(values["require_partition_filter"]),
    }


def _of_the_program(table: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": table["description"],
        "schema": table["schema"]["fields"],
        "timePartitioning": table.get("timePartitioning"),
        "clustering": table.get("clustering", {}).get("fields"),
        "requirePartitionFilter": bool(table.get("requirePartitionFilter")),
    }


OPTIONS = {
    "default": ({}, TableOptions()),
    "chosen": (
        {"partition": "hour", "partition_expiry_days": 30, "require_partition_filter": True},
        TableOptions("hour", 30, require_partition_filter=True),
    ),
}


@pytest.mark.parametrize("choice", OPTIONS)
def test_tables_are_those_that_the_program_makes(plan_of: MakePlan, choice: str) -> None:
    variables, options = OPTIONS[choice]
    plan = plan_of(
        "modules/warehouse", **PROJECT, datasets=DATASETS, rejects_expiry_days=None, **variables
    )
    wanted = {name: _of_the_program(table) for name, table in by_the_program(options).items()}
    assert by_terraform(plan) == wanted


def test_datasets_are_in_one_place_and_rejects_expire(plan_of: MakePlan) -> None:
    plan = plan_of("modules/warehouse", **PROJECT, datasets=DATASETS)
    datasets = plan.all("google_bigquery_dataset").values()
    assert {(each["dataset_id"], each["location"]) for each in datasets} == {
        ("mail", "EU"), ("news", "EU"), ("pixelship", "EU"),
    }  # fmt: skip
    assert not any(each["delete_contents_on_destroy"] for each in datasets)
    tables = plan.all("google_bigquery_table").values()
    assert all(each["deletion_protection"] for each in tables)
    expire = {
        each["table_id"]: part["expiration_ms"]
        for each in tables
        for part in each["time_partitioning"]
        if part["expiration_ms"]
    }
    assert expire == {"rejects": 90 * 86_400_000}
    assert plan.outputs == {
        "dataset_ids": ["mail", "news"],
        "bookkeeping_dataset_id": "pixelship",
    }


@pytest.mark.parametrize("name", ["Pixelship", "ne-ws"])
def test_names_that_the_program_refuses_are_refused(terraform: Terraform, name: str) -> None:
    assert not is_permitted(f"{name}.pageviews")
    with pytest.raises(TerraformError, match=r"start with a\sletter"):
        terraform.plan(ROOT / "terraform/modules/warehouse", {**PROJECT, "datasets": {name: []}})
