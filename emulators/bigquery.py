"""BigQuery on loopback: bqemulator, with BigQuery's documented rules in front of it.

The server keeps everything in memory; one server can live through any number of client processes.
Give each test a project id of its own (`fresh_project`), and drop it when it is done with
(`forget`): nothing is shared between projects.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emulators.install import ensure_environment
from emulators.job_faults import JobFault
from emulators.processes import Server, Stoppable

__all__ = ["BigQuery", "JobFault"]

CONTROL = "/_control"


class BigQuery(Stoppable):
    """A running BigQuery. Use it as a context manager: it stops at the end.

    `url` is what `BIGQUERY_EMULATOR_HOST` wants. `root` is the object store's folder of buckets.
    """

    def __init__(self, root: Path) -> None:
        """Starts the server and waits until it answers (about two seconds)."""
        python = ensure_environment()

        def command(port: int) -> list[str]:
            place = ["--port", str(port), "--root", str(root.resolve())]
            return [str(python), "-m", "emulators.rules", *place]

        self._server = Server(command, f"{CONTROL}/health")
        self.url = self._server.url

    def fresh_project(self) -> str:
        """The id of a project that nobody has used."""
        return f"p{uuid.uuid4().hex[:16]}"

    def forget(self, project: str) -> None:
        """Drops all that a project has: data sets, tables, jobs, faults and denials."""
        self._ask("DELETE", f"projects/{project}")

    def add_fault(self, fault: JobFault) -> None:
        """Plans a fault of jobs."""
        self._ask("POST", "faults", asdict(fault))

    def faults(self) -> list[dict[str, Any]]:
        """The planned faults, with `times` left and `hits` so far."""
        found: list[dict[str, Any]] = self._ask("GET", "faults")
        return found

    def clear_faults(self, project: str | None = None) -> None:
        """Forgets all faults, or a project's."""
        self._ask("DELETE", "faults" + _only(project))

    def deny(
        self,
        project: str,
        dataset: str | None = None,
        table: str | None = None,
        what: str = "all",
    ) -> None:
        """Takes away a permission: `what` is "all", "write" or (of a project) "create_datasets"."""
        body = {"project": project, "dataset": dataset, "table": table, "deny": what}
        self._ask("POST", "permissions", body)

    def allow(self, project: str | None = None) -> None:
        """Gives all permissions back, or a project's."""
        self._ask("DELETE", "permissions" + _only(project))

    def stop(self) -> None:
        """Stops the server. Twice is fine."""
        self._server.close()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.url}{CONTROL}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def _only(project: str | None) -> str:
    return "" if project is None else "?" + urllib.parse.urlencode({"project": project})
