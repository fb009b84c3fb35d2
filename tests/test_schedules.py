"""The examples in schedules/: Airflow loads its DAG, and each says what the program and Google take."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from cronsim import CronSim

from pipeline.beam.options import separate_beam_options
from pipeline.cli import main
from pipeline.cli.warehouse import warehouse_of
from pipeline.sources.patterns import Pattern
from tests.test_dataflow_template import PARAMETERS, fits

ROOT = Path(__file__).parents[1]
SCHEDULES = ROOT / "schedules"
AIRFLOW = ROOT / ".venv-airflow"
LOOK = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
(dag,) = bag.dags.values()
(task,) = dag.tasks
names = ("body", "location", "project_id", "deferrable", "append_job_name", "retries", "wait_until_finished")
print(json.dumps({
    "errors": bag.import_errors,
    "dag": {name: getattr(dag, name) for name in ("dag_id", "catchup", "max_active_runs")},
    "schedule": dag.schedule,
    "alerts": type(dag.on_failure_callback).__name__,
    "task": {"kind": type(task).__name__, **{name: getattr(task, name) for name in names}},
}))
"""
PARSE = """
import sys
from google.cloud import dataflow_v1beta3 as dataflow
dataflow.types.LaunchFlexTemplateRequest.from_json(sys.stdin.read(), ignore_unknown_fields=False)
"""


@cache
def api(name: str) -> dict[str, Any]:
    """Google's own description of one of its services."""
    (path,) = AIRFLOW.glob(f"lib/python*/site-packages/googleapiclient/discovery_cache/documents/{name}.json")  # fmt: skip
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def faults(value: Any, schema: Mapping[str, Any], of: str, at: str = "") -> Iterator[str]:
    """What of a document is not as Google describes it: unknown fields, values of other types."""
    schema = api(of)["schemas"][schema["$ref"]] if "$ref" in schema else schema
    kind = schema["type"]
    if kind == "object" and isinstance(value, dict):
        for name, inner in value.items():
            known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            yield from faults(inner, known, of, f"{at}.{name}") if known else [f"{at}.{name} is not known"]  # fmt: skip
    elif kind == "array" and isinstance(value, list):
        for each in value:
            yield from faults(each, schema["items"], of, f"{at}[]")
    else:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        fitting = {
            "string": isinstance(value, str) or (schema.get("format") == "int64" and is_number),
            "integer": is_number,
            "boolean": isinstance(value, bool),
        }
        if not fitting.get(kind, False) or value not in schema.get("enum", [value]):
            yield f"{at} is {value!r}"


def read(name: str) -> Any:
    """A YAML file."""
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def parsed(words: list[str]) -> dict[str, Any]:
    """What the program reads from the words of a command line; raises click.UsageError."""
    command = main.commands[words[0]]
    return command.make_context(words[0], list(words[1:])).params


def check_load(words: list[str], least_lease_s: float = 300) -> None:
    """Holds a scheduled `pixelship load` against what all of them have to say."""
    read = parsed(words)
    patterns, beam = separate_beam_options(read["logs"])
    assert [Pattern(each).bucket for each in patterns] == ["acme-logs"]
    assert not beam
    warehouse_of(read["warehouse"], read["state"])
    assert fits("to", read["warehouse"])
    assert read["lease_s"] >= least_lease_s


def minutes_between(schedule: str) -> set[float]:
    """The minutes between the next runs of a schedule."""
    runs = list(islice(CronSim(schedule, datetime(2026, 1, 1, tzinfo=timezone.utc)), 20))
    return {(b - a).total_seconds() / 60 for a, b in pairwise(runs)}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The DAG as Airflow loads it."""
    home = tmp_path_factory.mktemp("airflow")
    done = subprocess.run(
        [AIRFLOW / "bin" / "python", "-c", LOOK, SCHEDULES],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "AIRFLOW_HOME": str(home), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_airflow_loads_the_dag(airflow: dict[str, Any]) -> None:
    assert airflow["errors"] == {}
    assert airflow["dag"] == {"dag_id": "pixelship", "catchup": False, "max_active_runs": 1}
    assert airflow["alerts"] == "SmtpNotifier"
    assert minutes_between(airflow["schedule"]) == {15}


def test_airflow_launches_the_template(airflow: dict[str, Any]) -> None:
    task = airflow["task"]
    assert task["kind"] == "DataflowStartFlexTemplateOperator"
    assert (task["deferrable"], task["append_job_name"], task["wait_until_finished"]) == (True, True, False)  # fmt: skip
    assert task["retries"] > 0
    request = task["body"]
    subprocess.run(
        [AIRFLOW / "bin" / "python", "-c", PARSE], input=json.dumps(request), text=True, check=True
    )
    assert list(faults(request, {"$ref": "LaunchFlexTemplateRequest"}, "dataflow.v1b3")) == []
    launch = request["launchParameter"]
    assert {"sdkContainerImage", "tempLocation", "stagingLocation"} <= launch["environment"].keys()
    given = launch["parameters"]
    assert given.keys() <= PARAMETERS.keys()
    assert given.keys() >= {name for name, each in PARAMETERS.items() if not each["isOptional"]}
    assert {"keys", "lease"} <= given.keys()
    assert [name for name, value in given.items() if not fits(name, value)] == []


def test_the_cloud_run_job_is_one_and_loads() -> None:
    job = read("schedules/cloud_run_job.yaml")
    assert (job["apiVersion"], job["kind"]) == ("run.googleapis.com/v1", "Job")
    assert list(faults(job, {"$ref": "Job"}, "run.v1")) == []
    execution = job["spec"]["template"]["spec"]
    task = execution["template"]["spec"]
    assert (execution["taskCount"], execution["parallelism"], task["maxRetries"]) == (1, 1, 0)
    (container,) = task["containers"]
    check_load(container["args"])
    assert "--log=json" in container["args"]


def test_what_is_wrong_in_a_document_of_googles_is_found() -> None:
    job = read("schedules/cloud_run_job.yaml")
    job["spec"]["template"]["spec"] |= {"tasks": 1, "parallelism": "1"}
    job["spec"]["template"]["spec"]["template"]["spec"]["containers"][0]["arg"] = []
    assert sorted(faults(job, {"$ref": "Job"}, "run.v1")) == [
        ".spec.template.spec.parallelism is '1'",
        ".spec.template.spec.tasks is not known",
        ".spec.template.spec.template.spec.containers[].arg is not known",
    ]


def test_the_image_of_the_cloud_run_job_starts_the_program() -> None:
    lines = (SCHEDULES / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert lines[-1] == 'ENTRYPOINT ["pixelship"]'
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001"]


def test_the_crontab_runs_the_program() -> None:
    text = (SCHEDULES / "pixelship.cron").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    variables = dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line))
    (line,) = lines[len(variables) :]
    *times, user, command = line.split(maxsplit=6)
    assert minutes_between(" ".join(times)) == {5}
    assert user == "pixelship"
    assert "%" not in command  # to cron, the end of the line
    said = re.sub(r"\$([A-Z]+)", lambda found: variables[found[1]], command)
    load, _, status = said.partition(" || ")
    words = shlex.split(load.removesuffix(" > /dev/null"))
    assert words.pop(0) == "pixelship"
    check_load(words)
    assert parsed(shlex.split(status)[1:])["warehouse"] == variables["TO"]
    (keys,) = {each.envvar for each in main.commands["load"].params} & variables.keys()
    assert fits("keys", variables[keys])


def test_the_timer_starts_the_program() -> None:
    unit = configparser.RawConfigParser(strict=False, comment_prefixes="#")
    unit.read([SCHEDULES / "pixelship-load.service", SCHEDULES / "pixelship-load.timer"])
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program == "/usr/local/bin/pixelship"
    check_load(words)
    assert (unit["Service"]["Type"], unit["Timer"]["OnCalendar"]) == ("oneshot", "*:0/5")


def test_the_build_is_one_of_cloud_builds() -> None:
    build = read("dataflow/cloudbuild.yaml")
    assert list(faults(build, {"$ref": "Build"}, "cloudbuild.v1")) == []


@pytest.mark.parametrize("name", ["schedules/README.md", "dataflow/README.md"])
def test_the_commands_of_a_readme_are_the_programs(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", "")
    for line in re.findall(r"^[$#] pixelship (.*)$", text, re.M):
        words = shlex.split(line)
        try:
            parsed(words)
        except click.UsageError as error:
            pytest.fail(f"{line}: {error}")


def test_cloud_scheduler_calls_what_cloud_run_has() -> None:
    text = (SCHEDULES / "README.md").read_text(encoding="utf-8")
    (address,) = re.findall(r"--uri=(\S+)", text)
    jobs = api("run.v2")["resources"]["projects"]["resources"]["locations"]["resources"]["jobs"]
    pattern = re.escape(api("run.v2")["rootUrl"]) + re.sub(r"\{\w+\}", "[^/]+", jobs["methods"]["run"]["flatPath"])  # fmt: skip
    assert re.fullmatch(pattern, address)
    assert address.endswith(f"/jobs/{read('schedules/cloud_run_job.yaml')['metadata']['name']}:run")
    (schedule,) = re.findall(r"--schedule='([^']*)'", text)
    assert minutes_between(schedule) == {5}
