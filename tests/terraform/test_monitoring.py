"""Metrics read the job's own log lines; alerts and the dashboard ask for metrics that are there."""

from __future__ import annotations

import json
import re
from io import StringIO
from typing import Any

import promql_parser
import pytest

from pipeline.structured_log import tell, write_to
from tests.terraform.conftest import MakePlan
from tests.terraform.plans import Plan
from tests.terraform.test_job import READY

RUNNERS = ["dataflow", "cloud_run"]
RESOURCES = {"dataflow": "dataflow_step", "cloud_run": "cloud_run_job"}
LAUNCHER = {"run_done", "run_failed", "lease_held", "quarantined"}
"""What the launcher of a Dataflow job tells; workers tell the rest."""
EVENTS: list[dict[str, Any]] = [
    {"event": "batch_planned", "batch": "00000007", "objects": 2, "bytes": 900},
    {"event": "batch_done", "batch": "00000007", "objects": 2, "lines": 100, "rejected": 7},
    {"event": "rejected", "batch": "00000007", "reason": "tampered", "lines": 4},
    {"event": "rejected", "batch": "00000007", "reason": "unsigned", "lines": 3},
    {"event": "object_damaged", "batch": "00000007", "object": "gs://l/a.gz", "reason": "cut"},
    {"event": "parked", "destination": "news.views", "rows": 5, "reason": "it lacks key"},
    {"event": "quarantined", "object": "gs://l/b.gz", "reason": "is a copy"},
    {"event": "lease_held"},
    {"event": "run_done", "batches": 1, "objects": 2, "parked": 5, "lag_s": 61.5, "seconds": 3},
    {"event": "run_failed", "reason": 'the "run_done" of it'},
]
COUNTED = {
    "runs": 1, "failed_runs": 1, "leases_held": 1, "parked": 1, "quarantined": 1, "damaged": 1,
}  # fmt: skip
MEASURED = {
    "lag_seconds": [(61.5, {})],
    "lines": [(100.0, {})],
    "rejected_lines": [(4.0, {"reason": "tampered"}), (3.0, {"reason": "unsigned"})],
}
ALERTS = {
    "views are late",
    "rows are parked",
    "logs are quarantined or damaged",
    "many lines are rejected",
    "a run failed",
    "no run has ended",
}


def entry(event: dict[str, Any], runner: str) -> dict[str, Any]:
    """The log entry that an event of the program comes to, by where it runs."""
    stream = StringIO()
    write_to(stream)
    tell(message="A sentence.", **event)
    write_to(None)
    resource = {"resource.type": RESOURCES[runner], "resource.labels.job_name": "pixelship"}
    if runner == "cloud_run":
        told = json.loads(stream.getvalue())
        return {**resource, **{f"jsonPayload.{key}": value for key, value in told.items()}}
    where = "textPayload" if event["event"] in LAUNCHER else "jsonPayload.message"
    return {**resource, where: stream.getvalue()}


def matches(filter_: str, log: dict[str, Any]) -> bool:
    """Whether an entry passes a filter made of AND, OR and one pair of brackets."""
    *all_of, bracket = filter_.split(" AND ")
    any_of = re.findall(r'[\w.]+=~?"(?:[^"\\]|\\.)*"', bracket)
    return all(_holds(each, log) for each in all_of) and any(_holds(each, log) for each in any_of)


def _holds(comparison: str, log: dict[str, Any]) -> bool:
    field, operator, text = re.fullmatch(r"([\w.]+)(=~?)(\".*\")", comparison).groups()  # type: ignore[union-attr]
    wanted, found = json.loads(text), str(log.get(field, ""))
    return bool(re.search(wanted, found)) if operator == "=~" else found == wanted


def extract(extractor: str, log: dict[str, Any]) -> str | None:
    """What EXTRACT(field) or REGEXP_EXTRACT(field, "expression") gives of an entry."""
    field, _, expression = extractor.partition("(")[2][:-1].partition(", ")
    found = str(log.get(field, ""))
    match = re.search(json.loads(expression) if expression else "(.+)", found)
    return match[1] if match else None


def metrics(plan: Plan) -> dict[str, dict[str, Any]]:
    """The metrics from logs, by their names without the installation's."""
    return {
        each["name"].removeprefix("pixelship_"): each
        for each in plan.all("google_logging_metric").values()
    }


def queries(plan: Plan) -> list[str]:
    """All that alerts and the dashboard ask for."""
    alerts = [
        query["query"]
        for policy in plan.all("google_monitoring_alert_policy").values()
        for condition in policy["conditions"]
        for query in condition["condition_prometheus_query_language"]
    ]
    return [*alerts, *_queries_of(json.loads(plan.one("google_monitoring_dashboard")["dashboard_json"]))]  # fmt: skip


def _queries_of(dashboard: dict[str, Any]) -> list[str]:
    return [
        data["timeSeriesQuery"]["prometheusQuery"]
        for widget in dashboard["gridLayout"]["widgets"]
        for data in widget["xyChart"]["dataSets"]
    ]


@pytest.mark.parametrize("runner", RUNNERS)
def test_metrics_read_the_events_of_the_log(plan_of: MakePlan, runner: str) -> None:
    logs = [entry(event, runner) for event in EVENTS]
    counted, measured = {}, {}
    for name, metric in metrics(plan_of("modules/job", **READY, runner=runner)).items():
        found = [log for log in logs if matches(metric["filter"], log)]
        if metric["value_extractor"] is None:
            counted[name] = len(found)
            continue
        labels = metric["label_extractors"] or {}
        measured[name] = [
            (float(value), {label: extract(how, log) for label, how in labels.items()})
            for log in found
            if (value := extract(metric["value_extractor"], log)) is not None
        ]
    assert counted == COUNTED
    assert measured == MEASURED


@pytest.mark.parametrize("runner", RUNNERS)
def test_other_jobs_are_not_counted(plan_of: MakePlan, runner: str) -> None:
    others = [entry(event, runner) | {"resource.labels.job_name": "other"} for event in EVENTS]
    for metric in metrics(plan_of("modules/job", **READY, runner=runner)).values():
        assert not [log for log in others if matches(metric["filter"], log)]


@pytest.mark.parametrize("runner", RUNNERS)
def test_what_is_asked_for_is_measured(plan_of: MakePlan, runner: str) -> None:
    plan = plan_of("modules/job", **READY, runner=runner)
    there = {
        f"user_{each['name']}{suffix}"
        for each in metrics(plan).values()
        for suffix in (("_sum", "_count") if each["value_extractor"] else ("",))
    }
    asked = {
        name
        for query in queries(plan)
        for name in re.findall(r"logging_googleapis_com:(\w+)", query)
    }
    assert asked <= there
    assert {f"user_pixelship_{name}" for name in COUNTED} <= asked
    kind = "dataflow_job" if runner == "dataflow" else "cloud_run_job"
    for query in queries(plan):
        assert set(re.findall(r'monitored_resource="(\w+)"', query)) == {kind}
        promql_parser.parse(query.replace("${__interval}", "5m"))


def test_every_alert_writes_to_everyone(plan_of: MakePlan) -> None:
    plan = plan_of("modules/job", **READY, alert_emails=["ops@example.com", "desk@example.com"])
    assert {
        each["labels"]["email_address"]
        for each in plan.all("google_monitoring_notification_channel").values()
    } == {"ops@example.com", "desk@example.com"}
    policies = plan.all("google_monitoring_alert_policy").values()
    assert {each["display_name"] for each in policies} == {f"pixelship: {title}" for title in ALERTS}  # fmt: skip
    assert all(len(each["notification_channels"]) == 2 for each in policies)
    assert all(each["documentation"][0]["content"] for each in policies)


def test_a_budget_is_there_where_it_is_asked_for(plan_of: MakePlan) -> None:
    budget = {"billing_account": "012345-6789AB-CDEF01", "units": 250}
    plan = plan_of("modules/job", **READY, budget=budget)
    found = plan.one("google_billing_budget")
    assert found["amount"][0]["specified_amount"][0]["units"] == "250"
    assert [each["threshold_percent"] for each in found["threshold_rules"]] == [0.5, 0.9, 1]
    assert "google_billing_budget" not in plan_of("modules/job", **READY).types()
