"""The flex template: its parameters are options of `pixelship load`, and are checked as those are."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from dataflow.launch import load_words
from emulators.environment import write_credentials
from pipeline import gcp
from pipeline.beam.options import separate_beam_options
from pipeline.cli.load import load
from pipeline.cli.rules import config_of, config_source, format_of
from pipeline.cli.warehouse import warehouse_of
from pipeline.errors import SetupError
from pipeline.secret_references import follow
from pipeline.sources.patterns import Pattern
from pipeline.storage import create_file, open_file
from tests.cloud import Cloud
from tests.logs import Hit, log, tsv

ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-dataflow" / "bin" / "python"
METADATA = json.loads((ROOT / "dataflow/metadata.json").read_text(encoding="utf-8"))
PARAMETERS = {each["name"]: each for each in METADATA["parameters"]}
GIVEN = {
    "logs": "gs://acme-logs/pixel/,gs://acme-logs/cdn/*.gz",
    "to": "bigquery:acme-analytics",
    "state": "gs://acme-pixelship/state",
    "location": "EU",
    "keys": "sm://projects/acme-analytics/secrets/pixelship-keys/versions/latest",
    "config": "gs://acme-pixelship/pixelship.toml",
    "format": "nginx-tsv",
    "allow": "news.*,mail.opens",
    "dedupe": "merge",
    "settle": "60",
    "lease": "3600",
}
LAUNCHER_S = [
    "--runner=DataflowRunner",
    "--project=acme-analytics",
    "--region=europe-west1",
    "--job_name=pixelship-1",
    "--template_location=gs://acme-dataflow/staging/template_launches/1/job_object",
    "--staging_location=gs://acme-dataflow/staging",
    "--temp_location=gs://acme-dataflow/tmp",
    "--service_account_email=pixelship@acme-analytics.iam.gserviceaccount.com",
    "--sdk_container_image=europe-west1-docker.pkg.dev/acme-analytics/pixelship/dataflow:1",
    "--subnetwork=regions/europe-west1/subnetworks/pixelship",
    "--no_use_public_ips",
    "--num_workers=1",
    "--max_num_workers=10",
    "--machine_type=e2-standard-4",
    "--autoscaling_algorithm=THROUGHPUT_BASED",
    "--labels=team=web",
    "--experiments=use_runner_v2",
    "--dataflow_service_options=enable_prime",
]
"""What Dataflow's launcher may add."""
MAP = b"""
name = "shop"
kind = "nginx"
log_format = '''
log_format shop '$remote_addr [$time_iso8601] "$request" $status "$http_referer" "$http_user_agent"';
'''
"""
PARSE = """
import sys
from google.cloud import dataflow_v1beta3 as dataflow
read = dataflow.types.TemplateMetadata.from_json(sys.stdin.read(), ignore_unknown_fields=False)
print(*(f"{each.name} {each.param_type.name}" for each in read.parameters), sep="\\n")
"""


def words_of(given: dict[str, str]) -> list[str]:
    """What the launcher calls the program with."""
    return [f"--{name}={value}" for name, value in given.items()] + LAUNCHER_S


def parsed(given: dict[str, str]) -> dict[str, Any]:
    """What `pixelship load` reads from it, before it does anything."""
    words = load_words(words_of(given))
    assert words[0] == load.name
    return load.make_context("load", words[1:]).params


def test_google_reads_the_metadata_and_knows_all_of_it() -> None:
    done = subprocess.run(
        [PYTHON, "-c", PARSE],
        input=json.dumps(METADATA),
        capture_output=True,
        text=True,
        check=True,
    )
    assert dict(line.split() for line in done.stdout.splitlines()) == {
        name: each["paramType"] for name, each in PARAMETERS.items()
    }
    for each in PARAMETERS.values():
        assert each["label"]
        assert each["helpText"].endswith(".") or "Example" in each["helpText"]


def test_each_parameter_is_an_option_and_says_the_same_of_it() -> None:
    options = {word.removeprefix("--"): each for each in load.params for word in each.opts}
    assert PARAMETERS.keys() <= options.keys()
    assert {name for name, each in PARAMETERS.items() if not each["isOptional"]} == {"logs", "to", "state"}  # fmt: skip
    for name, each in PARAMETERS.items():
        option = options[name]
        default = None if option.required or option.multiple else option.default
        if each["isOptional"] and isinstance(default, (str, float, int)):
            assert float(each["defaultValue"]) == default if name == "settle" else each["defaultValue"] == default  # fmt: skip
        else:
            assert "defaultValue" not in each
        if isinstance(option.type, click.Choice):
            assert [value["value"] for value in each["enumOptions"]] == list(option.type.choices)


def test_all_that_the_launcher_gives_is_read() -> None:
    assert GIVEN.keys() == PARAMETERS.keys()
    read = parsed(GIVEN)
    patterns, beam = separate_beam_options(read["logs"])
    assert patterns == GIVEN["logs"].split(",")
    assert beam == LAUNCHER_S
    assert read["allow"] == ("news.*", "mail.opens")
    assert (read["warehouse"], read["state"]) == (GIVEN["to"], GIVEN["state"])
    assert (read["key_file"], read["config_file"]) == (GIVEN["keys"], GIVEN["config"])
    assert (read["log_format"], read["dedupe"], read["location"]) == ("nginx-tsv", "merge", "EU")
    assert (read["settle_s"], read["lease_s"], read["log_form"]) == (60, 3600, "json")


def test_what_is_not_given_is_as_the_program_has_it() -> None:
    read = parsed({name: GIVEN[name] for name in ("logs", "to", "state")})
    assert (read["allow"], read["lease_s"], read["key_file"]) == ((), None, None)
    assert read["log_format"] == "auto"


def _read_logs(value: str) -> None:
    words = load_words([f"--logs={value}"])
    for word in words[words.index("--log=json") + 1 :]:
        Pattern(word)


def _read_option(name: str) -> Callable[[str], None]:
    return lambda value: parsed({**GIVEN, name: value}) and None


PROGRAM: dict[str, Callable[[str], object]] = {
    "logs": _read_logs,
    "to": lambda value: warehouse_of(value, GIVEN["state"]),
    "state": lambda value: warehouse_of(GIVEN["to"], value),
    "keys": lambda value: follow(value, {}),
    "config": lambda value: config_of(config_source(None, None, value)),  # type: ignore[arg-type]
    "format": format_of,
    **{name: _read_option(name) for name in ("location", "allow", "dedupe", "settle", "lease")},
}
"""How the program reads a parameter's value: it raises where it refuses it."""

TAKEN = [
    *GIVEN.items(),
    ("logs", "gs://acme-logs"),
    ("logs", "gs://acme.logs/**/px-[0-9]*.gz"),
    ("to", "bigquery:example.com:acme-analytics"),
    ("state", "gs://acme-pixelship"),
    ("keys", "sm://projects/12345/secrets/ring/versions/3"),
    ("location", "europe-west1"),
    ("format", "auto"),
    ("format", "cloudfront-json"),
    ("format", "gs://acme-pixelship/maps/edge.toml"),
    ("allow", "*"),
    ("allow", "[a-m]*.views"),
    ("dedupe", "off"),
    ("settle", "0"),
]
REFUSED = [
    ("logs", ""),
    ("logs", "/var/log/nginx"),
    ("logs", "gs://"),
    ("logs", "gs://Acme/pixel/"),
    ("logs", "gs://acme-logs/a,gs://-/b"),
    ("to", "acme-analytics"),
    ("to", "bigquery:"),
    ("to", "bigquery:Acme-Analytics"),
    ("to", "bigquery:acme-analytics.news"),
    ("to", "duckdb:news.duckdb"),
    ("state", "acme-pixelship/state"),
    ("state", "gs:///state"),
    ("state", "s3://acme/state"),
    ("keys", "keys.json"),
    ("keys", "env:KEYS"),
    ("keys", "file:/keys.json"),
    ("keys", "sm://projects/acme-analytics/secrets/ring"),
    ("keys", "sm://projects/acme-analytics/secrets/ring/versions/"),
    ("config", "pixelship.toml"),
    ("config", "gs:///pixelship.toml"),
    ("format", "edge.toml"),
    ("format", "NGINX"),
    ("format", "gs://acme-pixelship/edge.json"),
    ("dedupe", "never"),
    ("dedupe", "View"),
    ("settle", "-1"),
    ("settle", "soon"),
    ("lease", "0"),
    ("lease", "an hour"),
]


def fits(name: str, value: str) -> bool:
    """Whether a value is one that Dataflow lets through: its regexes are those of egrep."""
    return all(
        subprocess.run(
            ["grep", "--extended-regexp", "--quiet", "-e", regex], input=value + "\n", text=True, check=False
        ).returncode
        == 0
        for regex in PARAMETERS[name]["regexes"]
    )  # fmt: skip


@pytest.fixture
def anything_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Secret Manager and Cloud Storage have whatever is well named."""

    def open_file(path: str) -> io.BytesIO:
        gcp.split_url(path)
        return io.BytesIO(MAP if "edge" in path else b"")

    monkeypatch.setattr("pipeline.gcp.open_file", open_file)
    monkeypatch.setattr("pipeline.secret_manager.read_secret", lambda _: b"secret")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("anything_is_there")
@pytest.mark.parametrize(("name", "value"), TAKEN)
def test_what_the_program_takes_the_template_lets_through(name: str, value: str) -> None:
    PROGRAM[name](value)
    assert fits(name, value)


@pytest.mark.usefixtures("anything_is_there")
@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_what_the_template_refuses_the_program_does_too(name: str, value: str) -> None:
    assert not fits(name, value)
    if value:  # what is empty is as if it were not given
        with pytest.raises((SetupError, click.UsageError)):
            PROGRAM[name](value)


def test_the_launcher_gets_a_graph_and_0_though_something_waits_for_a_person(
    cloud: Cloud, tmp_path: Path
) -> None:
    cloud.put("px-1.tsv", log(tsv(Hit(uri=b"/pixel.gif?key=story-1"))))
    cloud.put("px-2.tsv", log(tsv(Hit(uri=b"/pixel.gif?key=story-2"))))
    cloud.put("px-3.tsv", log(tsv(Hit(uri=b"/pixel.gif?key=story-2"))))  # a copy, to be quarantined
    with create_file(f"{cloud.folder}/pixelship.toml") as sink:
        sink.write(b'[ping]\ndestination = "counts.hits"')
    graph = f"{cloud.folder}/template_launches/1/job_object"
    given = {
        "logs": f"{cloud.folder}/logs/",
        "to": f"bigquery:{cloud.project}",
        "state": cloud.state,
        "config": f"{cloud.folder}/pixelship.toml",
        "lease": "600",
    }
    launcher_s = [each for each in LAUNCHER_S if "gs://" not in each] + [
        f"--template_location={graph}",
        f"--staging_location={cloud.folder}/staging",
        f"--temp_location={cloud.folder}/temp",
    ]
    credentials = {"GOOGLE_APPLICATION_CREDENTIALS": str(write_credentials(tmp_path))}
    done = subprocess.run(
        [
            PYTHON,
            ROOT / "dataflow/launch.py",
            *(f"--{k}={v}" for k, v in given.items()),
            *launcher_s,
        ],
        env=cloud.environment() | credentials | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with open_file(graph) as stream:
        job = json.load(stream)
    (workers,) = job["environment"]["workerPools"]
    images = {each["containerImage"] for each in workers["sdkHarnessContainerImages"]}
    assert {f"--sdk_container_image={image}" for image in images} <= set(LAUNCHER_S)
    events = [json.loads(line)["event"] for line in done.stderr.splitlines() if line[:1] == "{"]
    assert events == ["batch_planned", "quarantined", "run_done"], done.stdout


def test_the_readme_names_each_parameter() -> None:
    text = (ROOT / "dataflow/README.md").read_text(encoding="utf-8")
    rows = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert rows == list(PARAMETERS)
