"""The module `job`: what is launched, when, and that nothing needs an image which is not there."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import click
import pytest

from pipeline.beam.options import separate_beam_options
from pipeline.cli.load import load
from tests.terraform.conftest import MakePlan
from tfcheck.terraform import ROOT, Terraform, TerraformError

IMAGE = "europe-west1-docker.pkg.dev/acme-pixels/pixelship/pixelship:1.0.0"
LEAST = {
    "project": "acme-pixels",
    "region": "europe-west1",
    "location": "EU",
    "log_bucket": "acme-logs",
    "datasets": ["news", "pixelship"],
}
READY = {**LEAST, "image": IMAGE, "config": 'allow = ["news.*"]\n', "allow": ["news.*", "mail.*"]}
OPTIONS = {
    "to": "bigquery:acme-pixels",
    "state": "gs://acme-pixels-pixelship-state/state",
    "location": "EU",
    "keys": "sm://projects/acme-pixels/secrets/pixelship-keys/versions/latest",
    "config": "gs://acme-pixels-pixelship-job/config/pixelship.toml",
    "dedupe": "view",
    "settle": "0",
    "lease": "3600",
    "format": "auto",
}
PARAMETERS = json.loads((ROOT / "dataflow/metadata.json").read_text(encoding="utf-8"))["parameters"]
NEED_AN_IMAGE = {
    "google_cloud_scheduler_job",
    "google_cloud_run_v2_job",
    "google_cloud_run_v2_job_iam_member",
    "google_monitoring_alert_policy",
}
WRONG = {
    "image": (f"{IMAGE.partition(':')[0]}:latest", "other than latest"),
    "location": ("Europe", "EU, US, or a region"),
    "log_bucket": ("gs://acme-logs", "without gs://"),
    "schedule": ("every day", "five fields of cron"),
    "keys_version": ("newest", "Say latest, or a version's number"),
    "runner": ("spark", "dataflow or cloud_run"),
    "alerts": ({"reject_rate": 5}, "at most 1"),
    "budget": ({"billing_account": "mine", "units": 5}, "012345-6789AB-CDEF01"),
}


def launched(plan: Any) -> dict[str, Any]:
    """What the scheduler asks Dataflow to launch."""
    (target,) = plan.one("google_cloud_scheduler_job")["http_target"]
    body: dict[str, Any] = json.loads(base64.b64decode(target["body"]))
    return body["launchParameter"]


def test_dataflow_launches_the_template_with_what_load_is_told(plan_of: MakePlan) -> None:
    plan = plan_of("modules/job", **READY)
    (target,) = plan.one("google_cloud_scheduler_job")["http_target"]
    assert target["uri"] == (
        "https://dataflow.googleapis.com/v1b3/projects/acme-pixels/locations/europe-west1"
        "/flexTemplates:launch"
    )
    assert [each["service_account_email"] for each in target["oauth_token"]] == [
        "pixelship-scheduler@acme-pixels.iam.gserviceaccount.com"
    ]
    launch = launched(plan)
    assert launch["parameters"] == {
        **OPTIONS, "logs": "gs://acme-logs/", "allow": "news.*,mail.*",
    }  # fmt: skip
    template = plan.all("google_storage_bucket_object")["google_storage_bucket_object.template[0]"]
    assert launch["containerSpecGcsPath"] == f"gs://{template['bucket']}/{template['name']}"
    spec = json.loads(template["content"])
    assert (spec["image"], spec["sdkInfo"]) == (IMAGE, {"language": "PYTHON"})
    assert spec["metadata"]["parameters"] == PARAMETERS


def test_parameters_are_the_templates_and_of_their_form(plan_of: MakePlan) -> None:
    given = launched(plan_of("modules/job", **READY))["parameters"]
    known = {each["name"]: each for each in PARAMETERS}
    assert given.keys() <= known.keys()
    assert {name for name, each in known.items() if not each.get("isOptional")} <= given.keys()
    for name, value in given.items():
        for form in known[name].get("regexes", ()):
            assert re.fullmatch(form, value), f"{name} is {value!r}, not {form}"


def test_workers_have_one_image_no_addresses_and_a_network_of_their_own(plan_of: MakePlan) -> None:
    environment = launched(plan_of("modules/job", **READY))["environment"]
    assert environment == {
        "serviceAccountEmail": "pixelship-job@acme-pixels.iam.gserviceaccount.com",
        "sdkContainerImage": IMAGE,
        "machineType": "e2-standard-2",
        "launcherMachineType": "e2-medium",
        "maxWorkers": 4,
        "subnetwork": "regions/europe-west1/subnetworks/pixelship-job",
        "ipConfiguration": "WORKER_IP_PRIVATE",
        "stagingLocation": "gs://acme-pixels-pixelship-job/staging",
        "tempLocation": "gs://acme-pixels-pixelship-job/temp",
        "additionalUserLabels": {},
    }


def test_flexible_scheduling_arm_and_a_given_network_are_passed_on(plan_of: MakePlan) -> None:
    subnetwork = "regions/europe-west1/subnetworks/ours"
    machines = {"machine_type": "t2a-standard-2", "flexrs": True, "max_workers": 20}
    plan = plan_of("modules/job", **READY, dataflow=machines, subnetwork=subnetwork)
    environment = launched(plan)["environment"]
    assert environment["flexrsGoal"] == "FLEXRS_COST_OPTIMIZED"
    assert (environment["machineType"], environment["maxWorkers"]) == ("t2a-standard-2", 20)
    assert environment["subnetwork"] == subnetwork
    assert not {each for each in plan.types() if each.startswith("google_compute_")}


def test_cloud_run_runs_load_itself(plan_of: MakePlan) -> None:
    plan = plan_of("modules/job", **READY, runner="cloud_run")
    (target,) = plan.one("google_cloud_scheduler_job")["http_target"]
    assert target["uri"] == (
        "https://run.googleapis.com/v2/projects/acme-pixels/locations/europe-west1"
        "/jobs/pixelship:run"
    )
    (execution,) = plan.one("google_cloud_run_v2_job")["template"]
    (task,) = execution["template"]
    (container,) = task["containers"]
    assert (container["image"], container["command"]) == (IMAGE, ["pixelship"])
    assert task["max_retries"] == 0
    command, *words = container["args"]
    assert command == "load"
    with click.Context(load, ignore_unknown_options=True) as context:
        told, _, _ = load.make_parser(context).parse_args([*words])
    assert separate_beam_options(told["logs"]) == (["gs://acme-logs/"], [])
    assert {name: words[words.index(f"--{name}") + 1] for name in OPTIONS} == OPTIONS
    assert told["allow"] == ["news.*", "mail.*"]


def test_a_tick_is_not_tried_again(plan_of: MakePlan) -> None:
    tick = plan_of("modules/job", **READY).one("google_cloud_scheduler_job")
    assert [each["retry_count"] for each in tick["retry_config"]] == [0]
    assert (tick["schedule"], tick["time_zone"], tick["paused"]) == ("*/15 * * * *", "Etc/UTC", False)  # fmt: skip


@pytest.mark.parametrize("runner", ["dataflow", "cloud_run"])
def test_without_an_image_nothing_needs_it(plan_of: MakePlan, runner: str) -> None:
    plan = plan_of("modules/job", **LEAST, runner=runner)
    assert not plan.types() & NEED_AN_IMAGE
    assert not plan.all("google_storage_bucket_object")
    assert plan.outputs["launch_command"] is None
    assert plan.outputs["repository"] == "europe-west1-docker.pkg.dev/acme-pixels/pixelship"


def test_no_secret_and_no_rule_that_removes_state(plan_of: MakePlan) -> None:
    plan = plan_of("modules/job", **READY)
    assert "google_secret_manager_secret_version" not in plan.types()
    buckets = {each["name"]: each for each in plan.all("google_storage_bucket").values()}
    state, job = buckets["acme-pixels-pixelship-state"], buckets["acme-pixels-pixelship-job"]
    assert not state["lifecycle_rule"]
    assert (state["location"], state["force_destroy"]) == ("EU", False)
    removed = [
        condition["matches_prefix"]
        for rule in job["lifecycle_rule"]
        if rule["action"][0]["type"] == "Delete"
        for condition in rule["condition"]
    ]
    assert removed == [["staging/", "temp/"]]
    for each in (state, job):
        assert each["uniform_bucket_level_access"]
        assert each["public_access_prevention"] == "enforced"


def test_wrong_values_are_refused_in_a_sentence(terraform: Terraform) -> None:
    variables = {**LEAST, **{name: value for name, (value, _) in WRONG.items()}}
    with pytest.raises(TerraformError) as caught:
        terraform.plan(ROOT / "terraform/modules/job", variables)
    said = " ".join(str(caught.value).split())
    assert [name for name, (_, sentence) in WRONG.items() if sentence not in said] == []


@pytest.mark.parametrize("name", ["dataflow", "cloud_run", "alerts"])
def test_what_may_be_chosen_stands_in_the_readme(name: str) -> None:
    page = (ROOT / "terraform/README.md").read_text(encoding="utf-8")
    for module in ("terraform", "terraform/modules/job"):
        text = (ROOT / module / "variables.tf").read_text(encoding="utf-8")
        declared = text.partition(f'variable "{name}" {{')[2].partition("\n}\n")[0]
        chosen = re.findall(r'(\w+) += optional\(\w+(?:, "?([\w.-]+)"?)?\)', declared)
        assert chosen
        for attribute, default in chosen:
            rows = re.findall(rf"^\|.*`{attribute}`.*$", page, re.M)
            assert any(f"`{default}`" in row if default else "none" in row for row in rows)
