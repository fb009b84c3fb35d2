"""The job's graph as Dataflow would get it: built offline, against an object store on loopback.

What this cannot show is Dataflow itself. It is held here what Dataflow is told, to the byte.
"""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from apache_beam.internal import pickler
from apache_beam.portability.api import beam_runner_api_pb2 as beam_api

from emulators.environment import write_credentials
from pipeline.batchlog import BatchLog, CloudStore
from pipeline.storage import open_file
from tests.cloud import Cloud, fresh_cloud
from tests.logs import SECRET, Hit, log, tsv
from tests.vault import vault_on_loopback

PYTHON = Path(".venv-dataflow/bin/python").absolute()
PIXELSHIP = "from pipeline.cli import run; run()"
KEYS = "sm://projects/acme/secrets/pixelship/versions/3"
STEPS = ["Parts", "Spread", "Stage", "Group", "Commit", "Committed", "Finish"]
WORKER_OPTIONS = (
    "--sdk_container_image=europe-docker.pkg.dev/acme/pixelship/pixelship:1",
    "--service_account_email=job@acme.iam.gserviceaccount.com",
    "--worker_machine_type=t2a-standard-4",
    "--max_num_workers=20",
    "--autoscaling_algorithm=THROUGHPUT_BASED",
    "--flexrs_goal=COST_OPTIMIZED",
    "--no_use_public_ips",
    "--subnetwork=regions/europe-west1/subnetworks/jobs",
    "--disk_size_gb=30",
    "--labels=part=pixelship",
)


@dataclass(frozen=True)
class Built:
    """What was handed to Dataflow's launcher, and what was said on the way."""

    said: subprocess.CompletedProcess[str]
    job: dict[str, Any]
    graph: Any

    @property
    def steps(self) -> dict[str, Any]:
        """All transforms by their names."""
        return {each.unique_name: each for each in self.graph.components.transforms.values()}

    @property
    def top_steps(self) -> list[str]:
        """The names of the steps that the graph is made of, in their order."""
        transforms = self.graph.components.transforms
        (root,) = self.graph.root_transform_ids
        return [transforms[id_].unique_name for id_ in transforms[root].subtransforms]

    @property
    def functions(self) -> dict[str, Any]:
        """The pickled functions of our own steps, by the steps' names."""
        payloads = {name: self.steps[name].spec.payload for name in ("Stage", "Commit", "Finish")}
        return {
            name: pickler.loads(beam_api.ParDoPayload.FromString(payload).do_fn.payload)[0]
            for name, payload in payloads.items()
        }


def launch(cloud: Cloud, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Launches as Dataflow's launcher of templates does, in the environment that has what it needs."""
    with vault_on_loopback() as vault:
        vault.holds(json.dumps({"keys": [{"secret": SECRET}]}).encode())
        place = f"{cloud.folder}/template"
        return subprocess.run(
            [
                PYTHON, "-c", PIXELSHIP, "load", f"{cloud.folder}/logs/",
                "--to", f"bigquery:{cloud.project}", "--state", cloud.state, "--keys", KEYS,
                "--lease", "3600", "--log", "json", "--runner=DataflowRunner", "--project=acme",
                "--region=europe-west1", "--job_name=pixelship-load",
                f"--template_location={place}/job.json", f"--staging_location={place}/staging",
                f"--temp_location={place}/temp", *WORKER_OPTIONS, *words,
            ],
            env={
                **cloud.environment(),
                "GOOGLE_APPLICATION_CREDENTIALS": str(write_credentials(folder)),
                "SECRET_MANAGER_EMULATOR_HOST": vault.url,
            },
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip


def built(cloud: Cloud, folder: Path) -> Built:
    said = launch(cloud, folder)
    assert said.returncode == 0, said.stderr
    with open_file(f"{cloud.folder}/template/job.json") as stream:
        job = json.loads(stream.read())
    with open_file(job["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]) as stream:
        return Built(said, job, beam_api.Pipeline.FromString(stream.read()))


@pytest.fixture(scope="module")
def launched(
    cloud_servers: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cloud, Built]]:
    """A job of two batches, one of them left open by another run."""
    cloud = fresh_cloud(*cloud_servers)
    folder = tmp_path_factory.mktemp("dataflow")
    cloud.put("a.log", log(tsv(Hit(request_id=b"1"))))
    cloud.put("b.log", log(tsv(Hit(request_id=b"2"))))
    yield cloud, built(cloud, folder)
    cloud.bigquery.forget(cloud.project)


@pytest.fixture(scope="module")
def job(launched: tuple[Cloud, Built]) -> Built:
    return launched[1]


def test_the_launcher_plans_and_loads_nothing_itself(launched: tuple[Cloud, Built]) -> None:
    cloud, job = launched
    assert "Traceback" not in job.said.stderr
    assert job.said.stdout.startswith("Launched: Batch 00000001;")
    view = BatchLog(CloudStore(cloud.state)).view()
    assert [(each.batch.id, each.step) for each in view.open] == [("00000001", "planned")]


def test_its_steps_keep_their_names(job: Built) -> None:
    """Dataflow knows a job's steps again by these when it is updated."""
    assert job.top_steps == STEPS


def test_no_rows_are_shuffled(job: Built) -> None:
    """Parts, what was staged of them, and ids of batches pass between workers, and nothing else."""
    grouping = "beam:transform:group_by_key:v1"
    found = [name for name, step in job.steps.items() if step.spec.urn == grouping]
    assert {name.partition("/")[0] for name in found} == {"Spread", "Group", "Committed"}
    assert len(found) == 3


def test_the_graph_does_not_grow_with_the_logs_bytes(job: Built) -> None:
    assert job.graph.ByteSize() < 100_000
    assert len(json.dumps(job.job)) < 100_000


def test_workers_are_told_where_the_keys_are_and_not_the_keys(job: Built) -> None:
    stage = job.functions["Stage"]
    told = next(iter(stage._jobs.values()))
    assert (told.keys_from, told.rules.keys.keys) == (KEYS, ())
    for function in job.functions.values():
        assert SECRET.encode() not in pickle.dumps(function)
    assert SECRET not in json.dumps(job.job) + job.said.stdout + job.said.stderr
    assert SECRET.encode() not in job.graph.SerializeToString()


def test_the_lease_is_handed_over(launched: tuple[Cloud, Built], tmp_path: Path) -> None:
    """The job ends it, not the launcher; until then another launch is an empty job."""
    cloud, job = launched
    assert job.functions["Finish"]._ending.lease._held == "leases/00000001"
    again = built(cloud, tmp_path)
    assert again.said.stdout.startswith("Another run is at work")
    assert again.top_steps == STEPS
    assert again.functions["Stage"]._jobs == {}
    assert again.functions["Finish"]._ending.lease._held is None


def test_worker_options_reach_dataflow(job: Built) -> None:
    pool = job.job["environment"]["workerPools"][0]
    image = "europe-docker.pkg.dev/acme/pixelship/pixelship:1"
    assert pool["workerHarnessContainerImage"] == image
    assert {each["containerImage"] for each in pool["sdkHarnessContainerImages"]} == {image}
    assert pool["machineType"] == "t2a-standard-4"
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 20
    assert pool["autoscalingSettings"]["algorithm"] == "AUTOSCALING_ALGORITHM_BASIC"
    assert pool["ipConfiguration"] == "WORKER_IP_PRIVATE"
    assert pool["diskSizeGb"] == 30
    environment = job.job["environment"]
    assert environment["serviceAccountEmail"] == "job@acme.iam.gserviceaccount.com"
    assert environment["flexResourceSchedulingGoal"] == "FLEXRS_COST_OPTIMIZED"
    assert job.job["labels"] == {"part": "pixelship"}
    assert (job.job["name"], job.job["type"]) == ("pixelship-load", "JOB_TYPE_BATCH")


def test_nothing_of_the_launchers_own_is_sent(launched: tuple[Cloud, Built]) -> None:
    """No pickled session, no packages: workers have the image."""
    cloud, _ = launched
    staging = cloud.store.root / cloud.folder.removeprefix("gs://") / "template" / "staging"
    names = {path.name for path in staging.rglob("*") if path.is_file()}
    assert names == {"pipeline.pb", "submission_environment_dependencies.txt"}
