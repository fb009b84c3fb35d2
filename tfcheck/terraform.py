"""Runs Terraform on this machine alone: format, validation, plans, with the stand-in provider."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv-terraform"
SECONDS = 300


class TerraformError(Exception):
    """Terraform is missing, or refused what it was given: what it said, or what to do."""


def find_terraform() -> str:
    """The program; raises `TerraformError` where there is none."""
    found = shutil.which("terraform")
    if found is None:
        raise TerraformError(
            "terraform is missing: install it, 1.9 or newer, as"
            " https://developer.hashicorp.com/terraform/install says for your system."
        )
    return found


class Terraform:
    """Terraform with a provider that `serve_provider` has started. It writes only into `scratch`."""

    def __init__(self, reattach: str, scratch: Path) -> None:
        self._program = find_terraform()
        self._scratch = scratch
        self._initialised: set[Path] = set()
        self._variables = {
            "CHECKPOINT_DISABLE": "1",
            "TF_CLI_CONFIG_FILE": os.devnull,
            "TF_IN_AUTOMATION": "1",
            "TF_REATTACH_PROVIDERS": reattach,
        }

    def badly_formatted(self, folder: Path) -> str:
        """What `terraform fmt` would change in a folder and those in it, as a diff; '' if nothing."""
        done = self._run(folder, "fmt", "-check", "-diff", "-recursive", "-no-color")
        return (done.stdout + done.stderr).strip() if done.returncode else ""

    def invalid(self, folder: Path) -> str:
        """What `terraform validate` holds against a module, one fault a line; '' if nothing."""
        self._initialise(folder)
        done = self._run(folder, "validate", "-json", "-no-color")
        faults = json.loads(done.stdout)["diagnostics"]
        return "\n".join(f"{_place(folder, each)}: {_said(each)}" for each in faults)

    def plan(self, folder: Path, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What a root module would make of nothing, in the JSON form that `terraform show` gives.

        Raises `TerraformError` with Terraform's own words where it makes no plan of these variables.
        """
        self._initialise(folder)
        given = self._scratch / "given.tfvars.json"
        given.write_text(json.dumps(variables))
        out = self._scratch / "plan"
        self._succeed(
            *(folder, "plan", "-input=false", "-no-color", "-refresh=false"),
            *(f"-state={self._scratch / 'state'}", f"-var-file={given}", f"-out={out}"),
        )
        plan: dict[str, Any] = json.loads(self._succeed(folder, "show", "-json", str(out)))
        return plan

    def _initialise(self, folder: Path) -> None:
        if folder not in self._initialised:
            self._succeed(folder, "init", "-backend=false", "-input=false", "-no-color")
            self._initialised.add(folder)

    def _succeed(self, folder: Path, *arguments: str) -> str:
        done = self._run(folder, *arguments)
        if done.returncode:
            raise TerraformError((done.stderr or done.stdout).strip())
        return done.stdout

    def _run(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        data = self._scratch / "data" / folder.resolve().relative_to("/")
        return subprocess.run(
            [self._program, *arguments],
            cwd=folder,
            env={**os.environ, **self._variables, "TF_DATA_DIR": str(data)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


@contextmanager
def terraform_here(*folder: Path) -> Iterator[Terraform]:
    """Terraform with the stand-in provider, for as long as the context lasts.

    With a folder it is much quicker, and knows the resources alone that the files in there name.
    """
    schema = ENVIRONMENT / "google.json"
    if not schema.exists():
        raise TerraformError(f"{ENVIRONMENT.name} is missing: `make check` makes it.")
    command = [str(ENVIRONMENT / "bin" / "python"), "-m", "tfcheck.provider", str(schema)]
    command += map(str, folder)
    with (
        tempfile.TemporaryDirectory(prefix="pixelship-") as scratch,
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as provider,
    ):
        reattach = cast("IO[str]", provider.stdout).readline()
        try:
            if not reattach:
                raise TerraformError(
                    f"{ENVIRONMENT.name} is broken: remove it, and `make check` makes it anew."
                )
            yield Terraform(reattach, Path(scratch))
        finally:
            cast("IO[str]", provider.stdin).close()


def _place(folder: Path, fault: dict[str, Any]) -> str:
    where = fault.get("range", {})
    path = os.path.relpath(folder / where.get("filename", "."), ROOT)
    return f"{path}:{where['start']['line']}" if where else path


def _said(fault: dict[str, Any]) -> str:
    return " ".join(f"{fault['summary']}. {fault.get('detail', '')}".split())
