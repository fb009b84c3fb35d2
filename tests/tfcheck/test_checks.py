"""What `make check` finds wrong with Terraform's files, each fault put into a copy of a sound module."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tfcheck import terraform as running
from tfcheck.modules import find_modules, untidy
from tfcheck.terraform import ROOT, Terraform, TerraformError

TERRAFORM = ROOT / "terraform"
LOGS = TERRAFORM / "modules" / "logs"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LOGS, tmp_path / "terraform" / "modules" / "logs"))


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_a_sound_module_is_found_sound(terraform: Terraform, module: Path) -> None:
    assert terraform.badly_formatted(module) == ""
    assert terraform.invalid(module) == ""
    assert untidy(module.parents[1], module) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("public_access_prevention ", "public_access_preventoin", "Unsupported argument"),
        ("location                    = var.location\n", "", "Missing required argument"),
        ("age = 1\n", "age = [1]\n", 'attribute "age": number required'),
        (
            '"google_logging_project_sink" "r',
            '"google_logging_projekt_sink" "r',
            "Invalid resource",
        ),
        ("soft_delete_policy {", "soft_delete {", "Unsupported block type"),
        (
            "soft_delete_policy {",
            "soft_delete_policy {}\nsoft_delete_policy {",
            "Too many soft_del",
        ),
        ("[0].writer_identity", "[0].writer", "Unsupported attribute"),
    ],
    ids=["unknown", "missing", "mistyped", "type", "block", "twice", "attribute"],
)
def test_what_the_provider_would_refuse(
    terraform: Terraform, module: Path, old: str, new: str, said: str
) -> None:
    edit(module / "main.tf", old, new)
    found = terraform.invalid(module)
    assert said in found
    assert "main.tf:" in found.splitlines()[0]


def test_a_badly_formatted_file(terraform: Terraform, module: Path) -> None:
    edit(module / "variables.tf", "  type        = string", "  type = string")
    assert "+  type        = string" in terraform.badly_formatted(module.parent)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("variables.tf", "  description = ", "  # ", "variable project has no description"),
        ("variables.tf", "  type        = string\n", "", "variable project has no type."),
        ("variables.tf", "  validation {", "  lifecycle {", "variable project has no validation."),
        ("outputs.tf", "  description = ", "  # ", "output bucket has no description"),
        ("main.tf", "CKV_GCP_62: a log", "CKV_GCP_62 # a log", "CKV_GCP_62 is skipped without"),
        ("main.tf", "locals {", "locals {{", "has a file that is not HCL"),
    ],
)
def test_what_this_project_asks_of_its_modules(
    module: Path, file: str, old: str, new: str, said: str
) -> None:
    edit(module / file, old, new)
    (fault,) = untidy(module.parents[1], module)
    assert fault.startswith("terraform/modules/logs")
    assert said in fault


def test_a_module_lacks_a_file(module: Path) -> None:
    (module / "versions.tf").unlink()
    (fault,) = untidy(module.parents[1], module)
    assert fault == "terraform/modules/logs: versions.tf is missing."


def test_the_command_tells_of_everything(tmp_path: Path) -> None:
    """All kinds of checks on one folder, policies among them, and the exit status."""
    root = Path(shutil.copytree(TERRAFORM, tmp_path / "terraform"))
    logs = root / "modules" / "logs"
    edit(logs / "main.tf", '  public_access_prevention    = "enforced"\n', "")
    edit(logs / "main.tf", "soft_delete_policy {", "soft_delete {")
    edit(logs / "outputs.tf", "  description = ", "  #  ")
    edit(root / "versions.tf", "  required_version", "    required_version")
    done = subprocess.run(
        [sys.executable, "-m", "tfcheck", root],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for said in (
        "+  required_version",
        "output bucket has no description",
        "Unsupported block type",
        "CKV_GCP_114",
    ):
        assert said in done.stderr


def test_modules_and_examples_are_found() -> None:
    names = [str(each.relative_to(ROOT)) for each in find_modules(TERRAFORM)]
    assert names[0] == "terraform"
    assert "terraform/modules/logs" in names


def test_no_terraform_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tfcheck.__main__ import main

    monkeypatch.setattr(running.shutil, "which", lambda _: None)
    monkeypatch.setattr(sys, "argv", ["tfcheck"])
    assert main() == 1
    said = capsys.readouterr().err
    assert said.startswith("terraform is missing: install it")
    assert len(said.splitlines()) == 1


def test_no_environment_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "ENVIRONMENT", tmp_path / ".venv-terraform")
    with (
        pytest.raises(TerraformError, match=r"^\.venv-terraform is missing"),
        running.terraform_here(),
    ):
        pass
