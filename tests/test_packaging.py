"""What is built and installed holds all that the package needs: the schemas, and that it is typed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
SCHEMAS = {path.name for path in (ROOT / "schemas").glob("*.json")}
NEEDED = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "pipeline", "schemas")
LOOK = """
import json, sys
from pathlib import Path
import pipeline
from pipeline import schemas
assert Path(pipeline.__file__).is_relative_to(sys.argv[1]), pipeline.__file__
print(json.dumps({name: len(schemas.table(name)) for name in sys.argv[2:]}))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An sdist, and a wheel that was built from it."""
    source = tmp_path_factory.mktemp("source")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(ROOT / name, source)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    needs = [Requirement(each) for each in settings["build-system"]["requires"]]
    isolation = [] if not all(map(_is_installed, needs)) else ["--no-isolation"]
    done = subprocess.run(
        [sys.executable, "-m", "build", *isolation, "--outdir", source / "dist", source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


def _is_installed(need: Requirement) -> bool:
    try:
        return need.specifier.contains(metadata.version(need.name))
    except metadata.PackageNotFoundError:
        return False


def test_the_sdist_holds_the_schemas(built: Path) -> None:
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"schemas/{name}" for name in SCHEMAS} <= names
    assert {"pipeline/py.typed", "pipeline/cli/__init__.py", "LICENSE"} <= names


def test_the_wheel_holds_the_schemas_and_nothing_foreign(built: Path) -> None:
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    assert {f"pipeline/schemas/{name}" for name in SCHEMAS} <= names
    assert "pipeline/py.typed" in names
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"pipeline", "pixelship"}
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "pipeline").rglob("*.py")}
    assert modules <= names


def test_the_installed_package_finds_its_schemas(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
            "--disable-pip-version-check", "--target", tmp_path / "there", wheel,
        ],
        check=True,
    )  # fmt: skip
    names = sorted(name.removesuffix(".json") for name in SCHEMAS)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, tmp_path / "there", *names],
        env={"PYTHONPATH": str(tmp_path / "there")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout).keys() == set(names)
