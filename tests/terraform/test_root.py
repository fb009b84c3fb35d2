"""An installation as a whole: what the examples come to, and what their user is told to do next."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest

from pipeline.cli import main
from tests.terraform.conftest import MakePlan
from tests.terraform.plans import Plan

ROOT_VALUES: dict[str, Any] = {
    "project": "acme-pixels",
    "region": "europe-west1",
    "location": "EU",
    "domains": ["px.example.com"],
    "datasets": {"news": ["pageviews"], "empty": []},
}


@pytest.fixture
def minimal(plan_of: MakePlan) -> Plan:
    return plan_of("examples/minimal")


def resource(plan: Plan, address: str) -> dict[str, Any]:
    return plan.all()[f"module.pixelship.{address}"]


def test_the_smallest_call_is_a_pixel_its_log_and_a_job(minimal: Plan) -> None:
    assert {
        "google_bigquery_table",
        "google_compute_backend_bucket",
        "google_compute_global_forwarding_rule",
        "google_logging_project_sink",
        "google_secret_manager_secret",
        "google_storage_bucket",
    } <= minimal.types()


def test_the_sink_is_of_the_url_map_that_is_made(minimal: Plan) -> None:
    sink = resource(minimal, "module.logs.google_logging_project_sink.requests[0]")
    url_map = resource(minimal, "module.edge.google_compute_url_map.pixel")
    assert sink["filter"].endswith(f'url_map_name="{url_map["name"]}"')


def test_nginx_ships_to_the_bucket_that_the_job_reads(plan_of: MakePlan) -> None:
    plan = plan_of("examples/nginx")
    template = resource(plan, "module.edge.google_compute_instance_template.edge[0]")
    assert (
        "PIXELSHIP_TO=gs://acme-pixels-pixelship-logs/nginx" in template["metadata_startup_script"]
    )
    run = resource(plan, "module.job.google_cloud_run_v2_job.load[0]")
    assert "gs://acme-pixels-pixelship-logs/nginx/" in str(run)
    assert "google_logging_project_sink" not in plan.types()


def test_the_job_may_append_to_every_dataset(plan_of: MakePlan) -> None:
    plan = plan_of("examples/nginx")
    made = {each["dataset_id"] for each in plan.all("google_bigquery_dataset").values()}
    granted = {
        each["dataset_id"] for each in plan.all("google_bigquery_dataset_iam_member").values()
    }
    assert granted == made == {"mail", "news", "pixelship", "podcast"}


def test_every_service_that_is_used_is_turned_on(plan_of: MakePlan) -> None:
    on = {
        example: {
            each["service"].removesuffix(".googleapis.com")
            for each in plan_of(f"examples/{example}").all("google_project_service").values()
        }
        for example in ("minimal", "nginx")
    }
    assert "dataflow" in on["minimal"]
    assert {"run", "billingbudgets"} <= on["nginx"]
    for each in on.values():
        assert {"bigquery", "compute", "logging", "secretmanager", "storage"} <= each


def test_the_outputs_are_commands_that_there_are(plan_of: MakePlan) -> None:
    outputs = plan_of("", **ROOT_VALUES).outputs
    assert outputs["pixel_url"] == "https://px.example.com/pixel.gif"
    assert outputs["state"] in outputs["status_command"]
    assert "--to news.pageviews" in outputs["sign_command"]
    for name in ("sign_command", "status_command"):
        program, command, *rest = shlex.split(outputs[name])
        assert program == "pixelship"
        options = {option for each in main.commands[command].params for option in each.opts}
        assert {word for word in rest if word.startswith("--")} <= options
    assert re.fullmatch(
        r"sm://projects/acme-pixels/secrets/[\w-]+/versions/latest", outputs["keys"]
    )


def test_without_a_table_the_command_says_what_to_put_there(plan_of: MakePlan) -> None:
    outputs = plan_of("", **{**ROOT_VALUES, "datasets": {"news": []}}).outputs
    assert "--to DATASET.TABLE" in outputs["sign_command"]
