"""Who may do what: all that is granted, for every kind of edge and every runner, word for word."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import pytest

from tests.terraform.conftest import MakePlan
from tests.terraform.plans import Plan
from tfcheck.terraform import ROOT

Grant: TypeAlias = "tuple[str, str, str]"
"""A member, a role, and what it is granted on."""

P = "acme-pixels"
READY = {
    "project": P,
    "region": "europe-west1",
    "location": "EU",
    "domains": ["px.example.com"],
    "datasets": {"news": ["pageviews"], "mail": []},
    "image": f"europe-west1-docker.pkg.dev/{P}/pixelship/pixelship:1.0.0",
    "config": 'allow = ["news.*"]',
    "alert_emails": ["ops@example.com"],
}
JOB = f"serviceAccount:pixelship-job@{P}.iam.gserviceaccount.com"
SCHEDULER = f"serviceAccount:pixelship-scheduler@{P}.iam.gserviceaccount.com"
NGINX = f"serviceAccount:pixelship-edge@{P}.iam.gserviceaccount.com"
SINK = "(the log sink)"
ROLES = f"projects/{P}/roles/pixelship"
VIEWER = "roles/storage.objectViewer"
ONLY_GET = "roles/storage.legacyObjectReader"
"""Gets objects whose names it knows; lists none."""

ALWAYS: set[Grant] = {
    (JOB, f"{ROLES}_jobs", f"project {P}"),
    (JOB, f"{ROLES}_tables", "dataset news"),
    (JOB, f"{ROLES}_tables", "dataset mail"),
    (JOB, f"{ROLES}_tables", "dataset pixelship"),
    (JOB, f"{ROLES}_objects", f"bucket {P}-pixelship-state"),
    (JOB, VIEWER, f"bucket {P}-pixelship-logs"),
    (JOB, "roles/secretmanager.secretAccessor", "secret pixelship-keys"),
}
OF_RUNNER: dict[str, set[Grant]] = {
    "dataflow": {
        (JOB, "roles/dataflow.worker", f"project {P}"),
        (JOB, "roles/artifactregistry.reader", "repository pixelship"),
        (JOB, f"{ROLES}_objects", f"bucket {P}-pixelship-job"),
        (SCHEDULER, f"{ROLES}_launch", f"project {P}"),
        (SCHEDULER, "roles/iam.serviceAccountUser", f"account {JOB.partition(':')[2]}"),
        (SCHEDULER, VIEWER, f"bucket {P}-pixelship-job: template/pixelship.json"),
    },
    "cloud_run": {
        (JOB, VIEWER, f"bucket {P}-pixelship-job"),
        (SCHEDULER, "roles/run.invoker", "job pixelship"),
    },
}
OF_KIND: dict[str, set[Grant]] = {
    "bucket": {
        ("allUsers", ONLY_GET, f"bucket {P}-pixelship-pixel"),
        (SINK, "roles/storage.objectCreator", f"bucket {P}-pixelship-logs"),
    },
    "nginx": {
        (NGINX, "roles/storage.objectCreator", f"bucket {P}-pixelship-logs"),
        (NGINX, ONLY_GET, f"bucket {P}-pixelship-logs"),
    },
}
CUSTOM_ROLES = {
    f"{ROLES}_jobs": {"bigquery.jobs.create"},
    f"{ROLES}_tables": {
        "bigquery.datasets.get",
        "bigquery.tables.create",
        "bigquery.tables.get",
        "bigquery.tables.getData",
        "bigquery.tables.update",
        "bigquery.tables.updateData",
    },
    f"{ROLES}_objects": {
        "storage.buckets.get",
        "storage.objects.create",
        "storage.objects.delete",
        "storage.objects.get",
        "storage.objects.list",
    },
    f"{ROLES}_launch": {"dataflow.jobs.create", "dataflow.jobs.get"},
}
RESOURCES = {
    "google_artifact_registry_repository_iam_member": ("repository", "repository"),
    "google_bigquery_dataset_iam_member": ("dataset", "dataset_id"),
    "google_cloud_run_v2_job_iam_member": ("job", "name"),
    "google_project_iam_member": ("project", "project"),
    "google_secret_manager_secret_iam_member": ("secret", "secret_id"),
    "google_service_account_iam_member": ("account", "service_account_id"),
    "google_storage_bucket_iam_member": ("bucket", "bucket"),
}
BASIC = {"roles/owner", "roles/editor", "roles/viewer", "roles/browser"}
GRANTING = ("_iam_", "_acl", "access_control", "_access")
"""What the names of all types of the provider have that grant something."""
COMBINATIONS = [(kind, runner) for kind in sorted(OF_KIND) for runner in sorted(OF_RUNNER)]


def granted(plan: Plan) -> set[Grant]:
    """All grants of a plan."""
    return {
        _grant(address, values)
        for address, values in plan.all().items()
        if _type(address) != "google_project_iam_custom_role"
        and any(part in _type(address) for part in GRANTING)
    }


def _type(address: str) -> str:
    """module.job.google_x.name[0] is a google_x."""
    return next(part for part in address.split(".") if part.startswith("google_"))


def _grant(address: str, values: dict[str, Any]) -> Grant:
    kind, name = RESOURCES[_type(address)]
    what = f"{kind} {values[name].rpartition('/')[2]}"
    for condition in values.get("condition") or ():
        assert condition["expression"].startswith("resource.name == "), "a condition that narrows"
        what += f": {condition['expression'].partition('/objects/')[2].rstrip(chr(39))}"
    return values.get("member") or SINK, values["role"], what


@pytest.mark.parametrize(("kind", "runner"), COMBINATIONS)
def test_nothing_is_granted_but_what_stands_here(plan_of: MakePlan, kind: str, runner: str) -> None:
    found = granted(plan_of("", **READY, kind=kind, runner=runner))
    assert found == ALWAYS | OF_RUNNER[runner] | OF_KIND[kind]


@pytest.mark.parametrize(("kind", "runner"), COMBINATIONS)
def test_roles_of_our_own_hold_what_stands_here(plan_of: MakePlan, kind: str, runner: str) -> None:
    plan = plan_of("", **READY, kind=kind, runner=runner)
    roles = {
        each["id"]: set(each["permissions"])
        for each in plan.all("google_project_iam_custom_role").values()
    }
    used = {role for _, role, _ in granted(plan) if role.startswith("projects/")}
    assert roles == {role: CUSTOM_ROLES[role] for role in used}


def test_the_lists_above_hold_nothing_broad() -> None:
    everything = [ALWAYS, *OF_RUNNER.values(), *OF_KIND.values()]
    grants = {grant for some in everything for grant in some}
    assert not {role for _, role, _ in grants} & BASIC
    assert {grant for grant in grants if grant[0].startswith("all")} == {
        ("allUsers", ONLY_GET, f"bucket {P}-pixelship-pixel")
    }
    assert {(role) for _, role, what in grants if what.startswith("project ")} == {
        f"{ROLES}_jobs", f"{ROLES}_launch", "roles/dataflow.worker",
    }  # fmt: skip


def test_no_keys_of_accounts_and_no_default_account(plan_of: MakePlan) -> None:
    for kind, runner in COMBINATIONS:
        plan = plan_of("", **READY, kind=kind, runner=runner)
        assert "google_service_account_key" not in plan.types()
        for instance in plan.all("google_compute_instance_template").values():
            assert [each["email"] for each in instance["service_account"]] == [NGINX.partition(":")[2]]  # fmt: skip


def test_roles_of_our_own_are_what_the_program_needs() -> None:
    """docs/operations.md: its shorthands are of the service and kind named before them."""
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (.+?) \| (.+) \|$", page.partition("## What it needs")[2], re.M))
    of_logs = set(permissions(rows["the logs' bucket"]))
    of_state = rows["the state's bucket, in the datasets' location"]
    assert of_state.startswith("the same, and ")
    assert of_logs | set(permissions(of_state)) == CUSTOM_ROLES[f"{ROLES}_objects"]
    assert set(permissions(rows["the project"])) == CUSTOM_ROLES[f"{ROLES}_jobs"]
    tables = rows["each dataset, and `pixelship`"]
    assert set(permissions(tables)) == CUSTOM_ROLES[f"{ROLES}_tables"]


def permissions(cell: str) -> list[str]:
    """The permissions that a cell of the table names, each in full."""
    found: list[str] = []
    for name in re.findall(r"`([\w.]+)`", cell):
        found.append(name if "." in name else f"{found[-1].rpartition('.')[0]}.{name}")
    return found
