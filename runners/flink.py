"""A Flink cluster on loopback: a job manager, task managers, and Beam's job server before them.

```python
with Cluster() as cluster, worker_pool(variables) as pool:
    cluster.add_task_managers(2)
    …  # pixelship load … --runner=PortableRunner, and cluster.beam_options(pool)
    cluster.kill_task_manager()  # SIGKILL
```

Each is a process of its own, as on machines of their own. The configuration is Flink's own, less what its
start scripts work out of a machine's memory: https://nightlies.apache.org/flink/flink-docs-release-1.19/docs/deployment/config/
(checked 2026-11-21).
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulators.processes import LOOPBACK, Stoppable, free_port
from runners.install import NoRunnersError, ensure_flink
from runners.processes import Process

SLOTS = 2
PATIENCE_S = 120.0
_POLL_S = 0.1

_OPENED = (
    *("java.base/java.lang", "java.base/java.net", "java.base/java.io", "java.base/java.nio"),
    *("java.base/sun.nio.ch", "java.base/java.lang.reflect", "java.base/java.text"),
    *("java.base/java.time", "java.base/java.util", "java.base/java.util.concurrent"),
    *("java.base/java.util.concurrent.atomic", "java.base/java.util.concurrent.locks"),
)
_EXPORTED = ("java.base/sun.net.util", "java.rmi/sun.rmi.registry", "java.security.jgss/sun.security.krb5")  # fmt: skip
"""What Flink reaches into from Java 17 on: `env.java.opts.all` of its shipped configuration."""

_ENDED = {"FINISHED", "FAILED", "CANCELED"}
_JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_JOB_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"

_CONFIGURATION = {
    "jobmanager.rpc.address": LOOPBACK,
    "jobmanager.bind-host": LOOPBACK,
    "rest.address": LOOPBACK,
    "rest.bind-address": LOOPBACK,
    "taskmanager.host": LOOPBACK,
    "taskmanager.bind-host": LOOPBACK,
    "taskmanager.numberOfTaskSlots": SLOTS,
    "taskmanager.cpu.cores": 1,
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
    "taskmanager.memory.task.heap.size": "256m",
    "taskmanager.memory.task.off-heap.size": "0",
    "taskmanager.memory.managed.size": "64m",
    "taskmanager.memory.network.min": "64m",
    "taskmanager.memory.network.max": "64m",
    # A task manager that is gone is known to be so by a broken call; these are for one that hangs.
    "heartbeat.interval": 2000,
    "heartbeat.timeout": 30000,
    # A job that lost one begins again on those that are left: more often than it takes to find out
    # that one is gone, for until then tasks are sent to it.
    "restart-strategy.type": "fixed-delay",
    "restart-strategy.fixed-delay.attempts": 60,
    "restart-strategy.fixed-delay.delay": "1 s",
    "slot.request.timeout": 30000,
    # Spread over the task managers, not the first one filled up.
    "cluster.evenly-spread-out-slots": "true",
    "taskmanager.load-balance.mode": "SLOTS",
}


class Cluster(Stoppable):
    """A running Flink cluster; task managers are added. Use it as a context manager."""

    def __init__(self) -> None:
        """Starts the job manager and the job server; raises NoRunnersError, NoEmulatorsError."""
        self._jars = ensure_flink()
        self._folder = Path(tempfile.mkdtemp(prefix="pixelship-flink-"))
        self._processes: list[Process] = []
        self.task_managers: dict[str, Process] = {}
        self._started = 0
        try:
            self._configure()
            self._rest = self._start(_JOB_MANAGER, "rest.port", health="/overview")
            self._job_server = self._start_job_server()
        except BaseException:
            self.stop()
            raise

    def add_task_managers(self, count: int) -> None:
        """Starts more task managers, each with `SLOTS` slots; returns when the job manager has them."""
        for _ in range(count):
            self._started += 1
            name = f"tm-{self._started}"
            own = (f"-Dtaskmanager.resource-id={name}",)
            self.task_managers[name] = self._start(_TASK_MANAGER, "taskmanager.rpc.port", *own)
        deadline = time.monotonic() + PATIENCE_S
        while not self._has_all_slots():
            if time.monotonic() > deadline:
                raise NoRunnersError("A task manager did not find its job manager.")
            time.sleep(_POLL_S)

    def kill_task_manager(self) -> str:
        """SIGKILL to one of the task managers; gives its name."""
        name, process = self.task_managers.popitem()
        process.stop()
        return name

    def beam_options(self, pool: Process, parallelism: int) -> list[str]:
        """What Beam is told: where the job service and the pool of workers are, and how far to spread."""
        return [
            *("--runner=PortableRunner", f"--job_endpoint={self._job_server.endpoint}"),
            *("--environment_type=EXTERNAL", f"--environment_config={pool.endpoint}"),
            f"--parallelism={parallelism}",
        ]

    def jobs(self) -> list[dict[str, Any]]:
        """The jobs so far, with their vertices, as Flink's REST API tells of them."""
        return [self._ask(f"jobs/{job['id']}") for job in self._ask("jobs")["jobs"]]

    def running(self) -> list[dict[str, Any]]:
        """Those of the jobs that run."""
        return [job for job in self.jobs() if job["state"] == "RUNNING"]

    def is_idle(self) -> bool:
        """Whether all jobs so far have ended."""
        return all(job["state"] in _ENDED for job in self.jobs())

    def last_job_s(self) -> float:
        """How long the latest job ran, in seconds."""
        last = max(self.jobs(), key=lambda job: int(job["start-time"]))
        return float(last["duration"]) / 1000

    def staging_on(self, job: dict[str, Any]) -> list[str]:
        """The task managers on which subtasks of a job's step Stage are running."""
        found: set[str] = set()
        for vertex in job["vertices"]:
            if "Stage" in vertex["name"]:
                tasks = self._ask(f"jobs/{job['jid']}/vertices/{vertex['id']}")["subtasks"]
                found |= {task["taskmanager-id"] for task in tasks if task["status"] == "RUNNING"}
        return sorted(found)

    def failures(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        """What made the job begin again, the latest first."""
        told: list[dict[str, Any]] = self._ask(f"jobs/{job['jid']}/exceptions")["exceptionHistory"]["entries"]  # fmt: skip
        return told

    def cancel(self, job: dict[str, Any]) -> None:
        """Ends a job, as a person does in Flink's dashboard."""
        self._ask(f"jobs/{job['jid']}?mode=cancel", method="PATCH")

    def stop(self) -> None:
        """Stops all of it; its files are gone. Twice is fine."""
        for process in reversed(self._processes):
            process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _has_all_slots(self) -> bool:
        slots = {
            each["id"]: each["slotsNumber"] for each in self._ask("taskmanagers")["taskmanagers"]
        }
        return all(slots.get(name) == SLOTS for name in self.task_managers)

    def _configure(self) -> None:
        rpc = {"jobmanager.rpc.port": free_port(), "io.tmp.dirs": str(self._folder)}
        lines = (f"{name}: {value}\n" for name, value in {**_CONFIGURATION, **rpc}.items())
        (self._folder / "flink-conf.yaml").write_text("".join(lines))

    def _start(self, main: str, port_option: str, *own: str, health: str | None = None) -> Process:
        def command(port: int, folder: Path) -> Sequence[str]:
            place = ("--configDir", str(self._folder), f"-D{port_option}={port}")
            return [*self._java(folder), main, *place, *own]

        return self._add(Process(command, health=health))

    def _start_job_server(self) -> Process:
        def command(port: int, folder: Path) -> Sequence[str]:
            return [
                *(*self._java(folder), _JOB_SERVER, "--job-host=localhost", f"--job-port={port}"),
                *(f"--flink-master={LOOPBACK}:{self._rest.port}", "--artifact-port=0"),
                *("--expansion-port=0", f"--flink-conf-dir={self._folder}"),
                *(f"--artifacts-dir={folder}", "--clean-artifacts-per-job"),
            ]

        return self._add(Process(command))

    def _add(self, process: Process) -> Process:
        self._processes.append(process)
        return process

    def _java(self, folder: Path) -> list[str]:
        return [
            *(
                "java",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:-UsePerfData",
                f"-Djava.io.tmpdir={folder}",
            ),
            *(f"--add-opens={each}=ALL-UNNAMED" for each in _OPENED),
            *(f"--add-exports={each}=ALL-UNNAMED" for each in _EXPORTED),
            *("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{self._jars}/*"),
        ]

    def _ask(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"{self._rest.url}/{path}", method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)
