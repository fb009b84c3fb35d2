"""The log bucket, and what brings the load balancer's log into it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.terraform.conftest import MakePlan
from tests.terraform.plans import Plan
from tfcheck.terraform import ROOT, Terraform, TerraformError

LOGS: dict[str, Any] = {"project": "acme-pixels", "location": "EU"}
OURS = 'resource.type="http_load_balancer" AND resource.labels.url_map_name="pixelship-pixel"'


@pytest.fixture
def plan(plan_of: MakePlan) -> Plan:
    return plan_of("modules/logs", **LOGS, url_map_name="pixelship-pixel")


def test_the_sink_takes_our_requests_and_only_ours_into_the_bucket(plan: Plan) -> None:
    sink = plan.one("google_logging_project_sink")
    assert sink["filter"] == OURS
    assert sink["destination"] == "storage.googleapis.com/acme-pixels-pixelship-logs"
    assert sink["exclusions"] == []
    assert sink["unique_writer_identity"] is True


def test_the_writer_creates_objects_in_that_bucket_and_no_more(plan: Plan) -> None:
    grant = plan.one("google_storage_bucket_iam_member")
    assert grant["bucket"] == plan.one("google_storage_bucket")["name"]
    assert grant["role"] == "roles/storage.objectCreator"
    assert {each for each in plan.types() if "iam" in each} == {"google_storage_bucket_iam_member"}


def test_requests_are_not_paid_for_twice(plan_of: MakePlan, plan: Plan) -> None:
    assert plan.one("google_logging_project_exclusion")["filter"] == OURS
    kept = plan_of("modules/logs", **LOGS, url_map_name="p", keep_in_cloud_logging=True)
    assert "google_logging_project_exclusion" not in kept.types()


def test_nginx_ships_by_itself(plan_of: MakePlan) -> None:
    assert plan_of("modules/logs", **LOGS).types() == {"google_storage_bucket"}
    assert plan_of("modules/logs", **LOGS).outputs["sink_writer"] is None


def test_logs_are_private_and_end(plan_of: MakePlan) -> None:
    plan = plan_of("modules/logs", **LOGS, retention_days=400, nearline_after_days=30)
    bucket = plan.one("google_storage_bucket")
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["versioning"] == []
    rules = {
        (rule["action"][0]["type"], rule["action"][0]["storage_class"], rule["condition"][0]["age"])
        for rule in bucket["lifecycle_rule"]
    }
    assert rules == {
        ("Delete", None, 400),
        ("SetStorageClass", "NEARLINE", 30),
        ("AbortIncompleteMultipartUpload", None, 1),
    }


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {
                "location": "europe",
                "project": "Acme",
                "retention_days": 6,
                "url_map_name": "projects/p/urlMaps/x",
            },
            [
                "one of the multi-regions",
                "named by its id",
                "7 whole days at least",
                "by its name, without",
            ],
        ),
        (
            {"retention_days": 40, "nearline_after_days": 20.5},
            ["whole numbers from 0 on", "Nearline bills 30 days at least"],
        ),
    ],
    ids=["each", "together"],
)
def test_values_that_would_fail_later_are_refused_now(
    terraform: Terraform, given: dict[str, Any], said: list[str]
) -> None:
    with pytest.raises(TerraformError) as refused:
        terraform.plan(ROOT / "terraform/modules/logs", {**LOGS, **given})
    words = " ".join(str(refused.value).replace("│", "").split())
    assert [each for each in said if each not in words] == []
